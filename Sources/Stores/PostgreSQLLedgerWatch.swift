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
  /// Why a ledger that is there is not read.
  private(set) var notice: String?
  private var lookedAt: Int64 = 0
  private var lookedIn: Int?
  private var isKnown = false
  private var unpurged = 0
  private var samplesSincePurge = 0

  init(_ session: PostgreSQLSession, _ limits: PostgreSQLLimits, clock: @escaping @Sendable () -> Int64) {
    self.session = session
    self.limits = limits
    self.clock = clock
  }

  /// True where the last look found a ledger, whether it can be read or not.
  var isThere: Bool { ledger != nil || notice != nil }

  /// The ledger beside a queue; nil where there is none that can be read.
  func current(
    _ queue: TableQueue, _ schema: QueueSchema, objective: Duration?
  ) throws(PostgreSQLError) -> PostgreSQLLedger? {
    guard queue.ledger != nil else { return nil }
    let age = Duration.nanoseconds(clock() - lookedAt)
    if lookedIn != session.generation || age >= Self.lifetime {
      ledger = try find(queue, schema, objective)
      lookedIn = session.generation
      lookedAt = clock()
    }
    return ledger
  }

  /// Looks again before the next sample.
  func forget() { lookedIn = nil }

  private static let lifetime = Duration.seconds(60)

  private func find(
    _ queue: TableQueue, _ schema: QueueSchema, _ objective: Duration?
  ) throws(PostgreSQLError) -> PostgreSQLLedger? {
    notice = nil
    guard let script = try? LedgerScript(queue: queue, schema: schema) else { return nil }
    let catalog = PostgreSQLLedgerCatalog(try look(PostgreSQLLedgerCatalog.statement(script)), script)
    guard catalog.isThere else { return nil }
    if let missing = catalog.missing.first {
      notice =
        "the ledger \(script.names.label) is not read, since it lacks \(missing); `outbox-exporter ledger install` "
        + "mends it"
      return nil
    }
    guard catalog.isReadable else {
      notice =
        "the ledger \(script.names.label) is not read, since the role \(session.userName) may not; "
        + "`outbox-exporter ledger print` has the grants"
      return nil
    }
    guard let record = PostgreSQLLedgerRecord(try look(PostgreSQLLedgerRecord.statement(script))),
      record.isOfThisCluster, record.version == LedgerScript.version
    else {
      notice =
        "the ledger \(script.names.label) is not read, since it is another version's or was restored from a dump; "
        + "`outbox-exporter ledger install` makes it anew"
      return nil
    }
    if record.definition != script.definition {
      notice =
        "the ledger \(script.names.label) was made for another form of the layout and counts by that; "
        + "`outbox-exporter ledger install` brings it up to date"
    }
    return PostgreSQLLedger(
      script, isPurgeable: catalog.isPurgeable, role: session.userName, objective: objective)
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
  /// that cannot be done, the ledger grows, and nothing else happens.
  func purge(_ ledger: PostgreSQLLedger, through mark: LedgerMark) {
    // The first call makes this reader known to the others, who then wait for it.
    guard !isKnown || unpurged > 0 && (samplesSincePurge >= 10 || unpurged >= PostgreSQLLedger.purgeBatch),
      let message = ledger.purge(through: mark, limits)
    else { return }
    samplesSincePurge = 0
    for _ in 0..<5 {
      guard let results = try? session.query(message), let gone = results.dropLast().last?.integer(0, 0) else { return }
      isKnown = true
      guard gone == PostgreSQLLedger.purgeBatch else {
        unpurged = 0
        return
      }
    }
  }
}
