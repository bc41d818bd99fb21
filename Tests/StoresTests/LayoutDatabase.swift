import Layouts
import Outbox
import SQLiteClient
import SampleSQL
import Stores
import TestSupport
import Testing

/// An SQLite file with a system's own schema, sampled through the real store at a clock that a test moves.
final class LayoutDatabase {
  let clock = TestClock(1_800_000_000)
  let layout: Layout
  private let directory: TemporaryDirectory
  private let store: SQLiteStore
  private var path: String { directory.path + "/outbox.sqlite" }

  init(_ layout: Layout) throws {
    self.layout = layout
    directory = try TemporaryDirectory()
    store = SQLiteStore(
      OutboxDefinition(name: "o", address: .sqlite(path: directory.path + "/outbox.sqlite"), layout: layout),
      now: { [clock] in clock.now })
  }

  func write(_ sql: String) throws {
    let connection = try SQLiteConnection(path: path, access: .readWrite)
    try connection.execute("PRAGMA journal_mode=WAL")
    try connection.execute("BEGIN")
    try connection.execute(sql)
    try connection.execute("COMMIT")
  }

  /// Every row of a statement, as text.
  func rows(_ sql: String, columns: Int) throws -> [[String?]] {
    let connection = try SQLiteConnection(path: path, access: .readOnly)
    var rows: [[String?]] = []
    try connection.query(sql) { row in rows.append((0..<columns).map { row.text($0) }) }
    return rows
  }

  func samples(eventIDs: Bool = false) async -> [OutboxSample] { await store.sample(eventIDs: eventIDs) }

  func samples(_ request: SampleRequest) async -> [OutboxSample] { await store.sample(request) }

  /// The sample of the file's only queue, or of the one with that suffix.
  func snapshot(_ suffix: String? = nil, eventIDs: Bool = false) async throws -> Snapshot {
    let samples = await samples(eventIDs: eventIDs)
    let name = suffix.map { "o/\($0)" } ?? "o"
    let sample = try #require(samples.first { $0.outbox.name == name }, "\(samples)")
    return try #require(sample.snapshot, "\(String(describing: sample.failure))")
  }

  /// Expects that the statements find every row through an index on the state, so that delivered rows are not touched.
  func expectIndexes() throws {
    for queue in layout.queues {
      let schema = try schema(of: queue)
      guard schema.tables[TableQueue.mainTable] != nil else { continue }
      let query = try SampleQuery(queue: queue, schema: schema, dialect: .sqlite)
      for sql in [query.figures, try query.eventIDs()].compactMap({ $0 }) {
        let events = try plan(sql).filter { $0.hasPrefix("SEARCH e ") || $0.hasPrefix("SCAN e ") || $0 == "SCAN e" }
        #expect(events.count >= Set(queue.selections.map(\.rows)).count)
        for step in events {
          #expect(step.contains("status=?") && !step.contains("ANY(status)"), "\(step) in \(sql)")
        }
      }
      guard let states = query.states else { continue }
      #expect(try plan(states).allSatisfy { !$0.hasPrefix("SCAN e") }, "\(states)")
    }
  }

  private func plan(_ sql: String) throws -> [String] {
    try rows("EXPLAIN QUERY PLAN \(sql)", columns: 4).compactMap { $0[3] }
  }

  private func schema(of queue: TableQueue) throws -> QueueSchema {
    var tables: [String: QueueSchema.Table] = [:]
    for (role, table) in queue.tables {
      let columns = try rows(
        "SELECT name, type, \"notnull\" FROM pragma_table_info('\(table.name)')", columns: 3)
      guard !columns.isEmpty else { continue }
      tables[role] = QueueSchema.Table(
        reference: "\"\(table.name)\"",
        columns: Dictionary(columns.map { ($0[0] ?? "", $0[1] ?? "") }, uniquingKeysWith: { first, _ in first }),
        indexedColumns: role == TableQueue.mainTable ? Set(queue.stateColumn.map { leading(queue, $0) } ?? []) : [],
        filledColumns: Set(columns.filter { $0[2] == "1" }.compactMap { $0[0] }))
    }
    return QueueSchema(tables: tables)
  }

  private func leading(_ queue: TableQueue, _ role: String) -> [String] {
    guard case .column(let name) = queue.columns[role]?.value else { return [] }
    let sql = """
      SELECT i.name FROM pragma_index_list('\(queue.tables[TableQueue.mainTable]?.name ?? "")') l,
        pragma_index_info(l.name) i WHERE l.partial = 0 AND i.seqno = 0
      """
    return ((try? rows(sql, columns: 1)) ?? []).compactMap { $0[0] }.filter { $0 == name }
  }
}
