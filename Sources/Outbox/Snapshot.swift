/// What one good sample of one outbox found, all of it at one moment of the store's clock.
///
/// Figures that are not listed are zero: the store answered, and zero is a fact.
package struct Snapshot: Sendable, Equatable {
  /// The store's clock at the sample. Every age below is measured against it.
  package var storeTime: Timestamp
  /// The path of a queue that its application creates lazily and has not created yet; nil where the queue is there. Its
  /// depth is truly zero, unless the path is wrong.
  package var missingPath: String?
  /// Events by destination, state and whether they were tried before.
  package var depths: [Depth]
  /// Ages of undelivered events that are past their first due time, by destination and retry.
  package var ages: [Age]
  /// Events that cannot move by themselves, by destination and reason.
  package var stuck: [Stuck]
  /// Dead-lettered events by destination.
  package var dead: [DeadLetters]
  /// Waiting events that are older than the objective, by destination; none where there is no objective.
  package var overdue: [String: Int]
  /// Events whose stored times cannot be true: negative, around 1970, or later than the store's clock without being
  /// a schedule. They count in the depth and in no age.
  package var implausible: Int
  /// How far the replica is behind, where the store is one.
  package var replicaLag: Duration?
  /// False where a figure is not exact.
  package var exact: Bool
  /// True where the counts were estimated from a part of the table, as counting all of it would cost too much. Estimates
  /// of two samples differ though nothing moved.
  package var isEstimate = false
  /// A few events worth looking at, where the caller asked for them. Never exported.
  package var eventIDs: EventIDs?

  /// A snapshot; everything but the store's clock defaults to an empty, exact outbox.
  package init(
    storeTime: Timestamp, missingPath: String? = nil, depths: [Depth] = [], ages: [Age] = [], stuck: [Stuck] = [],
    dead: [DeadLetters] = [], overdue: [String: Int] = [:], implausible: Int = 0, replicaLag: Duration? = nil,
    exact: Bool = true,
    eventIDs: EventIDs? = nil
  ) {
    self.storeTime = storeTime
    self.missingPath = missingPath
    self.depths = depths
    self.ages = ages
    self.stuck = stuck
    self.dead = dead
    self.overdue = overdue
    self.implausible = implausible
    self.replicaLag = replicaLag
    self.exact = exact
    self.eventIDs = eventIDs
  }

  /// Events of one destination in one state.
  package struct Depth: Sendable, Hashable {
    /// Low-cardinality target, `default` where the layout has none.
    package var destination: String
    /// Any state of ``EventState/waiting``.
    package var state: EventState
    /// True for events that were tried before.
    package var retry: Bool
    /// How many.
    package var count: Int

    /// A depth figure.
    package init(destination: String, state: EventState, retry: Bool, count: Int) {
      self.destination = destination
      self.state = state
      self.retry = retry
      self.count = count
    }
  }

  /// How long events of one destination have been waiting past their first due time.
  package struct Age: Sendable, Hashable {
    /// Low-cardinality target, `default` where the layout has none.
    package var destination: String
    /// True for events that were tried before.
    package var retry: Bool
    /// The longest wait.
    package var oldest: Duration
    /// Half of the events wait no longer than this (nearest rank); nil where it cannot be known exactly.
    package var median: Duration?
    /// 99 % of the events wait no longer than this (nearest rank); nil where it cannot be known exactly.
    package var p99: Duration?

    /// An age figure.
    package init(destination: String, retry: Bool, oldest: Duration, median: Duration?, p99: Duration?) {
      self.destination = destination
      self.retry = retry
      self.oldest = oldest
      self.median = median
      self.p99 = p99
    }
  }

  /// Events of one destination that cannot move, for one reason.
  package struct Stuck: Sendable, Hashable {
    /// Low-cardinality target, `default` where the layout has none.
    package var destination: String
    /// Why they cannot move.
    package var reason: StuckReason
    /// How many.
    package var count: Int
    /// Time since the lease of the one that is stuck longest ended.
    package var oldest: Duration

    /// A stuck figure.
    package init(destination: String, reason: StuckReason, count: Int, oldest: Duration) {
      self.destination = destination
      self.reason = reason
      self.count = count
      self.oldest = oldest
    }
  }

  /// Dead-lettered events of one destination.
  package struct DeadLetters: Sendable, Hashable {
    /// Low-cardinality target, `default` where the layout has none.
    package var destination: String
    /// How many.
    package var count: Int
    /// Time since the oldest of them was dead-lettered; nil where the store does not say when.
    package var oldest: Duration?

    /// A dead-letter figure.
    package init(destination: String, count: Int, oldest: Duration?) {
      self.destination = destination
      self.count = count
      self.oldest = oldest
    }
  }

  /// Identifiers of up to five events each, for the terminal and JSON only.
  package struct EventIDs: Sendable, Hashable {
    /// The undelivered events that wait longest.
    package var oldest: [String]
    /// The events that are stuck longest.
    package var stuck: [String]
    /// The events that were dead-lettered last.
    package var newestDead: [String]

    /// Identifiers of events.
    package init(oldest: [String] = [], stuck: [String] = [], newestDead: [String] = []) {
      self.oldest = oldest
      self.stuck = stuck
      self.newestDead = newestDead
    }
  }
}

extension Snapshot {
  /// False for a queue that its application has not created yet.
  package var inUse: Bool { missingPath == nil }

  /// Events in any waiting state.
  package var depth: Int { depths.reduce(0) { $0 + $1.count } }

  /// Events in one state, over all destinations.
  package func depth(_ state: EventState) -> Int { depths.reduce(0) { $1.state == state ? $0 + $1.count : $0 } }

  /// The longest wait of any event; nil when no event is past its first due time.
  package var oldestAge: Duration? { ages.map(\.oldest).max() }

  /// Events that cannot move by themselves, over all destinations and reasons.
  package var stuckCount: Int { stuck.reduce(0) { $0 + $1.count } }

  /// Dead-lettered events over all destinations.
  package var deadCount: Int { dead.reduce(0) { $0 + $1.count } }

  /// The destination that events without one are counted under.
  package static let defaultDestination = "default"
}
