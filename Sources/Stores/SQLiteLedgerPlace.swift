import Layouts
import Ledger
import Outbox
import SQLiteClient
import SampleSQL
import SystemCalls

/// One table in an SQLite file, for whoever installs and removes its ledger.
struct SQLiteLedgerPlace: LedgerPlace {
  private let path: String
  private let queue: TableQueue
  private let lock: Duration

  /// The tables of one definition that may have a ledger, in each of its files.
  static func all(
    of definition: OutboxDefinition, pattern: String, lock: Duration
  ) throws(SampleFailure) -> [(suffixes: [String], place: any LedgerPlace)] {
    var all: [(suffixes: [String], place: any LedgerPlace)] = []
    var problem: LayoutProblem?
    for path in try SQLitePaths.matching(pattern) {
      let stem = Glob.hasMagic(pattern) ? Glob.stem(of: path, pattern: pattern) : nil
      for queue in definition.layout.queues {
        let place = SQLiteLedgerPlace(path: path, queue: queue, lock: lock)
        do {
          guard try place.script() != nil else { continue }
          all.append(([stem, queue.suffix].compactMap { $0 }, place))
        } catch {
          guard case .layout(let found) = error else { throw place.failure(error) }
          problem = found
        }
      }
    }
    if all.isEmpty, problem == nil, let left = leftovers(pattern, lock) { return [([], left)] }
    if all.isEmpty {
      let hint = "the layout \(definition.layout.name) has no ledger in SQLite"
      throw SampleFailure(
        .schema, problem?.message ?? "\(pattern): none of the layout's tables is there", hint: problem.map { _ in hint }
      )
    }
    return all
  }

  /// What tables left that are gone, in one file; nil where there is nothing.
  private static func leftovers(_ path: String, _ lock: Duration) -> LedgerLeftovers? {
    let place = SQLiteLedgerPlace(path: path, queue: TableQueue(tables: [:], columns: [:], selections: []), lock: lock)
    guard !Glob.hasMagic(path), let connection = try? place.open(.readOnly),
      let orphans = try? SQLiteLedgerCatalog.orphans(connection), !orphans.ledgers.isEmpty
    else { return nil }
    let failure = SampleFailure(.schema, "\(path): none of the layout's tables is there")
    return LedgerLeftovers(tables: orphans.ledgers.map(\.names.table), failure: failure) { () throws(SampleFailure) in
      try place.changing { connection throws(SQLiteError) in
        let orphans = try SQLiteLedgerCatalog.orphans(connection)
        for (index, ledger) in orphans.ledgers.enumerated() {
          let isLast = index == orphans.ledgers.count - 1 && !orphans.hasOthers
          try connection.execute(
            SQLiteLedgerScript.removal(
              ledger.names, triggers: ledger.triggers,
              registry: !orphans.hasRegistry ? .absent : isLast ? .drop : .keep))
        }
      }
    }
  }

  private enum Problem: Error {
    case sqlite(SQLiteError)
    case layout(LayoutProblem)
    case sample(SampleFailure)
  }

  func status() throws(SampleFailure) -> LedgerInstallation.Status {
    try reading { connection, script throws(SQLiteError) in
      let catalog = try SQLiteLedgerCatalog(script, connection)
      var status = LedgerInstallation.Status(
        state: catalog.isThere ? .installed : .absent, problems: catalog.problems, size: "")
      if catalog.problems.isEmpty, let record = catalog.record {
        let rows = try connection.integer("SELECT count(*) FROM \(SQLIdentifier.quoted(script.names.journal))") ?? 0
        status.size = Int(rows).counted("row")
        if record.version != SQLiteLedgerScript.version || record.definition != script.definition {
          status.state = .outdated
          status.problems.append("it was made by another version, or for another form of the layout")
        }
      }
      for other in catalog.others where other.isOrphan {
        status.problems.append(
          "a ledger that was made for the table \(other.names.table) is left; `outbox-exporter ledger remove` takes it "
            + "away")
      }
      if !catalog.problems.isEmpty || status.state == .absent && !status.problems.isEmpty { status.state = .broken }
      return status
    }
  }

  func install(grantingTo role: String?) throws(SampleFailure) -> Bool {
    if try status().state == .installed { return false }
    try changing { connection, script throws(SQLiteError) in
      let catalog = try SQLiteLedgerCatalog(script, connection)
      for other in catalog.others where other.isOrphan {
        try connection.execute(
          SQLiteLedgerScript.removal(
            other.names, triggers: other.triggers, registry: catalog.hasRegistry ? .keep : .absent))
      }
      try connection.execute(script.install(existing: catalog.triggers))
      // Names in a trigger are looked up when it is compiled into a statement, so that is tried before anybody else does.
      let table = SQLIdentifier.quoted(script.names.table)
      var column: String?
      try connection.query(
        "SELECT name FROM pragma_table_info(:t) LIMIT 1", [":t": .text(script.names.table)]
      ) { column = $0.text(0) }
      let same = SQLIdentifier.quoted(column ?? "rowid")
      for change in [
        "INSERT INTO \(table) DEFAULT VALUES", "UPDATE \(table) SET \(same) = \(same)", "DELETE FROM \(table)",
      ] {
        try connection.query("EXPLAIN \(change)") { _ in }
      }
    }
    return true
  }

  func remove() throws(SampleFailure) -> Bool {
    let status = try status()
    if status.state == .absent { return false }
    try changing { connection, script throws(SQLiteError) in
      let catalog = try SQLiteLedgerCatalog(script, connection)
      let others = catalog.others
      let stays = others.contains { !$0.isOrphan }
      for other in others where other.isOrphan {
        try connection.execute(
          SQLiteLedgerScript.removal(
            other.names, triggers: other.triggers, registry: catalog.hasRegistry ? .keep : .absent))
      }
      try connection.execute(
        SQLiteLedgerScript.removal(
          script.names, triggers: catalog.triggers, registry: !catalog.hasRegistry ? .absent : stays ? .keep : .drop))
    }
    return true
  }

  func text(of outbox: WatchedOutbox, grantingTo role: String?) throws(SampleFailure) -> String {
    try reading { connection, script throws(SQLiteError) in
      let stays = try SQLiteLedgerCatalog(script, connection).others.contains { !$0.isOrphan }
      func block(_ statements: [String]) -> String {
        (["BEGIN IMMEDIATE"] + statements + ["COMMIT"]).map { $0 + ";\n" }.joined()
      }
      let removal = SQLiteLedgerScript.removal(
        script.names, triggers: Set(script.triggers.keys), registry: stays ? .keep : .drop)
      return """
        -- The ledger of \(outbox.name) (\(outbox.layout)), for `sqlite3 -bail \(path)`.
        -- What it cannot keep from the application:
        \(SQLiteLedgerScript.unshielded.map { "-- * \($0)\n" }.joined())
        -- It keeps \(SQLiteLedgerScript.keptRows) movements, or those of a week; the triggers prune the rest. The exporter
        -- only reads. Installing and removing take the write lock for a moment, as any writer does.
        -- Install:
        \(block(script.install(existing: [])))
        -- Remove; commented out, so that the whole may be run to install:
        \(block(removal).split(separator: "\n").map { "-- \($0)\n" }.joined())
        """
    }
  }

  // MARK: - The file

  /// The statements for the table as it is; nil where it is not in the file.
  private func script() throws(Problem) -> SQLiteLedgerScript? {
    let connection = try open(.readOnly)
    return try script(connection)
  }

  private func script(_ connection: borrowing SQLiteConnection) throws(Problem) -> SQLiteLedgerScript? {
    let schema: QueueSchema
    do { schema = try QueueSchema(queue, connection) } catch { throw .sqlite(error) }
    guard schema.tables[TableQueue.mainTable] != nil else { return nil }
    do { return try SQLiteLedgerScript(queue: queue, schema: schema) } catch { throw .layout(error) }
  }

  private func open(_ access: SQLiteConnection.Access) throws(Problem) -> SQLiteConnection {
    guard let kind = try? FileSystem.status(path)?.kind, kind == .regular || kind == .symbolicLink else {
      throw .sample(SampleFailure(.absent, "there is no file \(path)", hint: "check the path of the outbox's DSN"))
    }
    do {
      let connection = try SQLiteConnection(path: path, access: access)
      connection.setBusyTimeout(lock)
      return connection
    } catch {
      throw .sqlite(error)
    }
  }

  private func reading<Value>(
    _ body: (borrowing SQLiteConnection, SQLiteLedgerScript) throws(SQLiteError) -> Value
  ) throws(SampleFailure) -> Value {
    do throws(Problem) {
      let connection = try open(.readOnly)
      guard let script = try script(connection) else { throw gone }
      do { return try body(connection, script) } catch { throw .sqlite(error) }
    } catch {
      throw failure(error)
    }
  }

  private func changing(
    _ body: (borrowing SQLiteConnection, SQLiteLedgerScript) throws(SQLiteError) -> Void
  ) throws(SampleFailure) {
    var problem: Problem?
    try changing { connection throws(SQLiteError) in
      do throws(Problem) {
        guard let script = try script(connection) else { throw gone }
        do throws(SQLiteError) { try body(connection, script) } catch { throw .sqlite(error) }
      } catch {
        if case .sqlite(let error) = error { throw error }
        problem = error
      }
    }
    if let problem { throw failure(problem) }
  }

  /// Runs a body in a transaction that has the file's write lock.
  private func changing(_ body: (borrowing SQLiteConnection) throws(SQLiteError) -> Void) throws(SampleFailure) {
    do throws(Problem) {
      let connection = try open(.existing)
      // Closing the connection rolls back what was not committed.
      do {
        try connection.execute("BEGIN IMMEDIATE")
        try body(connection)
        try connection.execute("COMMIT")
      } catch {
        throw .sqlite(error)
      }
    } catch {
      var failure = failure(error)
      switch failure.reason {
      case .lockTimeout:
        failure.hint =
          "nothing was changed: somebody else has been writing for longer than \(lock); try again, or set timeouts.lock"
      case .permission:
        failure.hint = "nothing was changed: run it as the user who owns the file, or hand on what `ledger print` says"
      case .schema: failure.hint = "nothing was changed: the ledger's triggers do not fit the table"
      default: break
      }
      throw failure
    }
  }

  private var gone: Problem {
    .layout(.missingTable(role: TableQueue.mainTable, name: queue.tables[TableQueue.mainTable]?.name ?? ""))
  }

  private func failure(_ problem: Problem) -> SampleFailure {
    switch problem {
    case .sqlite(let error): SampleFailure(error, path: path)
    case .layout(let problem): SampleFailure(.schema, "\(path): \(problem.message)", hint: problem.hint)
    case .sample(let failure): failure
    }
  }
}

extension SQLiteConnection {
  /// Runs statements one after the other.
  fileprivate borrowing func execute(_ statements: [String]) throws(SQLiteError) {
    for statement in statements { try execute(statement) }
  }
}
