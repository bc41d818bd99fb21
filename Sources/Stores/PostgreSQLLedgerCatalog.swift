import Ledger
import PostgreSQLClient
import SampleSQL

/// What the catalogues say of the ledger beside one table. They are readable by every role.
struct PostgreSQLLedgerCatalog {
  /// What belongs to the ledger and is not there, or not as it was made.
  private(set) var missing: [String] = []
  /// True where anything of the ledger is there.
  private(set) var isThere = false
  /// True where a journal is there that can be written to.
  private(set) var hasJournal = false
  /// True where our role may read the ledger.
  private(set) var isReadable = false
  /// True where our role may throw away what it has read.
  private(set) var isPurgeable = false
  /// Bytes on disk of the journal and its index.
  private(set) var bytes = 0

  /// Answers one row.
  static func statement(_ script: LedgerScript) -> String {
    let label = SQLIdentifier.literal(script.names.label, .postgresql)
    func privilege(_ table: String) -> String {
      "COALESCE((SELECT has_schema_privilege(s.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') "
        + "FROM pg_class c WHERE c.relnamespace = s.oid AND c.relname = \(table)), false)"
    }
    let triggers = script.changes.map { change in
      """
      (SELECT count(*) FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid AND f.pronamespace = s.oid
        WHERE t.tgrelid = \(SQLIdentifier.literal(script.table(of: change), .postgresql))::regclass
          AND t.tgname = '\(change.trigger)' AND t.tgenabled IN ('O', 'A')
          AND f.proname = \(SQLIdentifier.literal(script.names.functionName(change), .postgresql)))
      """
    }
    let movements = script.movementFunctions.map { SQLIdentifier.literal($0, .postgresql) }.joined(separator: ", ")
    return """
      SELECT s.oid IS NOT NULL,
        (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, NULL), ', ' ORDER BY a.attnum)
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          WHERE c.relnamespace = s.oid AND c.relname = \(label) AND a.attnum > 0 AND NOT a.attisdropped),
        \(privilege(label)) AND \(privilege("'watched'")) AND \(privilege("'losses'")),
        COALESCE((SELECT has_function_privilege(f.oid, 'EXECUTE') FROM pg_proc f
          WHERE f.pronamespace = s.oid AND f.proname = 'purge'), false),
        COALESCE((SELECT pg_total_relation_size(c.oid) FROM pg_class c
          WHERE c.relnamespace = s.oid AND c.relname = \(label)), 0),
        (SELECT count(*) FROM pg_class c WHERE c.relnamespace = s.oid AND c.relkind = 'r'
          AND c.relname IN ('watched', 'losses', 'readers')),
        (SELECT count(*) FROM pg_proc f WHERE f.pronamespace = s.oid AND f.proname = ANY (ARRAY[\(movements)]::text[])),
        \(triggers.joined(separator: ",\n  "))
      FROM (SELECT (SELECT oid FROM pg_namespace WHERE nspname = '\(LedgerNames.schema)') AS oid) s
      """
  }

  init(_ result: PostgreSQLResult, _ script: LedgerScript) {
    guard result.rowCount == 1 else { return }
    let hasSchema = result.truth(0, 0) == true
    let columns = result.text(0, 1)
    hasJournal = columns == LedgerScript.journalColumns
    isReadable = result.truth(0, 2) == true
    isPurgeable = result.truth(0, 3) == true
    bytes = result.integer(0, 4) ?? 0
    let triggers = script.changes.enumerated().filter { result.integer(0, 7 + $0.offset) == 1 }.map(\.element)
    isThere = columns != nil || !triggers.isEmpty
    guard isThere else { return }
    if !hasSchema { missing.append("the schema \(LedgerNames.schema)") }
    if columns == nil {
      missing.append("the journal \(script.names.journal)")
    } else if !hasJournal {
      missing.append("the columns of the journal \(script.names.journal) as they were")
    }
    if result.integer(0, 5) != 3 { missing.append("a table that the ledgers share") }
    if result.integer(0, 6) != script.movementFunctions.count {
      missing.append("a function that says what changes mean")
    }
    for change in script.changes where !triggers.contains(change) {
      missing.append("the trigger \(change.trigger) on \(script.table(of: change)), enabled")
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
  /// Movements that could not be written down and whose loss was not yet purged.
  var losses: Int

  /// Answers one row, or none.
  static func statement(_ script: LedgerScript) -> String {
    let label = SQLIdentifier.literal(script.names.label, .postgresql)
    return """
      SELECT installation, cluster = (SELECT system_identifier FROM pg_control_system()), version, definition,
        (SELECT count(*) FROM \(LedgerNames.losses) WHERE journal = \(label))
      FROM \(LedgerNames.watched) WHERE journal = \(label)
      """
  }

  init?(_ result: PostgreSQLResult) {
    guard result.rowCount == 1, let installation = result.text(0, 0), let version = result.integer(0, 2) else {
      return nil
    }
    self.installation = installation
    isOfThisCluster = result.truth(0, 1) == true
    self.version = version
    definition = result.text(0, 3) ?? ""
    losses = result.integer(0, 4) ?? 0
  }
}
