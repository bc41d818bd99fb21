/// Where an event stands between being written and being finished. The states are disjoint and exhaustive.
package enum EventState: String, Sendable, Hashable, CaseIterable, Comparable {
  /// Due, and nobody holds it. The backlog is exactly these.
  case ready
  /// Not due yet: delayed by its writer, or backing off after a failed attempt.
  case scheduled
  /// In flight: a worker holds it.
  case claimed
  /// Waits until a person or another job releases it.
  case parked
  /// Finished: reached its destination.
  case delivered
  /// In the dead-letter queue: nobody will try it again by itself.
  case dead
  /// A value the layout does not know, or a malformed file.
  case unknown

  /// The states that `outbox.depth` is split by, in the order in which people read them.
  package static let waiting: [EventState] = [.ready, .scheduled, .claimed, .parked, .unknown]

  package static func < (left: EventState, right: EventState) -> Bool { left.order < right.order }

  private var order: Int {
    switch self {
    case .ready: 0
    case .scheduled: 1
    case .claimed: 2
    case .parked: 3
    case .delivered: 4
    case .dead: 5
    case .unknown: 6
    }
  }
}

/// Why an event cannot move by itself. A figure of its own beside the state.
package enum StuckReason: String, Sendable, Hashable, CaseIterable {
  /// A worker took it, its lease is over, and nobody took it back.
  case leaseExpired = "lease_expired"
  /// Out of attempts, yet not dead-lettered: no worker will claim it again.
  case attemptsExhausted = "attempts_exhausted"
  /// Due, but nobody may claim it.
  case unclaimable
}
