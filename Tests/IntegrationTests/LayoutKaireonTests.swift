import Layouts
import Outbox
import TestSupport
import Testing

@Suite(withPostgreSQL)
struct `KaireonAI's outbox` {
  /// The documented names, as Prisma would create them, with the recommended index.
  private let schema = """
    CREATE TABLE outbox_events (
      id text PRIMARY KEY, status text NOT NULL DEFAULT 'pending', topic text, payload jsonb NOT NULL DEFAULT '{}',
      "tenantId" text, "retryCount" integer NOT NULL DEFAULT 0, error text,
      "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(3) NOT NULL,
      "publishedAt" timestamp(3));
    CREATE INDEX ON outbox_events (status, "updatedAt");
    """
  private let deadLetters = """
    CREATE TABLE dead_letter_events (
      id text PRIMARY KEY, topic text NOT NULL, payload jsonb, error text, "retryCount" integer,
      "failedAt" timestamp(3) NOT NULL);
    INSERT INTO dead_letter_events SELECT 'dle_' || i, 'offers', '{}', 'x', 5,
      (t AT TIME ZONE 'UTC') - i * interval '1000 seconds' FROM moment, generate_series(1, 3) i;
    """
  private let rows = """
    INSERT INTO outbox_events (id, status, topic, "retryCount", "createdAt", "updatedAt")
    SELECT id, status, topic, retries, (t AT TIME ZONE 'UTC') - created * interval '1 second',
      (t AT TIME ZONE 'UTC') - updated * interval '1 second'
    FROM moment, (VALUES
      ('a', 'pending', 'offers', 0, 10, 10), ('b', 'pending', 'offers', 0, 20, 20), ('c', 'pending', 'offers', 2, 900, 60),
      ('d', 'pending', NULL, 0, 30, 30), ('e', 'processing', 'offers', 0, 100, 90),
      ('f', 'processing', 'offers', 1, 2000, 1300), ('g', 'published', 'offers', 0, 5000, 5000),
      ('h', 'sent', 'offers', 0, 5000, 5000), ('i', 'failed', 'offers', 5, 9000, 7000),
      ('j', 'dead_letter', 'alerts', 5, 9000, 8000), ('k', 'on_hold', 'alerts', 0, 9000, 9000)
    ) AS v (id, status, topic, retries, created, updated);
    """
  private let expected = """
    depth offers ready first 2
    depth offers ready retry 1
    depth default ready first 1
    depth offers claimed first 1
    depth offers claimed retry 1
    depth alerts unknown first 1
    age offers first oldest 100000 median 20000 p99 100000
    age offers retry oldest 2000000 median 900000 p99 2000000
    age default first oldest 30000 median 30000 p99 30000
    stuck offers lease_expired 1 oldest 1000000
    implausible 0
    """

  @Test func `every state is counted where it belongs, the separate dead-letter table too`() async throws {
    let fixture = try LayoutFixture(.kaireon, schema + deadLetters + rows)
    try await fixture.expectFigures(
      expected + "\n" + "dead offers 4 oldest 7000000\ndead alerts 1 oldest 8000000")
    let ids = try await fixture.snapshot(eventIDs: true).eventIDs
    #expect(
      ids == .init(oldest: ["f", "c", "e", "d", "b"], stuck: ["f"], newestDead: ["dle_1", "dle_2", "dle_3", "i", "j"]))
  }

  @Test func `the dead-letter table may be missing, or have another name`() async throws {
    let without = try LayoutFixture(.kaireon, schema + rows)
    try await without.expectFigures(expected + "\n" + "dead offers 1 oldest 7000000\ndead alerts 1 oldest 8000000")
    let named = try Layout.kaireon.naming(table: "dead", "shop.letters").naming(column: "destination", "eventType")
      .naming(column: "dead_destination", "kind")
    let fixture = try LayoutFixture(
      named,
      schema + rows + deadLetters
        + """
        ALTER TABLE outbox_events RENAME COLUMN topic TO "eventType";
        CREATE SCHEMA shop; ALTER TABLE dead_letter_events SET SCHEMA shop;
        ALTER TABLE shop.dead_letter_events RENAME TO letters; ALTER TABLE shop.letters RENAME COLUMN topic TO kind;
        """)
    try await fixture.expectFigures(expected + "\n" + "dead offers 4 oldest 7000000\ndead alerts 1 oldest 8000000")
  }

  @Test func `columns that are only guessed may be missing`() async throws {
    let fixture = try LayoutFixture(
      .kaireon,
      schema + rows
        + """
        ALTER TABLE outbox_events DROP COLUMN topic, DROP COLUMN "retryCount";
        DELETE FROM outbox_events WHERE status <> 'pending';
        """)
    try await fixture.expectFigures(
      """
      depth default ready first 4
      age default first oldest 900000 median 20000 p99 900000
      implausible 0
      """)
  }

  @Test func `a state column of an enum type that lacks the guessed words can be read`() async throws {
    let fixture = try LayoutFixture(
      .kaireon,
      schema + rows
        + """
        CREATE TYPE "OutboxStatus" AS ENUM ('pending', 'processing', 'published', 'sent', 'failed', 'dead_letter', 'on_hold');
        ALTER TABLE outbox_events ALTER COLUMN status DROP DEFAULT,
          ALTER COLUMN status TYPE "OutboxStatus" USING status::"OutboxStatus";
        """)
    try await fixture.expectFigures(expected + "\n" + "dead offers 1 oldest 7000000\ndead alerts 1 oldest 8000000")
  }

  @Test func `naive times are UTC, whatever the zone of the role`() async throws {
    let fixture = try LayoutFixture(.kaireon, schema + rows)
    let role = fixture.database.server.uniqueName("app")
    try fixture.database.psql(
      """
      CREATE ROLE \(role) LOGIN; ALTER ROLE \(role) SET TimeZone = 'America/New_York';
      GRANT SELECT ON outbox_events TO \(role);
      """)
    try await fixture.expectFigures(
      expected + "\n" + "dead offers 1 oldest 7000000\ndead alerts 1 oldest 8000000", user: role)
  }
}
