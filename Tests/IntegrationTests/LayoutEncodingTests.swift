import Layouts
import Outbox
import TestSupport
import Testing

/// A layout as a user may write one, with its times in every encoding that PostgreSQL can hold.
@Suite(withPostgreSQL)
struct `Times in PostgreSQL` {
  private func layout(_ encoding: TimeEncoding) -> Layout {
    Layout(
      name: "mine", summary: "", systems: [.postgresql],
      queues: [
        TableQueue(
          tables: ["events": TableName("My Events"), "members": TableName("members")],
          columns: [
            "id": .column("id"), "due": .column("due\"At", encoding: encoding),
            "member": .column("event", table: "members"),
          ],
          selections: [
            Selection(
              // Found by the clock in the column's own encoding, and by membership in another table.
              rows: "{due} <= {due.now} AND EXISTS (SELECT FROM {table:members} m WHERE m.event = {id})",
              state: .claimed, since: "{due.seconds}",
              stuck: .init(.leaseExpired, since: "{due.seconds} + 60")),
            Selection(
              rows: "{due} <= {due.now} AND NOT EXISTS (SELECT FROM {table:members} m WHERE m.event = {id})",
              state: .ready, since: "{due.seconds}"),
            Selection(
              rows: "{due} > {due.now+0}", state: .ready, until: .init("{due.seconds}", .scheduled),
              since: "{due.seconds}"),
          ])
      ])
  }

  private static let cases: [(TimeEncoding, type: String, from: String)] = [
    (.unixSeconds, "bigint", "extract(epoch FROM v)::bigint"),
    (.unixSeconds, "integer", "extract(epoch FROM v)::integer"),
    (.unixFractionalSeconds, "double precision", "extract(epoch FROM v)::float8"),
    (.unixFractionalSeconds, "numeric", "extract(epoch FROM v)"),
    (.unixMilliseconds, "bigint", "(extract(epoch FROM v) * 1000)::bigint"),
    (.timestamptz, "timestamptz", "v"),
    (.unixSeconds, "timestamptz(3)", "v"),
    (.naiveUTC, "timestamp", "v AT TIME ZONE 'UTC'"),
    (.timestamptz, "timestamp(3)", "v AT TIME ZONE 'UTC'"),
    (.naive(zone: "Asia/Kolkata"), "timestamp", "v AT TIME ZONE 'Asia/Kolkata'"),
    (.naive(zone: "America/New_York"), "timestamp(0)", "v AT TIME ZONE 'America/New_York'"),
  ]

  @Test(arguments: cases.indices) func `mean the same in every encoding`(index: Int) async throws {
    let (encoding, type, from) = Self.cases[index]
    let fixture = try LayoutFixture(
      layout(encoding),
      """
      CREATE TABLE "My Events" (id int, "due""At" \(type));
      CREATE TABLE members (event int);
      INSERT INTO "My Events" SELECT id, \(from)
      FROM (SELECT id, t + seconds * interval '1 second' AS v
        FROM moment, (VALUES (1, -90), (2, -30), (3, 600), (4, -86400)) AS r (id, seconds)) AS times;
      INSERT INTO members VALUES (1), (4);
      """)
    try await fixture.expectFigures(
      """
      depth default claimed first 2
      depth default ready first 1
      depth default scheduled first 1
      age default first oldest 86400000 median 90000 p99 86400000
      stuck default lease_expired 2 oldest 86340000
      implausible 0
      """)
  }

  @Test func `text in ISO 8601 is compared as a time`() async throws {
    var layout = layout(.iso8601)
    layout.queues[0].selections = [
      Selection(rows: "{due.seconds} <= {now}", state: .ready, since: "{due.seconds}")
    ]
    let fixture = try LayoutFixture(
      layout,
      """
      CREATE TABLE "My Events" (id int, "due""At" text); CREATE TABLE members (event int);
      INSERT INTO "My Events" SELECT i, to_char((t - i * interval '90 seconds') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
      FROM moment, generate_series(-5, 2) i WHERE i <> 0;
      """)
    try await fixture.expectFigures(
      """
      depth default ready first 2
      age default first oldest 180000 median 90000 p99 180000
      implausible 0
      """)
  }
}
