package import Assessment
package import Configuration
package import Outbox
package import Stores
import SystemCalls

/// The cycle of `watch`: samples and assesses as every cycle does, and does nothing else. Nothing is pushed, nothing is
/// kept, and nobody's count of movements goes on.
package actor WatchCycle {
  /// What a cycle found.
  package struct Outcome: Sendable {
    /// The exporter's wall clock at the start.
    package var time: Timestamp
    /// The samples; failed ones of stores that have not answered.
    package var samples: [OutboxSample]
    /// What the trend of each outbox says, by its name.
    package var assessments: [String: OutboxAssessment]
    /// Outboxes that are not there any more.
    package var vanished: [String]
  }

  private let round: SampleRound
  private let patience: Duration
  private let now: @Sendable () -> Timestamp
  private var windows: [String: (window: SampleWindow, last: Timestamp)] = [:]

  /// A cycle over the outboxes of a configuration, at its interval.
  package init(_ configuration: ExporterConfiguration) {
    let now: @Sendable () -> Timestamp = { Timestamp(nanoseconds: SystemClock.wallNanoseconds()) }
    self.init(stores: configuration.stores(now: now), interval: configuration.interval, now: now)
  }

  /// A cycle over stores; the slowest is waited for as long as the sidecar would.
  package init(stores: [any OutboxStore], interval: Duration, now: @escaping @Sendable () -> Timestamp) {
    round = SampleRound(stores: stores.map { RestingStore($0) }, now: now)
    patience = interval * 4 / 5
    self.now = now
  }

  /// Samples every outbox whose store does not rest.
  package func run() async -> Outcome {
    let time = now()
    let result = await round.sample(SampleRequest(), patience: patience)
    for name in result.vanished { windows[name] = nil }
    var assessments: [String: OutboxAssessment] = [:]
    for sample in result.samples {
      let name = sample.outbox.name
      var window = windows[name]?.window ?? SampleWindow()
      // The answer of a store that rests is no second sample.
      if windows[name]?.last != sample.startedAt { window.append(sample) }
      windows[name] = (window, sample.startedAt)
      assessments[name] = OutboxAssessment(window, of: sample.outbox)
    }
    return Outcome(time: time, samples: result.samples, assessments: assessments, vanished: result.vanished)
  }

  /// Ends the connections of all stores that are not at work.
  package func close() async { await round.close() }
}
