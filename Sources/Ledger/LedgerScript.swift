package import Layouts
package import SampleSQL

/// The statements that put a ledger beside one watched table in PostgreSQL, and take it away again.
package struct LedgerScript: Sendable, Hashable {
  /// The version of the journal's form. A reader reads this one only.
  package static let version = 3

  /// What the ledger's objects are called.
  package let names: LedgerNames
  /// Changes where the trigger functions do: tells an older ledger from this one.
  package let definition: String
  /// The triggers that belong to it.
  package let changes: [LedgerChange]
  /// The functions that say what the layout says of a row, without their schema; none where the triggers' own do.
  package let termFunctions: [String]
  /// Columns that the layout names and that the tables have not, quoted. Most are optional; a ledger that was made while they
  /// were there may read them.
  package let absentColumns: [String]
  private let tables: [String: String]
  private let functions: [String]
  private let rights: LedgerRights

  /// The statements for one queue.
  ///
  /// - Throws: the layout says nothing of what changes mean, or does not fit the database.
  package init(queue: TableQueue, schema: QueueSchema) throws(LayoutProblem) {
    guard let rules = queue.ledger else {
      throw .template(
        text: "ledger", problem: "the queue has no `ledger`, which says what the changes of its rows mean")
    }
    guard let main = schema.tables[TableQueue.mainTable] else {
      throw .missingTable(
        role: TableQueue.mainTable, name: queue.tables[TableQueue.mainTable]?.name ?? TableQueue.mainTable)
    }
    names = LedgerNames(reference: main.reference)
    tables = schema.tables.mapValues(\.reference)
    let writer = try LedgerFunctions(queue: queue, schema: schema, rules: rules, names: names)
    changes = LedgerChange.allCases.filter { schema.tables[$0.tableRole] != nil }
    functions = try writer.definitions(changes)
    termFunctions = writer.functionTerms.map(names.functionName)
    rights = LedgerRights(
      names: names, table: main.reference,
      read: try writer.readTables().compactMap { schema.tables[$0]?.reference })
    definition = fingerprint(functions.joined())
    absentColumns = Set(
      queue.columns.values.compactMap { column in
        guard case .column(let name) = column.value, let table = schema.tables[column.table], table.columns[name] == nil
        else { return nil }
        return SQLIdentifier.quoted(name)
      }
    ).sorted()
  }

  /// The statements that install the ledger, to be run in one transaction by a role that owns the table. Run again, they
  /// mend what is missing and replace what is old.
  ///
  /// - Parameters:
  ///   - keepsCounting: true where the ledger there has missed nothing: readers then go on; else they begin anew. Triggers
  ///     that are in force are then left as they are, since readers take a new one for one that was off for a while.
  ///   - keepsJournal: false where the journal there is none that could be written to.
  package func install(keepsCounting: Bool, keepsJournal: Bool) -> [String] {
    let label = SQLIdentifier.literal(names.label, .postgresql)
    let main = SQLIdentifier.literal(tables[TableQueue.mainTable] ?? "", .postgresql)
    let dead = tables["dead"].map { SQLIdentifier.literal($0, .postgresql) } ?? "NULL"
    return [
      // What the functions say is parsed now, as far as the server keeps it parsed.
      "SET LOCAL search_path = pg_catalog, pg_temp",
      // Two installations at a time would both create the schema.
      "SELECT pg_advisory_xact_lock(hashtext('\(LedgerNames.schema)'))",
    ] + locks("SHARE ROW EXCLUSIVE") + shared + (keepsJournal ? [] : ["DROP TABLE IF EXISTS \(names.journal)"]) + [
      """
      CREATE TABLE IF NOT EXISTS \(names.journal) (
        txid xid8 NOT NULL DEFAULT pg_current_xact_id(), latency float8, kind "char" NOT NULL, destination text NOT NULL)
      """,
      """
      ALTER TABLE \(names.journal) SET (
        autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, \(Self.keepsItsLength))
      """,
      "CREATE INDEX IF NOT EXISTS \(names.index) ON \(names.journal) (txid)",
      Self.isDeletedFromUnderPublication(names.journal),
      "REVOKE ALL ON \(names.journal) FROM PUBLIC",
    ]
      + (keepsCounting
        ? [] : ["DELETE FROM \(names.journal)", "DELETE FROM \(LedgerNames.losses) WHERE journal = \(label)"])
      + [
        "DO "
          + """
          DECLARE
            part record;
          BEGIN
          \(refuseTakenNames.indented(2))
          \(Self.dropTriggers(of: label, besides: triggers).indented(2))
          \(Self.dropFunctions(of: label, termsOnly: true).indented(2))
          END
          """.dollarQuoted
      ]
      + functions
      + changes.map { "REVOKE ALL ON FUNCTION \(names.function($0))() FROM PUBLIC" }
      + termFunctions.map {
        "REVOKE ALL ON FUNCTION \(LedgerNames.schema).\(SQLIdentifier.quoted($0)) FROM PUBLIC"
      }
      + changes.map { keepsCounting ? createUnlessInForce($0) : createTrigger($0) }
      + [
        rights.handOver,
        """
        INSERT INTO \(LedgerNames.watched) AS w (journal, relation, dead, version, definition)
        VALUES (\(label), \(main)::regclass, \(dead)::regclass, \(Self.version), '\(definition)')
        ON CONFLICT (journal) DO UPDATE SET relation = excluded.relation, dead = excluded.dead, version = excluded.version,
          definition = excluded.definition\(keepsCounting ? "" : """
          , cluster = excluded.cluster, installation = excluded.installation,
            purged = excluded.purged, installed_at = excluded.installed_at
          """)
        """,
      ]
  }

  /// The statements that remove the ledger of this table, those that tables left which are gone, and what ledgers share
  /// once the last one goes.
  package var removal: [String] {
    let table = tables[TableQueue.mainTable] ?? ""
    return locks("ACCESS EXCLUSIVE") + [
      Self.removal(
        of: SQLIdentifier.literal(names.label, .postgresql),
        orRelation: SQLIdentifier.literal(table, .postgresql) + "::regclass")
    ]
  }

  /// The application's tables. Only the first is waited for: whoever holds one lock and waits for the next, for longer than
  /// `deadlock_timeout`, may be the other half of a deadlock that the application is chosen to die of.
  private func locks(_ mode: String) -> [String] {
    let all = [TableQueue.mainTable, "dead"].compactMap { tables[$0] }.map { "LOCK TABLE \($0) IN \(mode) MODE" }
    return [all[0], "SET LOCAL lock_timeout = '10ms'"] + all.dropFirst()
  }

  /// The statement that removes the ledgers that tables left which are gone.
  package static let leftoversRemoval = removal(of: "NULL::text", orRelation: "NULL")

  /// The tables whose ledgers are left although they are gone themselves.
  package static let leftovers = """
    SELECT w.journal FROM \(LedgerNames.watched) w
    WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.relation) ORDER BY 1
    """

  /// Ledgers that were made for a table which is called like this one's now, or is gone: they would be removed with it.
  package var others: String {
    """
    SELECT w.journal FROM \(LedgerNames.watched) w WHERE w.journal <> \(SQLIdentifier.literal(names.label, .postgresql))
      AND (w.relation = \(SQLIdentifier.literal(tables[TableQueue.mainTable] ?? "", .postgresql))::regclass
        OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.relation)) ORDER BY 1
    """
  }

  /// A ledger is known by what it was called when it was made, or by the table that it is on, whatever that is called
  /// now. What belongs to it is found by its functions.
  private static func removal(of label: String, orRelation relation: String) -> String {
    "DO "
      + """
      DECLARE
        labels text[] := ARRAY[\(label)];
        label text;
        part record;
      BEGIN
        IF to_regnamespace('\(LedgerNames.schema)') IS NULL THEN
          RETURN;
        END IF;
        IF to_regclass('\(LedgerNames.watched)') IS NOT NULL THEN
          labels := labels || ARRAY(SELECT w.journal FROM \(LedgerNames.watched) w WHERE w.relation = \(relation)
            OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.relation));
        END IF;
        FOREACH label IN ARRAY labels LOOP
          CONTINUE WHEN label IS NULL;
      \(dropTriggers(of: "label").indented(4))
      \(dropFunctions(of: "label").indented(4))
          IF to_regclass(format('\(LedgerNames.schema).%I', label)) IS NOT NULL THEN
            EXECUTE format('DROP TABLE \(LedgerNames.schema).%I', label);
          END IF;
          IF to_regclass('\(LedgerNames.watched)') IS NOT NULL THEN
            DELETE FROM \(LedgerNames.watched) WHERE journal = label;
            DELETE FROM \(LedgerNames.losses) WHERE journal = label;
            DELETE FROM \(LedgerNames.readers) WHERE journal = label;
          END IF;
        END LOOP;
        IF to_regclass('\(LedgerNames.watched)') IS NOT NULL AND NOT EXISTS (SELECT FROM \(LedgerNames.watched)) THEN
          DROP FUNCTION \(LedgerNames.purge)(text, text, xid8, integer);
          DROP TABLE \(LedgerNames.watched), \(LedgerNames.losses), \(LedgerNames.readers);
          DROP SEQUENCE IF EXISTS \(LedgerNames.unnoted);
          DROP SCHEMA \(LedgerNames.schema);
        ELSIF to_regclass('\(LedgerNames.losses)') IS NOT NULL THEN
      \(LedgerRights.takeBack.indented(4))
        END IF;
      END
      """.dollarQuoted
  }

  /// Drops the triggers that run the functions of a ledger: also those on a table that was called like this one before.
  ///
  /// - Parameter kept: tables and names of triggers that stay.
  private static func dropTriggers(of label: String, besides kept: String? = nil) -> String {
    """
    FOR part IN SELECT t.tgname, t.tgrelid::regclass AS relation FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid
      WHERE \(isFunction(of: label))\(kept.map { " AND (t.tgrelid, t.tgname) NOT IN (\($0))" } ?? "")
    LOOP
      EXECUTE format('DROP TRIGGER %I ON %s', part.tgname, part.relation);
    END LOOP;
    """
  }

  /// Drops the functions of a ledger, whatever they take.
  ///
  /// - Parameter termsOnly: leaves those that triggers run.
  private static func dropFunctions(of label: String, termsOnly: Bool = false) -> String {
    """
    FOR part IN SELECT f.oid::regprocedure AS name FROM pg_proc f
      WHERE \(isFunction(of: label))\(termsOnly ? " AND f.prorettype <> 'trigger'::regtype" : "")
    LOOP
      EXECUTE format('DROP FUNCTION %s', part.name);
    END LOOP;
    """
  }

  /// The triggers by their tables and names.
  private var triggers: String {
    changes.map {
      "(\(SQLIdentifier.literal(table(of: $0), .postgresql))::regclass, '\(names.trigger($0))')"
    }.joined(separator: ", ")
  }

  /// A trigger of the application's own would be replaced.
  private var refuseTakenNames: String {
    """
    FOR part IN SELECT t.tgname, t.tgrelid::regclass AS relation FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid
      WHERE (t.tgrelid, t.tgname) IN (\(triggers)) AND f.pronamespace <> '\(LedgerNames.schema)'::regnamespace
    LOOP
      RAISE EXCEPTION 'the table % has a trigger % that is no ledger''s: rename it', part.relation, part.tgname
        USING ERRCODE = 'duplicate_object';
    END LOOP;
    """
  }

  /// Selects those of ``absentColumns`` that the functions of the ledger which is there read.
  package var missedColumns: String {
    let columns = absentColumns.map { SQLIdentifier.literal($0, .postgresql) }.joined(separator: ", ")
    return """
      SELECT string_agg(name, ', ' ORDER BY name) FROM unnest(ARRAY[\(columns)]::text[]) name WHERE EXISTS (SELECT FROM pg_proc f
        WHERE strpos(f.prosrc, name) > 0 AND \(Self.isFunction(of: SQLIdentifier.literal(names.label, .postgresql))))
      """
  }

  static func isFunction(of label: String) -> String {
    let names = LedgerChange.allCases.map(\.rawValue) + LedgerTerm.allCases.map(\.rawValue) + former
    return """
      f.pronamespace = '\(LedgerNames.schema)'::regnamespace AND f.proname IN
              (\(functionNames(names, of: label)))
      """
  }

  /// What functions of a ledger of an earlier version are called that this one has no more.
  private static let former = ["insert movement", "update movement", "delete movement"]

  /// Selects the names of functions of a ledger by what stands behind its label.
  static func functionNames(_ names: [String], of label: String) -> String {
    "SELECT \(label) || ' ' || name FROM unnest(ARRAY[\(names.map { "'\($0)'" }.joined(separator: ", "))]) name"
  }

  /// What the role that samples needs besides, to read the ledger and to throw away what it has read.
  package func grants(to role: String) -> [String] {
    let grantee = SQLIdentifier.quoted(role)
    return [
      "GRANT USAGE ON SCHEMA \(LedgerNames.schema) TO \(grantee)",
      "GRANT SELECT ON \(LedgerNames.watched), \(LedgerNames.losses), \(LedgerNames.unnoted), \(names.journal) TO \(grantee)",
      "GRANT EXECUTE ON FUNCTION \(LedgerNames.purge)(text, text, xid8, integer) TO \(grantee)",
    ]
  }

  /// The columns of a journal as PostgreSQL tells them, without quotes, with a sign behind those that may be NULL.
  package static let journalColumns =
    "txid xid8, latency double precision?, kind char, destination text"

  /// The table that the trigger of a change is on, quoted.
  package func table(of change: LedgerChange) -> String { tables[change.tableRole] ?? "" }

  /// Selects the triggers that are in force: name, owner of the function, whether that role is the table's too (`is_foreign`)
  /// and may do what the function does (`suffices`), and what changes when the trigger is switched off and on (`version`).
  package var triggersInForce: String {
    let main = SQLIdentifier.literal(tables[TableQueue.mainTable] ?? "", .postgresql)
    let all = changes.map { change in
      let function = SQLIdentifier.literal(names.functionName(change), .postgresql)
      return
        "(\(SQLIdentifier.literal(table(of: change), .postgresql))::regclass, '\(names.trigger(change))', \(function))"
    }
    return """
      SELECT t.tgname AS name, t.xmin AS version, pg_get_userbyid(f.proowner)::text AS owner,
        f.proowner <> (SELECT c.relowner FROM pg_class c WHERE c.oid = \(main)::regclass) AS is_foreign,
        \(rights.suffice.indented(2)) AS suffices
      FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace n ON n.oid = f.pronamespace
      WHERE n.nspname = '\(LedgerNames.schema)' AND t.tgenabled IN ('O', 'A')
        AND (t.tgrelid, t.tgname, f.proname) IN (\(all.joined(separator: ", ")))
      """
  }

  /// True where dead letters have a table of their own.
  package var hasDeadTable: Bool { tables["dead"] != nil }

  /// What the triggers cannot keep from the application, for whoever decides on them.
  package static let unshielded = [
    "A full disk, a cancelled statement, its statement_timeout, a terminated session and a crash end the application's "
      + "transaction, inside a trigger as anywhere else.",
    "A statement that changes more rows than work_mem holds writes them to temporary files for the triggers, once or twice: "
      + "under a temp_file_limit that it kept without them it may fail.",
    "A constraint or a trigger that somebody puts on the ledger's tables and that is DEFERRABLE may fail the application at "
      + "commit.",
    "A lock on an index of the journal alone, as ALTER INDEX takes, is waited for.",
    "Nothing else that goes wrong in a trigger reaches the application: the movement is lost, the loss is noted, and "
      + "the counters begin anew.",
    "Changes under session_replication_role = replica (logical replication), with triggers disabled, or written to a "
      + "partition by its own name are not seen.",
  ]

  private func createUnlessInForce(_ change: LedgerChange) -> String {
    let table = SQLIdentifier.literal(table(of: change), .postgresql)
    let function = SQLIdentifier.literal("\(names.function(change))()", .postgresql)
    return "DO "
      + """
      BEGIN
        IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = \(table)::regclass AND t.tgname = '\(names.trigger(change))'
            AND t.tgfoid = \(function)::regprocedure AND t.tgenabled IN ('O', 'A')) THEN
          \(createTrigger(change));
        END IF;
      END
      """.dollarQuoted
  }

  private func createTrigger(_ change: LedgerChange) -> String {
    let event =
      switch change {
      case .insert, .deadInsert: "AFTER INSERT ON \(tables[change.tableRole] ?? "") REFERENCING NEW TABLE AS new_rows"
      case .update:
        "AFTER UPDATE ON \(tables[change.tableRole] ?? "") REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"
      case .delete, .deadDelete: "AFTER DELETE ON \(tables[change.tableRole] ?? "") REFERENCING OLD TABLE AS old_rows"
      case .truncate: "BEFORE TRUNCATE ON \(tables[change.tableRole] ?? "")"
      }
    // Other than dropping it first, this leaves the table's readers alone.
    return
      "CREATE OR REPLACE TRIGGER \(names.trigger(change)) \(event) FOR EACH STATEMENT EXECUTE FUNCTION \(names.function(change))()"
  }
}
