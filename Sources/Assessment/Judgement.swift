package import Outbox

/// The judgement of one sample: health, and every reason for it.
package struct Judgement: Sendable, Hashable {
  /// One figure that reached a limit.
  package struct Finding: Sendable, Hashable {
    /// How bad it is.
    package var health: Health
    /// The figure and the limit, in a sentence.
    package var sentence: String

    /// A finding.
    package init(health: Health, sentence: String) {
      self.health = health
      self.sentence = sentence
    }
  }

  /// Whose sample was judged.
  package var outbox: WatchedOutbox
  /// The worst finding.
  package var health: Health
  /// Which dead letters are known; nil where the sample failed.
  package var deadLetters: DeadLetterAccount?
  /// All findings, worst first; empty for OK.
  package var findings: [Finding]

  /// Judges a sample by the limits of its outbox, and by what its trend says. A verdict that is unknown for want of
  /// history worsens nothing.
  package init(_ sample: OutboxSample, _ assessment: OutboxAssessment? = nil) {
    outbox = sample.outbox
    switch sample.result {
    case .failure(let failure):
      health = .unknown
      findings = [Finding(health: .unknown, sentence: "not sampled: \(failure.message)")]
    case .success(.head(let head)):
      let age = head.ages.map(\.oldest).max().flatMap { Self.finding($0, sample.outbox.limits) }
      findings =
        (([age].compactMap { $0 }) + (assessment.map { Self.findings($0, sample.outbox.verdicts) } ?? []))
        .sorted { $0.health.severity > $1.health.severity }
      health = Health.worst(findings.map(\.health))
    case .success(.counts(let snapshot)):
      let limits = sample.outbox.limits
      let account = DeadLetterAccount(snapshot, sample.outbox.acknowledgements, at: sample.startedAt)
      deadLetters = account
      let findings = [
        snapshot.oldestAge.flatMap { Self.finding($0, limits) },
        Self.finding(snapshot.depth(.ready), limits.ready) {
          "\(snapshot.depth(.ready).events) ready, limit \($0)"
        },
        Self.finding(snapshot.stuckCount, limits.stuck) { limit in
          let reasons = Set(snapshot.stuck.filter { $0.count > 0 }.map(\.reason.rawValue)).sorted()
          return "\(snapshot.stuckCount.events) stuck"
            + (reasons.isEmpty ? "" : " (\(reasons.joined(separator: ", ")))") + ", limit \(limit)"
        },
        Self.finding(account.unknown, limits.dead) {
          let known = account.covered == 0 ? "" : " beyond \(account.covered) acknowledged"
          return "\(account.unknown.events) dead\(known), limit \($0)"
        },
      ]
      self.findings =
        (findings.compactMap { $0 } + (assessment.map { Self.findings($0, sample.outbox.verdicts) } ?? []))
        .sorted { $0.health.severity > $1.health.severity }
      health = Health.worst(self.findings.map(\.health))
    }
  }

  private static func finding(_ age: Duration, _ limits: Limits) -> Finding? {
    finding(age, limits.age) { "the oldest event waits \(age.text), limit \($0.text)" }
  }

  private static func findings(_ assessment: OutboxAssessment, _ verdicts: VerdictHealth) -> [Finding] {
    let health = verdicts[assessment.verdict]
    let own =
      health == .ok
      ? [] : [Finding(health: health, sentence: "\(assessment.verdict.rawValue): \(assessment.sentence)")]
    return own
      + assessment.destinations(worseThan: health, verdicts).map { destination in
        Finding(
          health: verdicts[destination.verdict],
          sentence: "\(destination.name) \(destination.verdict.rawValue): \(destination.sentence)")
      }
  }

  private static func finding<Value: Comparable>(
    _ value: Value, _ limits: Limits.Pair<Value>, _ sentence: (Value) -> String
  ) -> Finding? {
    if let limit = limits.critical, value >= limit { return Finding(health: .critical, sentence: sentence(limit)) }
    if let limit = limits.warning, value >= limit { return Finding(health: .warning, sentence: sentence(limit)) }
    return nil
  }
}

extension OutboxAssessment {
  /// The destinations that are news: those of an outbox that is as bad as a whole are none.
  package func destinations(worseThan health: Health, _ verdicts: VerdictHealth) -> [Destination] {
    destinations.filter { verdicts[$0.verdict].severity > health.severity }
  }
}

extension Int {
  /// The beginning of a sentence: `1 event is`, `2 events are`.
  fileprivate var events: String { counted("event") + (self == 1 ? " is" : " are") }
}
