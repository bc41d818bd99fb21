import Ledger
import Outbox
import PostgreSQLClient
import SampleSQL

/// What the catalogues say of the ledger beside one table. They are readable by every role.
struct PostgreSQLLedgerCatalog {
  /// What belongs to the ledger and is not there, or not as it was made.
  private(set) var missing: [String] = []
  /// What somebody put on the ledger's tables that is checked at commit, where no trigger shields the application; nil where
  /// there is nothing.
  private(set) var deferred: String?
  /// True where anything of the ledger is there.
  private(set) var isThere = false
  /// True where a journal is there that can be written to.
  private(set) var hasJournal = false
  /// True where our role may read the ledger.
  private(set) var isReadable = false
  /// The role that rules the function which throws away what was read, where ours is a superuser and must not run it; empty
  /// where ours may.
  private var purging: String?
  /// What the layout names that is no table, which can have no ledger; nil where all are.
  private(set) var relationWithoutRows: String?
  /// The role whose rights the triggers have where that is not the table's owner; nil where it is.
  private(set) var foreignOwner: String?
  /// True where that role is a superuser, whose rights the table's owner can make use of.
  private(set) var givesPowers = false
  /// Bytes on disk of the journal and its index.
  private(set) var bytes = 0

  /// Answers one row.
  static func statement(_ script: LedgerScript) -> String {
    let label = SQLIdentifier.literal(script.names.label, .postgresql)
    func privilege(_ table: String, whereMissing: Bool = false) -> String {
      "COALESCE((SELECT has_schema_privilege(s.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') "
        + "FROM pg_class c WHERE c.relnamespace = s.oid AND c.relname = \(table)), \(whereMissing))"
    }
    let triggers = script.changes.map { change in
      """
      (SELECT CASE WHEN t.suffices THEN '' ELSE t.owner END FROM (
        \(script.triggersInForce)
      ) t WHERE t.name = '\(script.names.trigger(change))')
      """
    }
    let relations = Set(
      script.changes.map { SQLIdentifier.literal(script.table(of: $0), .postgresql) + "::regclass" })
    let terms = script.termFunctions.map { SQLIdentifier.literal($0, .postgresql) }.joined(separator: ", ")
    return """
      SELECT s.oid IS NOT NULL,
        (SELECT string_agg(a.attname || ' ' || replace(format_type(a.atttypid, NULL), '"', '')
            || CASE WHEN a.attnotnull THEN '' ELSE '?' END, ', ' ORDER BY a.attnum)
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          WHERE c.relnamespace = s.oid AND c.relname = \(label) AND a.attnum > 0 AND NOT a.attisdropped),
        \(privilege(label)) AND \(privilege("'watched'")) AND \(privilege("'losses'"))
          AND \(privilege("'\(LedgerNames.unnotedSequence)'", whereMissing: true)),
        (SELECT CASE WHEN u.rolsuper AND NOT o.rolsuper THEN o.rolname::text ELSE '' END
          FROM pg_proc f JOIN pg_roles o ON o.oid = f.proowner JOIN pg_roles u ON u.rolname = current_user
          WHERE f.pronamespace = s.oid AND f.proname = 'purge' AND has_function_privilege(f.oid, 'EXECUTE') LIMIT 1),
        COALESCE((SELECT pg_total_relation_size(c.oid) FROM pg_class c
          WHERE c.relnamespace = s.oid AND c.relname = \(label)), 0),
        (SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind NOT IN ('r', 'p')
          AND c.oid IN (\(relations.sorted().joined(separator: ", "))) LIMIT 1),
        foreign_owner.name, foreign_owner.is_super,
        (SELECT count(*) FROM pg_class c WHERE c.relnamespace = s.oid AND c.relkind = 'r'
          AND c.relname IN ('watched', 'losses', 'readers')),
        (SELECT count(*) FROM pg_proc f WHERE f.pronamespace = s.oid AND f.proname = ANY (ARRAY[\(terms)]::text[])),
        deferred.names, deferred.are_on_journal,
        \(triggers.joined(separator: ",\n  "))
      FROM (SELECT (SELECT oid FROM pg_namespace WHERE nspname = '\(LedgerNames.schema)') AS oid) s
        LEFT JOIN LATERAL (SELECT r.rolname::text AS name, r.rolsuper AS is_super FROM (
          \(script.triggersInForce)
        ) t JOIN pg_roles r ON r.rolname = t.owner WHERE t.is_foreign ORDER BY r.rolsuper DESC LIMIT 1) foreign_owner ON true
        LEFT JOIN LATERAL (SELECT string_agg(k.conname || ' on ' || c.oid::regclass, ', ' ORDER BY k.conname) AS names,
            bool_or(c.relname = \(label)) AS are_on_journal
          FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE k.condeferrable AND c.relnamespace = s.oid
            AND c.relname IN (\(label), '\(LedgerNames.lossesTable)')) deferred ON true
      """
  }

  init(_ result: PostgreSQLResult, _ script: LedgerScript) {
    guard result.rowCount == 1 else { return }
    let hasSchema = result.truth(0, 0) == true
    let columns = result.text(0, 1)
    let hasColumns = columns == LedgerScript.journalColumns
    hasJournal = hasColumns && result.truth(0, 11) != true
    deferred = result.text(0, 10)
    isReadable = result.truth(0, 2) == true
    purging = result.text(0, 3)
    bytes = result.integer(0, 4) ?? 0
    relationWithoutRows = result.text(0, 5)
    foreignOwner = result.text(0, 6)
    givesPowers = result.truth(0, 7) == true
    let triggers = script.changes.enumerated().map { (change: $1, powerless: result.text(0, 12 + $0)) }
    isThere = columns != nil || triggers.contains { $0.powerless != nil }
    guard isThere else { return }
    if !hasSchema { missing.append("the schema \(LedgerNames.schema)") }
    if columns == nil {
      missing.append("the journal \(script.names.journal)")
    } else if !hasColumns {
      missing.append("the columns of the journal \(script.names.journal) as they were")
    }
    if result.integer(0, 8) != 3 { missing.append("a table that the ledgers share") }
    if result.integer(0, 9) != script.termFunctions.count {
      missing.append("a function that says what the layout says of a row")
    }
    for (change, powerless) in triggers where powerless == nil {
      missing.append("the trigger \(script.names.trigger(change)) on \(script.table(of: change)), enabled")
    }
    for role in Set(triggers.compactMap(\.powerless)).subtracting([""]).sorted() {
      missing.append(
        "rights of the role \(role), whose functions the triggers run: SECURITY DEFINER, SELECT on what they read, "
          + "EXECUTE on what they call, INSERT into the ledger")
    }
  }

  /// What to say of ``deferred``.
  static func warning(ofDeferred names: String) -> String {
    "it has what is checked at commit only, where it would fail the application: \(names); drop it"
  }

  /// What to say where the triggers run with the rights of another role than the table's owner.
  static func warning(ofForeignOwner owner: String, isSuperuser: Bool) -> String {
    isSuperuser
      ? "its triggers run with the rights of the superuser \(owner), which the owner of the table can make use of; "
        + "`outbox-exporter ledger install` gives them the owner's"
      : "its triggers run with the rights of the role \(owner), and not of the table's owner"
  }

  /// Why a role may not throw away what it has read; nil where it may.
  func obstacle(to role: String) -> String? {
    switch purging {
    case nil: "the role \(role) may not purge it; `outbox-exporter ledger print` has the grants"
    case "": nil
    case let owner?:
      "the function \(LedgerNames.purge) belongs to the role \(owner), and the superuser \(role) runs nothing that another "
        + "role may have replaced; sample with a role of its own"
    }
  }
}

/// The row in which a ledger says what it is.
struct PostgreSQLLedgerRecord {
  /// Which ledger it is.
  var installation: String
  /// False where the database was restored from a dump of another cluster.
  var isOfThisCluster: Bool
  /// The form of its journal.
  var version: Int
  /// Which trigger functions it has.
  var definition: String
  /// Statements whose movements could not be written down, by SQLSTATE, as far as that was not yet purged; the most frequent
  /// first.
  var losses: [(state: String, count: Int)]
  /// Columns that its functions read and that the table has no more.
  var missedColumns: String?
  /// False where nothing counts the losses that could not be noted, as in a ledger of before that was done.
  var countsUnnoted: Bool
  /// The changes of about how many statements were lost without a note, by all ledgers of the database since there is one.
  var unnoted: Int

  /// Answers one row, or none.
  static func statement(_ script: LedgerScript) -> String {
    let label = SQLIdentifier.literal(script.names.label, .postgresql)
    return """
      SELECT installation, cluster = (SELECT system_identifier FROM pg_control_system()), version, definition,
        (SELECT string_agg(l.sqlstate || ' ' || l.n, ',' ORDER BY l.n DESC, l.sqlstate) FROM (SELECT sqlstate, count(*) AS n
          FROM \(LedgerNames.losses) WHERE journal = \(label) GROUP BY sqlstate) l),
        s.schemaname IS NOT NULL, s.last_value, (\(script.missedColumns))
      FROM \(LedgerNames.watched) LEFT JOIN pg_sequences s
        ON s.schemaname = '\(LedgerNames.schema)' AND s.sequencename = '\(LedgerNames.unnotedSequence)'
      WHERE journal = \(label)
      """
  }

  /// What is missing of it; nil where nothing is.
  var missing: String? { countsUnnoted ? nil : "the sequence \(LedgerNames.unnoted)" }

  /// True where the functions do not fit the table, and have shown it.
  var cannotWrite: Bool { missedColumns != nil && losses.contains { $0.state.hasPrefix("42") } }

  /// What was lost, and why; nil where nothing was.
  var lossesText: String? {
    guard !losses.isEmpty else { return nil }
    let states = losses.map { losses.count == 1 ? $0.state : "\($0.state) (\($0.count))" }.joined(separator: ", ")
    let missed = missedColumns.map { "; the ledger reads \($0), and the table has no such column any more" } ?? ""
    let count = losses.reduce(0) { $0 + $1.count }
    return "\(count.counted("change")) could not be written down: SQLSTATE \(states)\(missed)"
  }

  init?(_ result: PostgreSQLResult) {
    guard result.rowCount == 1, let installation = result.text(0, 0), let version = result.integer(0, 2) else {
      return nil
    }
    self.installation = installation
    isOfThisCluster = result.truth(0, 1) == true
    self.version = version
    definition = result.text(0, 3) ?? ""
    losses = (result.text(0, 4) ?? "").split(separator: ",").compactMap { loss in
      let parts = loss.split(separator: " ")
      return parts.count == 2 ? Int(parts[1]).map { (String(parts[0]), $0) } : nil
    }
    missedColumns = result.text(0, 7)
    countsUnnoted = result.truth(0, 5) == true
    unnoted = ((result.integer(0, 6) ?? 0) + LedgerNames.unnotedStep - 1) / LedgerNames.unnotedStep
  }
}
