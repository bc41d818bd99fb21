import Layouts
import Outbox
import SampleSQL

/// Writes the functions of one watched table: those that its triggers run, and those that say what the layout says of a row.
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
///
/// What costs most after that is to make expressions ready, which is done anew for each statement, whether they are
/// computed or not. So a trigger asks one thing after the other, and nothing that the answers before have made needless.
struct LedgerFunctions {
  private let queue: TableQueue
  private let schema: QueueSchema
  private let names: LedgerNames
  private let terms: LedgerTerms
  /// The columns that the layout's terms need; nil where a function cannot be given them.
  private let columns: [LedgerColumn]?
  /// What each term's function takes: columns of the row before a change (0), and of the only row or the one after it (1).
  private let parameters: [LedgerTerm: [(row: Int, column: LedgerColumn)]]

  init(queue: TableQueue, schema: QueueSchema, rules: LedgerRules, names: LedgerNames) throws(LayoutProblem) {
    self.queue = queue
    self.schema = schema
    self.names = names
    terms = LedgerTerms(queue: queue, schema: schema, rules: rules, dialect: .postgresql)
    let columns = try terms.columns()
    self.columns = columns
    var parameters: [LedgerTerm: [(row: Int, column: LedgerColumn)]] = [:]
    for term in LedgerTerm.allCases {
      let sql = try Self.sql(of: term, Self.rows, terms)
      parameters[term] = Self.rows.indices.flatMap { row in
        (columns ?? []).filter { sql.contains("\(Self.rows[row]).\(SQLIdentifier.quoted($0.name))") }.map { (row, $0) }
      }
    }
    self.parameters = parameters
  }

  /// The terms that have functions of their own.
  var functionTerms: [LedgerTerm] { columns == nil ? [] : LedgerTerm.allCases }

  /// The roles of the tables that the functions select from.
  func readTables() throws(LayoutProblem) -> [String] { try terms.readTables() }

  /// The `CREATE FUNCTION`s: those of the terms, then those that the triggers of some changes run.
  func definitions(_ changes: [LedgerChange]) throws(LayoutProblem) -> [String] {
    var definitions: [String] = []
    for term in functionTerms { definitions.append(try function(term)) }
    for change in changes { definitions.append(try trigger(change)) }
    return definitions
  }

  // MARK: - Terms

  private func function(_ term: LedgerTerm) throws(LayoutProblem) -> String {
    let parameters = parameters[term, default: []]
    var terms = terms
    for (index, parameter) in parameters.enumerated() {
      terms.references[Self.rows[parameter.row], default: [:]][parameter.column.name] = "$\(index + 1)"
    }
    // With names: what pg_dump prints of a function without could not be read again.
    let types = parameters.enumerated().map { "p\($0 + 1) \($1.column.type)" }
    return """
      CREATE FUNCTION \(names.function(term))(\(types.joined(separator: ", "))) RETURNS \(term.type) LANGUAGE sql STABLE
      RETURN \(try typed(term, Self.rows, terms))
      """
  }

  /// What decides whether a row waits is refused unless it is a truth, and not made one.
  private func typed(_ term: LedgerTerm, _ rows: [String], _ terms: LedgerTerms) throws(LayoutProblem) -> String {
    "(\(try Self.sql(of: term, rows, terms)))" + (term == .waiting ? "" : "::\(term.type)")
  }

  private static let rows = ["o", "e"]

  private static func sql(
    of term: LedgerTerm, _ rows: [String], _ terms: LedgerTerms
  ) throws(LayoutProblem) -> String {
    let row = rows[rows.count - 1]
    return switch term {
    case .waiting: try terms.waits(row)
    case .kept: try terms.kept(from: rows[0], to: row)
    case .ended: try terms.ended(row)
    case .removed: try terms.removal(row)
    case .due: try terms.due(row)
    case .destination: try terms.destination(row)
    }
  }

  /// A term of a row, or of a row before and after a change.
  private func say(_ term: LedgerTerm, _ rows: String...) throws(LayoutProblem) -> String {
    if columns == nil { return try typed(term, rows, terms) }
    // Of one row alone it is the only one that a term can name.
    let arguments = parameters[term, default: []].map { $0.column.argument(of: rows[min($0.row, rows.count - 1)]) }
    return "\(names.function(term))(\(arguments.joined(separator: ", ")))"
  }

  // MARK: - Triggers

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

  /// The sequence is the last resort, and what is taken from it stays taken. Only `ALTER SEQUENCE` is waited for, for a moment.
  private var noteLoss: String {
    """
    failed := SQLSTATE;
    BEGIN
      \(Self.lock(LedgerNames.losses))
      INSERT INTO \(LedgerNames.losses) (journal, sqlstate)
      VALUES (\(SQLIdentifier.literal(names.label, .postgresql)), failed);
    EXCEPTION WHEN OTHERS THEN
      BEGIN
        PERFORM pg_catalog.set_config('lock_timeout', '10ms', true);
        PERFORM pg_catalog.nextval('\(LedgerNames.unnoted)') FROM pg_catalog.generate_series(1, \(LedgerNames.unnotedStep));
        -- Takes the setting back, and leaves the sequence.
        RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception';
      EXCEPTION
        WHEN triggered_action_exception THEN
          RAISE LOG 'outbox_ledger: a movement is lost (SQLSTATE %)', failed;
        WHEN OTHERS THEN
          RAISE LOG 'outbox_ledger: a movement is lost (SQLSTATE %), and nothing says so (SQLSTATE %)', failed, SQLSTATE;
      END;
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
    case .insert: try inserted()
    case .update: try updated()
    case .delete: try deleted()
    case .truncate: ("", try truncated(), nil)
    case .deadInsert: try deadLetters("a", "new_rows")
    case .deadDelete: try deadLetters("z", "old_rows")
    }
  }

  /// How long ago a moment was. A function that looks at the clock could not be put into the plan of what calls it.
  private static func since(_ moment: String) -> String {
    "pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.-) \(moment)"
  }

  /// A letter of the journal, compared or written.
  private static func letter(_ letter: String) -> String { "'\(letter)'::pg_catalog.\"char\"" }

  /// Nearly all rows are written to wait, and of these no more is computed than the journal needs. One that is not has no
  /// destination here, which the journal refuses: an event that is written when it is already delivered or dead was
  /// enqueued and ended at once. What no rule knows need not even have a destination that can be computed.
  private func inserted() throws(LayoutProblem) -> (String, String, (String, String)?) {
    let (waits, destination, ended) = (try say(.waiting, "e"), try say(.destination, "e"), try say(.ended, "e"))
    // The moment is only of use where a dead letter may come back as a new row.
    let late = schema.tables["dead"] == nil ? "NULL" : Self.since(try say(.due, "e"))
    let lateWhereItWaits = late == "NULL" ? late : "CASE WHEN \(waits) THEN \(late) END"
    func isEnded(_ letter: String) -> String { "\(ended) OPERATOR(pg_catalog.=) \(Self.letter(letter))" }
    return (
      "",
      """
      \(into)
      SELECT \(Self.letter("E")), CASE WHEN \(waits) THEN \(destination) END, \(lateWhereItWaits) FROM new_rows e;
      """,
      (
        "not_null_violation",
        """
        \(into)
        SELECT m.kind, \(destination),
          CASE WHEN m.kind OPERATOR(pg_catalog.=) \(Self.letter("E")) THEN \(late) ELSE \(Self.since(try say(.due, "e"))) END
        FROM new_rows e CROSS JOIN LATERAL (SELECT CASE WHEN \(waits) THEN \(Self.letter("E"))
          WHEN \(isEnded("d")) THEN \(Self.letter("b")) WHEN \(isEnded("x")) THEN \(Self.letter("y")) END AS kind) m
        WHERE m.kind IS NOT NULL;
        """
      )
    )
  }

  /// An event that ends was waiting for its destination of before.
  ///
  /// One row needs no join. A plan for many rows would cost a claim several times as much. A session that was there before
  /// a column got another type cannot look at one row any more, but at many.
  ///
  /// Many are paired as they come: the server writes both sides of a change down together (`AfterTriggerSaveEvent`), and an
  /// identifier may be changed itself, or be shared by the rows of several tenants. One side without the other, as where a
  /// trigger of a partition keeps a row from moving there, is a loss.
  ///
  /// Plans are kept for the session, and one that was made for two rows must not meet a million with a nested loop: a full
  /// join never is one, and what asks for both of its sides is written so that the planner does not see through it.
  private func updated() throws(LayoutProblem) -> (String, String, (String, String)?) {
    let (waited, waits) = (try say(.waiting, "o"), try say(.waiting, "e"))
    let (kept, ended) = (try say(.kept, "o", "e"), try say(.ended, "e"))
    let single = """
      SELECT * INTO e FROM new_rows LIMIT 1;
      IF NOT FOUND THEN
        IF EXISTS (SELECT FROM old_rows) THEN
          \(Self.doNotPair)
        END IF;
        RETURN NULL;
      END IF;
      SELECT * INTO STRICT o FROM old_rows;
      IF \(waited) THEN
        IF \(waits) THEN
          kind := \(kept);
        ELSE
          kind := \(ended);
          due := \(try say(.due, "o"));
          destination := \(try say(.destination, "o"));
        END IF;
      ELSIF \(waits) THEN
        kind := \(Self.letter("q"));
        due := \(try say(.due, "e"));
      END IF;
      IF kind IS NOT NULL THEN
        \(into)
        VALUES (kind, COALESCE(destination, \(try say(.destination, "e"))), CASE WHEN due IS NOT NULL THEN \(Self.since("due")) END);
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
      \(into)
      SELECT m.kind, m.destination, CASE WHEN m.due IS NOT NULL THEN \(Self.since("m.due")) END
      FROM \(numbered("old_rows")) o FULL JOIN \(numbered("new_rows")) e ON e.\(number) OPERATOR(pg_catalog.=) o.\(number)
        CROSS JOIN LATERAL (SELECT
          CASE WHEN \(waited) THEN CASE WHEN \(waits) THEN \(kept) ELSE \(ended) END
            WHEN \(waits) THEN \(Self.letter("q")) END AS kind,
          CASE WHEN \(waited) THEN CASE WHEN \(waits) THEN NULL ELSE \(try say(.due, "o")) END
            WHEN \(waits) THEN \(try say(.due, "e")) END AS due,
          CASE WHEN \(waits) THEN \(try say(.destination, "e")) ELSE \(try say(.destination, "o")) END AS destination) m
      WHERE m.kind IS NOT NULL AND COALESCE(o.\(number) IS NOT NULL AND e.\(number) IS NOT NULL, false);
      """
    return (
      """

        e pg_catalog.record;
        o pg_catalog.record;
        kind pg_catalog."char";
        due pg_catalog.float8;
        destination pg_catalog.text;
      """, single, ("too_many_rows OR datatype_mismatch", many)
    )
  }

  private static let rowNumber = "place in the statement"
  private static let doNotPair = "RAISE EXCEPTION USING ERRCODE = 'cardinality_violation';"

  /// One row that did not wait, as most that are pruned, is left alone after a look at it.
  private func deleted() throws(LayoutProblem) -> (String, String, (String, String)?) {
    let values = "\(try say(.removed, "o")), \(try say(.destination, "o")), \(Self.since(try say(.due, "o")))"
    return (
      "\n  o pg_catalog.record;",
      """
      SELECT * INTO STRICT o FROM old_rows;
      IF \(try say(.waiting, "o")) THEN
        \(into)
        VALUES (\(values));
      END IF;
      """,
      (
        "no_data_found OR too_many_rows OR datatype_mismatch",
        """
        IF NOT EXISTS (SELECT FROM old_rows) THEN
          RETURN NULL;
        END IF;
        \(into)
        SELECT \(values) FROM old_rows o WHERE \(try say(.waiting, "o"));
        """
      )
    )
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
