import Layouts
import Ledger
import Outbox
import SQLiteClient
import SampleSQL

/// The ledger beside one queue in an SQLite file, as long as it can be read.
///
/// The exporter never writes to the file: the triggers prune the journal themselves. What a reader has missed shows in the
/// numbers of the rows, which have no gaps, and in the depth, which has to change by what moved.
final class SQLiteLedger: SQLiteCounting {
  private let names: SQLiteLedgerNames
  private let installation: String
  private let notice: String?
  private let query: SampleQuery
  private let figures: SQLiteStatement
  private let bounds: DeliveryBounds
  private var lastMark: AccountingMark?
  private(set) var isInDoubt = false

  private init(
    _ names: SQLiteLedgerNames, installation: String, notice: String?, _ query: SampleQuery, objective: Duration?,
    _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) {
    self.names = names
    self.installation = installation
    self.notice = notice
    self.query = query
    figures = try connection.prepare(query.figures)
    bounds = DeliveryBounds(objective: objective)
  }

  /// The ledger beside a queue; nil where there is none that can be read, and then why.
  static func find(
    _ queue: TableQueue, _ schema: QueueSchema, _ query: SampleQuery, objective: Duration?,
    _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> (ledger: SQLiteLedger?, notice: String?) {
    guard queue.ledger != nil, let script = try? SQLiteLedgerScript(queue: queue, schema: schema) else {
      return (nil, nil)
    }
    let catalog = try SQLiteLedgerCatalog(script, connection)
    let journal = script.names.journal
    let mending = "`outbox-exporter ledger install` mends it"
    if let problem = catalog.problems.first {
      return (nil, "the ledger \(journal) is not read: \(problem); \(mending)")
    }
    guard let record = catalog.record else { return (nil, nil) }
    guard record.version == SQLiteLedgerScript.version else {
      return (nil, "the ledger \(journal) is not read, since it is another version's; \(mending)")
    }
    let notice =
      record.definition == script.definition
      ? nil
      : "the ledger \(journal) was made for another form of the layout and counts by that; "
        + "`outbox-exporter ledger install` brings it up to date"
    let ledger = try SQLiteLedger(
      script.names, installation: record.installation, notice: notice, query, objective: objective, connection)
    return (ledger, nil)
  }

  func statement(at now: Timestamp) -> String {
    "\(query.figures);\nSELECT \(Self.columns) FROM \(journal) WHERE id >= 0 ORDER BY id"
  }

  func unchanged(_ mark: AccountingMark?) -> AccountingReading? {
    guard let mark, let lastMark, mark.method == lastMark.method, mark.position == lastMark.position else { return nil }
    return AccountingReading(mark: mark, movements: Movements(), notice: notice)
  }

  func look(
    from given: AccountingMark?, at now: Timestamp, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> (rows: [FigureRow], reading: AccountingReading) {
    let rows = try readFigures(at: now)
    let depth = rows.reduce(0) { $0 + ($1.state == .dead ? 0 : $1.count) }
    isInDoubt = false
    var (mark, restart): (SQLiteLedgerMark?, String?) = (nil, nil)
    if let given, given.method != .ledger {
      restart = "movements are counted by ledger from now on instead of \(given.method.rawValue)"
    } else if let given {
      mark = SQLiteLedgerMark(given.position)
      if mark == nil { restart = "what was kept of the counting is damaged" }
    }
    if let known = mark, known.installation != installation {
      (mark, restart) = (nil, "the ledger was installed anew")
    }
    var movements: Movements?
    var next = try end(connection)
    next.depth = depth
    if let mark {
      let read = try read(from: mark, to: next, connection)
      if let obstacle = read.obstacle {
        restart = obstacle
      } else {
        let change = read.movements.destinations.values.reduce(0) { $0 + $1.depthChange }
        if depth - mark.depth == change {
          movements = read.movements
        } else {
          isInDoubt = true
          restart = LedgerTally.disagreement(depth - mark.depth - change, "uses REPLACE without recursive_triggers")
        }
      }
    }
    let kept = AccountingMark(.ledger, next.text)
    lastMark = kept
    return (rows, AccountingReading(mark: kept, movements: movements, restart: restart, notice: notice))
  }

  private var journal: String { SQLIdentifier.quoted(names.journal) }
  private static let columns = "id, at, kind, destination, latency"

  private func readFigures(at now: Timestamp) throws(SQLiteError) -> [FigureRow] {
    figures.reset()
    defer { figures.reset() }
    figures.bind(":now", .real(now.seconds))
    var rows: [FigureRow] = []
    var times: [[Int64]] = []
    while try figures.step() {
      rows.append(FigureRow(figures))
      times.append(figures.wholeNumbers(6))
    }
    return rows.ranked(times)
  }

  /// The last row of the journal.
  private func end(_ connection: borrowing SQLiteConnection) throws(SQLiteError) -> SQLiteLedgerMark {
    var mark = SQLiteLedgerMark(installation: installation, id: 0, writtenAt: 0, depth: 0)
    try connection.query("SELECT id, at FROM \(journal) ORDER BY id DESC LIMIT 1") { row in
      (mark.id, mark.writtenAt) = (row.integer(0) ?? 0, row.integer(1) ?? 0)
    }
    return mark
  }

  /// What moved between two marks, or why that cannot be known.
  private func read(
    from mark: SQLiteLedgerMark, to next: SQLiteLedgerMark, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> (movements: Movements, obstacle: String?) {
    let other = "the file was restored from a copy, or the ledger's journal was changed by hand"
    guard next.id >= mark.id else { return (Movements(), other) }
    var tally = LedgerTally(bounds)
    var (counted, first): (Int64, Int64?) = (0, nil)
    var isOther = false
    let statement = "SELECT \(Self.columns) FROM \(journal) WHERE id >= :id ORDER BY id"
    try connection.query(statement, [":id": .integer(mark.id)]) { row in
      let id = row.integer(0) ?? 0
      first = first ?? id
      if id == mark.id {
        isOther = row.integer(1) != mark.writtenAt
        return
      }
      counted += 1
      let latency = row.double(4).flatMap { abs($0) < SampleQuery.latestPlausibleDelay ? max(0, $0) : nil }
      tally.add(
        1, row.text(2) ?? "", to: row.text(3) ?? Snapshot.defaultDestination,
        bucket: latency.map(bounds.bucket), seconds: latency ?? 0)
    }
    if isOther { return (Movements(), other) }
    guard counted == next.id - mark.id else {
      let bounds = "\(SQLiteLedgerScript.keptRows) movements or a week"
      let isPruned = first.map { $0 > mark.id + 1 } ?? true
      return (Movements(), isPruned ? "the journal, which keeps \(bounds), was not read for longer than that" : other)
    }
    return (tally.movements, nil)
  }
}
