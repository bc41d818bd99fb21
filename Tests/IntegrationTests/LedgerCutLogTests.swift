import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// A server that comes back with less than was counted of it: transactions that were counted are gone, and others get their
/// numbers.
@Suite(withPostgreSQL) struct LedgerCutLogTests {
  private let insertion = "INSERT INTO outbox (channel) VALUES ('mail');\n"

  /// An outbox with a ledger in a server that does not flush what is committed.
  private func outbox(_ server: TemporaryPostgres) throws -> QuietOutbox {
    let outbox = try QuietOutbox(AiHummerWorkers.schema, .aiHummer, server: server)
    let definition = OutboxDefinition(
      name: "o", address: .postgresql(Secret(outbox.database.conninfo())), layout: .aiHummer)
    _ = try LedgerInstallation.all(of: definition, limits: PostgreSQLLimits()).first?.install(grantingTo: nil)
    return outbox
  }

  private func nextTransaction(_ outbox: QuietOutbox) throws -> Int {
    try #require(Int(try outbox.database.psql("SELECT txid_snapshot_xmax(txid_current_snapshot())")))
  }

  private func enqueued(_ outbox: QuietOutbox) -> Int {
    outbox.totals.counts.values.reduce(0) { $0 + $1.enqueued }
  }

  @Test(arguments: [0, 60])
  func `a crash that takes what was counted begins the counting anew, be its numbers given out again or not`(more: Int)
    async throws
  {
    let server = try TemporaryPostgres(settings: ["wal_writer_delay": "10s"])
    let outbox = try outbox(server)
    try outbox.database.psql("CHECKPOINT")
    try await outbox.sample()
    var written = 0
    // What is lost is what the last page of the log holds: several transactions, and those that counting adds.
    let place = "SELECT (pg_current_wal_insert_lsn() - '0/0') % 8192 BETWEEN 2500 AND 5000"
    while try written < 20 || outbox.database.psql(place) == "f" {
      try outbox.database.psql(insertion)
      written += 1
    }
    try await outbox.sample()
    #expect(enqueued(outbox) == written)
    let before = try nextTransaction(outbox)
    try server.crash()
    try server.start()
    #expect(try nextTransaction(outbox) < before)
    try outbox.database.psql(String(repeating: insertion, count: more))
    let isAnew = await happens {
      _ = try? await outbox.sample()
      return !outbox.totals.restarts.isEmpty
    }
    #expect(
      isAnew && outbox.totals.restarts.allSatisfy { $0.contains("older than it was") }, "\(outbox.totals.restarts)")
    try outbox.database.psql(String(repeating: insertion, count: 5))
    try await outbox.sample()
    #expect(enqueued(outbox) == written + 5 && outbox.totals.restarts.count == 1, "\(outbox.totals.restarts)")
  }

  @Test func `a crash, a restart and a checkpoint that take nothing change nothing`() async throws {
    let server = try TemporaryPostgres(settings: ["synchronous_commit": "on", "fsync": "on"])
    let outbox = try outbox(server)
    try await outbox.sample()
    for end in [server.crash, server.stop, { try outbox.database.psql("CHECKPOINT") }] {
      try outbox.database.psql(String(repeating: insertion, count: 5))
      try await outbox.sample()
      try outbox.database.psql(insertion)
      try end()
      _ = try? server.start()
      try outbox.database.psql(String(repeating: insertion, count: 4))
      let expected = enqueued(outbox) + 5
      let isCounted = await happens {
        _ = try? await outbox.sample()
        return enqueued(outbox) == expected
      }
      #expect(isCounted, "\(enqueued(outbox)) of \(expected)")
    }
    #expect(outbox.totals.restarts.isEmpty, "\(outbox.totals.restarts)")
  }
}
