/// How an attempt, or the wait of an event, ended; the value of `outbox.disposition`.
package enum Disposition: String, Sendable, Hashable, CaseIterable {
  /// The event reached its destination.
  case delivered
  /// An attempt failed and the event will be tried again.
  case retried
  /// The event was dead-lettered: nobody will try it again by itself.
  case dead
  /// A claim expired or was given back without an attempt that failed.
  case released
  /// The event left without delivery or dead-lettering: cancelled, expired, deleted.
  case discarded
  /// The event left, and the method cannot see how.
  case unseen

  /// True where the event leaves the depth: all but attempts after which it still waits.
  package var leaves: Bool { self != .retried && self != .released }
}

/// How the movements of an outbox are counted; the value of `outbox.accounting`.
package enum AccountingMethod: String, Sendable, Hashable, CaseIterable {
  /// Finished rows are kept with the time at which they finished.
  case history
  /// Triggers beside the outbox write down every movement.
  case ledger
  /// The table's own counters and the change of depth.
  case statistics
  /// Every file is seen to come, change and go.
  case watch

  /// Whether the method can see attempts and waits that end so. What it cannot see has no series: zero would be a claim.
  package func sees(_ disposition: Disposition) -> Bool {
    switch self {
    case .history: [.delivered, .retried, .dead, .unseen].contains(disposition)
    case .ledger: disposition != .unseen
    case .statistics: [.dead, .unseen].contains(disposition)
    case .watch: disposition != .released
    }
  }

  /// Whether the method can see events that come back.
  package var seesRequeues: Bool { self != .statistics }
}

/// What moved in one outbox between two readings, by destination as the store spells it.
package struct Movements: Sendable, Hashable {
  /// The movements of each destination; those that are not listed had none.
  package var destinations: [String: Counts]

  /// Movements; none unless they are named.
  package init(_ destinations: [String: Counts] = [:]) { self.destinations = destinations }

  /// The movements of one destination.
  package struct Counts: Sendable, Hashable {
    /// Events that were written into the outbox.
    package var enqueued: Int
    /// Dead, delivered or discarded events that came back.
    package var requeued: Int
    /// Attempts and waits by how they ended.
    package var dispositions: [Disposition: Int]
    /// How long the delivered events took, from first due to delivered. Fewer than were delivered where the store does
    /// not keep both times of each.
    package var durations: DurationTally
    /// Discarded events whose deadline had passed before they left.
    package var discardedLate: Int
    /// Requeued events whose deadline has passed: they were counted when they first left.
    package var requeuedLate: Int

    /// Movements of one destination; none unless they are named.
    package init(
      enqueued: Int = 0, requeued: Int = 0, dispositions: [Disposition: Int] = [:],
      durations: DurationTally = DurationTally(), discardedLate: Int = 0, requeuedLate: Int = 0
    ) {
      self.enqueued = enqueued
      self.requeued = requeued
      self.dispositions = dispositions
      self.durations = durations
      self.discardedLate = discardedLate
      self.requeuedLate = requeuedLate
    }

    /// What these movements do to the depth: enqueued + requeued − delivered − dead − discarded − unseen.
    package var depthChange: Int {
      enqueued + requeued - dispositions.reduce(0) { $0 + ($1.key.leaves ? $1.value : 0) }
    }

    /// Adds the movements of another interval, or of another destination.
    package mutating func add(_ other: Counts) {
      enqueued += other.enqueued
      requeued += other.requeued
      dispositions.merge(other.dispositions, uniquingKeysWith: +)
      durations.add(other.durations)
      discardedLate += other.discardedLate
      requeuedLate += other.requeuedLate
    }
  }
}

/// Durations counted by the buckets of ``DeliveryBounds/kept``.
package struct DurationTally: Sendable, Hashable {
  /// Measurements by bucket: bucket *i* holds (kept[i-1], kept[i]], the one after the last bound the rest.
  package private(set) var counts: [Int: Int]
  /// The sum of all measurements in seconds.
  package private(set) var sum: Double

  /// A tally; empty unless it is filled.
  package init(counts: [Int: Int] = [:], sum: Double = 0) {
    self.counts = counts.filter { $0.value != 0 }
    self.sum = sum
  }

  /// All measurements.
  package var count: Int { counts.values.reduce(0, +) }

  /// Adds measurements to a bucket.
  package mutating func add(_ count: Int, toBucket bucket: Int, sum: Double) {
    guard count != 0 else { return }
    counts[bucket, default: 0] += count
    self.sum += sum
  }

  /// Adds one measurement in seconds; one below zero, from clocks that differ, counts as zero.
  package mutating func record(_ seconds: Double, _ bounds: DeliveryBounds) {
    add(1, toBucket: bounds.bucket(of: max(0, seconds)), sum: max(0, seconds))
  }

  /// Adds another tally over the same bounds.
  package mutating func add(_ other: DurationTally) {
    counts.merge(other.counts, uniquingKeysWith: +)
    sum += other.sum
  }
}
