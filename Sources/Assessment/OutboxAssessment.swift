package import Outbox

/// What the trend of one outbox says: a verdict, the sentence with the figures behind it, and what is to be expected.
package struct OutboxAssessment: Sendable, Hashable {
  /// The verdict on one destination of several.
  package struct Destination: Sendable, Hashable {
    /// Which one.
    package var name: String
    /// Neither ok nor idle.
    package var verdict: Verdict
    /// The figures behind it.
    package var sentence: String

    /// A destination that stands out.
    package init(name: String, verdict: Verdict, sentence: String) {
      self.name = name
      self.verdict = verdict
      self.sentence = sentence
    }
  }

  /// Whose trend it is.
  package var outbox: String
  /// What is going on in the outbox as a whole.
  package var verdict: Verdict
  /// The figures behind the verdict.
  package var sentence: String
  /// When the backlog is empty, where it shrinks and not by chance.
  package var drainTime: TimeRange?
  /// When the longest wait reaches the objective, where there is one and the wait grows, not by chance.
  package var breachTime: TimeRange?
  /// Destinations that are neither ok nor idle, the worst first. Whoever stands alone among healthy ones is seen here.
  package var destinations: [Destination]

  /// The assessment of an outbox without history.
  package init(outbox: String) {
    self.outbox = outbox
    verdict = .unknown
    sentence = "no samples yet"
    destinations = []
  }

  /// Judges the last sample of a window by those before it.
  package init(_ window: SampleWindow, of outbox: WatchedOutbox) {
    self.init(outbox: outbox.name)
    let isTrusted = window.lack == nil
    if let lack = window.lack {
      sentence = lack
    } else {
      let finding = Finding(Evidence(moments: window.moments), objective: outbox.objective)
      verdict = finding.verdict
      sentence = finding.sentence
      drainTime = finding.drainTime
      breachTime = finding.breachTime
    }
    guard isTrusted else { return }
    destinations = window.destinations.compactMap { name, line in
      guard line.count >= SampleWindow.fewest else { return nil }
      let finding = Finding(Evidence(moments: window.moments(of: line)), objective: outbox.objective)
      guard ![.ok, .idle, .unknown].contains(finding.verdict) else { return nil }
      return Destination(name: name, verdict: finding.verdict, sentence: finding.sentence)
    }.sorted { ($0.verdict, $0.name) < ($1.verdict, $1.name) }
  }

  /// The worst of the outbox and its destinations.
  package var worst: Verdict { min(verdict, destinations.first?.verdict ?? verdict) }
}

extension SampleWindow {
  /// Fewer good samples show no trend.
  package static let fewest = 5

  /// Why the window shows no trend; nil where it does.
  var lack: String? {
    if failuresInARow > 0 { return "the last \(failuresInARow == 1 ? "sample" : "\(failuresInARow) samples") failed" }
    if moments.count < Self.fewest { return "\(moments.count) of the \(Self.fewest) samples that a trend needs" }
    let recent = outcomes.suffix(10)
    let good = recent.count { $0 }
    if good * 2 < recent.count { return "only \(good) of the last \(recent.count) samples succeeded" }
    return nil
  }
}
