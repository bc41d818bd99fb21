import TestSupport
import Testing

/// Times that no event can have, as rows may hold them all the same.
@Suite struct `Events with impossible times` {
  /// What arrives of a sample with one event that is five seconds old and six with impossible times.
  private func expectFigures(of fixture: CommandFixture, _ arguments: [String], _ environment: [String: String] = [:])
    throws
  {
    let server = ScriptedHTTPServer([.answer(200)])
    let outcome = try fixture.run(["--once", "--endpoint", server.url("")] + arguments, environment: environment)
    #expect(outcome.output.contains("Pushed "), "\(outcome)")
    let points = server.requests.flatMap { ReceivedFigure.all(in: $0.body) }
    #expect(points.filter { $0.metric == "outbox.events.implausible" }.map(\.value) == [6])
    #expect(points.filter { $0.metric == "outbox.up" }.map(\.value) == [1])
    let ages = points.filter { $0.metric == "outbox.event.age" }
    #expect(ages.contains { $0.attributes["outbox.stat"] == "oldest" && (5...120).contains($0.value ?? -1) })
    #expect(ages.allSatisfy { (0...120).contains($0.value ?? -1) }, "\(ages)")
    #expect(points.allSatisfy { $0.value?.isFinite != false }, "a value that is no number")
    let depth = points.filter { $0.metric == "outbox.depth" }.reduce(0) { $0 + ($1.value ?? 0) }
    #expect(depth == 7, "they are counted all the same")
  }

  @Test func `in SQLite have no age, are counted, and make no value that is no number [147]`() throws {
    let fixture = try CommandFixture()
    let times = ["9e999", "-9e999", "-5", "0", "1e18", "unixepoch() + 1e6"]
    let rows = times.enumerated().map { "('bad-\($0)', 'telegram:1', \($1))" }.joined(separator: ", ")
    let outbox = try fixture.writeOutbox(
      waiting: [5], more: "INSERT INTO outbound_queue (id, target, ts) VALUES \(rows)")
    try expectFigures(of: fixture, outbox)
  }

  @Test(withPostgreSQL) func `in PostgreSQL have none either [147]`() throws {
    let database = try TemporaryPostgres.shared().createDatabase(
      """
      CREATE TABLE outbox_events (
        id text PRIMARY KEY, status text NOT NULL, topic text, "createdAt" timestamp NOT NULL, "updatedAt" timestamp);
      CREATE INDEX ON outbox_events (status, "updatedAt");
      INSERT INTO outbox_events SELECT i, 'pending', 't', t, now() AT TIME ZONE 'UTC' FROM (VALUES
        ('1', now() AT TIME ZONE 'UTC' - interval '5 s'), ('2', 'infinity'), ('3', '-infinity'), ('4', '0044-03-15 BC'),
        ('5', '1970-01-01'), ('6', '294000-01-01'), ('7', now() AT TIME ZONE 'UTC' + interval '12 days')) r (i, t);
      """)
    try expectFigures(of: CommandFixture(), ["--layout", "kaireon"], ["OUTBOX_DSN": database.conninfo()])
  }
}
