import Layouts
import Outbox
import SQLiteClient
import SampleSQL

/// How the movements of one queue in an SQLite file are counted from its rows, worked out for one version of its schema.
final class SQLiteAccounting: SQLiteCounting {
  let method: AccountingMethod
  private let notice: String?
  private let query: AccountingQuery
  private let bounds: DeliveryBounds
  private let deliveredIndex: String?
  private let identity: String
  private let hasObjective: Bool
  /// The table's name in sqlite_sequence; nil where its keys are not counted.
  private let sequence: String?
  /// What came of the last look, which holds as long as the file does not change.
  private(set) var lastMark: AccountingMark?
  let isInDoubt = false
  /// How many looks in a row have run out of time.
  private var timeouts = 0
  /// True where what was delivered since the last look has run out of time by itself.
  private var isTooMuch = false

  /// - Parameters:
  ///   - ledgerNotice: why a ledger that is there is not read.
  ///   - file: tells the file from another one of the same name.
  ///   - table: the main table's name as the layout has it.
  init(
    _ query: AccountingQuery, queue: TableQueue, table: String, file: String, objective: Duration?,
    ledgerNotice: String?, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) {
    self.query = query
    bounds = DeliveryBounds(objective: objective)
    hasObjective = objective != nil
    identity = CountingMark.identity(place: "\(file)/\(table)", queue, objective: objective)
    var found: String?
    if let finished = query.finishedColumn {
      for name in try Self.indexes(of: table, leadingTo: finished, after: query.stateColumn, connection)
      where found == nil && Self.serves(name, finished, query, connection) {
        found = name
      }
    }
    deliveredIndex = found
    method = found == nil ? .statistics : .history
    sequence = found == nil ? try Self.sequence(of: table, connection) : nil
    let notices = [ledgerNotice, found == nil ? Self.notice(query, queue) : nil].compactMap { $0 }
    notice = notices.isEmpty ? nil : notices.joined(separator: "; ")
  }

  private static func notice(_ query: AccountingQuery, _ queue: TableQueue) -> String? {
    guard let rule = queue.accounting.delivered else { return nil }
    guard let finished = query.finishedColumn else {
      return
        "deliveries are not counted: \(query.table) has no time of delivery that can be compared as it is; name its "
        + "column under `columns: {\(rule.finished): …}`"
    }
    return "deliveries are not counted, as no index leads to the latest: CREATE INDEX \(query.table.trimmingQuotes)_"
      + "\(finished) ON \(query.table) (\(SQLIdentifier.quoted(finished)))"
  }

  private static func indexes(
    of table: String, leadingTo column: String, after state: String?, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> [String] {
    let parts = SQLIdentifier.parts(table)
    var names: [String] = []
    let sql = """
      SELECT l.name FROM pragma_index_list(:t, :s) l
      WHERE (SELECT i.name FROM pragma_index_info(l.name, :s) i WHERE i.seqno = 0) = :column
        OR (SELECT i.name FROM pragma_index_info(l.name, :s) i WHERE i.seqno = 0) = :state
        AND (SELECT i.name FROM pragma_index_info(l.name, :s) i WHERE i.seqno = 1) = :column
      ORDER BY l.partial, l.name
      """
    let parameters: [String: SQLiteValue] = [
      ":t": .text(parts.last ?? ""), ":s": .text(parts.count > 1 ? parts[0] : "main"), ":column": .text(column),
      ":state": .text(state ?? ""),
    ]
    try connection.query(sql, parameters) { row in if let name = row.text(0) { names.append(name) } }
    return names
  }

  /// True where SQLite finds the latest delivered rows through an index: a partial one may not cover them.
  private static func serves(
    _ index: String, _ column: String, _ query: AccountingQuery, _ connection: borrowing SQLiteConnection
  ) -> Bool {
    let cells = CountingCells(starts: ["0"], countsDelivered: true, deliveredIndex: index)
    var serves = false
    try? connection.query("EXPLAIN QUERY PLAN " + query.statement(cells, bounds: [])) { row in
      let step = row.text(3) ?? ""
      if step.contains("INDEX \(index) "), step.contains("\(column)>") { serves = true }
    }
    return serves
  }

  private static func sequence(
    of table: String, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> String? {
    let name = SQLIdentifier.parts(table).last ?? ""
    guard try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'") == 1 else {
      return nil
    }
    var counted: String?
    let sql = "SELECT name FROM sqlite_schema WHERE name = :t AND upper(sql) LIKE '%AUTOINCREMENT%'"
    try connection.query(sql, [":t": .text(name)]) { row in counted = row.text(0) }
    return counted
  }

  // MARK: - Looking

  func statement(at now: Timestamp) -> String { statement(nil, at: now) }

  /// The statement of one look.
  private func statement(_ mark: CountingMark?, at now: Timestamp) -> String {
    query.statement(cells(mark, at: now), bounds: bounds.kept)
  }

  private func cells(_ mark: CountingMark?, at now: Timestamp) -> CountingCells {
    CountingCells(
      starts: starts(mark, now.microseconds).map { "\(Double($0) / 1e6)" }, countsDelivered: method == .history,
      told: mark?.told ?? 1, new: method == .history ? mark?.new ?? CountingMark.newAtFirst : nil,
      deliveredIndex: deliveredIndex)
  }

  private func starts(_ mark: CountingMark?, _ now: Int64) -> [Int64] {
    mark?.starts(at: now) ?? CountingMark.beginnings.map { now - $0 * 1_000_000 }
  }

  private func since(_ mark: CountingMark?, _ now: Int64) -> Int64 {
    mark.map { $0.cell(ofTransactionFrom: $0.since) } ?? now - CountingMark.beginning
  }

  func look(
    from given: AccountingMark?, at now: Timestamp, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> (rows: [FigureRow], reading: AccountingReading) {
    var (known, restart): (CountingMark?, String?) = (nil, nil)
    if let given, given.method != method {
      restart = "movements are counted by \(method.rawValue) from now on instead of \(given.method.rawValue)"
    } else if let given {
      known = CountingMark(text: given.position)
      if known == nil { restart = "what was kept of the counting is damaged" }
    }
    if let mark = known, !isTooMuch, CountingMark.triesDeliveries(after: timeouts) {
      try tryDelivered(since: mark, at: now, connection)
    }
    if known != nil, isTooMuch { (known, restart) = (nil, CountingMark.tooMuch) }
    var (look, rows) = try count(from: known, at: now, connection)
    if let mark = known, let obstacle = mark.obstacle(to: look, identity: identity) {
      // What the mark made the look see is of no use to begin with.
      (look, rows) = try count(from: nil, at: now, connection)
      (known, restart) = (nil, obstacle)
    }
    let next: CountingMark
    var movements: Movements?
    if let known {
      let advanced = known.advanced(
        to: look, knowsDelivered: method == .history, knowsCreated: query.hasCreationTimes,
        isDeadLetters: !query.hasWaitingRows, hasObjective: hasObjective)
      (movements, next) = (advanced.movements, advanced.mark)
    } else {
      next = CountingMark(identity: identity, beginningWith: look)
    }
    let mark = AccountingMark(method, next.text)
    lastMark = mark
    return (rows, AccountingReading(mark: mark, movements: movements, restart: restart, notice: notice))
  }

  /// Finds out whether it is what was delivered that takes so long, and not what waits.
  private func tryDelivered(
    since mark: CountingMark, at now: Timestamp, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) {
    guard method == .history,
      let sql = query.deliveredStatement(cells(mark, at: now), bounds: bounds.kept)
    else { return }
    do throws(SQLiteError) {
      let statement = try connection.prepare(sql)
      statement.bind(":now", .real(now.seconds))
      statement.bind(":since", .real(Double(since(mark, now.microseconds)) / 1e6))
      while try statement.step() {}
    } catch {
      isTooMuch = error.kind == .interrupted
      throw error
    }
  }

  func unchanged(_ mark: AccountingMark?) -> AccountingReading? {
    guard let mark, let lastMark, mark.method == lastMark.method, mark.position == lastMark.position else { return nil }
    return AccountingReading(mark: mark, movements: Movements(), notice: notice)
  }

  private func count(
    from mark: CountingMark?, at now: Timestamp, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> (CountingLook, [FigureRow]) {
    do throws(SQLiteError) {
      let found = try read(from: mark, at: now, connection)
      (timeouts, isTooMuch) = (0, false)
      return found
    } catch {
      timeouts = error.kind == .interrupted ? timeouts + 1 : 0
      throw error
    }
  }

  private func read(
    from mark: CountingMark?, at now: Timestamp, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> (CountingLook, [FigureRow]) {
    let clock = now.microseconds
    var look = CountingLook(time: clock, starts: starts(mark, clock), since: since(mark, clock))
    look.isOneWriterAtATime = true
    if method == .statistics { look.since = .min }
    let statement = try connection.prepare(statement(mark, at: now))
    statement.bind(":now", .real(now.seconds))
    statement.bind(":since", .real(Double(look.since) / 1e6))
    var figures: [FigureRow] = []
    var times: [[Int64]] = []
    var delivered: [DeliveredRow] = []
    while try statement.step() {
      if statement.text(1) == EventState.delivered.rawValue {
        delivered.append(DeliveredRow(statement, bounds))
      } else {
        figures.append(FigureRow(statement))
        times.append(statement.wholeNumbers(6))
      }
    }
    if let sequence {
      try connection.query("SELECT seq FROM sqlite_sequence WHERE name = :t", [":t": .text(sequence)]) { row in
        look.position = row.integer(0) ?? 0
      }
      look.inserted[""] = look.position
    }
    look.count(figures, delivered, deadKeepCreation: method == .history, bounds)
    return (look, figures.ranked(times))
  }
}

extension DeliveredRow {
  /// Reads the columns in the order of ``AccountingQuery/statement(_:bounds:)``.
  fileprivate init(_ row: borrowing SQLiteStatement, _ bounds: DeliveryBounds) {
    let durations = row.wholeNumbers(6)
    self.init(
      destination: row.text(0) ?? Snapshot.defaultDestination, cell: Int(row.integer(2) ?? 0),
      count: Int(row.integer(4) ?? 0),
      buckets: durations.reduce(into: [:]) { $0[bounds.bucket(of: Double($1) / 1e6), default: 0] += 1 },
      sum: durations.reduce(0) { $0.adding($1) }, retries: Int(row.integer(15) ?? 0),
      created: CountingCells.written(row.text(16) ?? ""), rows: CountingCells.finished(row.text(17) ?? ""))
  }
}

extension Timestamp {
  /// Whole microseconds since the Unix epoch.
  fileprivate var microseconds: Int64 { nanoseconds / 1000 }
}

extension String {
  /// A quoted name without its quotes.
  fileprivate var trimmingQuotes: String { SQLIdentifier.parts(self).last ?? self }
}
