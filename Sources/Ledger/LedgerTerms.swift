import Layouts
import Outbox
import SampleSQL

/// What a ledger's triggers say of one row, as SQL: its phase, its destination, how long it has waited.
struct LedgerTerms {
  let queue: TableQueue
  let schema: QueueSchema
  let rules: LedgerRules
  let dialect: SQLDialect

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
    var within = "CASE"
    if let failed = rules.failed { within += " WHEN \(try expand(failed, new, old: old)) THEN 'r'" }
    if let released = rules.released { within += " WHEN \(try expand(released, new, old: old)) THEN 'l'" }
    within = within == "CASE" ? "NULL" : within + " END"
    return """
      CASE \(try phase(old)) || \(try phase(new))
        WHEN 'ww' THEN \(within)
        WHEN 'wd' THEN 'd' WHEN 'wx' THEN 'x' WHEN 'wg' THEN 'c'
        WHEN 'dw' THEN 'q' WHEN 'xw' THEN 'q' WHEN 'gw' THEN 'q' END
      """
  }

  /// w waiting, d delivered, x dead, g gone otherwise.
  func phase(_ row: String) throws(LayoutProblem) -> String {
    var text = "CASE WHEN \(try expand(rules.waiting, row)) THEN 'w'"
    if let delivered = rules.delivered { text += " WHEN \(try expand(delivered, row)) THEN 'd'" }
    if let dead = rules.dead { text += " WHEN \(try expand(dead, row)) THEN 'x'" }
    return text + " ELSE 'g' END"
  }

  /// Seconds from first due to now.
  func latency(_ row: String) throws(LayoutProblem) -> String {
    let now = dialect == .sqlite ? Self.sqliteClock : "date_part('epoch', clock_timestamp())"
    return "(\(now) - (\(try expand(rules.firstDue, row))))"
  }

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
      clock: Self.sqliteClock)
    return "(\(try template.expand(text)))"
  }

  /// The time in unix seconds, by functions that the oldest libraries have.
  static let sqliteClock = "((julianday('now') - 2440587.5) * 86400.0)"
}
