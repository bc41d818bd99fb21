package import Layouts
package import SampleSQL

/// The statements that put a ledger beside one watched table in SQLite, and take it away again.
///
/// SQLite has no handler for errors in a trigger, so nothing here can fail by itself: no constraint, no declared type, no
/// table of the application but the one that the trigger is on, no function or syntax that an old library lacks.
package struct SQLiteLedgerScript: Sendable, Hashable {
  /// The version of the journal's form. A reader reads this one only.
  package static let version = 1
  /// So many movements are kept for readers that are away.
  package static let keptRows = 200_000
  /// So long movements are kept for readers that are away, in milliseconds: a week.
  package static let keptTime = 7 * 86_400_000
  /// The journal is pruned at every so many rows, twice as many at a time: one movement costs no more than the next.
  package static let pruneInterval = 64

  /// What the ledger's objects are called.
  package let names: SQLiteLedgerNames
  /// The triggers that belong to it, by name, to the letter as SQLite keeps them.
  package let triggers: [String: String]
  /// Changes where ``triggers`` do.
  package let definition: String
  private let fill: String?
  /// True where destinations are in another table, and the ledger keeps them in one of its own.
  package var needsParents: Bool { fill != nil }

  /// The statements for one queue.
  ///
  /// - Throws: the layout says nothing of what changes mean, does not fit the database, or cannot have a ledger here.
  package init(queue: TableQueue, schema: QueueSchema) throws(LayoutProblem) {
    guard let rules = queue.ledger else {
      throw .template(
        text: "ledger", problem: "the queue has no `ledger`, which says what the changes of its rows mean")
    }
    guard let main = schema.tables[TableQueue.mainTable] else {
      throw .missingTable(
        role: TableQueue.mainTable, name: queue.tables[TableQueue.mainTable]?.name ?? TableQueue.mainTable)
    }
    guard schema.tables["dead"] == nil else {
      throw .template(
        text: "ledger",
        problem: "dead letters are in a table of their own, and SQLite does not tell its triggers which rows were "
          + "written in the same transaction")
    }
    names = SQLiteLedgerNames(table: main.reference)
    let writer = try SQLiteLedgerTriggers(queue: queue, schema: schema, rules: rules, names: names)
    triggers = try writer.all()
    definition = Self.definition(of: triggers)
    fill = try writer.fill()
  }

  /// Changes where triggers do: their names and their text.
  package static func definition(of triggers: [String: String]) -> String {
    fingerprint(triggers.sorted { $0.key < $1.key }.map(\.value).joined(separator: "\n"))
  }

  /// The statements that install the ledger, to be run in one transaction. What is there of it goes first: readers begin
  /// anew.
  ///
  /// - Parameter existing: the names of triggers of the ledger that are there.
  package func install(existing: Set<String>) -> [String] {
    var statements = [
      """
      CREATE TABLE IF NOT EXISTS \(quoted(SQLiteLedgerNames.registry)) \
      (\(Self.registryColumns.joined(separator: ", ")))
      """
    ]
    statements += Self.removal(names, triggers: existing.union(triggers.keys), registry: .keep)
    statements += [
      "CREATE TABLE \(quoted(names.journal)) (id INTEGER PRIMARY KEY, at, kind, destination, latency)",
      // The journal is never empty: its numbers go on.
      "INSERT INTO \(quoted(names.journal)) (at, kind) VALUES (\(Self.milliseconds), 'i')",
    ]
    if let fill {
      statements += [
        "CREATE TABLE \(quoted(names.parents)) (id, destination)",
        "CREATE INDEX \(quoted(names.parentsIndex)) ON \(quoted(names.parents)) (id)",
        fill,
      ]
    }
    statements += triggers.sorted { $0.key < $1.key }.map(\.value)
    statements.append(
      """
      INSERT INTO \(quoted(SQLiteLedgerNames.registry)) VALUES \
      (\(literal(names.journal)), lower(hex(randomblob(16))), \(Self.version), \(literal(definition)), \(Self.milliseconds))
      """)
    return statements
  }

  /// The statements that remove a ledger.
  ///
  /// - Parameters:
  ///   - triggers: the names of all that it has.
  package static func removal(
    _ names: SQLiteLedgerNames, triggers: Set<String>, registry: Registry
  ) -> [String] {
    // First the triggers: they fail without their tables.
    var statements =
      triggers.sorted().map { "DROP TRIGGER IF EXISTS \(quoted($0))" } + [
        "DROP TABLE IF EXISTS \(quoted(names.journal))", "DROP TABLE IF EXISTS \(quoted(names.parents))",
      ]
    switch registry {
    case .absent: break
    case .keep:
      statements.append(
        "DELETE FROM \(quoted(SQLiteLedgerNames.registry)) WHERE journal = \(literal(names.journal))")
    case .drop: statements.append("DROP TABLE \(quoted(SQLiteLedgerNames.registry))")
    }
    return statements
  }

  /// What becomes of the table that says which ledgers there are.
  package enum Registry: Sendable, Hashable {
    /// It is not there.
    case absent
    /// It stays, since there are others.
    case keep
    /// It goes with the last one.
    case drop
  }

  /// The columns of that table.
  package static let registryColumns = ["journal", "installation", "version", "definition", "installed_at"]

  /// What the triggers cannot keep from the application, for whoever decides on them.
  package static let unshielded = [
    "SQLite has no handler for errors in triggers. If a table outbox_ledger… is dropped or altered while the triggers "
      + "are there, each statement that changes the outbox fails: run the removal first, never DROP TABLE.",
    "A full disk, a damaged file and an authorizer of the application that forbids the ledger's tables fail the "
      + "application's statement, inside a trigger as anywhere else.",
    "ALTER TABLE … DROP COLUMN fails for a column that the triggers read; remove the ledger before such a migration. A "
      + "migration that builds the table anew drops the triggers: the ledger is then broken, and says so.",
    "A rule of a layout of your own that an older library of the application does not understand fails its statements.",
    "total_changes() counts the ledger's rows too; changes() and last_insert_rowid() do not, and an update hook is told "
      + "of them.",
    "Changes with triggers switched off (SQLITE_DBCONFIG_ENABLE_TRIGGER), and rows that REPLACE removes while "
      + "recursive_triggers is off, are not seen by triggers; the exporter notices and counts anew.",
  ]

  /// The time in milliseconds since the Unix epoch, by functions that the oldest libraries have.
  static let milliseconds = "CAST((julianday('now') - 2440587.5) * 86400000.0 + 0.5 AS INTEGER)"
}

func quoted(_ name: String) -> String { SQLIdentifier.quoted(name) }

func literal(_ text: String) -> String { SQLIdentifier.literal(text, .sqlite) }
