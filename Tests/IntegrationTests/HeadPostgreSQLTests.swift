import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// What a look at the head leaves out, on a real server, where the index is in another order than that of age.
@Suite(withPostgreSQL)
struct HeadPostgreSQLTests {
  private func kaireon(_ rows: String) throws -> TemporaryDatabase {
    try TemporaryPostgres.shared().createDatabase(PlannedOutbox.kaireon.schema + rows)
  }

  /// 18,000 claims that ended and are dead, and 200 that last: one has for 30 minutes longer than it should.
  private static let endedClaims = """
    ALTER TABLE outbox_events SET (autovacuum_enabled = off);
    INSERT INTO outbox_events (id, status, topic, "createdAt", "updatedAt")
    SELECT i, 'processing', 'offers', at - interval '1 day', at
    FROM generate_series(1, 18200) i, LATERAL (SELECT CASE
      WHEN i <= 18000 THEN now() AT TIME ZONE 'UTC' - interval '2 hours' + i * interval '100 milliseconds'
      WHEN i = 18001 THEN now() AT TIME ZONE 'UTC' - interval '35 minutes'
      ELSE now() AT TIME ZONE 'UTC' - interval '10 seconds' + i * interval '1 millisecond' END) AS t (at);
    ANALYZE outbox_events;
    DELETE FROM outbox_events WHERE id::int <= 18000;

    """

  @Test func `claims that ended are passed over as well, and the one that is overdue for longest is not`() async throws
  {
    let watched = RarelyCounted(try kaireon(Self.endedClaims), .kaireon)
    let head = try #require(try await watched.third().head)
    #expect(!head.isComplete)
    #expect(
      head.stuckAges.map { "\($0.key.rawValue) \(milliseconds(head.storeTime, minus: $0.value))" }
        == [
          "lease_expired "
            + (try watched.database.psql(
              """
              SELECT floor(extract(epoch FROM min("updatedAt") AT TIME ZONE 'UTC') * 1000) + 300000 FROM outbox_events
              """))
        ])
    let buffers = try await watched.buffersOfTheHead(#"AND e."updatedAt" >= "#)
    #expect(buffers.bounded < 30 && buffers.unbounded > 60, "\(buffers)")
  }

  @Test func `of claims that cannot be overdue yet, too, the dead are passed over`() async throws {
    let watched = RarelyCounted(
      try kaireon(Self.endedClaims + "DELETE FROM outbox_events WHERE id = '18001';"), .kaireon)
    #expect(try await watched.third().head?.stuckAges == [.leaseExpired: .zero])
    let buffers = try await watched.buffersOfTheHead(#"AND e."updatedAt" >= "#)
    #expect(buffers.bounded < 30 && buffers.unbounded > 60, "\(buffers)")
  }

  @Test func `a selection that is longer than a look, in an order that tells nothing, is left to the next count`()
    async throws
  {
    let watched = RarelyCounted(
      try kaireon(
        """
        INSERT INTO outbox_events (id, status, topic, "updatedAt")
        SELECT i, CASE WHEN i <= 150 THEN 'pending' ELSE 'processing' END, 'offers',
          now() AT TIME ZONE 'UTC' - interval '10 minutes'
        FROM generate_series(1, 160) i;
        ANALYZE outbox_events;

        """), .kaireon)
    func looks() async throws -> [Bool] {
      let shown = try await watched.look() ?? ""
      return ["SELECT 0 AS n", "SELECT 1 AS n"].map(shown.contains)
    }
    let first = try #require(try await watched.third().head)
    #expect(!first.isComplete && first.ages.isEmpty && first.stuckAges.keys.map(\.rawValue) == ["lease_expired"])
    #expect(try await looks() == [false, true])
    try watched.database.psql("DELETE FROM outbox_events WHERE status = 'pending'")
    #expect(try await watched.sample(share: 1).snapshot?.depth == 10)
    #expect(try await looks() == [true, true])
  }

  @Test func `where no selection is left, a look asks for nothing but the clock`() async throws {
    let layout = PlannedOutbox.own(
      [
        "id": .column("id"), "done": .column("done"), "created": .column("created_at", encoding: .timestamptz),
      ],
      [Selection(rows: "{done} = false", state: .ready, retry: "false", since: "{created.seconds}")])
    let watched = RarelyCounted(
      try TemporaryPostgres.shared().createDatabase(
        """
        CREATE TABLE mine (id bigint PRIMARY KEY, done boolean NOT NULL, created_at timestamptz NOT NULL);
        CREATE INDEX ON mine (done, id);
        INSERT INTO mine SELECT i, false, now() FROM generate_series(1, 150) i;
        ANALYZE mine;

        """), layout)
    #expect(try await watched.sample().snapshot?.depth == 150)
    #expect(try await watched.look()?.contains("SELECT 0 AS n") == true)
    for _ in 1...3 { _ = try await watched.sample() }
    #expect(try await watched.look() == nil)
    let last = try await watched.sample()
    #expect(last.isGood && last.head?.tellsNothing == true)
  }
}
