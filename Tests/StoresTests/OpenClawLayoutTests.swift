import Layouts
import Outbox
import SQLiteClient
import Stores
import TestSupport
import Testing

@Suite struct `OpenClaw's delivery queue` {
  private let database: LayoutDatabase

  init() throws {
    database = try LayoutDatabase(.openClaw)
    try database.write(openClawSchema)
  }

  private let columns = """
    INSERT INTO delivery_queue_entries(queue_name, id, status, channel, recovery_state, retry_count, last_attempt_at,
      platform_send_started_at, entry_json, enqueued_at, updated_at, failed_at) VALUES
    """

  @Test func `every state is counted where it belongs`() async throws {
    try database.write(
      """
      \(columns)
        ('outbound-prepared-v1', 'a', 'pending', 'telegram', NULL, 0, NULL, NULL, '{}', 1799999990000, 0, NULL),
        ('outbound', 'b', 'pending', 'telegram', NULL, 0, NULL, NULL, '{}', 1799999980000, 0, NULL),
        ('outbound', 'c', 'pending', 'telegram', NULL, 1, 1799999980000, NULL, '{}', 1799999900000, 0, NULL),
        ('outbound', 'd', 'pending', 'telegram', NULL, 1, 1799999970000, NULL, '{}', 1799999800000, 0, NULL),
        ('outbound-session-generation-v1', 'e', 'pending', 'slack', 'producer_claimed', 0, NULL, NULL,
          '{"availableAt": 1800000030000, "to": "somebody"}', 1799999970000, 1799999970000, NULL),
        ('outbound', 'f', 'pending', 'slack', 'producer_claimed', 2, NULL, NULL,
          '{"availableAt": 1799999940000}', 1799999000000, 1799999880000, NULL),
        ('outbound', 'g', 'pending', 'slack', 'send_attempt_started', 0, NULL, 1799999900000, '{}',
          1799999899000, 1799999900000, NULL),
        ('outbound', 'h', 'pending', 'slack', 'send_attempt_started', 3, 1799999500000, 1799999100000, '{}',
          1799999000000, 1799999500000, NULL),
        ('outbound', 'i', 'pending', 'slack', 'unknown_after_send', 0, NULL, 1799990000000, '{}',
          1799989000000, 1799990000000, NULL),
        ('outbound', 'j', 'pending', 'slack', 'a_new_state', 0, NULL, NULL, '{}', 1799999000000, 0, NULL),
        ('outbound-preparing-v1', 'k', 'pending', 'slack', NULL, 0, NULL, NULL, '{}', 1799999000000, 0, NULL),
        ('outbound-prepared-migration-v1', 'l', 'pending', NULL, NULL, 0, NULL, NULL, '{}', 1799999000000, 0, NULL),
        ('outbound', 'm', 'failed', NULL, 'settlement_pending', 5, NULL, NULL, '{}', 1799999000000, 0, 1799999000000),
        ('outbound', 'n', 'failed', NULL, NULL, 5, NULL, NULL, '{}', 1799999900000, 0, 1799999900000),
        ('outbound-prepared-v1', 'o', 'failed', NULL, 'completed_permanent', 5, NULL, NULL, '{}', 1799999900000, 0,
          1799999400000),
        ('outbound', 'p', 'completed', NULL, 'completed_bounded', 0, NULL, NULL, '{}', 1799999000000, 0, NULL),
        ('outbound-media-staging', 'q', 'pending', 'slack', NULL, 0, NULL, NULL, '{}', 1700000000000, 0, NULL),
        ('session', 'r', 'pending', 'slack', NULL, 0, NULL, NULL, '{}', 1700000000000, 0, NULL);
      """)
    let snapshot = try await database.snapshot(eventIDs: true)
    #expect(
      figureLines(snapshot)
        == figureLines(
          """
          depth telegram ready first 2
          depth telegram scheduled retry 1
          depth telegram ready retry 1
          depth slack claimed first 3
          depth slack claimed retry 2
          depth slack unknown first 1
          depth slack parked first 1
          depth default parked first 1
          depth default parked retry 1
          age telegram first oldest 20000 median 10000 p99 20000
          age telegram retry oldest 200000 median 100000 p99 200000
          age slack first oldest 11000000 median 101000 p99 11000000
          age slack retry oldest 1000000 median 1000000 p99 1000000
          stuck slack lease_expired 2 oldest 200000
          stuck slack unclaimable 1 oldest 9700000
          dead default 2 oldest 600000
          implausible 0
          """))
    #expect(snapshot.eventIDs?.oldest.first == "i")
    #expect(snapshot.eventIDs?.oldest.count == 5)
    #expect(snapshot.eventIDs?.stuck == ["i", "h", "f"])
    #expect(snapshot.eventIDs?.newestDead == ["n", "o"])
  }

  @Test(arguments: [(0, 5), (1, 25), (2, 120), (3, 600), (4, 600), (9, 600)])
  func `a tried event is scheduled until its nominal back-off is over`(retries: Int, delay: Int) async throws {
    try database.write(
      """
      \(columns) ('outbound', 'a', 'pending', 'x', NULL, \(retries), 1800000000000, NULL, '{}', 1799999000000, 0, NULL);
      """)
    database.clock.advance(.milliseconds(delay * 1_000 - 1))
    #expect(try await database.snapshot().depth(.scheduled) == 1)
    database.clock.advance(.milliseconds(1))
    let due = try await database.snapshot()
    #expect(due.depth(.ready) == 1)
    #expect(due.depths.first?.retry == true)
  }

  @Test func `a back-off without a last attempt starts when the event was written`() async throws {
    try database.write(
      "\(columns) ('outbound', 'a', 'pending', 'x', NULL, 1, NULL, NULL, '{}', 1799999976000, 0, NULL);")
    #expect(try await database.snapshot().depth(.scheduled) == 1)
    database.clock.advance(.seconds(1))
    #expect(try await database.snapshot().depth(.ready) == 1)
  }

  @Test func `a malformed entry costs its lease and not the sample`() async throws {
    try database.write(
      """
      \(columns)
        ('outbound', 'a', 'pending', 'x', 'producer_claimed', 0, NULL, NULL, '{broken', 1799999000000, 1799999939000,
          NULL),
        ('outbound', 'b', 'pending', 'x', NULL, 0, NULL, NULL, '', 1799999000000, 0, NULL);
      """)
    let snapshot = try await database.snapshot()
    #expect(snapshot.depth == 2)
    // The lease of 60 s is counted from the last update then.
    #expect(snapshot.stuck == [.init(destination: "x", reason: .leaseExpired, count: 1, oldest: .seconds(1))])
  }

  @Test func `an unknown queue is found and counts as unknown`() async throws {
    try database.write(
      """
      \(columns)
        ('outbound-prepared-v2', 'a', 'pending', 'x', NULL, 0, NULL, NULL, '{}', 1799999000000, 0, NULL),
        ('outbound-media-staging', 'b', 'pending', 'x', NULL, 0, NULL, NULL, '{}', 1799999000000, 0, NULL);
      """)
    #expect(figureLines(try await database.snapshot()) == ["depth x unknown first 1", "implausible 0"])
  }

  @Test func `the earliest build, which has fewer columns, can be read`() async throws {
    let early = try LayoutDatabase(.openClaw)
    try early.write(
      """
      CREATE TABLE delivery_queue_entries (
        queue_name TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, entry_json TEXT NOT NULL,
        enqueued_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, failed_at INTEGER, PRIMARY KEY (queue_name, id));
      CREATE INDEX idx_delivery_queue_pending ON delivery_queue_entries(queue_name, status, enqueued_at, id);
      CREATE INDEX idx_delivery_queue_failed ON delivery_queue_entries(queue_name, status, failed_at, id);
      INSERT INTO delivery_queue_entries VALUES
        ('outbound', 'a', 'pending', '{}', 1799999990000, 1799999990000, NULL),
        ('outbound', 'b', 'failed', '{}', 1799999990000, 1799999995000, 1799999995000);
      """)
    #expect(
      figureLines(try await early.snapshot())
        == figureLines(
          """
          depth default ready first 1
          age default first oldest 10000 median 10000 p99 10000
          dead default 1 oldest 5000
          implausible 0
          """))
  }

  @Test func `completed rows are not touched, however many there are`() throws {
    try database.write(
      """
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
      INSERT INTO delivery_queue_entries(queue_name, id, status, entry_json, enqueued_at, updated_at)
      SELECT 'outbound', i, 'completed', '{}', 1799999000000, 1799999000000 FROM n;
      """)
    try database.expectIndexes()
  }
}

/// The table and its indexes as OpenClaw's state database has them.
let openClawSchema = """
  CREATE TABLE delivery_queue_entries (
    queue_name TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, entry_kind TEXT, session_key TEXT, channel TEXT,
    target TEXT, account_id TEXT, retry_count INTEGER NOT NULL DEFAULT 0, last_attempt_at INTEGER, last_error TEXT,
    recovery_state TEXT, platform_send_started_at INTEGER, entry_json TEXT NOT NULL, enqueued_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, failed_at INTEGER, PRIMARY KEY (queue_name, id)) STRICT;
  CREATE INDEX idx_delivery_queue_pending ON delivery_queue_entries(queue_name, status, enqueued_at, id);
  CREATE INDEX idx_delivery_queue_failed ON delivery_queue_entries(queue_name, status, failed_at, id);
  CREATE INDEX idx_delivery_queue_session ON delivery_queue_entries(queue_name, status, session_key, enqueued_at, id)
    WHERE session_key IS NOT NULL;
  CREATE INDEX idx_delivery_queue_target ON delivery_queue_entries(queue_name, status, channel, target, enqueued_at, id)
    WHERE channel IS NOT NULL AND target IS NOT NULL;
  """
