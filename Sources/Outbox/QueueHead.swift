/// What of an outbox a sample read: two costs, two rhythms.
package enum SampleKind: String, Sendable, Hashable, CaseIterable {
  /// The events whose turn it is, read through an index, few of them however many wait.
  case head
  /// Every event that is not delivered, counted.
  case counts
}

/// What the first events of an outbox tell of its ages, where counting all of them would cost too much just now.
///
/// Nothing in it is an estimate: what the events that were read do not prove is left out.
package struct QueueHead: Sendable, Equatable {
  /// The longest wait of the events of one destination.
  package struct Age: Sendable, Hashable {
    /// Low-cardinality target, `default` where the layout has none.
    package var destination: String
    /// True for events that were tried before.
    package var retry: Bool
    /// The longest wait.
    package var oldest: Duration

    /// The longest wait of a destination.
    package init(destination: String, retry: Bool, oldest: Duration) {
      self.destination = destination
      self.retry = retry
      self.oldest = oldest
    }
  }

  /// The store's clock at the sample. Every age is measured against it.
  package var storeTime: Timestamp
  /// The longest waits that are known.
  package var ages: [Age]
  /// True where ``ages`` has every destination with an event that is due; the others have none.
  package var isComplete: Bool
  /// How long the longest stuck event of each reason has been so; zero where none is, absent where it is not known.
  package var stuckAges: [StuckReason: Duration]
  /// How far the replica is behind, where the store is one.
  package var replicaLag: Duration?

  /// What a look at the head found.
  package init(
    storeTime: Timestamp, ages: [Age] = [], isComplete: Bool = false, stuckAges: [StuckReason: Duration] = [:],
    replicaLag: Duration? = nil
  ) {
    self.storeTime = storeTime
    self.ages = ages
    self.isComplete = isComplete
    self.stuckAges = stuckAges
    self.replicaLag = replicaLag
  }
}

extension QueueHead {
  /// True where it only shows that the store answers.
  package var tellsNothing: Bool { ages.isEmpty && !isComplete && stuckAges.isEmpty }
}

/// What a good sample found.
package enum SampleFigures: Sendable, Equatable {
  /// Every figure of the outbox.
  case counts(Snapshot)
  /// Only what its first events tell.
  case head(QueueHead)
}

/// How much of a database's time the exporter may take.
package struct SampleBudget: Sendable, Hashable {
  /// The share of the time in which the database works for the exporter, above 0 and at most 1. At 1 nothing is put off.
  package var share: Double
  /// The time between two samples.
  package var interval: Duration

  /// A bound of the exporter's presence.
  package init(share: Double, interval: Duration) {
    self.share = share
    self.interval = interval
  }

  /// The share that holds unless the user sets another one: 1 %.
  package static let standardShare = 0.01
}

/// What a reading of an outbox has cost its database: what a sidecar that is started again has to know before the next one.
package struct ReadingCost: Sendable, Hashable {
  /// Whether it was an estimate, and no count.
  package var isEstimate: Bool
  /// For how many seconds the database worked, whether the reading came to its end or not.
  package var seconds: Double
  /// When that was, on the exporter's clock.
  package var time: Timestamp

  /// A cost.
  package init(isEstimate: Bool, seconds: Double, time: Timestamp) {
    self.isEstimate = isEstimate
    self.seconds = seconds
    self.time = time
  }
}

/// The rhythms in force for one outbox.
package struct SampleIntervals: Sendable, Hashable {
  /// The time between two looks at the head.
  package var head: Duration
  /// The time between two counts.
  package var counts: Duration

  /// Rhythms.
  package init(head: Duration, counts: Duration) {
    self.head = head
    self.counts = counts
  }
}
