import Layouts
import Outbox
import SampleSQL

/// Writes the trigger functions of one watched table.
///
/// A function runs once for a statement, however many rows it changed, and it shields the application: whatever goes
/// wrong in it ends in the one handler, which notes the loss where it can. It takes the lock of what it writes to at once
/// or not at all, and it writes rows of its own only, so there is nothing that two transactions could wait for. A
/// `lock_timeout` would hold for the moments as well in which a table is made longer, which every insert waits for: on a
/// busy machine movements were lost to it.
struct LedgerFunctions {
  let queue: TableQueue
  let schema: QueueSchema
  let names: LedgerNames
  private let terms: LedgerTerms

  init(queue: TableQueue, schema: QueueSchema, rules: LedgerRules, names: LedgerNames) {
    self.queue = queue
    self.schema = schema
    self.names = names
    terms = LedgerTerms(queue: queue, schema: schema, rules: rules, dialect: .postgresql)
  }

  /// The `CREATE FUNCTION` of one change.
  func definition(_ change: LedgerChange) throws(LayoutProblem) -> String {
    let (variables, body, many) = try parts(change)
    let also =
      many.map { statement in
        """

          WHEN no_data_found THEN
            RETURN NULL;
          WHEN too_many_rows THEN
            BEGIN
        \(statement.indented(6))
              RETURN NULL;
            EXCEPTION WHEN OTHERS THEN
        \(noteLoss.indented(6))
              RETURN NULL;
            END;
        """
      } ?? ""
    return """
      CREATE OR REPLACE FUNCTION \(names.function(change))() RETURNS trigger
      LANGUAGE plpgsql SECURITY DEFINER \(settings(change)) AS $ledger$
      #variable_conflict use_column
      DECLARE
        failed text;\(variables)
      BEGIN
      \(body.indented(2))
        RETURN NULL;
      EXCEPTION\(also)
        WHEN OTHERS THEN
      \(noteLoss.indented(4))
          RETURN NULL;
      END $ledger$
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

  /// Plans are kept for the session: one that was made for two rows must not meet a million with a nested loop.
  private func settings(_ change: LedgerChange) -> String {
    "SET search_path = pg_catalog, pg_temp"
      + (change == .update ? " SET enable_nestloop = off" : "")
  }

  private static func lock(_ table: String) -> String { "LOCK TABLE \(table) IN ROW EXCLUSIVE MODE NOWAIT;" }

  /// Begins every insert into the journal.
  private var into: String {
    "\(Self.lock(names.journal)) INSERT INTO \(names.journal) (kind, destination, latency)"
  }

  /// The variables of a function, its statements, and the statement for many rows where that is another one.
  private func parts(_ change: LedgerChange) throws(LayoutProblem) -> (String, String, String?) {
    switch change {
    case .insert: try inserted()
    case .update: try updated()
    case .delete: ("", try deleted(), nil)
    case .truncate: ("", try truncated(), nil)
    case .deadInsert: ("", arrivals("a", "new_rows"), nil)
    case .deadDelete: ("", arrivals("z", "old_rows"), nil)
    }
  }

  /// An event that is written when it is already delivered or dead was enqueued and ended at once. One row, as it mostly
  /// is, is looked at as it is: that costs half of a plan for many.
  private func inserted() throws(LayoutProblem) -> (String, String, String?) {
    // The moment is only of use where a dead letter may come back as a new row.
    let late = schema.tables["dead"] == nil ? "NULL" : try latency("e")
    let single = """
      SELECT * INTO STRICT e FROM new_rows;
      phase := \(try phase("e"));
      IF phase = 'w' THEN
        \(into) VALUES ('E', \(try destination("e")), \(late));
      ELSIF phase <> 'g' THEN
        \(into) VALUES ('e', \(try destination("e")), NULL), (phase, \(try destination("e")), \(try latency("e")));
      END IF;
      """
    let many = """
      \(into)
      SELECT m.kind, \(try destination("e")),
        CASE WHEN m.kind = 'E' THEN \(late) WHEN m.kind <> 'e' THEN \(try latency("e")) END
      FROM new_rows e CROSS JOIN LATERAL (VALUES
        (CASE \(try phase("e")) WHEN 'w' THEN 'E' WHEN 'g' THEN NULL ELSE 'e' END),
        (CASE \(try phase("e")) WHEN 'd' THEN 'd' WHEN 'x' THEN 'x' END)) m (kind)
      WHERE m.kind IS NOT NULL;
      """
    return ("\n  e record;\n  phase \"char\";", single, many)
  }

  /// One row needs no join, and a claim ends after a look at it. A plan for many rows would cost a claim several times as
  /// much.
  private func updated() throws(LayoutProblem) -> (String, String, String?) {
    let transition = try terms.transition(from: "o", to: "e")
    let latency =
      "CASE WHEN \(Self.kind) = 'q' THEN \(try latency("e")) "
      + "WHEN \(Self.kind) IN ('d', 'x', 'c') THEN \(try latency("o")) END"
    let single = """
      SELECT * INTO e FROM new_rows;
      IF NOT FOUND THEN
        RETURN NULL;
      END IF;
      SELECT * INTO STRICT o FROM old_rows;
      movement := \(transition);
      IF movement IS NOT NULL THEN
        \(into)
        VALUES (movement, \(try destination("e")), \(latency.replacing(Self.kind, with: "movement")));
      END IF;
      """
    let many = """
      \(into)
      SELECT m.kind, \(try destination("e")), \(latency.replacing(Self.kind, with: "m.kind"))
      FROM old_rows o JOIN new_rows e ON \(try expand("{id}", "e")) = \(try expand("{id}", "o"))
        CROSS JOIN LATERAL (VALUES (\(transition))) m (kind)
      WHERE m.kind IS NOT NULL;
      """
    return ("\n  e record;\n  o record;\n  movement \"char\";", single, many)
  }

  private static let kind = "$kind$"

  private func deleted() throws(LayoutProblem) -> String {
    """
    \(into)
    SELECT \(try terms.removal("o")), \(try destination("o")), \(try latency("o"))
    FROM old_rows o WHERE \(try phase("o")) = 'w';
    """
  }

  /// What waits is found as a sample finds it.
  private func truncated() throws(LayoutProblem) -> String {
    guard let table = schema.tables[TableQueue.mainTable] else { return "" }
    var selects: [String] = []
    for selection in queue.selections where selection.table == TableQueue.mainTable && selection.state != .dead {
      selects.append(
        """
        SELECT 'c', \(try destination("o", selection.destination)), \(try latency("o"))
        FROM \(table.reference) o WHERE \(try expand(selection.predicate, "o"))
        """)
    }
    return """
      \(into)
      \(selects.joined(separator: "\nUNION ALL\n"));
      """
  }

  private func arrivals(_ kind: String, _ rows: String) -> String {
    "\(into) SELECT '\(kind)', '', NULL FROM \(rows);"
  }

  private func phase(_ row: String) throws(LayoutProblem) -> String { try terms.phase(row) }

  private func latency(_ row: String) throws(LayoutProblem) -> String { try terms.latency(row) }

  private func destination(_ row: String, _ own: String? = nil) throws(LayoutProblem) -> String {
    try terms.destination(row, own)
  }

  private func expand(_ text: String, _ row: String) throws(LayoutProblem) -> String { try terms.expand(text, row) }
}

extension String {
  func indented(_ spaces: Int) -> String {
    let margin = String(repeating: " ", count: spaces)
    return split(separator: "\n", omittingEmptySubsequences: false).map { margin + $0 }.joined(separator: "\n")
  }
}
