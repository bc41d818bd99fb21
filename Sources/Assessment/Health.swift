package import Outbox

/// How an outbox is doing, measured against its limits.
package enum Health: String, Sendable, Hashable, CaseIterable {
  /// No limit is reached.
  case ok = "OK"
  /// A warning limit is reached.
  case warning = "WARNING"
  /// A critical limit is reached.
  case critical = "CRITICAL"
  /// The outbox could not be sampled. Never taken for OK.
  case unknown = "UNKNOWN"

  /// How bad it is: CRITICAL > UNKNOWN > WARNING > OK, as monitoring plugins order several services.
  package var severity: Int {
    switch self {
    case .ok: 0
    case .warning: 1
    case .unknown: 2
    case .critical: 3
    }
  }

  /// The worst of several; OK for none.
  package static func worst(_ all: some Sequence<Health>) -> Health {
    all.max { $0.severity < $1.severity } ?? .ok
  }
}

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
  /// All findings, worst first; empty for OK.
  package var findings: [Finding]

  /// Judges a sample by the limits of its outbox, and by what its trend says: stalled, spinning and stuck are
  /// CRITICAL, falling_behind and rewound WARNING. A verdict that is unknown for want of history worsens nothing.
  package init(_ sample: OutboxSample, _ assessment: OutboxAssessment? = nil) {
    outbox = sample.outbox
    switch sample.result {
    case .failure(let failure):
      health = .unknown
      findings = [Finding(health: .unknown, sentence: "not sampled: \(failure.message)")]
    case .success(let snapshot):
      let limits = sample.outbox.limits
      let findings = [
        snapshot.oldestAge.flatMap { age in
          Self.finding(age, limits.age) { "the oldest event waits \(age.text), limit \($0.text)" }
        },
        Self.finding(snapshot.depth(.ready), limits.ready) {
          "\(snapshot.depth(.ready).events) ready, limit \($0)"
        },
        Self.finding(snapshot.stuckCount, limits.stuck) { limit in
          let reasons = Set(snapshot.stuck.filter { $0.count > 0 }.map(\.reason.rawValue)).sorted()
          return "\(snapshot.stuckCount.events) stuck"
            + (reasons.isEmpty ? "" : " (\(reasons.joined(separator: ", ")))") + ", limit \(limit)"
        },
        Self.finding(snapshot.deadCount, limits.dead) { "\(snapshot.deadCount.events) dead, limit \($0)" },
      ]
      self.findings = (findings.compactMap { $0 } + (assessment.map(Self.findings) ?? []))
        .sorted { $0.health.severity > $1.health.severity }
      health = Health.worst(self.findings.map(\.health))
    }
  }

  private static func findings(_ assessment: OutboxAssessment) -> [Finding] {
    var findings: [Finding] = []
    if let health = assessment.verdict.health {
      findings.append(Finding(health: health, sentence: "\(assessment.verdict.rawValue): \(assessment.sentence)"))
    }
    // The destinations of an outbox that is bad as a whole are no news.
    guard findings.isEmpty else { return findings }
    return assessment.destinations.compactMap { destination in
      destination.verdict.health.map {
        Finding(
          health: $0, sentence: "\(destination.name) \(destination.verdict.rawValue): \(destination.sentence)")
      }
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

extension Verdict {
  /// What the verdict means for health; nil where it worsens nothing.
  fileprivate var health: Health? {
    switch self {
    case .stalled, .spinning, .stuck: .critical
    case .rewound, .fallingBehind: .warning
    case .unknown, .draining, .ok, .idle: nil
    }
  }
}

extension Int {
  /// The beginning of a sentence: `1 event is`, `2 events are`.
  fileprivate var events: String { counted("event") + (self == 1 ? " is" : " are") }
}
