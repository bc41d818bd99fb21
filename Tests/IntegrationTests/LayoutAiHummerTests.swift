import Layouts
import Outbox
import SampleSQL
import TestSupport
import Testing

@Suite(withPostgreSQL)
struct `AiHummer's outbox` {
  private let schema = """
    CREATE TABLE outbox (
      id bigint PRIMARY KEY, tenant_id text NOT NULL DEFAULT 'a', channel text, ledger_key text, payload jsonb,
      status text NOT NULL DEFAULT 'pending', attempts integer NOT NULL DEFAULT 0, next_attempt_at timestamptz,
      locked_at timestamptz, locked_by text, last_error text, created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz, delivered_at timestamptz);
    CREATE INDEX ON outbox (status, next_attempt_at);
    """
  private let rows = """
    INSERT INTO outbox (id, channel, status, attempts, created_at, next_attempt_at, locked_at, updated_at)
    SELECT id, channel, status, attempts, t - created * interval '1 second', t - due * interval '1 second',
      t - locked * interval '1 second', t - updated * interval '1 second'
    FROM moment, (VALUES
      (1, 'telegram', 'pending', 0, 10, NULL::int, NULL::int, NULL::int), (2, 'telegram', 'pending', 0, 900, 20, NULL, NULL),
      (3, 'telegram', 'pending', 0, 900, -900, NULL, NULL), (4, 'telegram', 'pending', 1, 1000, -900, NULL, 60),
      (5, 'telegram', 'failed', 2, 2000, 5, NULL, 60), (6, 'telegram', 'failed', 0, 3000, NULL, NULL, 60),
      (7, 'mail', 'sending', 0, 100, NULL, 90, 90), (8, 'mail', 'processing', 0, 5000, 4000, 1300, 1300),
      (9, 'mail', 'sending', 3, 6000, 50, NULL, 2300), (10, 'mail', 'delivered', 1, 9000, NULL, NULL, 9000),
      (11, 'mail', 'dead', 5, 9000, NULL, NULL, 7000), (12, NULL, 'dead', 5, 9000, NULL, NULL, NULL),
      (13, 'mail', 'quarantined', 0, 9000, NULL, NULL, NULL)
    ) AS v (id, channel, status, attempts, created, due, locked, updated);
    """
  private let expected = """
    depth telegram ready first 2
    depth telegram scheduled first 1
    depth telegram scheduled retry 1
    depth telegram ready retry 2
    depth mail claimed first 2
    depth mail claimed retry 1
    depth mail unknown first 1
    age telegram first oldest 20000 median 10000 p99 20000
    age telegram retry oldest 3000000 median 2000000 p99 3000000
    age mail first oldest 4000000 median 100000 p99 4000000
    age mail retry oldest 6000000 median 6000000 p99 6000000
    stuck mail lease_expired 2 oldest 2000000
    dead default 1 oldest 9000000
    implausible 0
    """

  @Test func `every state is counted where it belongs`() async throws {
    let fixture = try LayoutFixture(.aiHummer, schema + rows)
    try await fixture.expectFigures(expected + "\n" + "dead mail 1 oldest 7000000")
    let ids = try await fixture.snapshot(eventIDs: true).eventIDs
    #expect(ids == .init(oldest: ["9", "8", "6", "5", "4"], stuck: ["9", "8"], newestDead: ["11", "12"]))
  }

  @Test func `a separate dead-letter table is counted too`() async throws {
    let fixture = try LayoutFixture(
      .aiHummer,
      schema + rows
        + """
        CREATE TABLE outbox_dlq (id bigint, channel text, failed_at timestamptz);
        INSERT INTO outbox_dlq SELECT 99, 'mail', t - interval '8000 seconds' FROM moment;
        """)
    try await fixture.expectFigures(expected + "\n" + "dead mail 2 oldest 8000000")
  }

  @Test func `an installation that notes no time of a claim calls none of them stuck`() async throws {
    let fixture = try LayoutFixture(
      .aiHummer, schema + rows + "ALTER TABLE outbox DROP COLUMN locked_at, DROP COLUMN updated_at;")
    let snapshot = try await fixture.snapshot(eventIDs: true)
    #expect(snapshot.depth(.claimed) == 3)
    #expect(snapshot.stuckCount == 0 && snapshot.eventIDs?.stuck == [])
    #expect(snapshot.deadCount == 2)
  }

  @Test func `a tenant's role fails instead of seeing an empty outbox`() async throws {
    let fixture = try LayoutFixture(.aiHummer, schema + rows)
    let role = fixture.database.server.uniqueName("aihummer_app")
    try fixture.database.psql(
      """
      CREATE ROLE \(role) LOGIN; GRANT SELECT ON outbox TO \(role); ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
      CREATE POLICY tenant ON outbox TO \(role) USING (tenant_id = current_setting('app.tenant', true));
      """)
    #expect(try fixture.database.psql("SELECT count(*) FROM outbox", user: role) == "0")
    #expect(await fixture.samples(user: role).first?.failure?.reason == .rowSecurity)
    #expect(await fixture.samples().first?.snapshot?.depth == 10)
  }

  @Test func `a role with nothing but the columns that are read can sample`() async throws {
    let fixture = try LayoutFixture(.aiHummer, schema + rows)
    let role = fixture.database.server.uniqueName("exporter")
    try fixture.database.psql("CREATE ROLE \(role) LOGIN")
    try fixture.database.psql(try await fixture.grants(to: role).joined(separator: ";"))
    try await fixture.expectFigures(expected + "\n" + "dead mail 1 oldest 7000000", user: role)
    #expect(try await fixture.snapshot(user: role, eventIDs: true).eventIDs?.newestDead == ["11", "12"])
    #expect(throws: (any Error).self) { try fixture.database.psql("SELECT payload FROM outbox", user: role) }
  }
}
