import Layouts
import Outbox
import SQLiteClient
import Stores
import TestSupport
import Testing

@Suite struct `Relaycast's queues` {
  private let database: LayoutDatabase

  init() throws {
    database = try LayoutDatabase(.relaycast)
    try database.write(relaycastSchema)
    try database.write("INSERT INTO workspaces(id) VALUES ('w1'), ('w2');")
  }

  // MARK: - pending_events

  private let events = """
    INSERT INTO pending_events(id, workspace_id, event_type, payload, status, attempts, max_attempts, last_error,
      created_at, process_after, completed_at) VALUES
    """

  @Test func `every state of pending_events is counted where it belongs`() async throws {
    try database.write(
      """
      \(events)
        ('a', 'w1', 'message.created', '{}', 'pending', 0, 5, NULL, 1799999990, 1799999990, NULL),
        ('b', 'w1', 'message.created', '{}', 'pending', 0, 5, NULL, 1799999000, 1799999980, NULL),
        ('c', 'w1', 'message.created', '{}', 'pending', 0, 5, NULL, 1799999990, 1800000600, NULL),
        ('d', 'w1', 'message.created', '{}', 'pending', 1, 5, NULL, 1799999940, 1800000030, NULL),
        ('e', 'w1', 'message.created', '{}', 'pending', 1, 5, NULL, 1799999800, 1799999900, NULL),
        ('f', 'w1', 'message.created', '{}', 'pending', 2, 5, NULL, 1799999700, 1800000030, NULL),
        ('g', 'w2', 'agent.joined', '{}', 'pending', 2, 5, 'HTTP 503', 1799999000, 1800000060, NULL),
        ('h', 'w2', 'agent.joined', '{}', 'pending', 3, 5, 'HTTP 503', 1799998000, 1799999999, NULL),
        ('i', 'w2', 'agent.joined', '{}', 'pending', 5, 5, 'HTTP 503', 1799997000, 1800000030, NULL),
        ('j', 'w2', 'agent.joined', '{}', 'pending', 5, 5, 'HTTP 503', 1799996000, 1799999000, NULL),
        ('k', 'w2', 'agent.joined', '{}', 'failed', 5, 5, 'HTTP 503', 1799990000, 1799991000, 1799995000),
        ('l', 'w1', 'message.created', '{}', 'completed', 1, 5, NULL, 1799990000, 1799991000, 1799995000),
        ('m', 'w1', 'message.created', '{}', 'paused', 0, 5, NULL, 1799990000, 1799991000, NULL);
      """)
    let snapshot = try await database.snapshot("pending_events", eventIDs: true)
    #expect(
      figureLines(snapshot)
        == figureLines(
          """
          depth message.created ready first 2
          depth message.created scheduled first 1
          depth message.created claimed first 1
          depth message.created ready retry 1
          depth message.created claimed retry 1
          depth message.created unknown first 1
          depth agent.joined scheduled retry 1
          depth agent.joined ready retry 2
          depth agent.joined claimed retry 1
          age message.created first oldest 60000 median 20000 p99 60000
          age message.created retry oldest 300000 median 200000 p99 300000
          age agent.joined retry oldest 4000000 median 2000000 p99 4000000
          stuck agent.joined attempts_exhausted 1 oldest 1000000
          dead agent.joined 1 oldest 5000000
          implausible 0
          """))
    #expect(snapshot.eventIDs == .init(oldest: ["j", "i", "h", "g", "f"], stuck: ["j"], newestDead: ["k"]))
  }

  @Test func `a lease that ends makes the event ready again, as a retry, without a write`() async throws {
    try database.write(
      "\(events) ('a', 'w1', 't', '{}', 'pending', 1, 5, NULL, 1799999990, 1800000060, NULL);")
    var snapshot = try await database.snapshot("pending_events")
    #expect(snapshot.depths == [.init(destination: "t", state: .claimed, retry: false, count: 1)])
    database.clock.advance(.milliseconds(59_999))
    snapshot = try await database.snapshot("pending_events")
    #expect(snapshot.depths == [.init(destination: "t", state: .claimed, retry: false, count: 1)])
    database.clock.advance(.milliseconds(1))
    snapshot = try await database.snapshot("pending_events")
    #expect(snapshot.depths == [.init(destination: "t", state: .ready, retry: true, count: 1)])
    #expect(snapshot.stuck.isEmpty)
  }

  @Test func `an event stranded on its last attempt is claimed, then stuck`() async throws {
    try database.write(
      "\(events) ('a', 'w1', 't', '{}', 'pending', 5, 5, 'HTTP 503', 1799999990, 1800000060, NULL);")
    var snapshot = try await database.snapshot("pending_events")
    #expect(snapshot.depth(.claimed) == 1)
    #expect(snapshot.stuckCount == 0)
    database.clock.advance(.seconds(61))
    snapshot = try await database.snapshot("pending_events")
    #expect(snapshot.depth(.ready) == 1)
    #expect(snapshot.stuck == [.init(destination: "t", reason: .attemptsExhausted, count: 1, oldest: .seconds(1))])
  }

  // MARK: - webhook_deliveries

  @Test func `every state of webhook_deliveries is counted where it belongs`() async throws {
    try database.write(
      """
      \(events)
        ('e1', 'w1', 'message.created', '{}', 'pending', 3, 32, NULL, 1799990000, 1800000060, NULL),
        ('e2', 'w1', 'message.created', '{}', 'failed', 32, 32, 'x', 1799990000, 1799990000, 1799995000);
      INSERT INTO webhook_deliveries(id, event_id, subscription_id, status, attempts, next_attempt_at, last_error,
        last_status, created_at, completed_at) VALUES
        ('a', 'e1', 's1', 'pending', 0, 1799999990, NULL, NULL, 1799999990, NULL),
        ('b', 'e1', 's2', 'pending', 1, 1800000030, NULL, NULL, 1799999970, NULL),
        ('c', 'e1', 's3', 'pending', 2, 1800000030, NULL, 503, 1799999000, NULL),
        ('d', 'e1', 's4', 'pending', 3, 1800000600, 'HTTP 503', 503, 1799998000, NULL),
        ('e', 'e1', 's5', 'pending', 3, 1799999999, 'HTTP 503', 503, 1799997000, NULL),
        ('f', 'e1', 's6', 'succeeded', 1, 1799990000, NULL, 200, 1799990000, 1799990001),
        ('g', 'e1', 's7', 'failed', 1, 1799990000, 'HTTP 410', 410, 1799990000, 1799991000),
        ('h', 'e1', 's8', 'dead_letter', 7, 1799990000, 'HTTP 503', 503, 1799990000, 1799992000),
        ('i', 'e2', 's1', 'pending', 1, 1799999900, 'HTTP 503', 503, 1799996000, NULL),
        ('j', 'e2', 's2', 'pending', 1, 1800000900, 'HTTP 503', 503, 1799996000, NULL),
        ('k', 'e2', 's3', 'replaying', 0, 1799990000, NULL, NULL, 1799990000, NULL);
      """)
    let snapshot = try await database.snapshot("webhook_deliveries", eventIDs: true)
    #expect(
      figureLines(snapshot)
        == figureLines(
          """
          depth message.created ready first 1
          depth message.created claimed first 1
          depth message.created claimed retry 1
          depth message.created scheduled retry 2
          depth message.created ready retry 2
          depth message.created unknown first 1
          age message.created first oldest 30000 median 10000 p99 30000
          age message.created retry oldest 4000000 median 3000000 p99 4000000
          stuck message.created unclaimable 1 oldest 100000
          dead message.created 2 oldest 9000000
          implausible 0
          """))
    #expect(snapshot.eventIDs?.stuck == ["i"])
    #expect(snapshot.eventIDs?.newestDead == ["h", "g"])
  }

  // MARK: - deliveries

  @Test func `every state of deliveries is counted where it belongs`() async throws {
    try database.write(
      """
      INSERT INTO deliveries(id, workspace_id, message_id, agent_id, status, seq, route_node_kind, dispatch_attempts,
        next_attempt_at, available_at, expires_at, delivered_at, acked_at, dead_lettered_at, created_at, updated_at)
      VALUES
        ('a', 'w1', 'm', 'a1', 'queued', 1, 'http_push', 0, NULL, NULL, 1800003600, NULL, NULL, NULL, 1799999990, NULL),
        ('b', 'w1', 'm', 'a2', 'queued', 1, 'http_push', 2, 1800000030, NULL, 1800003600, NULL, NULL, NULL,
          1799999000, 1799999999),
        ('c', 'w1', 'm', 'a3', 'queued', 1, 'http_push', 2, 1799999999, NULL, 1800003600, NULL, NULL, NULL,
          1799998000, 1799999999),
        ('d', 'w2', 'm', 'a4', 'queued', 1, NULL, 0, NULL, 1800000100, 1800003600, NULL, NULL, NULL, 1799999000, NULL),
        ('e', 'w2', 'm', 'a5', 'queued', 1, NULL, 0, NULL, 1799999950, 1800003600, NULL, NULL, NULL, 1799999000, NULL),
        ('f', 'w2', 'm', 'a6', 'queued', 1, NULL, 0, NULL, NULL, 1799999400, NULL, NULL, NULL, 1799995800, NULL),
        ('g', 'w2', 'm', 'a7', 'delivered', 1, 'ws', 0, NULL, NULL, 1800003600, 1799999980, NULL, NULL,
          1799999970, 1799999980),
        ('h', 'w2', 'm', 'a8', 'delivered', 1, 'ws', 2, NULL, NULL, 1799999700, 1799999000, NULL, NULL,
          1799996100, 1799999000),
        ('i', 'w2', 'm', 'a9', 'acked', 1, 'ws', 0, NULL, NULL, 1799999700, 1799999000, 1799999001, NULL,
          1799996100, 1799999001),
        ('j', 'w2', 'm', 'b1', 'failed', 1, 'ws', 0, NULL, NULL, 1799999700, NULL, NULL, NULL, 1799996100, 1799999000),
        ('k', 'w2', 'm', 'b2', 'dead_lettered', 1, 'ws', 0, NULL, NULL, 1799999700, NULL, NULL, 1799999800,
          1799996100, 1799999800);
      """)
    let snapshot = try await database.snapshot("deliveries", eventIDs: true)
    #expect(
      figureLines(snapshot)
        == figureLines(
          """
          depth http_push ready first 1
          depth http_push scheduled retry 1
          depth http_push ready retry 1
          depth default scheduled first 1
          depth default ready first 2
          depth ws claimed first 1
          depth ws claimed retry 1
          age http_push first oldest 10000 median 10000 p99 10000
          age http_push retry oldest 2000000 median 1000000 p99 2000000
          age default first oldest 4200000 median 50000 p99 4200000
          age ws first oldest 30000 median 30000 p99 30000
          age ws retry oldest 3900000 median 3900000 p99 3900000
          stuck default unclaimable 1 oldest 600000
          stuck ws lease_expired 1 oldest 300000
          dead ws 2 oldest 1000000
          implausible 0
          """))
    #expect(snapshot.eventIDs?.stuck == ["f", "h"])
    #expect(snapshot.eventIDs?.newestDead == ["k", "j"])
  }

  @Test func `an older database without webhook_deliveries has two queues`() async throws {
    try database.write("DROP TABLE webhook_deliveries;")
    #expect(await database.samples().map(\.outbox.name) == ["o/pending_events", "o/deliveries"])
  }

  @Test func `finished rows are not touched, however many there are`() async throws {
    try database.write(
      """
      \(events) ('e1', 'w1', 't', '{}', 'pending', 0, 5, NULL, 1799999990, 1799999990, NULL);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
      INSERT INTO deliveries(id, workspace_id, message_id, agent_id, status, seq, created_at, expires_at, acked_at)
      SELECT 'd' || i, 'w' || (i % 2 + 1), 'm' || i, 'a', 'acked', i, 1799999000, 1799999900, 1799999001 FROM n;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
      INSERT INTO webhook_deliveries(id, event_id, subscription_id, status, created_at, completed_at)
      SELECT 'd' || i, 'e1', 's' || i, 'succeeded', 1799999000, 1799999001 FROM n;
      """)
    try database.expectIndexes()
    #expect(await database.samples().map { $0.snapshot?.depth } == [1, 0, 0])
  }
}

/// The tables and indexes as Relaycast's migrations leave them, without the columns of other features.
let relaycastSchema = """
  CREATE TABLE workspaces (id TEXT PRIMARY KEY NOT NULL);
  CREATE TABLE pending_events (
    id TEXT PRIMARY KEY NOT NULL, workspace_id TEXT NOT NULL REFERENCES workspaces(id) ON DELETE CASCADE,
    event_type TEXT NOT NULL, payload TEXT NOT NULL, status TEXT DEFAULT 'pending' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL, max_attempts INTEGER DEFAULT 5 NOT NULL, last_error TEXT,
    created_at INTEGER DEFAULT (unixepoch()) NOT NULL, process_after INTEGER DEFAULT (unixepoch()) NOT NULL,
    completed_at INTEGER, webhook_initialized INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX idx_pending_events_status ON pending_events (status, process_after);
  CREATE INDEX idx_pending_events_workspace ON pending_events (workspace_id);
  CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY NOT NULL, event_id TEXT NOT NULL REFERENCES pending_events(id) ON DELETE CASCADE,
    subscription_id TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL DEFAULT (unixepoch()), last_error TEXT, last_status INTEGER,
    created_at INTEGER NOT NULL DEFAULT (unixepoch()), completed_at INTEGER);
  CREATE UNIQUE INDEX webhook_deliveries_event_subscription_unique ON webhook_deliveries(event_id, subscription_id);
  CREATE INDEX idx_webhook_deliveries_due ON webhook_deliveries(status, next_attempt_at);
  CREATE INDEX idx_webhook_deliveries_subscription ON webhook_deliveries(subscription_id, created_at);
  CREATE TABLE deliveries (
    id TEXT PRIMARY KEY NOT NULL, workspace_id TEXT NOT NULL REFERENCES workspaces(id) ON DELETE CASCADE,
    message_id TEXT NOT NULL, agent_id TEXT NOT NULL, mode TEXT NOT NULL DEFAULT 'immediate', reason TEXT,
    priority TEXT NOT NULL DEFAULT 'normal', deadline INTEGER, status TEXT NOT NULL DEFAULT 'queued',
    retryable INTEGER, available_at INTEGER, error TEXT, idempotency_key TEXT,
    created_at INTEGER NOT NULL DEFAULT (unixepoch()), updated_at INTEGER, seq INTEGER NOT NULL DEFAULT 0,
    location_type TEXT NOT NULL DEFAULT 'self_connected', location_node_id TEXT, expires_at INTEGER,
    delivered_at INTEGER, acked_at INTEGER, dead_lettered_at INTEGER, route_node_id TEXT, route_node_kind TEXT,
    delivery_adapter TEXT, dispatch_attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at INTEGER,
    last_dispatch_error TEXT);
  CREATE UNIQUE INDEX deliveries_message_agent_unique ON deliveries(message_id, agent_id);
  CREATE UNIQUE INDEX deliveries_agent_seq_unique ON deliveries(workspace_id, agent_id, seq);
  CREATE INDEX idx_deliveries_agent ON deliveries(agent_id, created_at);
  CREATE INDEX idx_deliveries_status ON deliveries(workspace_id, status, created_at);
  CREATE INDEX idx_deliveries_agent_status_seq ON deliveries(workspace_id, agent_id, status, seq);
  CREATE INDEX idx_deliveries_expires ON deliveries(workspace_id, status, expires_at);
  CREATE INDEX idx_deliveries_active_expiry ON deliveries(expires_at, id)
    WHERE status IN ('queued', 'delivered') AND expires_at IS NOT NULL;
  CREATE INDEX idx_deliveries_retry_due ON deliveries(status, next_attempt_at, created_at, id)
    WHERE next_attempt_at IS NOT NULL;
  CREATE INDEX idx_deliveries_settled_retention ON deliveries(created_at, id)
    WHERE status IN ('acked', 'failed', 'dead_lettered');
  """
