import Layouts
import SampleSQL

/// Writes the triggers of one watched table in SQLite.
///
/// A trigger runs for each row. What it writes down it works out in one select, whose rows say what moved: a change that
/// moves nothing writes nothing.
struct SQLiteLedgerTriggers {
  private let queue: TableQueue
  private let schema: QueueSchema
  private let names: SQLiteLedgerNames
  private let parents: LedgerRules.Parents?
  private let terms: LedgerTerms

  init(
    queue: TableQueue, schema: QueueSchema, rules: LedgerRules, names: SQLiteLedgerNames
  ) throws(LayoutProblem) {
    self.queue = queue
    self.schema = schema
    self.names = names
    parents = rules.parents
    terms = LedgerTerms(queue: queue, schema: schema, rules: rules, dialect: .sqlite)
    let templates = [
      rules.waiting, rules.delivered, rules.dead, rules.failed, rules.released, rules.removed, rules.buried,
      rules.firstDue, parents == nil ? queue.destination : nil, parents?.reference,
    ]
    for template in templates.compactMap({ $0 }) where try namesATable(template) {
      throw .template(
        text: template,
        problem: "a ledger in SQLite must not name a second table: rebuilding that table would fail for its triggers")
    }
  }

  /// The triggers by name.
  func all() throws(LayoutProblem) -> [String: String] {
    var triggers: [String: String] = [:]
    var changes: [SQLiteLedgerChange] = [.insert, .update, .delete, .prune]
    if parents != nil { changes += [.parentInsert, .parentUpdate, .parentDelete] }
    for change in changes { triggers[names.trigger(change)] = try trigger(change) }
    return triggers
  }

  /// The statement that writes down the destinations that are there already.
  func fill() throws(LayoutProblem) -> String? {
    guard let parents else { return nil }
    return """
      INSERT INTO \(quoted(names.parents)) (id, destination) \
      SELECT \(try terms.expand("{\(parents.id)}", "e")), \(try terms.expand("{\(parents.destination)}", "e")) \
      FROM \(try parentTable()) e
      """
  }

  private func trigger(_ change: SQLiteLedgerChange) throws(LayoutProblem) -> String {
    let (event, table, body) = try parts(change)
    let condition = try condition(change).map { " WHEN \($0)" } ?? ""
    return """
      CREATE TRIGGER \(quoted(names.trigger(change))) AFTER \(event) ON \(table)\(condition)
      BEGIN
      \(body.indented(2))
      END
      """
  }

  /// What fires a trigger, the table that it is on, and what it does.
  private func parts(_ change: SQLiteLedgerChange) throws(LayoutProblem) -> (String, String, String) {
    switch change {
    case .insert: ("INSERT", quoted(names.table), try inserted())
    case .update: ("UPDATE", quoted(names.table), try updated())
    case .delete: ("DELETE", quoted(names.table), try deleted())
    case .prune: ("INSERT", quoted(names.journal), prune)
    case .parentInsert: ("INSERT", try parentTable(), try parentWritten())
    case .parentUpdate: ("UPDATE", try parentTable(), try parentGone() + "\n" + parentWritten())
    case .parentDelete: ("DELETE", try parentTable(), try parentGone())
    }
  }

  /// When a trigger has anything to do.
  private func condition(_ change: SQLiteLedgerChange) throws(LayoutProblem) -> String? {
    switch change {
    case .delete: return "\(try terms.phase("OLD")) = 'w'"
    case .prune: return "NEW.id % \(SQLiteLedgerScript.pruneInterval) = 0"
    case .parentUpdate:
      guard let parents else { return nil }
      let changed = try [parents.id, parents.destination].map { (role) throws(LayoutProblem) in
        "\(try terms.expand("{\(role)}", "OLD")) IS NOT \(try terms.expand("{\(role)}", "NEW"))"
      }
      return changed.joined(separator: " OR ")
    default: return nil
    }
  }

  private var into: String { "INSERT INTO \(quoted(names.journal)) (at, kind, destination, latency)" }
  private var now: String { SQLiteLedgerScript.milliseconds }

  /// An event that is written when it is already delivered or dead was enqueued and ended at once.
  private func inserted() throws(LayoutProblem) -> String {
    let (phase, destination) = (try terms.phase("NEW"), try destination("NEW"))
    return """
      \(into)
      SELECT \(now), 'e', \(destination), NULL
      FROM (SELECT \(phase) AS phase) p WHERE phase <> 'g';
      \(into)
      SELECT \(now), phase, \(destination), \(try terms.latency("NEW"))
      FROM (SELECT \(phase) AS phase) p WHERE phase IN ('d', 'x');
      """
  }

  private func updated() throws(LayoutProblem) -> String {
    // A row that ends may lose its destination: it leaves the one that it waited under.
    """
    \(into)
    SELECT \(now), kind,
      CASE WHEN kind IN ('d', 'x', 'c') THEN \(try destination("OLD")) ELSE \(try destination("NEW")) END,
      CASE WHEN kind = 'q' THEN \(try terms.latency("NEW")) WHEN kind IN ('d', 'x', 'c') THEN \(try terms.latency("OLD")) END
    FROM (SELECT \(try terms.transition(from: "OLD", to: "NEW")) AS kind) m WHERE kind IS NOT NULL;
    """
  }

  private func deleted() throws(LayoutProblem) -> String {
    """
    \(into)
    SELECT \(now), \(try terms.removal("OLD")), \(try destination("OLD")), \(try terms.latency("OLD"));
    """
  }

  private var prune: String {
    """
    DELETE FROM \(quoted(names.journal))
    WHERE id IN (SELECT id FROM \(quoted(names.journal)) WHERE id < NEW.id ORDER BY id \
    LIMIT \(2 * SQLiteLedgerScript.pruneInterval))
      AND (id <= NEW.id - \(SQLiteLedgerScript.keptRows) OR at < NEW.at - \(SQLiteLedgerScript.keptTime));
    """
  }

  // MARK: - Destinations in another table

  private func destination(_ row: String) throws(LayoutProblem) -> String {
    guard let parents else { return try terms.destination(row) }
    let reference = try terms.expand(parents.reference, row)
    return terms.destination(
      of: "(SELECT destination FROM \(quoted(names.parents)) WHERE id = \(reference) ORDER BY rowid DESC LIMIT 1)")
  }

  private func parentTable() throws(LayoutProblem) -> String {
    guard let parents, let table = schema.tables[parents.table] else {
      throw .missingTable(role: parents?.table ?? "", name: queue.tables[parents?.table ?? ""]?.name ?? "")
    }
    return quoted(SQLIdentifier.parts(table.reference).last ?? "")
  }

  private func parentWritten() throws(LayoutProblem) -> String {
    guard let parents else { return "" }
    return """
      INSERT INTO \(quoted(names.parents)) (id, destination)
      VALUES (\(try terms.expand("{\(parents.id)}", "NEW")), \(try terms.expand("{\(parents.destination)}", "NEW")));
      """
  }

  private func parentGone() throws(LayoutProblem) -> String {
    guard let parents else { return "" }
    return "DELETE FROM \(quoted(names.parents)) WHERE id = \(try terms.expand("{\(parents.id)}", "OLD"));"
  }

  private func namesATable(_ template: String, depth: Int = 0) throws(LayoutProblem) -> Bool {
    if template.contains("{table:") { return true }
    guard depth < 8 else { return false }
    for (role, column) in queue.columns {
      guard case .expression(let expression) = column.value,
        template.contains("{\(role)}") || template.contains("{\(role).")
      else { continue }
      if try namesATable(expression, depth: depth + 1) { return true }
    }
    return false
  }
}
