import Layouts
import Outbox
import TestSupport
import Testing

/// A layout as a user may write one, with its times in every encoding that SQLite can hold.
@Suite struct `Times in SQLite` {
  private func layout(_ encoding: TimeEncoding, rows: String) -> Layout {
    Layout(
      name: "mine", summary: "", systems: [.sqlite],
      queues: [
        TableQueue(
          tables: ["events": TableName("my events")],
          columns: ["id": .column("id"), "due": .column("due \"at\"", encoding: encoding)],
          selections: [
            Selection(rows: rows, state: .ready, until: .init("{due.seconds}", .scheduled), since: "{due.seconds}")
          ])
      ])
  }

  /// Sampled at 1 800 000 000 = 2027-01-15T08:00:00Z: one event due for 90 s, one due in a minute.
  private static let cases: [(TimeEncoding, String, String, String)] = [
    (.unixSeconds, "INTEGER", "1799999910", "1800000060"),
    (.unixFractionalSeconds, "REAL", "1799999909.9996", "1800000060.5"),
    (.unixMilliseconds, "INTEGER", "1799999910000", "1800000060000"),
    (.iso8601, "TEXT", "'2027-01-15T07:58:30Z'", "'2027-01-15T08:01:00.000Z'"),
    (.iso8601, "TEXT", "'2027-01-15 07:58:30'", "'2027-01-15 08:01:00'"),
    (.iso8601, "TEXT", "'2027-01-15T09:58:30+02:00'", "'2027-01-15T00:01:00-08:00'"),
  ]

  @Test(arguments: cases.indices) func `mean the same in every encoding`(index: Int) async throws {
    let (encoding, type, past, future) = Self.cases[index]
    // An index serves where the clock can be told in the column's encoding; text has to be converted row by row.
    let split = encoding == .iso8601 ? ["true"] : ["true", "({due} <= {due.now} OR {due} > {due.now})"]
    for rows in split {
      let database = try LayoutDatabase(layout(encoding, rows: rows))
      try database.write(
        """
        CREATE TABLE "my events" (id INTEGER PRIMARY KEY, "due ""at\""" \(type));
        INSERT INTO "my events" VALUES (1, \(past)), (2, \(future));
        """)
      #expect(
        figureLines(try await database.snapshot()) == [
          "depth default ready first 1", "depth default scheduled first 1",
          "age default first oldest 90000 median 90000 p99 90000", "implausible 0",
        ])
    }
  }

  @Test func `the clock in the column's own encoding splits the rows exactly at the due time`() async throws {
    for (encoding, scale) in [(TimeEncoding.unixSeconds, 1), (.unixMilliseconds, 1_000)] {
      let database = try LayoutDatabase(layout(encoding, rows: "{due} <= {due.now-60}"))
      try database.write(
        """
        CREATE TABLE "my events" (id INTEGER PRIMARY KEY, "due ""at\""" INTEGER);
        INSERT INTO "my events" VALUES (1, \(1_799_999_940 * scale)), (2, \(1_799_999_940 * scale + 1));
        """)
      #expect(try await database.snapshot().depth == 1)
    }
  }

  @Test func `text that is no time is implausible and has no age`() async throws {
    let database = try LayoutDatabase(layout(.iso8601, rows: "true"))
    try database.write(
      """
      CREATE TABLE "my events" (id INTEGER PRIMARY KEY, "due ""at\""" TEXT);
      INSERT INTO "my events" VALUES (1, 'soon'), (2, NULL), (3, '0001-01-01'), (4, '2027-01-15');
      """)
    #expect(
      figureLines(try await database.snapshot()) == [
        "depth default ready first 4", "age default first oldest 28800000 median 28800000 p99 28800000",
        "implausible 3",
      ])
  }
}
