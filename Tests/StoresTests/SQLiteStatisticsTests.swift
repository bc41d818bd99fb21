import Layouts
import Outbox
import SQLiteClient
import Stores
import TestSupport
import Testing

@Suite struct `Statistics in SQLite` {
  private let openClaw = """
    CREATE TABLE delivery_queue_entries (
      queue_name TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, channel TEXT, entry_json TEXT NOT NULL,
      enqueued_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, failed_at INTEGER, PRIMARY KEY (queue_name, id));
    """

  private func enqueue(_ ids: String, _ channel: String, at milliseconds: Int) -> String {
    ids.map { id in
      """
      INSERT INTO delivery_queue_entries
      VALUES ('outbound', '\(id)', 'pending', '\(channel)', '{}', \(milliseconds), \(milliseconds), NULL);
      """
    }.joined()
  }

  @Test func `arrivals show by the times of what waits, departures by the depth`() async throws {
    let database = try LayoutDatabase(.openClaw)
    let totals = MovementTotals()
    try database.write(openClaw + enqueue("abc", "mail", at: 1_799_999_999_000))
    totals.add(await database.samples(totals.request))
    #expect(totals.lines.isEmpty)
    database.clock.advance(.seconds(15))
    try database.write(
      enqueue("defg", "mail", at: 1_800_000_009_000) + "DELETE FROM delivery_queue_entries WHERE id IN ('a', 'b', 'd')")
    totals.add(await database.samples(totals.request))
    // That d came and left is known to nobody.
    #expect(totals.lines == ["mail enqueued 3", "mail unseen 2"])
    #expect(totals.unbalanced.isEmpty && totals.restarts.isEmpty && totals.notices.isEmpty)
  }

  @Test func `a dead row that lost its destination and its time of writing died where it is missing`() async throws {
    let database = try LayoutDatabase(.openClaw)
    let totals = MovementTotals()
    try database.write(
      openClaw + enqueue("abc", "mail", at: 1_799_999_999_000) + enqueue("xy", "sms", at: 1_799_999_999_000))
    totals.add(await database.samples(totals.request))
    database.clock.advance(.seconds(15))
    try database.write(
      """
      UPDATE delivery_queue_entries
      SET status = 'failed', channel = NULL, enqueued_at = 1800000010000, failed_at = 1800000010000
      WHERE id IN ('a', 'x', 'y')
      """)
    totals.add(await database.samples(totals.request))
    #expect(totals.lines == ["mail dead 1", "sms dead 2"])
    #expect(totals.unbalanced.isEmpty)
  }

  @Test func `what a dead-letter file gets has died`() async throws {
    let database = try LayoutDatabase(.praisonAI)
    let totals = MovementTotals()
    try database.write(
      """
      CREATE TABLE outbound_entries (id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL, platform TEXT);
      INSERT INTO outbound_entries (ts, platform) VALUES (1799999999, 'mail');
      """)
    totals.add(await database.samples(totals.request))
    try database.write("INSERT INTO outbound_entries (ts, platform) VALUES (1800000000.5, 'mail'), (1800000001, 'sms')")
    totals.add(await database.samples(totals.request))
    #expect(totals.lines == ["mail enqueued 1", "mail dead 1", "sms enqueued 1", "sms dead 1"])
    // Written and replayed between two samples: its key has been counted, and it can only have been dead.
    try database.write(
      "INSERT INTO outbound_entries (ts, platform) VALUES (1800000002, 'sms'); DELETE FROM outbound_entries WHERE id = 4"
    )
    totals.add(await database.samples(totals.request))
    #expect(totals.lines.contains("default enqueued 1") && totals.lines.contains("default dead 1"))
    #expect(totals.unbalanced.isEmpty)
  }

  @Test(arguments: ["permanent_failure", "sent"])
  func `what comes and leaves after events came back is counted`(state: String) async throws {
    let database = try LayoutDatabase(.praisonAI)
    let totals = MovementTotals()
    func sample(after statements: String) async throws {
      try database.write(statements)
      totals.add(await database.samples(totals.request))
      database.clock.advance(.seconds(15))
    }
    func enqueue(_ count: Int) -> String {
      """
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
      INSERT INTO outbound_queue (ts, target) SELECT \(database.clock.now.seconds), 'mail:1' FROM n;
      """
    }
    try await sample(
      after: """
        CREATE TABLE outbound_queue (
          id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, target TEXT NOT NULL,
          status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0, last_attempt REAL, sent_at REAL);
        CREATE INDEX idx_status ON outbound_queue (status);
        """)
    try await sample(after: enqueue(50))
    try await sample(
      after: "UPDATE outbound_queue SET status = '\(state)', last_attempt = \(database.clock.now.seconds)")
    try await sample(after: "UPDATE outbound_queue SET status = 'pending'")
    for _ in 0..<5 { try await sample(after: enqueue(10) + "DELETE FROM outbound_queue WHERE id > 50") }
    let unseen = totals.counts.values.reduce(0) { $0 + ($1.dispositions[.unseen] ?? 0) }
    #expect(totals.counts.values.reduce(0) { $0 + $1.enqueued } == 150, "\(totals.lines)")
    #expect(unseen == (state == "sent" ? 100 : 50), "\(totals.lines)")
    #expect(totals.marks["o"]?.method == .statistics && totals.unbalanced.isEmpty)
  }

  @Test func `keys that SQLite gives out for nothing count as come and gone, rolled-back ones do not`() async throws {
    let database = try LayoutDatabase(.praisonAI)
    let totals = MovementTotals()
    func sample(after statements: String) async throws -> Set<String> {
      try database.write(statements)
      totals.add(await database.samples(totals.request))
      return totals.lines
    }
    _ = try await sample(
      after: """
        CREATE TABLE outbound_queue (
          id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, idempotency_key TEXT UNIQUE, target TEXT NOT NULL,
          status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0, last_attempt REAL, sent_at REAL);
        CREATE INDEX idx_status ON outbound_queue (status);
        INSERT INTO outbound_queue (ts, idempotency_key, target) VALUES (1799999999, 'a', 'mail:1');
        """)
    #expect(
      try await sample(
        after: """
          SAVEPOINT s; INSERT INTO outbound_queue (ts, idempotency_key, target) VALUES (1799999999, 'b', 'mail:1'); ROLLBACK TO s;
          """) == [])
    #expect(
      try await sample(
        after: """
          INSERT OR IGNORE INTO outbound_queue (ts, idempotency_key, target) VALUES (1800000000, 'a', 'mail:1');
          INSERT INTO outbound_queue (ts, idempotency_key, target) VALUES (1800000000, 'a', 'mail:1') ON CONFLICT DO NOTHING;
          """) == ["mail enqueued 2", "mail unseen 2"])
    #expect(
      try await sample(
        after: "INSERT INTO outbound_queue (id, ts, idempotency_key, target) VALUES (13, 1800000000, 'c', 'mail:1')")
        == ["mail enqueued 12", "mail unseen 11"])
    #expect(totals.unbalanced.isEmpty)
  }
}
