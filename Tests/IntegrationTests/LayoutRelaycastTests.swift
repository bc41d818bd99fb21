import Layouts
import Outbox
import TestSupport
import Testing

@Suite(withPostgreSQL)
struct `Relaycast's older PostgreSQL queue` {
  /// The table and indexes as the old server's migration 0002 makes them.
  private let schema = """
    CREATE TABLE pending_events (
      id text PRIMARY KEY, workspace_id text NOT NULL, event_type text NOT NULL, payload jsonb NOT NULL DEFAULT '{}',
      status text NOT NULL DEFAULT 'pending', attempts smallint NOT NULL DEFAULT 0,
      max_attempts smallint NOT NULL DEFAULT 5, last_error text, created_at timestamptz NOT NULL DEFAULT now(),
      process_after timestamptz NOT NULL DEFAULT now(), completed_at timestamptz);
    CREATE INDEX idx_pending_events_status ON pending_events (status, process_after);
    CREATE INDEX idx_pending_events_workspace ON pending_events (workspace_id);
    """
  private let rows = """
    INSERT INTO pending_events (id, workspace_id, event_type, status, attempts, last_error, created_at, process_after,
      completed_at)
    SELECT id, 'w', type, status, attempts, error, t - created * interval '1 second', t - due * interval '1 second',
      t - completed * interval '1 second'
    FROM moment, (VALUES
      ('a', 'message', 'pending', 0, NULL, 10, 10, NULL::int), ('b', 'message', 'pending', 0, NULL, 900, 20, NULL),
      ('c', 'message', 'pending', 0, NULL, 10, -900, NULL), ('d', 'message', 'pending', 1, NULL, 60, -900, NULL),
      ('e', 'message', 'pending', 1, NULL, 200, 100, NULL), ('f', 'message', 'pending', 2, NULL, 300, -900, NULL),
      ('g', 'agent', 'pending', 2, 'x', 1000, -900, NULL), ('h', 'agent', 'pending', 3, 'x', 2000, 1, NULL),
      ('i', 'agent', 'pending', 5, 'x', 3000, -900, NULL), ('j', 'agent', 'pending', 5, 'x', 4000, 1000, NULL),
      ('k', 'agent', 'failed', 5, 'x', 9000, 9000, 5000), ('l', 'agent', 'completed', 1, NULL, 9000, 9000, 5000),
      ('m', 'message', 'paused', 0, NULL, 9000, 9000, NULL)
    ) AS v (id, type, status, attempts, error, created, due, completed);
    """

  @Test func `every state is counted where it belongs`() async throws {
    let fixture = try LayoutFixture(.relaycast, schema + rows)
    try await fixture.expectFigures(
      """
      depth message ready first 2
      depth message scheduled first 1
      depth message claimed first 1
      depth message ready retry 1
      depth message claimed retry 1
      depth message unknown first 1
      depth agent scheduled retry 1
      depth agent ready retry 2
      depth agent claimed retry 1
      age message first oldest 60000 median 20000 p99 60000
      age message retry oldest 300000 median 200000 p99 300000
      age agent retry oldest 4000000 median 2000000 p99 4000000
      stuck agent attempts_exhausted 1 oldest 1000000
      dead agent 1 oldest 5000000
      implausible 0
      """)
    let samples = await fixture.samples(eventIDs: true)
    #expect(samples.map(\.outbox.name) == ["o/pending_events"])
    #expect(
      samples.first?.snapshot?.eventIDs
        == .init(oldest: ["j", "i", "h", "g", "f"], stuck: ["j"], newestDead: ["k"]))
  }
}
