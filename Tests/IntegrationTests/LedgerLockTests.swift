import Layouts
import Outbox
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL, programs("pgbench")) struct `With 32 clients a ledger` {
  /// Each client works on rows of its own, so that whatever it waits for is the ledger's.
  private static let script = """
    INSERT INTO outbox (channel) VALUES ('mail') RETURNING id AS row \\gset
    UPDATE outbox SET status = 'sending', locked_at = now() WHERE id = :row;
    BEGIN;
    UPDATE outbox SET status = 'failed', attempts = 1 WHERE id = :row;
    UPDATE outbox SET status = 'sending' WHERE id = :row;
    COMMIT;
    UPDATE outbox SET status = 'delivered', delivered_at = now() WHERE id = :row;
    DELETE FROM outbox WHERE id = :row;
    """

  @Test func `makes nobody wait for a lock, and deadlocks with nobody, while it is read and purged`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    let database = fixture.database
    try database.psql(
      """
      ALTER DATABASE \(database.name) SET log_lock_waits = on; ALTER DATABASE \(database.name) SET deadlock_timeout = '20ms';
      """)
    await fixture.restart()
    #expect(try await fixture.sample().accounting?.mark.method == .ledger)
    let directory = try TemporaryDirectory()
    try directory.write(Self.script, to: "script.sql")
    let clients = try ChildProcess(
      "pgbench",
      [
        "-n", "-c", "32", "-t", "25", "-f", "\(directory.path)/script.sql", "-h", database.server.socketDirectory, "-p",
        "\(database.server.port)", "-U", "postgres", database.name,
      ])
    while clients.isRunning { try await fixture.sample() }
    #expect(clients.wait() == 0, "\(clients.standardError)")
    try await fixture.sample()
    let all = ["mail delivered 800", "mail enqueued 800", "mail measured 800", "mail retried 800"]
    // What comes after a transaction that is still open, as that of the server's own ANALYZE, is counted once it has ended.
    for _ in 0..<200 where fixture.restarts.isEmpty && movementLines(fixture.total) != all {
      try await Task.sleep(for: .milliseconds(50))
      try await fixture.sample()
    }
    let waits = database.server.log.split(separator: "\n").filter {
      // How a table grows is the server's own affair; it waits for that without any ledger too.
      $0.contains("database=\(database.name) ") && $0.contains("still waiting for")
        && !$0.contains("extension of relation")
    }
    #expect(waits.isEmpty, "\(waits)")
    #expect(
      try database.psql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == "0")
    #expect(fixture.restarts.isEmpty, "\(fixture.restarts)")
    #expect(movementLines(fixture.total) == all)
    #expect(try database.psql("SELECT count(*) FROM outbox_ledger.losses") == "0")
  }
}
