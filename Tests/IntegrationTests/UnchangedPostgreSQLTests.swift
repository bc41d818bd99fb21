import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// A queue that nobody has written to is not counted again, and nothing is missed for it. What a sample sends is in the
/// server's log; what its figures have to be, another exporter counts that knows nothing.
@Suite(withPostgreSQL, .serialized)
struct UnchangedPostgreSQLTests {
  private let filled = PostgreSQLSampleLayout.schema + PostgreSQLSampleLayout.rows
  private let insertion = "INSERT INTO outbox (\"Topic\", due_at) VALUES ('mail', now() - interval '1 hour')"

  @Test func `what nobody has written to is not counted again, and gets older`() async throws {
    let outbox = try QuietOutbox(filled)
    try await outbox.expectSample(counts: 1)
    try await outbox.expectSample(counts: 1)
    var last = try await outbox.sample()
    let messages = outbox.messages.count
    for number in 1...5 {
      let snapshot = try await outbox.expectSample(counts: 0)
      #expect(outbox.messages.count == messages + number)
      #expect(snapshot.storeTime > last.storeTime && snapshot.oldestAge ?? .zero > last.oldestAge ?? .zero)
      #expect(
        "\(Int64(((snapshot.storeTime.seconds - (snapshot.oldestAge?.seconds ?? 0)) * 1000).rounded()))"
          == (try outbox.database.psql(
            """
            SELECT round(extract(epoch FROM min(due_at)) * 1000) FROM outbox WHERE status <> 'sent' AND due_at <= now()
            """)))
      last = snapshot
    }
  }

  @Test func `whatever commits or is rolled back, in whatever database, is followed by a count`() async throws {
    let outbox = try QuietOutbox(filled)
    let elsewhere = try QuietOutbox.server().createDatabase("CREATE TABLE t ()")
    for statements in [
      insertion, "UPDATE outbox SET status = 'sent' WHERE id = 1", "DELETE FROM outbox WHERE id = 2",
      "BEGIN; \(insertion); ROLLBACK", "INSERT INTO dead_letters VALUES (99, 'mail', now())", "TRUNCATE dead_letters",
    ] {
      try await outbox.settle()
      try await outbox.expectSample(counts: 0)
      try outbox.database.psql(statements)
      try await outbox.expectSample(counts: 1)
    }
    try await outbox.settle()
    try elsewhere.psql("INSERT INTO t DEFAULT VALUES")
    try await outbox.expectSample(counts: 1)
    try await outbox.settle()
    try await outbox.expectSample(counts: 0)
  }

  /// - Parameter goesOn: whether nothing that ended later than the transaction began keeps the rows from being known.
  @Test(arguments: [
    ("", "", true), ("SAVEPOINT s; DELETE FROM dead_letters; ROLLBACK TO s", "", false),
    ("", "INSERT INTO dead_letters VALUES (98, 'late', now())", false),
    (
      "SAVEPOINT s; UPDATE outbox SET attempts = 7 WHERE id = 1; RELEASE s", "DELETE FROM dead_letters WHERE id = 1",
      false
    ),
  ])
  func `a transaction that was open at the count is counted when it commits`(
    inside: String, beside: String, goesOn: Bool
  ) async throws {
    let outbox = try QuietOutbox(filled)
    // A session that is there when counting begins may have inserted before what the server counts later.
    try await outbox.settle()
    let session = try outbox.open([insertion, inside].filter { !$0.isEmpty }.joined(separator: ";\n"))
    if !beside.isEmpty { try outbox.database.psql(beside) }
    try await outbox.settle()
    try await outbox.expectSample(counts: goesOn ? 0 : 1)
    try session.commit()
    try await outbox.expectSample(counts: 1)
    try await outbox.settle()
    try await outbox.expectSample(counts: 0)
  }

  @Test(arguments: [true, false])
  func `a prepared transaction is counted when it commits`(isLast: Bool) async throws {
    let outbox = try QuietOutbox(filled)
    let name = outbox.database.name
    try outbox.database.psql("BEGIN; \(insertion); PREPARE TRANSACTION '\(name)'")
    if !isLast { try outbox.database.psql("DELETE FROM dead_letters") }
    try await outbox.settle()
    let before = try await outbox.expectSample(counts: isLast ? 0 : 1)
    try outbox.database.psql("COMMIT PREPARED '\(name)'")
    let after = try await outbox.expectSample(counts: 1)
    #expect(after.depth == before.depth + 1)
  }

  @Test(arguments: [nil, Duration.milliseconds(300)])
  func `what time alone does is seen when it does it`(objective: Duration?) async throws {
    let outbox = try QuietOutbox(
      PostgreSQLSampleLayout.schema + """
        INSERT INTO outbox (status, "Topic", due_at, locked_until) VALUES
          ('pending', 'due', clock_timestamp() + interval '1 s', NULL), ('pending', 'old', now(), NULL),
          ('sending', 'stuck', now(), clock_timestamp() + interval '1500 ms'),
          ('sending', 'ahead', clock_timestamp() + interval '2700 ms', NULL),
          ('pending', 'far', clock_timestamp() + interval '3155760000 s' + interval '700 ms', NULL);
        INSERT INTO dead_letters VALUES (1, 'dead', clock_timestamp() + interval '2500 ms');
        """, objective: objective)
    func seconds(_ column: String, _ condition: String) throws -> Double {
      try #require(
        Double(try outbox.database.psql("SELECT extract(epoch FROM \(column)) FROM outbox WHERE \(condition)")))
    }
    let due = try seconds("due_at", "\"Topic\" = 'due'")
    let old = try seconds("due_at", "\"Topic\" = 'old'")
    let far = try seconds("due_at", "\"Topic\" = 'far'")
    let ahead = try seconds("due_at", "\"Topic\" = 'ahead'")
    let stuck = try seconds("locked_until", "\"Topic\" = 'stuck'")
    let dead = try #require(Double(try outbox.database.psql("SELECT extract(epoch FROM failed_at) FROM dead_letters")))
    var (samples, now) = (0, 0.0)
    while now < due + 2.5 {
      let snapshot = try await outbox.sample()
      now = snapshot.storeTime.seconds
      samples += 1
      #expect(snapshot.depth(.scheduled) == (now < due ? 2 : 1))
      #expect(snapshot.stuckCount == (now < stuck ? 0 : 1))
      #expect(snapshot.ages.contains { $0.destination == "due" } == (now >= due))
      #expect(snapshot.ages.contains { $0.destination == "ahead" } == (now >= ahead))
      #expect(snapshot.dead.first?.oldest == nil ? now < dead : now >= dead)
      #expect(
        snapshot.implausible
          == (far > now + 3_155_760_000 ? 1 : 0) + (ahead > now + 1 ? 1 : 0) + (dead > now + 1 ? 1 : 0),
        "\(now)")
      let overdue = objective.map { limit in
        [("due", due), ("old", old), ("stuck", old), ("ahead", ahead)].filter { $0.1 < now - limit.seconds }.map(\.0)
      }
      #expect(snapshot.overdue.keys.sorted() == (overdue ?? []).sorted(), "\(now - old)")
      try await Task.sleep(for: .milliseconds(7))
    }
    // Three to find out that nothing happens, and one or two for each moment at which something changes.
    #expect(samples > 60 && outbox.counts < 30, "\(outbox.counts) of \(samples)")
  }

  /// AiHummer's first due time goes by the clock itself.
  @Test func `the first due time of a claimed event that was put off changes when it is due`() async throws {
    let outbox = try QuietOutbox(
      """
      CREATE TABLE outbox (
        id bigserial PRIMARY KEY, channel text, status text NOT NULL, attempts integer NOT NULL DEFAULT 0,
        next_attempt_at timestamptz, locked_at timestamptz, created_at timestamptz NOT NULL, updated_at timestamptz);
      CREATE INDEX ON outbox (status, next_attempt_at);
      INSERT INTO outbox (channel, status, next_attempt_at, locked_at, created_at) VALUES
        ('mail', 'sending', clock_timestamp() + interval '700 ms', now(), now() - interval '10 s');
      """, .aiHummer)
    func seconds(_ column: String) throws -> Double {
      try #require(Double(try outbox.database.psql("SELECT extract(epoch FROM \(column)) FROM outbox")))
    }
    let (due, created) = (try seconds("next_attempt_at"), try seconds("created_at"))
    var (samples, now) = (0, 0.0)
    while now < due + 0.7 {
      let snapshot = try await outbox.sample()
      now = snapshot.storeTime.seconds
      samples += 1
      let oldest = try #require(snapshot.ages.first?.oldest).seconds
      #expect(abs(now - (now < due ? created : due) - oldest) < 1e-5, "\(oldest) at \(now - due)")
      #expect(snapshot.depth(.claimed) == 1)
      try await Task.sleep(for: .milliseconds(7))
    }
    #expect(outbox.counts < 10, "\(outbox.counts) of \(samples)")
  }

  @Test func `however quiet it is, it is counted once a minute`() async throws {
    let outbox = try QuietOutbox(filled)
    try await outbox.settle()
    outbox.clock.advance(seconds: 59)
    try await outbox.expectSample(counts: 0)
    outbox.clock.advance(seconds: 1)
    try await outbox.expectSample(counts: 1)
    try await outbox.expectSample(counts: 0)
  }

  @Test func `where counts are dear, a queue that nobody writes to shows all of its figures`() async throws {
    let outbox = try QuietOutbox(filled)
    let budget = SampleBudget(share: 1e-9, interval: .seconds(1))
    let first = try await outbox.sample(budget: budget)
    outbox.clock.advance(seconds: 1)
    // As before: it is not known yet that nothing happens, and a count would be too dear.
    #expect(try await outbox.sample(budget: budget).isEstimate)
    for _ in 0..<3 {
      outbox.clock.advance(seconds: 1)
      let snapshot = try await outbox.sample(budget: budget)
      #expect(snapshot.exact && snapshot.isLike(first))
    }
    // The first sample and the estimate.
    #expect(outbox.counts == 2)
  }

  @Test func `nobody who writes is asked for twice`() async throws {
    let outbox = try QuietOutbox(filled)
    try await outbox.sample()
    let before = outbox.messages.count
    for _ in 0..<5 {
      try outbox.database.psql(insertion)
      try await outbox.sample()
    }
    #expect(outbox.messages.count == before + 5)
  }

  // MARK: - What a snapshot does not tell of

  @Test(arguments: ["partition", "heir", "view"])
  func `rows that are elsewhere are counted in every sample`(kind: String) async throws {
    let directory = try TemporaryDirectory(openToAll: true)
    try directory.write("1,pending\n", to: "rows")
    let columns =
      "id bigint, status text, \"Topic\" text, attempts int, created_at timestamp, due_at timestamptz, "
      + "locked_until timestamptz"
    let source = """
      SERVER files OPTIONS (format 'csv', program 'awk -F, ''{ print $1 "," $2 ",mail,0,2027-01-01,2026-01-01," }'' \
      \(directory.path)/rows')
      """
    let local =
      "CREATE TABLE here (\(columns)); INSERT INTO here SELECT 7, 'pending', 'mail', 0, now(), now() - interval '1 day'"
    let table =
      switch kind {
      case "partition":
        """
        CREATE TABLE outbox (\(columns)) PARTITION BY RANGE (id);
        CREATE TABLE part PARTITION OF outbox FOR VALUES FROM (0) TO (1000) PARTITION BY RANGE (id);
        CREATE FOREIGN TABLE there PARTITION OF part FOR VALUES FROM (0) TO (100) \(source)
        """
      case "heir":
        "CREATE TABLE outbox (\(columns)); CREATE FOREIGN TABLE there () INHERITS (outbox) \(source)"
      default:
        "CREATE FOREIGN TABLE there (\(columns)) \(source); \(local); CREATE VIEW outbox AS TABLE there UNION ALL TABLE here"
      }
    let outbox = try QuietOutbox(
      "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; \(table)")
    try await outbox.settle()
    for _ in 0..<3 { try await outbox.expectSample(counts: 1) }
    let before = try await outbox.sample()
    try directory.write("1,pending\n2,pending\n3,sent\n", to: "rows")
    #expect(try await outbox.expectSample(counts: 1).depth == before.depth + 1)
  }

  @Test(arguments: [
    ("{status} = 'pending'", "{topic}", true),
    ("{status} = 'pending' AND clock_timestamp() > '2026-01-01'", "{topic}", false),
    ("{status} = 'pending' AND {due} <= {due.now}", "{topic}", false),
    ("{status} = 'pending'", "CASE WHEN random() < 0.5 THEN 'a' ELSE 'b' END", false),
    ("{status} = 'pending' AND {due} < 'tomorrow'", "{topic}", false),
    ("{status} = 'pending'", "current_setting('app.topic', true)", false),
  ])
  func `a layout of which it is not known what its SQL goes by is counted in every sample`(
    rows: String, destination: String, isKept: Bool
  ) async throws {
    let outbox = try QuietOutbox(filled, PostgreSQLSampleLayout.layout(rows: rows, destination: destination))
    try await outbox.settle()
    let before = outbox.counts
    for _ in 0..<3 { try await outbox.sample() }
    #expect(outbox.counts - before == (isKept ? 0 : 3))
  }

  @Test func `counters of the database that are late, or are reset, are followed by a count`() async throws {
    let outbox = try QuietOutbox(filled)
    try await outbox.settle()
    // What a session has inserted is in the counters a while after it is there.
    let session = try ChildProcess(
      "psql", ["-d", outbox.database.conninfo(), "-X", "-q", "-f", "-"],
      input: "\(insertion);\nDELETE FROM outbox WHERE id = (SELECT max(id) FROM outbox);\nSELECT pg_sleep(600);\n")
    let isInserted = await happens {
      (try? outbox.database.psql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"))
        == "1"
    }
    #expect(isInserted)
    try await outbox.settle()
    try outbox.database.psql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    )
    _ = session.wait()
    let isCounted = try await happens {
      try await outbox.sample()
      return outbox.totals.lines == ["default enqueued 1", "default unseen 1"]
    }
    #expect(isCounted, "\(outbox.totals.lines)")
    try await outbox.settle()
    try await outbox.expectSample(counts: 0)
    try outbox.database.psql("SELECT pg_stat_reset()")
    try await outbox.sample()
    #expect(outbox.totals.restarts == ["the database's statistics were reset"])
    #expect(outbox.totals.unbalanced.isEmpty)
  }

  // MARK: - Other sessions, other servers

  @Test func `a new session counts, and so does one whose tables have changed`() async throws {
    let outbox = try QuietOutbox(filled)
    try await outbox.settle()
    try outbox.database.psql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'outbox-exporter' AND datname = current_database()"
    )
    let before = outbox.counts
    // The message that was not answered, and the one in the new session.
    try await outbox.sample()
    #expect(outbox.counts > before)
    try await outbox.settle()
    try await outbox.expectSample(counts: 0)
    try outbox.database.psql(
      "ALTER TABLE outbox RENAME TO outbox_old; CREATE TABLE outbox (LIKE outbox_old INCLUDING ALL)")
    #expect(try await outbox.sample().depth == 0)
  }

  @Test(PostgreSQLTopologyTests.withPgBouncer) func `behind a pooler another session of the server counts`()
    async throws
  {
    let server = try QuietOutbox.server()
    let pooler = try PgBouncer(mode: "transaction", before: server)
    let outbox = try QuietOutbox(filled) { pooler.conninfo($0) }
    try await outbox.settle()
    try await outbox.expectSample(counts: 0)
    let session = "application_name = 'outbox-exporter' AND datname = '\(outbox.database.name)'"
    let first = try server.psql("SELECT pid FROM pg_stat_activity WHERE \(session)")
    try server.psql("SELECT pg_terminate_backend(\(first))")
    let isEnded = try eventually {
      try server.psql("SELECT count(*) FROM pg_stat_activity WHERE pid = \(first)") == "0"
    }
    #expect(isEnded)
    let before = outbox.counts
    try await outbox.sample()
    #expect(outbox.counts > before)
  }

  @Test func `a replica is counted when something was replayed, in whatever order it ended`() async throws {
    let primary = try QuietOutbox(filled, server: TemporaryPostgres())
    let replica = try TemporaryPostgres(replicaOf: primary.database.server)
    let copy = QuietOutbox(primary, in: replica)
    func catchUp() throws {
      // What is not committed yet is on its way only then.
      let written = try primary.database.psql("CHECKPOINT; SELECT pg_current_wal_flush_lsn()")
      #expect(try eventually { try copy.database.psql("SELECT pg_last_wal_replay_lsn() >= '\(written)'") == "t" })
    }
    // Who reads there has inserted nothing that could be counted late.
    let reader = try ChildProcess("psql", ["-d", copy.database.conninfo(), "-X", "-c", "SELECT pg_sleep(600)"])
    defer { reader.signal(9) }
    #expect(
      try eventually {
        try copy.database.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
      })
    try catchUp()
    try await copy.settle()
    try await copy.expectSample(counts: 0)
    // Two that go on, and one that began later and has ended: the first one is still open when the second commits.
    let first = try primary.open("DELETE FROM dead_letters WHERE id = 1")
    let second = try primary.open(insertion)
    try primary.database.psql("DELETE FROM dead_letters WHERE id = 2")
    try catchUp()
    try await copy.settle()
    let before = try await copy.expectSample(counts: 1)
    try second.commit()
    try catchUp()
    #expect(try await copy.expectSample(counts: 1).depth == before.depth + 1)
    try first.commit()
    try catchUp()
    try await copy.settle()
    try await copy.expectSample(counts: 0)
    #expect(copy.totals.unbalanced.isEmpty && copy.totals.restarts.isEmpty)
  }
}
