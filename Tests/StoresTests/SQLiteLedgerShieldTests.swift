import Layouts
import Outbox
import SQLiteClient
import Stores
import TestSupport
import Testing

@Suite struct `A ledger in SQLite` {
  private static let now = "(julianday('now') - 2440587.5) * 86400.0"

  private func begun(_ journalMode: String = "WAL") async throws -> SQLiteLedgerFixture {
    let fixture = try SQLiteLedgerFixture(.praisonAI, praisonAISchema, journalMode: journalMode)
    try await fixture.begin()
    return fixture
  }

  @Test func `leaves what the application asks of its connection as it was`() async throws {
    let fixture = try await begun()
    try fixture.application.execute(praisonAIEvents(1...3) + praisonAIEvents(10...10))
    #expect(try fixture.value("SELECT last_insert_rowid()") == 10)
    #expect(try fixture.value("SELECT changes()") == 1)
    try fixture.application.execute("UPDATE outbound_queue SET status = 'sent' WHERE id < 4")
    #expect(try fixture.value("SELECT changes()") == 3)
    #expect(try fixture.value("SELECT last_insert_rowid()") == 10)
    #expect(try fixture.value("DELETE FROM outbound_queue WHERE id = 10 RETURNING id") == 10)
    #expect(try fixture.value("SELECT last_insert_rowid()") == 10)
    // Documented: this one counts what triggers do.
    #expect(try #require(try fixture.value("SELECT total_changes()")) > 8)
  }

  @Test(arguments: ["WAL", "DELETE", "TRUNCATE", "PERSIST"])
  func `sees what is committed, and nothing that is rolled back`(_ journalMode: String) async throws {
    let fixture = try await begun(journalMode)
    try await fixture.expect("BEGIN; \(praisonAIEvents(1...5)) ROLLBACK", [])
    try await fixture.expect(
      """
      BEGIN; \(praisonAIEvents(1...2)) SAVEPOINT s; \(praisonAIEvents(3...9)) ROLLBACK TO s; RELEASE s;
      UPDATE outbound_queue SET status = 'sent' WHERE id = 1; COMMIT
      """, ["telegram enqueued 2", "telegram delivered 1", "telegram measured 1"])
    #expect(throws: SQLiteError.self) {
      try fixture.application.execute(praisonAIEvents(20...21) + praisonAIEvents(2...2))
    }
    try await fixture.expect("", ["telegram enqueued 2"])
    // A reader does not see what is not committed, and misses nothing of it.
    try fixture.application.execute("BEGIN; \(praisonAIEvents(30...32))")
    if journalMode == "WAL" { try await fixture.expect("", []) }
    await fixture.restart()
    try await fixture.expect("COMMIT", ["telegram enqueued 3"])
  }

  @Test func `follows every conflict clause of the application`() async throws {
    let fixture = try await begun()
    func event(_ clause: String, _ id: Int, _ more: String = "") -> String {
      """
      INSERT \(clause) INTO outbound_queue (id, ts, idempotency_key, target, payload, metadata)
      VALUES (\(id), \(Self.now), 'k\(id)', 'sms:1', '{}', '{}') \(more);
      """
    }
    try await fixture.expect(event("", 1), ["sms enqueued 1"])
    for clause in ["OR IGNORE", "OR FAIL", "OR ROLLBACK", "OR ABORT", "OR REPLACE"] {
      try? fixture.application.execute(event(clause, 1))
      if clause != "OR REPLACE" { try await fixture.expect("", []) }
    }
    // REPLACE takes the old row away without a trigger, unless triggers are recursive.
    try await fixture.expectRestart("", "1 event left without the ledger's triggers")
    try await fixture.expect(
      "PRAGMA recursive_triggers = ON; " + event("OR REPLACE", 1), ["sms discarded 1", "sms enqueued 1"])
    for clause in ["OR IGNORE", "OR FAIL", "OR ROLLBACK", "OR ABORT", "OR REPLACE"] {
      try await fixture.expect(event(clause, 100 + clause.utf8.count), ["sms enqueued 1"])
      try await fixture.expect(
        "UPDATE \(clause) outbound_queue SET status = 'sent' WHERE id = \(100 + clause.utf8.count)",
        ["sms delivered 1", "sms measured 1"])
      try fixture.application.execute("DELETE FROM outbound_queue WHERE id = \(100 + clause.utf8.count)")
    }
    try await fixture.expect(
      event("", 1, "ON CONFLICT DO NOTHING") + event("", 1, "ON CONFLICT (id) DO UPDATE SET attempts = attempts + 1"),
      ["sms retried 1"])
  }

  @Test func `works where the schema is not trusted, and for a role of SQLite that is told to be strict`() async throws
  {
    let fixture = try await begun()
    try await fixture.expect(
      "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON; \(praisonAIEvents(1...2))"
        + "UPDATE outbound_queue SET status = 'failed', attempts = 1; DELETE FROM outbound_queue WHERE id = 1",
      ["telegram enqueued 2", "telegram retried 2", "telegram discarded 1"])
  }

  @Test(arguments: ["", "WITHOUT ROWID", "STRICT", "STRICT, WITHOUT ROWID"])
  func `counts in every kind of table, whatever it is called`(_ kind: String) async throws {
    var layout = Layout.praisonAI
    layout.queues[0].tables["events"] = TableName(#""odd ""box'; --""#)
    let fixture = try SQLiteLedgerFixture(
      layout,
      #"""
      CREATE TABLE "odd ""box'; --" (
        id TEXT PRIMARY KEY, ts REAL, target TEXT, status TEXT, attempts INTEGER DEFAULT 0, last_attempt REAL,
        sent_at REAL) \#(kind);
      CREATE INDEX by_status ON "odd ""box'; --" (status);
      """#)
    let before = try fixture.schema()
    try await fixture.begin()
    let table = #""odd ""box'; --""#
    try await fixture.expect(
      "INSERT INTO \(table) (id, ts, target, status) VALUES ('a', 1, 'x:1', 'pending'), ('b', 2, 'x:1', NULL)",
      ["x enqueued 2"])
    try await fixture.expect(
      "UPDATE \(table) SET status = 'sent', id = 'c' WHERE id = 'a'", ["x delivered 1", "x measured 1"])
    #expect(try fixture.installation().remove())
    #expect(try fixture.schema() == before)
  }

  @Test func `does not stand in the way of a migration that builds another table anew`() async throws {
    for legacy in ["OFF", "ON"] {
      let fixture = try SQLiteLedgerFixture(.relaycast, relaycastSchema, suffix: "webhook_deliveries")
      for ledger in try fixture.installations() { #expect(try ledger.install(grantingTo: nil)) }
      try fixture.application.execute(
        """
        PRAGMA legacy_alter_table = \(legacy); PRAGMA foreign_keys = OFF; BEGIN;
        CREATE TABLE __new_pending_events AS SELECT * FROM pending_events; DROP TABLE pending_events;
        ALTER TABLE __new_pending_events RENAME TO pending_events;
        ALTER TABLE deliveries ADD COLUMN more TEXT; ALTER TABLE workspaces RENAME TO spaces; COMMIT;
        ALTER TABLE spaces RENAME TO workspaces;
        INSERT INTO pending_events (id, workspace_id, event_type, payload, status, attempts, max_attempts)
        VALUES ('e', 'w', 't', '{}', 'pending', 0, 5);
        INSERT INTO webhook_deliveries (id, event_id, subscription_id) VALUES (1, 'e', 's');
        UPDATE webhook_deliveries SET attempts = 1; DELETE FROM webhook_deliveries; DELETE FROM pending_events;
        """)
      // The triggers went with the table, and that is said.
      let states = try fixture.installations().map { try $0.status().state }
      #expect(states == [.broken, .broken, .installed])
    }
  }

  @Test func `fails a migration that drops a column which it reads, and no other`() async throws {
    let fixture = try await begun()
    try fixture.application.execute("ALTER TABLE outbound_queue DROP COLUMN error")
    #expect(throws: SQLiteError.self) {
      try fixture.application.execute("ALTER TABLE outbound_queue DROP COLUMN last_attempt")
    }
    #expect(try fixture.installation().status().state == .installed)
  }

  @Test func `is read on where the application adds a column`() async throws {
    let fixture = try await begun()
    try await fixture.expect(
      "ALTER TABLE outbound_queue ADD COLUMN lane_key TEXT; \(praisonAIEvents(1...1))", ["telegram enqueued 1"])
  }
}
