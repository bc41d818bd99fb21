import Layouts
import Outbox
import SampleSQL

/// What a ledger's triggers say of one row, as SQL: its phase, its destination, how long it has waited.
struct LedgerTerms {
  let queue: TableQueue
  let schema: QueueSchema
  let rules: LedgerRules
  let dialect: SQLDialect
  /// What stands for columns instead of their names, by what the row is called.
  var references: [String: [String: String]] = [:]

  /// What became of a waiting row that was deleted: a letter of the journal. The capital ones may turn out to be dead
  /// letters by what else the transaction does.
  func removal(_ row: String) throws(LayoutProblem) -> String {
    let isPaired = schema.tables["dead"] != nil || dialect == .postgresql
    let (delivered, discarded) = isPaired ? ("'D'", "'C'") : ("'d'", "'c'")
    var cases = ""
    if let buried = rules.buried { cases += " WHEN \(try expand(buried, row)) THEN 'x'" }
    if let removed = rules.removed { cases += " WHEN \(try expand(removed, row)) THEN \(delivered)" }
    return cases.isEmpty ? discarded : "CASE\(cases) ELSE \(discarded) END"
  }

  /// What became of a row that was changed: a letter of the journal, or NULL.
  func transition(from old: String, to new: String) throws(LayoutProblem) -> String {
    let (waited, waits) = (try waits(old), try waits(new))
    let (kept, ends) = (try kept(from: old, to: new), try ends(new))
    return """
      CASE WHEN \(waited) THEN CASE WHEN \(waits) THEN \(kept)\(ends) ELSE 'c' END WHEN \(waits) THEN 'q' END
      """
  }

  /// What became of a row that waits as it did before: a letter of the journal, or NULL.
  func kept(from old: String, to new: String) throws(LayoutProblem) -> String {
    var cases = ""
    if let failed = rules.failed { cases += " WHEN \(try expand(failed, new, old: old)) THEN 'r'" }
    if let released = rules.released { cases += " WHEN \(try expand(released, new, old: old)) THEN 'l'" }
    return cases.isEmpty ? "NULL" : "CASE\(cases) END"
  }

  /// How a row ended that does not wait any more: a letter of the journal.
  func ended(_ row: String) throws(LayoutProblem) -> String {
    let ends = try ends(row)
    return ends.isEmpty ? "'c'" : "CASE\(ends) ELSE 'c' END"
  }

  private func ends(_ row: String) throws(LayoutProblem) -> String {
    var cases = ""
    if let delivered = rules.delivered { cases += " WHEN \(try expand(delivered, row)) THEN 'd'" }
    if let dead = rules.dead { cases += " WHEN \(try expand(dead, row)) THEN 'x'" }
    return cases
  }

  /// w waiting, d delivered, x dead, g gone otherwise.
  func phase(_ row: String) throws(LayoutProblem) -> String {
    var text = "CASE WHEN \(try waits(row)) THEN 'w'"
    if let delivered = rules.delivered { text += " WHEN \(try expand(delivered, row)) THEN 'd'" }
    if let dead = rules.dead { text += " WHEN \(try expand(dead, row)) THEN 'x'" }
    return text + " ELSE 'g' END"
  }

  /// Whether a row waits.
  func waits(_ row: String) throws(LayoutProblem) -> String { try expand(rules.waiting, row) }

  /// Seconds from first due to now.
  func latency(_ row: String) throws(LayoutProblem) -> String {
    let now = dialect == .sqlite ? Self.sqliteClock : "date_part('epoch', clock_timestamp())"
    return "(\(now) - (\(try due(row))))"
  }

  /// When a row was first due, in unix seconds.
  func due(_ row: String) throws(LayoutProblem) -> String { try expand(rules.firstDue, row) }

  func destination(_ row: String, _ own: String? = nil) throws(LayoutProblem) -> String {
    guard let source = own ?? queue.destination else { return "'\(Snapshot.defaultDestination)'" }
    return destination(of: try expand(source, row))
  }

  /// A destination that is never empty, as the figures have it.
  func destination(of value: String) -> String {
    let text = dialect == .sqlite ? "CAST(\(value) AS TEXT)" : "(\(value))::text"
    return "COALESCE(NULLIF(\(text), ''), '\(Snapshot.defaultDestination)')"
  }

  func expand(_ text: String, _ row: String, old: String? = nil) throws(LayoutProblem) -> String {
    var template = SQLTemplate(
      queue: queue, schema: schema, dialect: dialect, row: row, oldRow: old, outlivesSchema: true,
      clock: Self.sqliteClock, references: references)
    return "(\(try template.expand(text)))"
  }

  /// The columns of the main table that all of this needs, each with a type that every PostgreSQL has and that its value
  /// can be given as; nil where there is none for one of them, or where rows of another table are needed as well.
  func columns() throws(LayoutProblem) -> [LedgerColumn]? {
    guard let table = schema.tables[TableQueue.mainTable] else { return nil }
    let (used, sql) = try expanded(ofRows)
    guard !sql.contains(where: { $0.lowercased().contains("select") }) else { return nil }
    var columns: [LedgerColumn] = []
    for name in used[TableQueue.mainTable, default: []].sorted() {
      let type = table.enums[name] == nil ? table.columns[name] ?? "" : "text"
      guard let column = LedgerColumn(name, type) else { return nil }
      columns.append(column)
    }
    return columns
  }

  /// The roles of the tables that all of this selects from, and the counting of what a TRUNCATE throws away.
  func readTables() throws(LayoutProblem) -> [String] {
    let counted = queue.selections.filter { $0.table == TableQueue.mainTable && $0.state != .dead }
    let used = try expanded(ofRows + counted.flatMap { [$0.predicate, $0.destination ?? ""] }).columns
    return Set(used.keys).union([TableQueue.mainTable]).sorted()
  }

  private var ofRows: [String] {
    [
      rules.waiting, rules.delivered, rules.dead, rules.failed, rules.released, rules.removed, rules.buried,
      rules.firstDue, queue.destination,
    ].compactMap { $0 }
  }

  private func expanded(_ texts: [String]) throws(LayoutProblem) -> (columns: [String: Set<String>], sql: [String]) {
    var template = SQLTemplate(
      queue: queue, schema: schema, dialect: dialect, row: "e", oldRow: "o", outlivesSchema: true)
    var sql: [String] = []
    for text in texts { sql.append(try template.expand(text)) }
    return (template.usedColumns, sql)
  }

  /// The time in unix seconds, by functions that the oldest libraries have.
  static let sqliteClock = "((julianday('now') - 2440587.5) * 86400.0)"
}
