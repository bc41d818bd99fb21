import Assessment

/// In which rhythm samples are taken. Those of different rhythms are no trend together: where a worker empties its queue
/// every five minutes, twenty samples of five minutes and twenty of fifteen seconds would show a standstill.
package struct SampleRhythm: Sendable, Hashable {
  /// What the samples are kept under.
  let name: String
  /// Older samples say nothing about now.
  let ageLimit: Duration
  /// Samples that follow each other faster are not kept; nil keeps all.
  let closest: Duration?

  /// The runs of `--once`, whenever they come: a cron job, and now and then a person who is impatient.
  package static let once = SampleRhythm(name: "once", ageLimit: .seconds(7 * 86_400), closest: .seconds(10))

  /// The cycles of a sidecar; one with another interval begins anew, and so does one that was away for long.
  package static func sidecar(interval: Duration) -> SampleRhythm {
    SampleRhythm(
      name: "sidecar \(interval / .milliseconds(1))", ageLimit: interval * (2 * SampleWindow.capacity), closest: nil)
  }

  /// How long after the last kept sample the next one is kept: half of the usual time between two, so that a few runs by
  /// hand do not push the cron job's out.
  ///
  /// - Parameter steps: seconds between the last kept samples.
  func spacing(_ steps: [Double]) -> Double {
    guard let closest else { return 0 }
    let least = closest / .seconds(1)
    return steps.isEmpty ? least : max(least, Trend.median(steps) / 2)
  }
}
