import Layouts
import Ledger
import Outbox
import PostgreSQLClient
import SampleSQL

/// Knows whether there is a ledger beside one queue: it may be installed and removed while the exporter runs. Lives
/// inside its store's actor.
final class PostgreSQLLedgerWatch {
  private let session: PostgreSQLSession
  private let limits: PostgreSQLLimits
  private let clock: @Sendable () -> Int64
  private var ledger: PostgreSQLLedger?
  /// Why a ledger that is there is not read, or not as it should be.
  private var finding: String?
  /// Why it cannot be purged.
  private var obstacle: String?
  private var lookedAt: Int64 = 0
  private var lookedIn: Int?
  private var isKnown = false
  private var knownAt: Int64 = 0
  private var unpurged = 0
  private var samplesSincePurge = 0

  init(_ session: PostgreSQLSession, _ limits: PostgreSQLLimits, clock: @escaping @Sendable () -> Int64) {
    self.session = session
    self.limits = limits
    self.clock = clock
  }

  /// What is wrong with the ledger, for the operator.
  var notice: String? {
    let notices = [finding, obstacle].compactMap { $0 }
    return notices.isEmpty ? nil : notices.joined(separator: "; ")
  }

  /// True where the last look found a ledger, whether it can be read or not.
  var isThere: Bool { ledger != nil || finding != nil }

  /// The ledger beside a queue; nil where there is none that can be read.
  func current(
    _ queue: TableQueue, _ schema: QueueSchema, objective: Duration?
  ) throws(PostgreSQLError) -> PostgreSQLLedger? {
    guard queue.ledger != nil else { return nil }
    let age = Duration.nanoseconds(clock() - lookedAt)
    if lookedIn != session.generation || age >= Self.lifetime {
      ledger = try find(queue, schema, objective)
      if ledger == nil { obstacle = nil }
      lookedIn = session.generation
      lookedAt = clock()
    }
    return ledger
  }

  /// Looks again before the next sample.
  func forget() { lookedIn = nil }

  private static let lifetime = Duration.seconds(60)
  /// However little moves, the others hear of this reader so often: they wait an hour for one that does not come back.
  private static let remembered = Duration.seconds(20 * 60)

  private func find(
    _ queue: TableQueue, _ schema: QueueSchema, _ objective: Duration?
  ) throws(PostgreSQLError) -> PostgreSQLLedger? {
    finding = nil
    guard let script = try? LedgerScript(queue: queue, schema: schema) else { return nil }
    let catalog = PostgreSQLLedgerCatalog(try look(PostgreSQLLedgerCatalog.statement(script)), script)
    guard catalog.isThere else { return nil }
    if let missing = catalog.missing.first {
      finding = Self.finding(script, lacking: missing)
      return nil
    }
    if let deferred = catalog.deferred {
      finding =
        "the ledger \(script.names.label) is not read: \(PostgreSQLLedgerCatalog.warning(ofDeferred: deferred))"
      return nil
    }
    guard catalog.isReadable else {
      finding =
        "the ledger \(script.names.label) is not read, since the role \(session.userName) may not; "
        + "`outbox-exporter ledger print` has the grants"
      return nil
    }
    guard let record = PostgreSQLLedgerRecord(try look(PostgreSQLLedgerRecord.statement(script))),
      record.isOfThisCluster, record.version == LedgerScript.version
    else {
      finding =
        "the ledger \(script.names.label) is not read, since it is another version's or was restored from a dump; "
        + "`outbox-exporter ledger install` makes it anew"
      return nil
    }
    if let missing = record.missing {
      finding = Self.finding(script, lacking: missing)
      return nil
    }
    if let owner = catalog.foreignOwner, catalog.givesPowers {
      let warning = PostgreSQLLedgerCatalog.warning(ofForeignOwner: owner, isSuperuser: true)
      finding = "the ledger \(script.names.label): \(warning)"
    }
    if record.definition != script.definition {
      finding =
        "the ledger \(script.names.label) was made for another form of the layout and counts by that; "
        + "`outbox-exporter ledger install` brings it up to date"
    }
    return PostgreSQLLedger(script, obstacle: catalog.obstacle(to: session.userName), objective: objective)
  }

  private static func finding(_ script: LedgerScript, lacking missing: String) -> String {
    "the ledger \(script.names.label) is not read, since it lacks \(missing); `outbox-exporter ledger install` "
      + "mends it, run by who installed it"
  }

  private func look(_ statement: String) throws(PostgreSQLError) -> PostgreSQLResult {
    try session.query(PostgreSQLMessage.transaction([statement], limits))[PostgreSQLMessage.firstResult]
  }

  /// Takes note of what a sample has counted.
  func note(counted movements: Movements?) {
    guard let movements else { return }
    samplesSincePurge += 1
    unpurged += movements.destinations.values.reduce(0) { sum, counts in
      sum + counts.enqueued + counts.requeued + counts.dispositions.values.reduce(0, +)
    }
  }

  /// Throws away what lies before a mark that is kept: some after every few samples, in transactions of their own. Where
  /// that cannot be done, the ledger grows, which is said.
  ///
  /// - Parameter isTransient: true where this reader, once it has ended, never comes back.
  func purge(_ ledger: PostgreSQLLedger, through mark: LedgerMark, isTransient: Bool) {
    // The first call makes this reader known to the others, who then wait for it; later ones, that it still reads.
    let isForgotten = !isKnown || .nanoseconds(clock() - knownAt) >= Self.remembered
    guard isForgotten || unpurged > 0 && (samplesSincePurge >= 10 || unpurged >= PostgreSQLLedger.purgeBatch),
      let message = ledger.purge(through: mark, isTransient: isTransient, limits)
    else { return }
    samplesSincePurge = 0
    for _ in 0..<5 {
      let results: [PostgreSQLResult]
      do throws(PostgreSQLError) {
        results = try session.query(message)
      } catch {
        let failure = SampleFailure(error, database: session.databaseName, role: session.userName, limits: limits)
        obstacle = "the ledger \(ledger.label) cannot be purged and grows: \(failure.message)"
        return
      }
      guard let gone = results.last?.integer(0, 0) else { return }
      obstacle = nil
      isKnown = true
      knownAt = clock()
      guard gone == PostgreSQLLedger.purgeBatch else {
        unpurged = 0
        return
      }
    }
  }
}
