package import Layouts
import Ledger
package import Outbox
import PostgreSQLClient
import SampleSQL
import SystemCalls

/// The ledger beside one outbox in PostgreSQL, for whoever installs and removes it. Sampling never comes here.
package final class LedgerInstallation {
  /// The outbox that it counts.
  package let outbox: WatchedOutbox
  private let session: PostgreSQLSession
  private let limits: PostgreSQLLimits
  private let script: LedgerScript

  private init(
    _ outbox: WatchedOutbox, _ session: PostgreSQLSession, _ limits: PostgreSQLLimits, _ script: LedgerScript
  ) {
    self.outbox = outbox
    self.session = session
    self.limits = limits
    self.script = script
  }

  /// The ledgers that the outboxes of one definition have or may get, one for each of its tables.
  ///
  /// - Throws: the database cannot be asked, or the layout has no ledger.
  package static func all(
    of definition: OutboxDefinition, limits: PostgreSQLLimits
  ) throws(SampleFailure) -> [LedgerInstallation] {
    guard case .postgresql(let conninfo) = definition.address else {
      throw SampleFailure(.other, "a ledger can be installed in PostgreSQL only")
    }
    let session = PostgreSQLSession(
      conninfo: conninfo, limits: limits, clock: { SystemClock.monotonicNanoseconds() }, spread: { 1 })
    let queues = PostgreSQLQueues(
      definition, session: session, limits: limits, clock: { SystemClock.monotonicNanoseconds() })
    var all: [LedgerInstallation] = []
    for queue in try queues.current(counting: false) {
      do throws(LayoutProblem) {
        let script = try LedgerScript(queue: queue.queue, schema: queue.schema)
        let outbox = definition.watched(suffixes: queue.suffix.map { [$0] } ?? [])
        all.append(LedgerInstallation(outbox, session, limits, script))
      } catch {
        throw SampleFailure(.schema, error.message, hint: "the layout \(definition.layout.name) has no ledger yet")
      }
    }
    return all
  }

  /// How a ledger is.
  package struct Status: Sendable, Hashable {
    /// Whether there is one, and whether it works.
    package enum State: String, Sendable, Hashable {
      /// There is none.
      case absent
      /// It counts.
      case installed
      /// Something of it is missing: it is not read until it is installed again.
      case broken
      /// It counts by an older or another layout.
      case outdated
    }

    /// Whether there is one, and whether it works.
    package var state: State
    /// What is wrong, each in a few words.
    package var problems: [String]
    /// Bytes on disk of the journal.
    package var bytes: Int
    fileprivate var hasJournal: Bool
  }

  /// Looks how the ledger is.
  package func status() throws(SampleFailure) -> Status {
    let catalog = PostgreSQLLedgerCatalog(try look(PostgreSQLLedgerCatalog.statement(script)), script)
    var status = Status(
      state: catalog.isThere ? .installed : .absent, problems: catalog.missing, bytes: catalog.bytes,
      hasJournal: catalog.hasJournal)
    if !catalog.missing.isEmpty { status.state = .broken }
    guard status.state == .installed else { return status }
    guard catalog.isReadable else {
      status.problems.append("the role \(session.userName) may not read it")
      return status
    }
    guard let record = PostgreSQLLedgerRecord(try look(PostgreSQLLedgerRecord.statement(script))) else {
      status.state = .broken
      status.problems.append("its row in \(LedgerNames.watched)")
      return status
    }
    if !record.isOfThisCluster {
      status.state = .broken
      status.problems.append("the database was restored from another cluster's dump")
    } else if record.version != LedgerScript.version || record.definition != script.definition {
      status.state = .outdated
      status.problems.append("it was made by another version, or for another form of the layout")
    }
    if record.losses > 0 { status.problems.append("\(record.losses.counted("change")) could not be written down") }
    if !catalog.isPurgeable { status.problems.append("the role \(session.userName) may not purge it") }
    return status
  }

  /// Installs the ledger, mends it, or replaces an older one, in one transaction.
  ///
  /// - Parameter role: the role that samples, which is granted what it needs; nil for none but the installing one.
  /// - Returns: false where it was there already, as it should be.
  package func install(grantingTo role: String?) throws(SampleFailure) -> Bool {
    let status = try status()
    let grants = role.map(script.grants) ?? []
    if status.state == .installed {
      if !grants.isEmpty { try change(grants) }
      return false
    }
    let statements = script.install(
      keepsCounting: status.state == .outdated && status.hasJournal, keepsJournal: status.hasJournal)
    try change(statements + grants)
    return true
  }

  /// Removes the ledger and everything of it.
  ///
  /// - Returns: false where there was none.
  package func remove() throws(SampleFailure) -> Bool {
    if try status().state == .absent { return false }
    try change(script.removal)
    return true
  }

  /// What an administrator would run instead, as text: installing and the grants, removing, and what to know before.
  package func text(grantingTo role: String?) -> String {
    let lock = "SET LOCAL lock_timeout = '\(limits.lock.wholeNanoseconds / 1_000_000)ms'"
    func block(_ statements: [String]) -> String {
      (["BEGIN", lock] + statements + ["COMMIT"]).map { $0 + ";\n" }.joined()
    }
    return """
      -- The ledger of \(outbox.name) (\(outbox.layout)).
      \(LedgerScript.unshielded.map { "-- * \($0)\n" }.joined())
      -- Install, as the owner of the tables:
      \(block(script.install(keepsCounting: false, keepsJournal: true)))
      -- What the role that samples needs besides the grants that `outbox-exporter sql` prints:
      \(script.grants(to: role ?? session.userName).map { $0 + ";\n" }.joined())
      -- Remove, as the owner of the tables; commented out, so that the whole may be run to install:
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

  private func change(_ statements: [String]) throws(SampleFailure) {
    do throws(PostgreSQLError) {
      _ = try session.query(PostgreSQLMessage.change(statements, limits))
    } catch {
      var failure = SampleFailure(error, database: session.databaseName, role: session.userName, limits: limits)
      switch failure.reason {
      case .lockTimeout:
        failure.hint =
          "nothing was changed: a transaction holds the table for longer than \(limits.lock), and waiting "
          + "would make the application wait behind; try again, or set timeouts.lock"
      case .permission:
        failure.hint =
          "nothing was changed: this needs the owner of the tables, and the right to create a schema; "
          + "`outbox-exporter ledger print` has the statements for an administrator"
      default: break
      }
      throw failure
    }
  }
}
