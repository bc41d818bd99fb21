import Ledger
import SQLiteClient
import SampleSQL

/// What an SQLite file has of the ledger beside one table.
struct SQLiteLedgerCatalog {
  /// The row in which a ledger says what it is.
  struct Record {
    /// Which ledger it is.
    var installation: String
    /// The form of its journal.
    var version: Int
    /// Which triggers it was made with.
    var definition: String
  }

  /// What is wrong with a ledger that is there, each in a few words.
  private(set) var problems: [String] = []
  /// What the ledger says of itself; nil where there is none.
  private(set) var record: Record?
  /// True where anything of the ledger is there.
  private(set) var isThere = false
  /// The names of its triggers that are there.
  private(set) var triggers: Set<String> = []
  /// True where the table is there that says which ledgers there are.
  private(set) var hasRegistry = false
  /// Other ledgers that are there, by the table that they were made for, with their triggers.
  private(set) var others: [Other] = []

  /// A ledger that was made for a table of another name.
  struct Other {
    /// What it is called.
    var names: SQLiteLedgerNames
    /// Its triggers that are there.
    var triggers: Set<String>
    /// True where its table is not there any more, or is called otherwise.
    var isOrphan: Bool
  }

  init(_ script: SQLiteLedgerScript, _ connection: borrowing SQLiteConnection) throws(SQLiteError) {
    let names = script.names
    let found = try Found(connection)
    let own = found.triggers(of: names)
    triggers = Set(own.keys)
    // A table of the application may have that name.
    let registry = try Self.columns(SQLiteLedgerNames.registry, connection)
    hasRegistry = found.tables.contains(SQLiteLedgerNames.registry) && registry == SQLiteLedgerScript.registryColumns
    record = hasRegistry ? try Self.record(names, connection) : nil
    let columns = found.tables.contains(names.journal) ? try Self.columns(names.journal, connection) : nil
    isThere = columns != nil || !own.isEmpty || record != nil
    others = found.ledgers.filter { $0 != names.table }.sorted().map { table in
      let other = SQLiteLedgerNames(table: table)
      let triggers = found.triggers(of: other)
      let main: [SQLiteLedgerChange] = [.insert, .update, .delete]
      let isElsewhere = main.contains { change in
        triggers[other.trigger(change)]?.table.lowercased() == names.table.lowercased()
      }
      return Other(
        names: other, triggers: Set(triggers.keys), isOrphan: !found.hasTable(table) || isElsewhere)
    }
    guard isThere else { return }
    problems = found.problems(script, own, columns, record)
  }

  /// The ledgers whose tables are gone, and whether there are others.
  static func orphans(
    _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> (ledgers: [Other], hasOthers: Bool, hasRegistry: Bool) {
    let found = try Found(connection)
    let orphans = found.ledgers.filter { !found.hasTable($0) }.sorted().map { table in
      let names = SQLiteLedgerNames(table: table)
      return Other(names: names, triggers: Set(found.triggers(of: names).keys), isOrphan: true)
    }
    let registry = try columns(SQLiteLedgerNames.registry, connection)
    return (orphans, orphans.count < found.ledgers.count, registry == SQLiteLedgerScript.registryColumns)
  }

  private static func record(
    _ names: SQLiteLedgerNames, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> Record? {
    var record: Record?
    let statement = """
      SELECT installation, version, definition FROM \(SQLIdentifier.quoted(SQLiteLedgerNames.registry))
      WHERE journal = :j ORDER BY rowid DESC LIMIT 1
      """
    try connection.query(statement, [":j": .text(names.journal)]) { row in
      record = Record(
        installation: row.text(0) ?? "", version: Int(row.integer(1) ?? 0), definition: row.text(2) ?? "")
    }
    return record
  }

  private static func columns(
    _ table: String, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> [String] {
    var columns: [String] = []
    try connection.query("SELECT name FROM pragma_table_xinfo(:t)", [":t": .text(table)]) { row in
      columns.append(row.text(0) ?? "")
    }
    return columns
  }
}

/// The tables and triggers of a file, as far as ledgers may be concerned.
private struct Found {
  var tables: Set<String> = []
  var triggers: [String: (table: String, sql: String)] = [:]

  init(_ connection: borrowing SQLiteConnection) throws(SQLiteError) {
    let statement = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('table', 'trigger')"
    var (tables, triggers): (Set<String>, [String: (table: String, sql: String)]) = ([], [:])
    try connection.query(statement) { row in
      guard let name = row.text(1) else { return }
      if row.text(0) == "table" {
        tables.insert(name)
      } else if name.hasPrefix(SQLiteLedgerNames.prefix) {
        triggers[name] = (row.text(2) ?? "", row.text(3) ?? "")
      }
    }
    (self.tables, self.triggers) = (tables, triggers)
  }

  func hasTable(_ name: String) -> Bool { tables.contains { $0.lowercased() == name.lowercased() } }

  /// The tables that ledgers were made for.
  var ledgers: Set<String> {
    let journal = SQLiteLedgerNames(table: "").journal
    var made = Set(tables.filter { $0.hasPrefix(journal) }.map { String($0.dropFirst(journal.count)) })
    for name in triggers.keys {
      for change in SQLiteLedgerChange.allCases {
        let prefix = SQLiteLedgerNames(table: "").trigger(change)
        if name.hasPrefix(prefix) { made.insert(String(name.dropFirst(prefix.count))) }
      }
    }
    return made
  }

  func triggers(of names: SQLiteLedgerNames) -> [String: (table: String, sql: String)] {
    let own = Set(SQLiteLedgerChange.allCases.map(names.trigger))
    return triggers.filter { own.contains($0.key) }
  }

  func problems(
    _ script: SQLiteLedgerScript, _ own: [String: (table: String, sql: String)], _ columns: [String]?,
    _ record: SQLiteLedgerCatalog.Record?
  ) -> [String] {
    let names = script.names
    var problems: [String] = []
    if columns == nil {
      problems.append("the table \(names.journal) is missing")
    } else if columns != ["id", "at", "kind", "destination", "latency"] {
      problems.append("the table \(names.journal) has other columns than it was made with")
    }
    if record == nil { problems.append("its row in \(SQLiteLedgerNames.registry) is missing") }
    let missing = script.triggers.keys.filter { own[$0] == nil }.sorted()
    for name in missing {
      problems.append("the trigger \(name) is missing: the table was built anew, or the trigger dropped")
    }
    if missing.isEmpty, let record,
      SQLiteLedgerScript.definition(of: own.mapValues(\.sql)) != record.definition
    {
      problems.append("a table was altered under its triggers, which are not as they were made")
    }
    if script.needsParents, !tables.contains(names.parents) {
      problems.append("the table \(names.parents) is missing")
    }
    return problems
  }
}
