package import Outbox

/// How one system stores its outbox: which rows or files are in which state, and what their times mean.
///
/// A layout is data. The built-in ones and those that users write in YAML are the same type, so either can do what the
/// other can. SQL in a layout is a template; see ``SQLTemplate``.
package struct Layout: Sendable, Hashable {
  /// What `--layout` takes; also the default name of the outbox.
  package var name: String
  /// One sentence: which system, which versions.
  package var summary: String
  /// The kinds of store that the system uses.
  package var systems: [StoreSystem]
  /// The tables to watch. A database may hold several of them; each becomes an outbox of its own.
  package var queues: [TableQueue]
  /// The directory to watch, for ``StoreSystem/files``.
  package var directory: DirectoryQueue?
  /// True where the application creates the file or directory only when it is first needed.
  package var createdLazily: Bool
  /// The limits that `--once` applies unless the user sets others.
  package var limits: Limits
  /// Where every name and rule comes from: repository paths or documentation pages.
  package var sources: [String]
  /// What an operator has to know to read the figures right.
  package var notes: [String]

  /// A layout.
  package init(
    name: String, summary: String, systems: [StoreSystem], queues: [TableQueue] = [],
    directory: DirectoryQueue? = nil, createdLazily: Bool = false, limits: Limits = Limits(), sources: [String] = [],
    notes: [String] = []
  ) {
    self.name = name
    self.summary = summary
    self.systems = systems
    self.queues = queues
    self.directory = directory
    self.createdLazily = createdLazily
    self.limits = limits
    self.sources = sources
    self.notes = notes
  }

  /// The reasons for which events of this layout can be stuck, in the order of ``StuckReason``.
  package var stuckReasons: [StuckReason] {
    var named = Set(queues.flatMap(\.selections).compactMap { $0.stuck?.reason })
    if let directory {
      named.formUnion(directory.claimedStates.values)
      if directory.maxAttempts != nil { named.insert(.attemptsExhausted) }
    }
    return StuckReason.allCases.filter(named.contains)
  }
}

/// One table that holds events, with the tables that belong to it.
package struct TableQueue: Sendable, Hashable {
  /// Appended to the outbox's name (`name/suffix`) where a database holds several queues of the layout; nil where
  /// there is only ever one.
  package var suffix: String?
  /// Table names by role. `events` is the main one and has to be there; `dead` and others may be optional.
  package var tables: [String: TableName]
  /// Columns by role. A role is unique over all tables of the queue.
  package var columns: [String: ColumnDefinition]
  /// The role of the column that holds the state, if there is one: its unknown values are looked for.
  package var stateColumn: String?
  /// The values of the state column that the layout knows, finished ones included.
  package var knownStates: [String]
  /// SQL template of the destination; nil counts everything under `default`.
  package var destination: String?
  /// True where every use of the clock in the queue's SQL is about a time that an ``Selection/until`` names as well, for
  /// every row that the clock may move. An unchanged database then need not be read before the earliest such time.
  package var untilCoversClock: Bool
  /// Which rows are in which state. Disjoint: no row may match two of them. Delivered rows are in none.
  package var selections: [Selection]
  /// What the rows say of the movements between two samples.
  package var accounting: QueueAccounting
  /// What changes of the rows mean; nil where the layout has no ledger.
  package var ledger: LedgerRules?

  /// A queue.
  package init(
    suffix: String? = nil, tables: [String: TableName], columns: [String: ColumnDefinition],
    stateColumn: String? = nil, knownStates: [String] = [], destination: String? = nil,
    untilCoversClock: Bool = false, selections: [Selection], accounting: QueueAccounting = QueueAccounting(),
    ledger: LedgerRules? = nil
  ) {
    self.suffix = suffix
    self.tables = tables
    self.columns = columns
    self.stateColumn = stateColumn
    self.knownStates = knownStates
    self.destination = destination
    self.untilCoversClock = untilCoversClock
    self.selections = selections
    self.accounting = accounting
    self.ledger = ledger
  }

  /// The role of the main table.
  package static let mainTable = "events"

  /// SQL template of the identifier of a row of the main table; nil where the layout names none.
  package var key: String? { columns["id"].flatMap { $0.table == Self.mainTable ? "{id}" : nil } }
}

/// A table's name as the user or the system spells it: `table` or `schema.table`, quoted part by part when it is used.
package struct TableName: Sendable, Hashable {
  /// The name; parts are separated by dots, a part that holds a dot itself is written in double quotes.
  package var name: String
  /// True where the layout works without this table: its selections are then left out.
  package var isOptional: Bool

  /// A table name.
  package init(_ name: String, optional: Bool = false) {
    self.name = name
    self.isOptional = optional
  }
}

/// A column that a layout's templates refer to by role.
package struct ColumnDefinition: Sendable, Hashable {
  /// Where the value comes from.
  package enum Value: Sendable, Hashable {
    /// A column of that name.
    case column(String)
    /// An SQL template over other roles, e.g. a field inside a JSON column.
    case expression(String)
  }

  /// Where the value comes from.
  package var value: Value
  /// The role of the table that has it.
  package var table: String
  /// How it stores a time, if it is one. In PostgreSQL a `timestamptz` or `timestamp` column is recognised by its type
  /// whatever is said here, except for a named zone.
  package var encoding: TimeEncoding?
  /// True where the layout works without it (older or newer versions of the system): it then reads as NULL.
  package var isOptional: Bool

  /// A column.
  package init(
    _ value: Value, table: String = TableQueue.mainTable, encoding: TimeEncoding? = nil, optional: Bool = false
  ) {
    self.value = value
    self.table = table
    self.encoding = encoding
    self.isOptional = optional
  }

  /// A column by its name.
  package static func column(
    _ name: String, table: String = TableQueue.mainTable, encoding: TimeEncoding? = nil, optional: Bool = false
  ) -> ColumnDefinition {
    ColumnDefinition(.column(name), table: table, encoding: encoding, optional: optional)
  }

  /// A value computed from other columns.
  package static func expression(
    _ template: String, table: String = TableQueue.mainTable, encoding: TimeEncoding? = nil
  ) -> ColumnDefinition {
    ColumnDefinition(.expression(template), table: table, encoding: encoding, optional: false)
  }
}

/// How a store writes a point in time.
package enum TimeEncoding: Sendable, Hashable {
  /// Whole seconds since 1970 as an integer.
  case unixSeconds
  /// Seconds since 1970 with a fraction.
  case unixFractionalSeconds
  /// Milliseconds since 1970 as an integer.
  case unixMilliseconds
  /// PostgreSQL `timestamptz`.
  case timestamptz
  /// PostgreSQL `timestamp` that holds UTC.
  case naiveUTC
  /// PostgreSQL `timestamp` that holds the local time of a named zone, e.g. `Europe/Paris`.
  case naive(zone: String)
  /// ISO 8601 text, or SQLite's own `YYYY-MM-DD HH:MM:SS`; UTC unless it names an offset.
  case iso8601
}

/// Some rows of one table, and what they are.
package struct Selection: Sendable, Hashable {
  /// The role of the table.
  package var table: String
  /// SQL template of the predicate, written as the table's indexes need it.
  package var rows: String
  /// SQL template that picks among them by what no index knows; nil takes them all. Selections that have the same ``rows``
  /// are read in one pass.
  package var only: String?
  /// What the rows are.
  package var state: EventState
  /// Until a time of its own each row is in another state: `scheduled` until due, `claimed` until its lease ends.
  package var until: Until?
  /// SQL template, true for rows that were tried before.
  package var retry: String
  /// SQL template of the first due time, in unix seconds; nil where the store has none. For `dead` rows: when the row
  /// was dead-lettered.
  package var since: String?
  /// When and why the rows are stuck.
  package var stuck: StuckRule?
  /// SQL template of the destination where it is not the queue's.
  package var destination: String?
  /// SQL template of the identifier shown by `--once`; nil where there is none to show.
  package var id: String?

  /// A selection.
  package init(
    table: String = TableQueue.mainTable, rows: String, only: String? = nil, state: EventState, until: Until? = nil,
    retry: String = "false", since: String?, stuck: StuckRule? = nil, destination: String? = nil, id: String? = "{id}"
  ) {
    self.table = table
    self.rows = rows
    self.only = only
    self.state = state
    self.until = until
    self.retry = retry
    self.since = since
    self.stuck = stuck
    self.destination = destination
    self.id = id
  }

  /// SQL template of the whole predicate.
  package var predicate: String { only.map { "(\(rows)) AND (\($0))" } ?? rows }

  /// A state that holds until a time.
  package struct Until: Sendable, Hashable {
    /// SQL template of the time, in unix seconds. NULL has passed.
    package var time: String
    /// The state until then.
    package var state: EventState

    /// A state that holds until a time.
    package init(_ time: String, _ state: EventState) {
      self.time = time
      self.state = state
    }
  }

  /// When rows cannot move any more.
  package struct StuckRule: Sendable, Hashable {
    /// Why.
    package var reason: StuckReason
    /// SQL template that picks the rows; it must not depend on the time.
    package var rows: String
    /// SQL template of the time from which on they are stuck, in unix seconds.
    package var since: String

    /// A stuck rule.
    package init(_ reason: StuckReason, rows: String = "true", since: String) {
      self.reason = reason
      self.rows = rows
      self.since = since
    }
  }
}

/// A directory in which every file is an event: a JSON object with what is known of it.
package struct DirectoryQueue: Sendable, Hashable {
  /// The suffix of an event's file, e.g. `.json`; files with another one are no events.
  package var fileSuffix: String
  /// The subdirectory of dead events.
  package var deadDirectory: String
  /// JSON fields by meaning.
  package var fields: Fields
  /// The nominal wait by the number of failed attempts: entry 0 after none, the last entry from then on. It counts
  /// from the last attempt, else from the creation; an event that was never tried does not wait.
  package var backoff: [Duration]
  /// From so many failed attempts on an event is not tried any more; nil where its application has no such number.
  package var maxAttempts: Int?
  /// The recovery states of events in flight, each with what is wrong once the lease is over.
  package var claimedStates: [String: StuckReason]
  /// An in-flight event that gave no sign of life for so long is stuck.
  package var lease: Duration
  /// An event's file that gets this suffix in the place of its own was delivered, e.g. `.delivered`; nil where its
  /// application has no such mark.
  package var deliveredSuffix: String?
  /// What it means that an event's file is removed without a mark: delivered, discarded or unseen.
  package var removal: Disposition

  /// JSON fields by meaning, in the order in which they are tried. `a.b` is field `b` of the object in field `a`.
  package struct Fields: Sendable, Hashable {
    /// The event's identifier; the file's name where it is absent.
    package var id: [String]
    /// When it was written: unix milliseconds, or ISO 8601 text.
    package var created: [String]
    /// Failed attempts so far.
    package var attempts: [String]
    /// When it was last tried: unix milliseconds, or ISO 8601 text.
    package var lastAttempt: [String]
    /// When it was handed to the far side: unix milliseconds, or ISO 8601 text.
    package var claimed: [String]
    /// What recovery thinks of it.
    package var recoveryState: [String]
    /// The destination.
    package var destination: [String]

    /// Field names.
    package init(
      id: [String], created: [String], attempts: [String], lastAttempt: [String], claimed: [String],
      recoveryState: [String], destination: [String]
    ) {
      self.id = id
      self.created = created
      self.attempts = attempts
      self.lastAttempt = lastAttempt
      self.claimed = claimed
      self.recoveryState = recoveryState
      self.destination = destination
    }
  }

  /// A directory queue.
  package init(
    fileSuffix: String, deadDirectory: String, fields: Fields, backoff: [Duration], maxAttempts: Int?,
    claimedStates: [String: StuckReason], lease: Duration, deliveredSuffix: String? = nil,
    removal: Disposition = .unseen
  ) {
    self.fileSuffix = fileSuffix
    self.deadDirectory = deadDirectory
    self.fields = fields
    self.backoff = backoff
    self.maxAttempts = maxAttempts
    self.claimedStates = claimedStates
    self.lease = lease
    self.deliveredSuffix = deliveredSuffix
    self.removal = removal
  }

  /// What the removal of a file can mean.
  package static let removals: [Disposition] = [.delivered, .discarded, .unseen]
}
