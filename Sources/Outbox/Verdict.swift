/// What the trend of an outbox says, in one word. Where several hold, the first in this order is the verdict.
package enum Verdict: String, Sendable, Hashable, CaseIterable, Comparable {
  /// Too few samples, or the last one failed. Never taken for ok.
  case unknown
  /// Events are due, none leaves, and nobody tries.
  case stalled
  /// Events are tried and do not leave: a poison event, or the far side is down.
  case spinning
  /// Claims outlived their lease, or events that nobody may claim: whoever takes them back is not at work.
  case stuck
  /// Finished events came back.
  case rewound
  /// The backlog or the longest wait grows, and not by chance.
  case fallingBehind = "falling_behind"
  /// The backlog shrinks, and not by chance.
  case draining
  /// Events are due, and they leave.
  case ok
  /// Nothing is due.
  case idle

  /// True for the verdicts that somebody should look into.
  package var isBad: Bool {
    switch self {
    case .stalled, .spinning, .stuck, .rewound, .fallingBehind: true
    case .unknown, .draining, .ok, .idle: false
    }
  }

  package static func < (left: Verdict, right: Verdict) -> Bool { left.order < right.order }

  private var order: Int {
    switch self {
    case .unknown: 0
    case .stalled: 1
    case .spinning: 2
    case .stuck: 3
    case .rewound: 4
    case .fallingBehind: 5
    case .draining: 6
    case .ok: 7
    case .idle: 8
    }
  }
}
