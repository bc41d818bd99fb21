import Layouts
import Ledger
import Outbox
import PostgreSQLClient
import SampleSQL
import SystemCalls

/// One table in PostgreSQL, for whoever installs and removes its ledger.
struct PostgreSQLLedgerPlace: LedgerPlace {
  private let session: PostgreSQLSession
  private let limits: PostgreSQLLimits
  private let layout: String
  private let script: LedgerScript

  /// The tables of one definition.
  static func all(
    of definition: OutboxDefinition, conninfo: Secret, limits: PostgreSQLLimits
  ) throws(SampleFailure) -> [(suffixes: [String], place: any LedgerPlace)] {
    let session = PostgreSQLSession(
      conninfo: conninfo, limits: limits, clock: { SystemClock.monotonicNanoseconds() }, spread: { 1 })
    let queues = PostgreSQLQueues(
      definition, session: session, limits: limits, clock: { SystemClock.monotonicNanoseconds() })
    var all: [(suffixes: [String], place: any LedgerPlace)] = []
    let prepared: [PostgreSQLQueues.Prepared]
    do throws(SampleFailure) {
      prepared = try queues.current(counting: false)
    } catch {
      guard error.reason == .schema, let left = leftovers(session, limits, error) else { throw error }
      return [([], left)]
    }
    for queue in prepared {
      do throws(LayoutProblem) {
        let script = try LedgerScript(queue: queue.queue, schema: queue.schema)
        let place = PostgreSQLLedgerPlace(
          session: session, limits: limits, layout: definition.layout.name, script: script)
        all.append((queue.suffix.map { [$0] } ?? [], place))
      } catch {
        throw SampleFailure(.schema, error.message, hint: "the layout \(definition.layout.name) has no ledger yet")
      }
    }
    return all
  }

  /// What tables left that are gone; nil where there is nothing.
  private static func leftovers(
    _ session: PostgreSQLSession, _ limits: PostgreSQLLimits, _ failure: SampleFailure
  ) -> LedgerLeftovers? {
    let statement = PostgreSQLMessage.transaction([LedgerScript.leftovers], limits)
    guard let found = try? session.query(statement)[PostgreSQLMessage.firstResult], found.rowCount > 0 else {
      return nil
    }
    let tables = (0..<found.rowCount).compactMap { found.text($0, 0) }
    return LedgerLeftovers(tables: tables, failure: failure) { () throws(SampleFailure) in
      do throws(PostgreSQLError) {
        _ = try session.query(PostgreSQLMessage.change([LedgerScript.leftoversRemoval], limits))
      } catch {
        throw SampleFailure(error, database: session.databaseName, role: session.userName, limits: limits)
      }
    }
  }

  func status() throws(SampleFailure) -> LedgerInstallation.Status {
    var status = try look().status
    let others = others
    status.problems += others.map {
      "a ledger that was made for the table \($0) is left; `outbox-exporter ledger remove` takes it away"
    }
    if status.state == .absent, !others.isEmpty { status.state = .broken }
    return status
  }

  /// Ledgers of this table under another name, and of tables that are gone; none where our role may not know.
  private var others: [String] {
    let message = PostgreSQLMessage.transaction([script.others], limits)
    guard let found = try? session.query(message)[PostgreSQLMessage.firstResult] else { return [] }
    return (0..<found.rowCount).compactMap { found.text($0, 0) }
  }

  private func look() throws(SampleFailure) -> (status: LedgerInstallation.Status, hasJournal: Bool) {
    let catalog = PostgreSQLLedgerCatalog(try look(PostgreSQLLedgerCatalog.statement(script)), script)
    return (try status(catalog), catalog.hasJournal)
  }

  /// Triggers that count rows are for tables.
  private func refuseViews() throws(SampleFailure) {
    let catalog = PostgreSQLLedgerCatalog(try look(PostgreSQLLedgerCatalog.statement(script)), script)
    guard let view = catalog.relationWithoutRows else { return }
    throw SampleFailure(
      .schema, "database \(session.databaseName): \(view) is no table, and a ledger needs triggers on one",
      hint: "let `tables` of the outbox name the table that the rows are in")
  }

  private func status(_ catalog: PostgreSQLLedgerCatalog) throws(SampleFailure) -> LedgerInstallation.Status {
    var status = LedgerInstallation.Status(
      state: catalog.isThere ? .installed : .absent, problems: catalog.missing.map { "missing: \($0)" },
      size: "\((catalog.bytes + 1023) / 1024) kB")
    if let view = catalog.relationWithoutRows { status.problems.append("\(view) is no table, and can have none") }
    if !catalog.missing.isEmpty { status.state = .broken }
    if catalog.isThere, let deferred = catalog.deferred {
      status.state = .broken
      status.problems.append(PostgreSQLLedgerCatalog.warning(ofDeferred: deferred))
    }
    guard status.state == .installed else { return status }
    guard catalog.isReadable else {
      status.problems.append("the role \(session.userName) may not read it")
      return status
    }
    guard let record = PostgreSQLLedgerRecord(try look(PostgreSQLLedgerRecord.statement(script))) else {
      status.state = .broken
      status.problems.append("missing: its row in \(LedgerNames.watched)")
      return status
    }
    if !record.isOfThisCluster {
      status.state = .broken
      status.problems.append("the database was restored from another cluster's dump")
    } else if record.version != LedgerScript.version || record.definition != script.definition {
      status.state = record.cannotWrite ? .broken : .outdated
      status.problems.append("it was made by another version, or for another form of the layout")
    } else if let missing = record.missing {
      status.state = .broken
      status.problems.append("missing: \(missing)")
    }
    if let owner = catalog.foreignOwner {
      if catalog.givesPowers, status.state == .installed { status.state = .outdated }
      status.problems.append(PostgreSQLLedgerCatalog.warning(ofForeignOwner: owner, isSuperuser: catalog.givesPowers))
    }
    if let losses = record.lossesText { status.problems.append(losses) }
    if record.unnoted > 0 {
      status.problems.append(
        "since this database has ledgers, what \(record.unnoted.counted("statement")) changed could be neither written down "
          + "nor noted as lost; counting began anew then, and this is said until the last ledger is removed")
    }
    if let obstacle = catalog.obstacle(to: session.userName) { status.problems.append("it grows: \(obstacle)") }
    return status
  }

  func install(grantingTo role: String?) throws(SampleFailure) -> Bool {
    try refuseViews()
    let (status, hasJournal) = try look()
    let grants = role.map(script.grants) ?? []
    if status.state == .installed {
      if !grants.isEmpty { try change(grants, Self.installing) }
      return false
    }
    let statements = script.install(
      keepsCounting: status.state == .outdated && hasJournal, keepsJournal: hasJournal)
    try change(statements + grants, Self.installing)
    let after = try look().status
    guard after.state == .broken else { return true }
    throw SampleFailure(
      .permission, "the ledger is there but cannot work: \(after.problems.joined(separator: "; "))",
      hint: "grant what is missing, or take it away with `outbox-exporter ledger remove`")
  }

  func remove() throws(SampleFailure) -> Bool {
    if try status().state == .absent { return false }
    try change(script.removal, "this needs the role that installed the ledger, or a superuser")
    return true
  }

  func text(of outbox: WatchedOutbox, grantingTo role: String?) throws(SampleFailure) -> String {
    try refuseViews()
    let lock = "SET LOCAL lock_timeout = '\(limits.lock.wholeNanoseconds / 1_000_000)ms'"
    func block(_ statements: [String]) -> String {
      (["BEGIN", lock] + statements + ["COMMIT"]).map { $0 + ";\n" }.joined()
    }
    return """
      -- The ledger of \(outbox.name) (\(layout)).
      \(LedgerScript.unshielded.map { "-- * \($0)\n" }.joined())
      -- Install, as the owner of the tables, or as a superuser, who gives the functions to that owner:
      \(block(script.install(keepsCounting: false, keepsJournal: false)))
      -- What the role that samples needs besides the grants that `outbox-exporter sql` prints:
      \(script.grants(to: role ?? session.userName).map { $0 + ";\n" }.joined())
      -- Remove, as who installed; commented out, so that the whole may be run to install:
      \(block(script.removal).split(separator: "\n").map { "-- \($0)\n" }.joined())
      """
  }

  private func look(_ statement: String) throws(SampleFailure) -> PostgreSQLResult {
    do throws(PostgreSQLError) {
      let results = try session.query(PostgreSQLMessage.transaction([statement], limits))
      return results[PostgreSQLMessage.firstResult]
    } catch {
      throw SampleFailure(error, database: session.databaseName, role: session.userName, limits: limits)
    }
  }

  private static let installing =
    "this needs the owner of the tables, and the right to create a schema, or where the schema \(LedgerNames.schema) is there "
    + "already, the role that owns it; `outbox-exporter ledger print` has the statements for an administrator"

  /// - Parameter needs: what to say where our role may not.
  private func change(_ statements: [String], _ needs: String) throws(SampleFailure) {
    do throws(PostgreSQLError) {
      _ = try session.query(PostgreSQLMessage.change(statements, limits))
    } catch {
      var failure = SampleFailure(error, database: session.databaseName, role: session.userName, limits: limits)
      switch failure.reason {
      case .lockTimeout:
        failure.hint =
          "nothing was changed: a transaction holds a table for longer than this waits (\(limits.lock)), and waiting longer "
          + "would make the application wait behind; try again, or set timeouts.lock"
      case .permission:
        failure.hint = "nothing was changed: \(needs)"
      default: break
      }
      throw failure
    }
  }
}
