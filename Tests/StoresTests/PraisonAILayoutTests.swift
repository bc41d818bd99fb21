import Layouts
import Outbox
import TestSupport
import Testing

@Suite struct PraisonAILayoutTests {
  @Test func `delivered rows are not touched, however many there are`() async throws {
    let database = try LayoutDatabase(.praisonAI)
    try database.write(
      """
      CREATE TABLE outbound_queue (
        id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, idempotency_key TEXT NOT NULL UNIQUE,
        target TEXT NOT NULL, payload TEXT NOT NULL, metadata TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
        attempts INTEGER NOT NULL DEFAULT 0, last_attempt REAL, error TEXT, sent_at REAL);
      CREATE INDEX idx_status ON outbound_queue (status);
      CREATE INDEX idx_ts ON outbound_queue (ts);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
      INSERT INTO outbound_queue (ts, idempotency_key, target, payload, metadata, status, sent_at)
      SELECT 1799990000 + i / 100, i, 'mail:1', '{}', '{}', CASE WHEN i % 50000 = 0 THEN 'pending' ELSE 'sent' END, 1799999000
      FROM n;
      """)
    try database.expectIndexes()
    #expect(try await database.snapshot().depth == 4)
  }
}
