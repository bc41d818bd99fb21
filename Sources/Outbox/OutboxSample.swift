/// One watched outbox: what it is called and how it is to be judged.
package struct WatchedOutbox: Sendable, Hashable {
  /// `outbox.name` on every data point.
  package var name: String
  /// The layout's name, on `outbox.up`.
  package var layout: String
  /// The kind of store, on `outbox.up`.
  package var system: StoreSystem
  /// What the user promises, if anything.
  package var objective: Objective?
  /// When `--once` warns and fails.
  package var limits: Limits
  /// What its verdicts mean for its health.
  package var verdicts: VerdictHealth
  /// Dead letters that somebody knows of.
  package var acknowledgements: [Acknowledgement]
  /// The reasons for which events of this layout can be stuck; each has a series of its own, zero or not.
  package var stuckReasons: [StuckReason]

  /// A watched outbox.
  package init(
    name: String, layout: String, system: StoreSystem, objective: Objective? = nil, limits: Limits = Limits(),
    verdicts: VerdictHealth = .standard, acknowledgements: [Acknowledgement] = [],
    stuckReasons: [StuckReason] = StuckReason.allCases
  ) {
    self.name = name
    self.layout = layout
    self.system = system
    self.objective = objective
    self.limits = limits
    self.verdicts = verdicts
    self.acknowledgements = acknowledgements
    self.stuckReasons = stuckReasons
  }
}

/// Where an outbox is kept; the raw value is `db.system.name`.
package enum StoreSystem: String, Sendable, Hashable, CaseIterable {
  /// A table in PostgreSQL, read through libpq.
  case postgresql
  /// A table in an SQLite file.
  case sqlite
  /// A directory in which every file is an event.
  case files
}

/// What the user promises: a share of the events is delivered within an age.
package struct Objective: Sendable, Hashable {
  /// The age by which events are delivered.
  package var age: Duration
  /// The share of them that is, 0…1.
  package var target: Double

  /// An objective.
  package init(age: Duration, target: Double) {
    self.age = age
    self.target = target
  }
}

/// Thresholds of `--once`. A figure at or above a threshold has reached it; nil means "never".
package struct Limits: Sendable, Hashable {
  /// Two thresholds of one figure.
  package struct Pair<Value: Sendable & Hashable & Comparable>: Sendable, Hashable {
    /// From here on the outbox is WARNING.
    package var warning: Value?
    /// From here on the outbox is CRITICAL.
    package var critical: Value?

    /// Two thresholds.
    package init(warning: Value? = nil, critical: Value? = nil) {
      self.warning = warning
      self.critical = critical
    }
  }

  /// The longest wait of any event.
  package var age: Pair<Duration>
  /// Events in the backlog.
  package var ready: Pair<Int>
  /// Events that cannot move by themselves.
  package var stuck: Pair<Int>
  /// Events in the dead-letter queue.
  package var dead: Pair<Int>

  /// Limits; nothing is limited unless it is named.
  package init(
    age: Pair<Duration> = .init(), ready: Pair<Int> = .init(), stuck: Pair<Int> = .init(), dead: Pair<Int> = .init()
  ) {
    self.age = age
    self.ready = ready
    self.stuck = stuck
    self.dead = dead
  }
}

/// What came of one attempt to sample one outbox. A failed sample is a value too: it never ends a cycle.
package struct OutboxSample: Sendable, Equatable {
  /// Whose sample it is.
  package var outbox: WatchedOutbox
  /// The exporter's wall clock at the start of the sample, which stamps the figures.
  package var startedAt: Timestamp
  /// How long the sample took.
  package var duration: Duration
  /// The figures, or why there are none.
  package var result: Result<SampleFigures, SampleFailure>
  /// The rhythms in which the outbox is read; nil where all of it is read in every cycle.
  package var intervals: SampleIntervals?
  /// What moved since the last reading; nil where nobody asked, or where it could not be read.
  package var accounting: AccountingReading?
  /// What counts and estimates have cost the database; empty where none was made, and where nobody minds.
  package var costs: [ReadingCost] = []

  /// The outcome of a sample.
  package init(
    outbox: WatchedOutbox, startedAt: Timestamp, duration: Duration, figures: Result<SampleFigures, SampleFailure>,
    intervals: SampleIntervals? = nil, accounting: AccountingReading? = nil
  ) {
    self.outbox = outbox
    self.startedAt = startedAt
    self.duration = duration
    self.result = figures
    self.intervals = intervals
    self.accounting = accounting
  }

  /// The outcome of a sample that counted every event.
  package init(
    outbox: WatchedOutbox, startedAt: Timestamp, duration: Duration, result: Result<Snapshot, SampleFailure>,
    accounting: AccountingReading? = nil
  ) {
    self.init(
      outbox: outbox, startedAt: startedAt, duration: duration, figures: result.map { .counts($0) },
      accounting: accounting)
  }

  /// All figures, where all of them were read.
  package var snapshot: Snapshot? {
    if case .success(.counts(let snapshot)) = result { snapshot } else { nil }
  }

  /// What was read of the head, where nothing else was.
  package var head: QueueHead? {
    if case .success(.head(let head)) = result { head } else { nil }
  }

  /// True where the store has answered.
  package var isGood: Bool { failure == nil }

  /// Why a failed sample has no figures.
  package var failure: SampleFailure? {
    if case .failure(let failure) = result { failure } else { nil }
  }
}

/// Why a store could not be sampled, for an operator at 3 a.m.: what was tried, the cause, and what to do next.
package struct SampleFailure: Error, Sendable, Hashable {
  /// The value of `error.type` on `outbox.sample.failures`.
  package enum Reason: String, Sendable, Hashable, CaseIterable {
    /// No connection could be had, or it broke.
    case unreachable
    /// The store refused the credentials.
    case authentication
    /// The role or the process may not read what the layout needs.
    case permission
    /// Row-level security would have hidden rows; without this error the depth would silently be zero.
    case rowSecurity = "row_security"
    /// The store did not answer in time.
    case timeout
    /// The table is locked by somebody else.
    case lockTimeout = "lock_timeout"
    /// A table or column that the layout needs is not there, or is of another kind.
    case schema
    /// The store answered with something that is not a database, or a damaged one.
    case corrupt
    /// The file or directory is not there although it should be.
    case absent
    /// Anything else.
    case other = "_OTHER"
  }

  /// Which kind of failure it is.
  package var reason: Reason
  /// What was tried and the cause as the store reported it; never a secret, never row content.
  package var message: String
  /// What to do next, if that is known.
  package var hint: String?

  /// A failed sample.
  package init(_ reason: Reason, _ message: String, hint: String? = nil) {
    self.reason = reason
    self.message = message
    self.hint = hint
  }
}
