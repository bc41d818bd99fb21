import Layouts
import Outbox
import SQLiteClient
import SampleSQL
import SystemCalls

/// One SQLite file with the queues of a layout that are in it. Lives inside its store's actor.
final class SQLiteFile {
  /// How long a sample may take, and how long it waits for another process's lock.
  struct Limits {
    var sample: Duration = .seconds(5)
    var busy: Duration = .milliseconds(500)
    /// How often unknown values of state columns are looked for.
    var stateSearch: Duration = .seconds(3600)
  }

  /// What came of one queue: its name's last part, its figures, in which rhythms, and what moved in it.
  struct Outcome {
    var suffix: String?
    var result: Result<SampleFigures, SampleFailure>
    var intervals: SampleIntervals?
    var accounting: AccountingReading?
  }

  /// What is asked of each queue beside its figures, by its name's last part.
  struct Request {
    var eventIDs = false
    /// Up to where movements are counted, if that is known; nil where nobody asks for them.
    var mark: (String?) -> AccountingMark?? = { _ in nil }
    /// How much of the file's time the sample may take; nil reads everything.
    var budget: SampleBudget?
  }

  private let path: String
  private let layout: Layout
  private let objective: Duration?
  private let limits: Limits
  private var database: OpenDatabase?
  private var identity: FileIdentity?
  private var hasBeenThere = false
  private let share = SQLiteShare()
  /// Why the last count of a queue failed that is not to be repeated in every cycle.
  private var failures: [SampledQueue: SampleFailure] = [:]
  /// The queues that the last good sample found, by the last part of their names.
  private(set) var knownSuffixes: [String?] = [nil]

  init(path: String, layout: Layout, objective: Duration? = nil, limits: Limits) {
    self.path = path
    self.layout = layout
    self.objective = objective
    self.limits = limits
  }

  /// Reads every queue of the file at one moment.
  func sample(at now: Timestamp, _ request: Request) -> [Outcome] {
    do throws(SampleFailure) {
      guard let database = try database(at: now) else {
        return [Outcome(result: .success(.counts(Snapshot(storeTime: now, missingPath: path))))]
      }
      do {
        share.begin(request.budget, knownSuffixes)
        let outcomes = try database.sample(at: now, request, limits, share)
        share.end()
        knownSuffixes = outcomes.map(\.suffix)
        return outcomes.map(uncovered)
      } catch {
        // What they have cost so far is kept by their names.
        if !database.suffixes.isEmpty { knownSuffixes = database.suffixes }
        close()
        let failure = error.failure(of: path)
        if failure.reason != .lockTimeout { share.end() }
        if let queue = share.failing { failures[queue] = failure }
        throw failure
      }
    } catch {
      return knownSuffixes.map { Outcome(suffix: $0, result: .failure(error)) }
    }
  }

  /// Until a count that failed is tried again: what answers in between says nothing of why it cannot be counted.
  private func uncovered(_ outcome: Outcome) -> Outcome {
    var outcome = outcome
    let queue = SampledQueue(suffix: outcome.suffix)
    if case .success(.head) = outcome.result, let failure = failures[queue] {
      outcome.result = .failure(failure)
    } else {
      failures[queue] = nil
    }
    return outcome
  }

  /// What a sample of each queue of the file sends.
  func statements(at now: Timestamp, eventIDs: Bool) -> [(suffix: String?, Result<SampleStatements, SampleFailure>)] {
    do throws(SampleFailure) {
      guard let database = try database(at: now) else {
        throw SampleFailure(
          .absent, "\(path) is not there yet", hint: "the application creates it; ask again when it has")
      }
      do {
        return try database.statements(at: now, limits, eventIDs: eventIDs).map { ($0, .success($1)) }
      } catch {
        close()
        throw error.failure(of: path)
      }
    } catch {
      return knownSuffixes.map { ($0, .failure(error)) }
    }
  }

  func close() {
    database = nil
    identity = nil
  }

  /// The open database; nil where the application has not created it yet and may do so later.
  private func database(at now: Timestamp) throws(SampleFailure) -> OpenDatabase? {
    let current: FileIdentity
    do throws(FileIdentity.Missing) {
      current = try FileIdentity(path: path)
    } catch {
      close()
      switch error {
      case .notThere where hasBeenThere:
        throw SampleFailure(
          .absent, "\(path) is not there any more", hint: "it was removed, or its file system was unmounted")
      case .notThere where layout.createdLazily && (try? FileIdentity(path: directory)) != nil: return nil
      case .notThere:
        throw SampleFailure(.absent, "there is no file \(path)", hint: "check the path of the outbox's DSN")
      case .barred:
        throw SampleFailure(
          .permission, "a directory on the way to \(path) may not be searched",
          hint: "run the exporter as the user who owns the file, or grant it access")
      case .other(let number):
        throw SampleFailure(.other, "cannot look up \(path): system error \(number)")
      }
    }
    hasBeenThere = true
    if let database, identity == current { return database }
    // Opening a pipe would wait for ever.
    if (try? FileSystem.status(path)?.kind) == .special {
      throw SampleFailure(.absent, "\(path) is a pipe or a device, not an SQLite file", hint: "check the outbox's DSN")
    }
    if FileSystem.isDirectory(path) {
      throw SampleFailure(
        .absent, "\(path) is a directory, not an SQLite file", hint: "name the file, or a glob such as \(path)/*.sqlite"
      )
    }
    close()
    do {
      let opened = try OpenDatabase(
        path: path, identity: current.text, layout: layout, objective: objective, limits: limits)
      database = opened
      identity = current
      return opened
    } catch {
      throw error.failure(of: path)
    }
  }

  private var directory: String {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let parent = parts.dropLast().joined(separator: "/")
    return parent.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : parent
  }
}

/// An open database whose statements are prepared for one version of its schema.
private final class OpenDatabase {
  enum Problem: Error {
    case sqlite(SQLiteError)
    case layout(LayoutProblem)

    func failure(of path: String) -> SampleFailure {
      switch self {
      case .layout(let problem): SampleFailure(problem, path: path)
      case .sqlite(let error): SampleFailure(error, path: path)
      }
    }
  }

  private let connection: SQLiteConnection
  private let identity: String
  private let layout: Layout
  private let objective: Duration?
  private var queues: [Queue] = []
  var suffixes: [String?] { queues.map(\.suffix) }
  private var schemaVersion: Int64?
  private var statesSearchedAt: Timestamp?

  /// One queue of the layout that is in the file, with what was last read of it.
  private final class Queue {
    let suffix: String?
    let query: SampleQuery
    let statement: SQLiteStatement
    let accounting: any SQLiteCounting
    let head: SQLiteHead
    /// The rows of the last read, and the version of the data that they are true for.
    var rows: [FigureRow] = []
    var dataVersion: Int64?

    init(
      suffix: String?, query: SampleQuery, statement: consuming SQLiteStatement, accounting: any SQLiteCounting
    ) {
      self.suffix = suffix
      self.query = query
      self.statement = statement
      self.accounting = accounting
      self.head = SQLiteHead(query)
    }
  }

  init(
    path: String, identity: String, layout: Layout, objective: Duration?, limits: SQLiteFile.Limits
  ) throws(Problem) {
    do {
      connection = try SQLiteConnection(path: path, access: .readOnly)
    } catch {
      throw .sqlite(error)
    }
    self.identity = identity
    self.layout = layout
    self.objective = objective
    connection.setBusyTimeout(limits.busy)
  }

  func sample(
    at now: Timestamp, _ request: SQLiteFile.Request, _ limits: SQLiteFile.Limits, _ share: SQLiteShare
  ) throws(Problem) -> [SQLiteFile.Outcome] {
    let outcomes = try read(at: now, request, limits, share)
    // Rows in a state that has not been looked for yet are in the movements and not in the figures.
    guard queues.contains(where: { $0.accounting.isInDoubt && $0.query.states != nil }) else { return outcomes }
    statesSearchedAt = nil
    return try read(at: now, request, limits, share, isRepeated: true)
  }

  private func read(
    at now: Timestamp, _ request: SQLiteFile.Request, _ limits: SQLiteFile.Limits, _ share: SQLiteShare,
    isRepeated: Bool = false
  ) throws(Problem) -> [SQLiteFile.Outcome] {
    try typed {
      connection.setTimeLimit(limits.sample)
      try prepare(at: now, limits)
      // Taken before the read: a write in between is read now and, at worst, once more next time.
      let dataVersion = try connection.integer("PRAGMA data_version")
      let isUnchanged = queues.allSatisfy {
        $0.dataVersion == dataVersion && !$0.query.dependsOnClock && !$0.rows.willHaveChanged(by: now)
      }
      let marks = queues.map { request.mark($0.suffix) }
      // Rows that are known already still tell nothing of what moved since another mark than that of their reading.
      let known = zip(queues, marks).map { queue, mark in mark.map { queue.accounting.unchanged($0) } }
      let isKnown = isUnchanged && known.allSatisfy { $0.map { $0 != nil } ?? true }
      if !isKnown || request.eventIDs { try connection.execute("BEGIN") }
      defer { if !isKnown || request.eventIDs { try? connection.execute("COMMIT") } }
      var outcomes: [SQLiteFile.Outcome] = []
      for (index, queue) in queues.enumerated() {
        var reading = known[index] ?? nil
        var figures =
          try isKnown || isRepeated ? nil : share.cheaper(queue.suffix, queue.head, at: now, connection, limits)
        if !isKnown, figures == nil {
          do {
            try share.measure(.counts, of: queue.suffix, events: { _ in queue.rows.reduce(0) { $0 + $1.count } }) {
              if let mark = marks[index] {
                (queue.rows, reading) = try queue.accounting.look(from: mark, at: now, connection)
              } else {
                queue.rows = try read(queue, at: now)
              }
            }
            queue.dataVersion = dataVersion
          } catch let error as SQLiteError where error.kind == .interrupted {
            connection.setTimeLimit(limits.sample)
            guard let estimate = try? share.estimate(queue.suffix, queue.head, at: now, connection) else { throw error }
            figures = .counts(estimate)
          }
        }
        let intervals = share.intervals(queue.suffix, queue.head)
        if let figures {
          outcomes.append(.init(suffix: queue.suffix, result: .success(figures), intervals: intervals))
          continue
        }
        let ids = request.eventIDs ? try self.eventIDs(queue.query, at: now) : nil
        let snapshot = Snapshot(storeTime: now, rows: queue.rows, eventIDs: ids)
        queue.head.floor.note(snapshot)
        outcomes.append(
          .init(
            suffix: queue.suffix, result: .success(.counts(snapshot)), intervals: intervals, accounting: reading))
      }
      return outcomes
    }
  }

  /// The statements of each queue that is in the file.
  func statements(
    at now: Timestamp, _ limits: SQLiteFile.Limits, eventIDs: Bool
  ) throws(Problem) -> [(suffix: String?, SampleStatements)] {
    try typed {
      try prepare(at: now, limits)
      return try queues.map { queue in
        let head = try queue.head.statement(connection)
        let counting = queue.accounting.statement(at: now)
        return (queue.suffix, try SampleStatements(queue.query, accounting: counting, head: head, eventIDs: eventIDs))
      }
    }
  }

  /// Only SQLite and the layout can fail in here.
  private func typed<Value>(_ body: () throws -> Value) throws(Problem) -> Value {
    do {
      return try body()
    } catch let error as SQLiteError {
      throw .sqlite(error)
    } catch let problem as LayoutProblem {
      throw .layout(problem)
    } catch {
      preconditionFailure("neither SQLite nor the layout: \(error)")
    }
  }

  /// Fits the layout to the schema as it is now, and looks for unknown states now and then.
  private func prepare(at now: Timestamp, _ limits: SQLiteFile.Limits) throws {
    let version = try connection.integer("PRAGMA schema_version")
    let isDue = statesSearchedAt.map { now.since($0) >= limits.stateSearch || now < $0 } ?? true
    guard version != schemaVersion || isDue else { return }
    queues = []
    for queue in layout.queues {
      let schema = try QueueSchema(queue, connection)
      guard schema.tables[TableQueue.mainTable] != nil else { continue }
      var query = try SampleQuery(queue: queue, schema: schema, dialect: .sqlite, objective: objective)
      let unknown = try unknownStates(queue, query)
      if !unknown.isEmpty {
        query = try SampleQuery(
          queue: queue, schema: schema, dialect: .sqlite, unknownStates: unknown, objective: objective)
      }
      let (ledger, notice) = try SQLiteLedger.find(queue, schema, query, objective: objective, connection)
      let accounting: any SQLiteCounting =
        if let ledger { ledger } else {
          try SQLiteAccounting(
            query.accounting(), queue: queue, table: queue.tables[TableQueue.mainTable]?.name ?? "", file: identity,
            objective: objective, ledgerNotice: notice, connection)
        }
      queues.append(
        Queue(
          suffix: queue.suffix, query: query, statement: try connection.prepare(query.figures), accounting: accounting))
    }
    guard !queues.isEmpty else {
      let names = layout.queues.compactMap { $0.tables[TableQueue.mainTable]?.name }
      throw LayoutProblem.missingTable(role: TableQueue.mainTable, name: names.joined(separator: " or "))
    }
    schemaVersion = version
    statesSearchedAt = now
  }

  private func unknownStates(_ queue: TableQueue, _ query: SampleQuery) throws -> [StoredState] {
    guard let statement = query.states else { return [] }
    var found: [StoredState] = []
    try connection.query(statement) { row in
      switch row.text(0) {
      case "text": found.append(StoredState(text: row.textBytes(1) ?? [], .sqlite))
      case "blob": found.append(StoredState(blob: row.blob(1)))
      default: if let number = row.text(1) { found.append(StoredState(number: number)) }
      }
    }
    return found.filter { !$0.isKnown(to: queue) }
  }

  private func read(_ queue: Queue, at now: Timestamp) throws -> [FigureRow] {
    var rows: [FigureRow] = []
    var times: [[Int64]] = []
    queue.statement.reset()
    defer { queue.statement.reset() }
    queue.statement.bind(":now", .real(now.seconds))
    while try queue.statement.step() {
      rows.append(FigureRow(queue.statement))
      times.append(queue.statement.wholeNumbers(6))
    }
    return rows.ranked(times)
  }

  private func eventIDs(_ query: SampleQuery, at now: Timestamp) throws -> Snapshot.EventIDs? {
    guard let statement = try query.eventIDs() else { return nil }
    var ids = Snapshot.EventIDs()
    try connection.query(statement, [":now": .real(now.seconds)]) { row in
      guard let id = row.text(1) else { return }
      switch row.text(0) {
      case "oldest": ids.oldest.append(id)
      case "stuck": ids.stuck.append(id)
      default: ids.newestDead.append(id)
      }
    }
    return ids
  }
}

extension [FigureRow] {
  /// True where time alone has changed a state, an age or a stuck event since the rows were read.
  fileprivate func willHaveChanged(by now: Timestamp) -> Bool {
    contains { $0.nextChange.map { $0 <= now.seconds } ?? false }
  }
}
