import Layouts
import Outbox
import SampleSQL

/// Writes the functions of one watched table: those that its triggers run, and those that say what a change of a row means.
///
/// A trigger's function runs once for a statement, however many rows it changed, and it shields the application: whatever
/// goes wrong in it ends in the one handler, which notes the loss where it can. It takes the lock of what it writes to at
/// once or not at all, and it writes rows of its own only, so there is nothing that two transactions could wait for. A
/// `lock_timeout` would hold for the moments as well in which a table is made longer, which every insert waits for: on a
/// busy machine movements were lost to it.
///
/// It runs with its owner's rights, whatever search path its caller has set, so it names no operator and no type but by
/// its schema. What the layout says of a row is in functions whose bodies the server keeps parsed, and puts into the plan:
/// to set a search path was the dearest thing that a trigger did. They take the columns by types that every database has,
/// so that no change of the table is refused for them. Where that cannot be done the trigger's function sets one after all.
struct LedgerFunctions {
  private let queue: TableQueue
  private let schema: QueueSchema
  private let names: LedgerNames
  private let terms: LedgerTerms
  /// The columns that the layout's terms need; nil where a function cannot be given them.
  private let columns: [LedgerColumn]?

  init(queue: TableQueue, schema: QueueSchema, rules: LedgerRules, names: LedgerNames) throws(LayoutProblem) {
    self.queue = queue
    self.schema = schema
    self.names = names
    terms = LedgerTerms(queue: queue, schema: schema, rules: rules, dialect: .postgresql)
    columns = try terms.columns()
  }

  /// True where what a change means is in a function of its own.
  func hasMovementFunction(_ change: LedgerChange) -> Bool { columns != nil && !rows(of: change).isEmpty }

  /// The roles of the tables that the functions select from.
  func readTables() throws(LayoutProblem) -> [String] { try terms.readTables() }

  /// The `CREATE FUNCTION`s of one change.
  func definitions(_ change: LedgerChange) throws(LayoutProblem) -> [String] {
    var definitions: [String] = []
    if let columns, let body = try movement(change) {
      let rows = rows(of: change)
      let all = rows.flatMap { row in columns.map { (row: row, column: $0) } }
      // With names: what pg_dump prints of a function without could not be read again.
      let parameters = all.enumerated().map { "p\($0 + 1) \($1.column.type)" }
      let sources = rows.map { row in
        let selected = all.enumerated().filter { $1.row == row }
          .map { "$\($0 + 1) AS \(SQLIdentifier.quoted($1.column.name))" }
        return "(SELECT \(selected.joined(separator: ", "))) \(row)"
      }
      definitions.append(
        """
        CREATE FUNCTION \(names.movement(change))(\(parameters.joined(separator: ", ")))
        RETURNS TABLE (kind "char", destination text, due float8) LANGUAGE sql STABLE ROWS 1
        BEGIN ATOMIC
          \(body)
          FROM \(sources.joined(separator: ", "));
        END
        """)
    }
    definitions.append(try trigger(change))
    return definitions
  }

  private func trigger(_ change: LedgerChange) throws(LayoutProblem) -> String {
    let (variables, body, other) = try parts(change)
    let also =
      other.map { (conditions, statement) in
        """

          WHEN \(conditions) THEN
            BEGIN
        \(statement.indented(6))
              RETURN NULL;
            EXCEPTION WHEN OTHERS THEN
        \(noteLoss.indented(6))
              RETURN NULL;
            END;
        """
      } ?? ""
    let setsPath = columns == nil || change == .truncate || change.tableRole == "dead"
    let source = """
      #variable_conflict use_column
      DECLARE
        failed pg_catalog.text;\(variables)
      BEGIN
      \(body.indented(2))
        RETURN NULL;
      EXCEPTION\(also)
        WHEN OTHERS THEN
      \(noteLoss.indented(4))
          RETURN NULL;
      END
      """
    return """
      CREATE OR REPLACE FUNCTION \(names.function(change))() RETURNS trigger
      LANGUAGE plpgsql SECURITY DEFINER\(setsPath ? " SET search_path = pg_catalog, pg_temp" : "") AS \(source.dollarQuoted)
      """
  }

  private var noteLoss: String {
    """
    failed := SQLSTATE;
    BEGIN
      \(Self.lock(LedgerNames.losses))
      INSERT INTO \(LedgerNames.losses) (journal, sqlstate)
      VALUES (\(SQLIdentifier.literal(names.label, .postgresql)), failed);
    EXCEPTION WHEN OTHERS THEN
      RAISE LOG 'outbox_ledger: a movement is lost (SQLSTATE %)', failed;
    END;
    """
  }

  private static func lock(_ table: String) -> String { "LOCK TABLE \(table) IN ROW EXCLUSIVE MODE NOWAIT;" }

  /// Begins every insert into the journal.
  private var into: String {
    "\(Self.lock(names.journal)) INSERT INTO \(names.journal) (kind, destination, latency)"
  }

  /// The variables of a trigger's function, its statements, and on which conditions others take their place.
  private func parts(
    _ change: LedgerChange
  ) throws(LayoutProblem) -> (variables: String, body: String, other: (conditions: String, statements: String)?) {
    switch change {
    case .insert: ("", try written(change, "new_rows e"), nil)
    case .update: try updated()
    case .delete: ("", try written(change, "old_rows o"), nil)
    case .truncate: ("", try truncated(), nil)
    case .deadInsert: try deadLetters("a", "new_rows")
    case .deadDelete: try deadLetters("z", "old_rows")
    }
  }

  /// What is written down of ``movement(_:)``. The clock is looked at here, since a function that does could not be put into
  /// the plan of the statement that calls it, and only where it matters, since that takes as long as to lock the journal.
  private static let noted =
    "m.kind, m.destination, CASE WHEN m.due IS NOT NULL THEN "
    + "pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.-) m.due END"

  /// Writes down what the rows of a change mean.
  private func written(
    _ change: LedgerChange, _ rows: String, where condition: String = ""
  ) throws(LayoutProblem) -> String {
    """
    \(into)
    SELECT \(Self.noted)
    FROM \(rows) CROSS JOIN LATERAL \(try meaning(change)) m
    WHERE m.kind IS NOT NULL\(condition);
    """
  }

  /// One row needs no join, and a claim ends after a look at it. A plan for many rows would cost a claim several times as
  /// much. A session that was there before a column got another type cannot look at one row any more, but at many.
  ///
  /// Many are paired as they come: the server writes both sides of a change down together (`AfterTriggerSaveEvent`), and an
  /// identifier may be changed itself, or be shared by the rows of several tenants. One side without the other, as where a
  /// trigger of a partition keeps a row from moving there, is a loss.
  ///
  /// Plans are kept for the session, and one that was made for two rows must not meet a million with a nested loop: a full
  /// join never is one, and what asks for both of its sides is written so that the planner does not see through it.
  private func updated() throws(LayoutProblem) -> (String, String, (String, String)?) {
    let single = """
      SELECT * INTO e FROM new_rows LIMIT 1;
      IF NOT FOUND THEN
        IF EXISTS (SELECT FROM old_rows) THEN
          \(Self.doNotPair)
        END IF;
        RETURN NULL;
      END IF;
      SELECT * INTO STRICT o FROM old_rows;
      SELECT \(Self.noted) AS latency INTO m FROM \(try meaning(.update)) m;
      IF m.kind IS NOT NULL THEN
        \(into)
        VALUES (m.kind, m.destination, m.latency);
      END IF;
      """
    let number = SQLIdentifier.quoted(Self.rowNumber)
    // Without columns that nothing needs, one of which might be called like the number.
    let needed = columns?.map { ", r." + SQLIdentifier.quoted($0.name) }.joined() ?? ", r.*"
    func numbered(_ rows: String) -> String {
      "(SELECT pg_catalog.row_number() OVER () AS \(number)\(needed) FROM \(rows) r)"
    }
    let many = """
      IF (SELECT pg_catalog.count(*) FROM old_rows) OPERATOR(pg_catalog.<>) (SELECT pg_catalog.count(*) FROM new_rows) THEN
        \(Self.doNotPair)
      END IF;
      \(try written(
        .update,
        "\(numbered("old_rows")) o FULL JOIN \(numbered("new_rows")) e ON e.\(number) OPERATOR(pg_catalog.=) o.\(number)",
        where: " AND COALESCE(o.\(number) IS NOT NULL AND e.\(number) IS NOT NULL, false)"))
      """
    return (
      "\n  e pg_catalog.record;\n  o pg_catalog.record;\n  m pg_catalog.record;", single,
      ("too_many_rows OR datatype_mismatch", many)
    )
  }

  private static let rowNumber = "place in the statement"
  private static let doNotPair = "RAISE EXCEPTION USING ERRCODE = 'cardinality_violation';"

  /// What a changed row means, as something to select from.
  private func meaning(_ change: LedgerChange) throws(LayoutProblem) -> String {
    guard let columns else { return "(\(try movement(change) ?? ""))" }
    let arguments = rows(of: change).flatMap { row in columns.map { $0.argument(of: row) } }
    return "\(names.movement(change))(\(arguments.joined(separator: ", ")))"
  }

  /// Selects the letter, the destination and the first due time where it matters; nil where the rows do not.
  private func movement(_ change: LedgerChange) throws(LayoutProblem) -> String? {
    let (kind, row, due): (String, String, String)
    switch change {
    case .insert:
      // The moment is only of use where a dead letter may come back as a new row.
      let late = schema.tables["dead"] == nil ? "NULL" : try terms.due("e")
      (kind, row) = (try terms.arrival("e"), "e")
      due = "CASE WHEN \(try terms.waits("e")) THEN \(late) ELSE \(try terms.due("e")) END"
    case .update:
      (kind, row) = (try terms.transition(from: "o", to: "e"), "e")
      due = try terms.due(from: "o", to: "e")
    case .delete:
      (kind, row) = ("CASE WHEN \(try terms.waits("o")) THEN \(try terms.removal("o")) END", "o")
      due = try terms.due("o")
    case .truncate, .deadInsert, .deadDelete: return nil
    }
    let destination = try terms.destination(row)
    return "SELECT (\(kind))::\"char\" AS kind, \(destination) AS destination, (\(due))::float8 AS due"
  }

  private func rows(of change: LedgerChange) -> [String] {
    switch change {
    case .insert: ["e"]
    case .update: ["o", "e"]
    case .delete: ["o"]
    case .truncate, .deadInsert, .deadDelete: []
    }
  }

  /// What waits is found as a sample finds it.
  private func truncated() throws(LayoutProblem) -> String {
    guard let table = schema.tables[TableQueue.mainTable] else { return "" }
    var selects: [String] = []
    for selection in queue.selections where selection.table == TableQueue.mainTable && selection.state != .dead {
      selects.append(
        """
        SELECT 'c', \(try terms.destination("o", selection.destination)), \(try terms.latency("o"))
        FROM \(table.reference) o WHERE \(try expand(selection.predicate, "o"))
        """)
    }
    return """
      \(into)
      \(selects.joined(separator: "\nUNION ALL\n"));
      """
  }

  /// A dead letter says no more than its destination. Where it cannot, since the table was altered, it says nothing.
  private func deadLetters(
    _ kind: String, _ rows: String
  ) throws(LayoutProblem) -> (String, String, (String, String)?) {
    let plain = "\(into) SELECT '\(kind)', '', NULL FROM \(rows);"
    guard let selection = queue.selections.first(where: { $0.table == "dead" }) else { return ("", plain, nil) }
    let destination = try terms.destination("r", selection.destination)
    return (
      "", "\(into) SELECT '\(kind)', \(destination), NULL FROM \(rows) r;",
      ("undefined_column OR datatype_mismatch", plain)
    )
  }

  private func expand(_ text: String, _ row: String) throws(LayoutProblem) -> String { try terms.expand(text, row) }
}

extension String {
  /// As a literal without an escape in it, whatever it holds.
  var dollarQuoted: String {
    var tag = "$ledger$"
    while contains(tag) { tag = "$_" + tag.dropFirst() }
    return "\(tag)\n\(self) \(tag)"
  }

  func indented(_ spaces: Int) -> String {
    let margin = String(repeating: " ", count: spaces)
    return split(separator: "\n", omittingEmptySubsequences: false).map { margin + $0 }.joined(separator: "\n")
  }
}
