/// How an outbox is doing, measured against its limits and by its verdict.
package enum Health: String, Sendable, Hashable, CaseIterable {
  /// No limit is reached, and the verdict is a good one.
  case ok = "OK"
  /// A warning limit is reached, or the verdict is worth one.
  case warning = "WARNING"
  /// A critical limit is reached, or the verdict is worth one.
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

  /// What `--once` ends with.
  package var status: ExitStatus {
    switch self {
    case .ok: .ok
    case .warning: .warning
    case .critical: .critical
    case .unknown: .unknown
    }
  }

  /// The worst of several; OK for none.
  package static func worst(_ all: some Sequence<Health>) -> Health {
    all.max { $0.severity < $1.severity } ?? .ok
  }
}

/// What each verdict means for the health of an outbox.
package struct VerdictHealth: Sendable, Hashable {
  private var changed: [Verdict: Health] = [:]

  /// What nobody has to configure: stalled, spinning and stuck are CRITICAL, rewound and falling_behind WARNING.
  package static let standard = VerdictHealth()

  /// OK for whatever worsens nothing. That is always so for `unknown`: what is not known for want of history is no
  /// trouble, and a sample that failed is UNKNOWN by itself.
  package subscript(verdict: Verdict) -> Health {
    get {
      switch verdict {
      case .unknown: .ok
      case .stalled, .spinning, .stuck: changed[verdict] ?? .critical
      case .rewound, .fallingBehind: changed[verdict] ?? .warning
      case .draining, .ok, .idle: changed[verdict] ?? .ok
      }
    }
    set { changed[verdict] = newValue == VerdictHealth.standard[verdict] ? nil : newValue }
  }
}
