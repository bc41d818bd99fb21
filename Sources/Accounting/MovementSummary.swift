package import Outbox

/// What moved in one outbox, or in one of its destinations, over a stretch of time.
package struct MovementSummary: Sendable, Hashable {
  /// How it was counted.
  package var method: AccountingMethod
  /// The movements; their durations are in ``durations``.
  package var counts: Movements.Counts
  /// Deliveries by the upper bound of the bucket that their duration fell into, in seconds.
  package var durations: [Double: Int]

  /// A summary.
  package init(method: AccountingMethod, counts: Movements.Counts, durations: [Double: Int]) {
    self.method = method
    self.counts = counts
    self.durations = durations
  }

  /// How many attempts and waits ended so; nil where the method cannot see it.
  package func count(_ disposition: Disposition) -> Int? {
    method.sees(disposition) ? counts.dispositions[disposition] ?? 0 : nil
  }

  /// Attempts that failed: retried and dead ones, as far as the method sees them.
  package var failures: Int { (count(.retried) ?? 0) + (count(.dead) ?? 0) }

  /// The share of the attempts that failed; nil where the method cannot see both ends, or nothing was attempted.
  package var failureRatio: Double? {
    guard let delivered = count(.delivered), count(.retried) != nil, delivered + failures > 0 else { return nil }
    return Double(failures) / Double(delivered + failures)
  }

  /// Of how many deliveries the duration is known.
  package var measured: Int { durations.values.reduce(0, +) }

  /// The duration that a share of the ``measured`` deliveries did not exceed, within a tenth; nil where there are none.
  ///
  /// The rank is the nearest one; within its bucket the deliveries are taken to be spread evenly.
  package func duration(ofShare share: Double) -> Duration? {
    let total = measured
    guard total > 0 else { return nil }
    let rank = max(1, (share * Double(total)).rounded(.up))
    let bounds = DeliveryBounds().kept
    var below = 0.0
    for (bound, count) in durations.sorted(by: { $0.key < $1.key }) {
      if below + Double(count) >= rank {
        let low = bounds.last { $0 < bound } ?? 0
        // Beyond the last bound nothing is known but that it is longer.
        let high = min(bound, bounds[bounds.count - 1])
        return .seconds(low + (high - low) * (rank - below) / Double(count))
      }
      below += Double(count)
    }
    return nil
  }

  /// Adds the movements of another destination that were counted in the same way.
  package mutating func add(_ other: MovementSummary) {
    counts.add(other.counts)
    durations.merge(other.durations, uniquingKeysWith: +)
  }
}

/// What moved in every outbox over a stretch of time.
package struct MovementHistory: Sendable, Hashable {
  /// One destination of one outbox, by one way of counting.
  package struct Entry: Sendable, Hashable {
    /// The outbox's name.
    package var outbox: String
    /// The destination.
    package var destination: String
    /// What moved.
    package var summary: MovementSummary

    /// A destination's movements.
    package init(outbox: String, destination: String, summary: MovementSummary) {
      self.outbox = outbox
      self.destination = destination
      self.summary = summary
    }
  }

  /// A moment from which on an outbox was counted anew: what moved around it may be missing.
  package struct Restart: Sendable, Hashable {
    /// The outbox's name.
    package var outbox: String
    /// When it began anew.
    package var time: Timestamp
    /// Why.
    package var reason: String

    /// A restart.
    package init(outbox: String, time: Timestamp, reason: String) {
      self.outbox = outbox
      self.time = time
      self.reason = reason
    }
  }

  /// The reason of the first restart: nothing was counted before.
  package static let beginning = "counting began"

  /// Where the stretch begins: no later than what was asked for, as old movements are kept by the hour or by the day.
  package var since: Timestamp
  /// Where it ends.
  package var until: Timestamp
  /// By outbox and destination, sorted.
  package var entries: [Entry]
  /// The restarts in it, oldest first.
  package var restarts: [Restart]
  /// The outboxes that are counted, by name, with the method in use.
  package var methods: [String: AccountingMethod]

  /// A history.
  package init(
    since: Timestamp, until: Timestamp, entries: [Entry], restarts: [Restart], methods: [String: AccountingMethod]
  ) {
    self.since = since
    self.until = until
    self.entries = entries
    self.restarts = restarts
    self.methods = methods
  }
}
