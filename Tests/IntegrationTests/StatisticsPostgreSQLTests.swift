import Layouts
import Outbox
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL) struct `Statistics in PostgreSQL` {
  private let schema = """
    CREATE TABLE pending_events (
      id text PRIMARY KEY DEFAULT gen_random_uuid(), workspace_id text NOT NULL DEFAULT 'w', event_type text NOT NULL,
      payload jsonb NOT NULL DEFAULT '{}', status text NOT NULL DEFAULT 'pending', attempts smallint NOT NULL DEFAULT 0,
      max_attempts smallint NOT NULL DEFAULT 5, last_error text, created_at timestamptz NOT NULL DEFAULT now(),
      process_after timestamptz NOT NULL DEFAULT now(), completed_at timestamptz);
    CREATE INDEX ON pending_events (status, process_after);
    """

  private func store(_ database: TemporaryDatabase, layout: Layout = .relaycast) -> PostgreSQLStore {
    PostgreSQLStore(
      [OutboxDefinition(name: "o", address: .postgresql(Secret(database.conninfo())), layout: layout)],
      now: { Timestamp(seconds: 1_800_000_000) })
  }

  /// True counts over all destinations; what left by delivery cannot be seen, and counts as unseen.
  private func totals(_ totals: MovementTotals) -> Set<String> {
    var sum = Movements.Counts()
    for counts in totals.counts.values { sum.add(counts) }
    return movementLines(
      [
        "enqueued": sum.enqueued, "requeued": sum.requeued, "dead": sum.dispositions[.dead] ?? 0,
        "unseen": sum.dispositions[.unseen] ?? 0, "delivered": sum.dispositions[.delivered] ?? 0,
        "retried": sum.dispositions[.retried] ?? 0,
      ])
  }

  @Test func `what comes and leaves between two samples is counted in the end`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(
      schema + """
        CREATE TABLE truth (event_type text, kind text);
        CREATE PROCEDURE work(steps int) LANGUAGE plpgsql AS $$
        DECLARE r pending_events%ROWTYPE; c text;
        BEGIN
          FOR i IN 1..steps LOOP
            IF random() < 0.5 THEN
              c := (ARRAY['mail', 'sms', 'push'])[1 + floor(random() * 3)::int];
              INSERT INTO pending_events (event_type) VALUES (c);
              INSERT INTO truth VALUES (c, 'enqueued');
            ELSE
              SELECT * INTO r FROM pending_events WHERE status = 'pending' ORDER BY random() LIMIT 1
                FOR UPDATE SKIP LOCKED;
              IF FOUND AND random() < 0.8 THEN
                DELETE FROM pending_events WHERE id = r.id;
                INSERT INTO truth VALUES (r.event_type, 'unseen');
              ELSIF FOUND THEN
                UPDATE pending_events SET status = 'failed', completed_at = clock_timestamp() WHERE id = r.id;
                INSERT INTO truth VALUES (r.event_type, 'dead');
              END IF;
            END IF;
            COMMIT;
            PERFORM pg_sleep(random() * 0.002);
          END LOOP;
        END $$;
        """)
    var store = store(database)
    let counted = MovementTotals()
    counted.add(await store.sample(counted.request))
    for _ in 0..<2 {
      let sessions = try (0..<3).map { _ in
        try ChildProcess("psql", ["-d", database.conninfo(), "-X", "-q", "-f", "-"], input: "CALL work(300);")
      }
      var last = 0
      while sessions.contains(where: { $0.isRunning }) {
        counted.add(await store.sample(counted.request))
        if Bool.random() { store = self.store(database) }
        let enqueued = counted.counts.values.reduce(0) { $0 + $1.enqueued }
        #expect(enqueued >= last)
        last = enqueued
        try await Task.sleep(for: .milliseconds(100))
      }
      // The sessions have ended, so the database has counted what they did.
      counted.add(await store.sample(counted.request))
      let truth = try database.psql("SELECT kind || ' ' || count(*) FROM truth GROUP BY kind")
      #expect(totals(counted) == Set(truth.split(separator: "\n").map(String.init)))
    }
    let dead = try database.psql(
      "SELECT event_type || ' ' || kind || ' ' || count(*) FROM truth WHERE kind = 'dead' GROUP BY event_type, kind")
    #expect(counted.lines.filter { $0.contains("dead") } == Set(dead.split(separator: "\n").map(String.init)))
    #expect(counted.unbalanced.isEmpty, "\(counted.unbalanced)")
    #expect(counted.restarts.isEmpty && counted.notices.isEmpty)
    #expect(counted.marks["o/pending_events"]?.method == .statistics)
  }

  private static let outbox = AiHummerWorkers.schema + "DROP INDEX outbox_delivered_at_idx;"

  @Test(arguments: ["now()", "now() - interval '1 day'"], [true, false])
  func `what comes and leaves after a requeue is counted`(created: String, hasTimes: Bool) async throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.outbox)
    var layout = Layout.aiHummer
    if !hasTimes { layout.queues[0].accounting.created = nil }
    let store = store(database, layout: layout)
    try database.waitUntilLeft()
    let counted = MovementTotals()
    func sample(after statement: String) async throws {
      try database.psql(statement)
      counted.add(await store.sample(counted.request))
    }
    counted.add(await store.sample(counted.request))
    try await sample(
      after: "INSERT INTO outbox (channel, created_at) SELECT 'mail', \(created) FROM generate_series(1, 50)")
    try await sample(after: "UPDATE outbox SET status = 'dead', updated_at = now()")
    #expect(totals(counted) == ["enqueued 50", "dead 50"])
    try await sample(after: "UPDATE outbox SET status = 'pending'")
    for round in 1...5 {
      try database.psql("INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 10)")
      try await sample(after: "DELETE FROM outbox WHERE id > 50")
      #expect(totals(counted) == ["enqueued \(100 + 10 * round)", "dead 50", "unseen \(10 * round)"])
    }
    // Together, and with dead events that are removed.
    try await sample(after: "UPDATE outbox SET status = 'dead', updated_at = now() WHERE id <= 20")
    try await sample(
      after: """
        INSERT INTO outbox (id, channel) SELECT i, 'mail' FROM generate_series(1001, 1010) i; DELETE FROM outbox WHERE id > 1000;
        UPDATE outbox SET status = 'pending' WHERE id <= 15; DELETE FROM outbox WHERE status = 'dead';
        """)
    #expect(totals(counted) == ["enqueued 175", "dead 70", "unseen 60"])
    #expect(counted.unbalanced.isEmpty && counted.restarts.isEmpty, "\(counted.unbalanced)")
  }

  @Test func `events that bring old times along are counted once`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(
      Self.outbox + "INSERT INTO outbox (channel, status) SELECT 'mail', 'dead' FROM generate_series(1, 10)")
    let store = store(database, layout: .aiHummer)
    try database.waitUntilLeft()
    let counted = MovementTotals()
    counted.add(await store.sample(counted.request))
    for _ in 0..<2 {
      try database.psql(
        "INSERT INTO outbox (channel, created_at) SELECT 'mail', now() - interval '1 day' FROM generate_series(1, 20)")
      counted.add(await store.sample(counted.request))
    }
    // The dead that are removed did not come back.
    try database.psql(
      "DELETE FROM outbox WHERE status = 'dead'; INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 20)"
    )
    counted.add(await store.sample(counted.request))
    #expect(totals(counted) == ["enqueued 60"])
    #expect(counted.unbalanced.isEmpty)
  }

  @Test func `rolled-back work counts too`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(schema)
    let store = store(database)
    try database.waitUntilLeft()
    let counted = MovementTotals()
    counted.add(await store.sample(counted.request))
    try database.psql("BEGIN; INSERT INTO pending_events (event_type) VALUES ('mail'), ('mail'); ROLLBACK;")
    counted.add(await store.sample(counted.request))
    #expect(totals(counted) == ["enqueued 2", "unseen 2"])
  }

  @Test func `statistics that were reset begin anew [141]`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(schema)
    let store = store(database)
    let counted = MovementTotals()
    counted.add(await store.sample(counted.request))
    try database.psql("INSERT INTO pending_events (event_type) VALUES ('mail'), ('mail')")
    counted.add(await store.sample(counted.request))
    try database.psql("SELECT pg_stat_reset()")
    counted.add(await store.sample(counted.request))
    #expect(counted.restarts == ["the database's statistics were reset"])
    try database.psql("INSERT INTO pending_events (event_type) VALUES ('mail')")
    counted.add(await store.sample(counted.request))
    #expect(counted.lines == ["mail enqueued 3"])
  }

  @Test
  func `a crash of the server discards its statistics, also where they have passed the old ones, a restart does not`()
    async throws
  {
    let server = try TemporaryPostgres()
    let database = try server.createDatabase(schema)
    let store = store(database)
    let counted = MovementTotals()
    func work(_ count: Int) throws {
      try database.psql("INSERT INTO pending_events (event_type) SELECT 'mail' FROM generate_series(1, \(count))")
      try database.psql("DELETE FROM pending_events")
    }
    counted.add(await store.sample(counted.request))
    try work(2)
    counted.add(await store.sample(counted.request))
    #expect(totals(counted) == ["enqueued 2", "unseen 2"])
    try server.stop()
    try server.start()
    try work(3)
    counted.add(await store.sample(counted.request))
    #expect(totals(counted) == ["enqueued 5", "unseen 5"] && counted.restarts.isEmpty, "\(counted.restarts)")
    try server.crash()
    try server.start()
    try work(10)
    counted.add(await store.sample(counted.request))
    #expect(counted.restarts == ["the database's statistics were reset"])
    try work(4)
    counted.add(await store.sample(counted.request))
    #expect(totals(counted) == ["enqueued 9", "unseen 9"])
    // One process that is killed takes the memory of all with it.
    let process = try database.holding("SELECT 1")
    try server.kill(database.psql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
    #expect(eventually { (try? database.psql("SELECT 1")) == "1" })
    try work(40)
    counted.add(await store.sample(counted.request))
    #expect(counted.restarts.count == 2, "\(counted.restarts)")
    #expect(totals(counted) == ["enqueued 9", "unseen 9"])
    withExtendedLifetime(process) {}
  }

  @Test func `what a session that is still there did before counting began is not counted when the server counts it`()
    async throws
  {
    let database = try TemporaryPostgres.shared().createDatabase(schema)
    // A session reports at the end of its first transaction, and then not for a second, unless it is idle for ten.
    let session = try ChildProcess(
      "psql", ["-d", database.conninfo(), "-X", "-q", "-f", "-"],
      input: """
        SELECT 1;
        INSERT INTO pending_events (event_type) SELECT 'mail' FROM generate_series(1, 51);
        DELETE FROM pending_events;
        \\! while kill -0 $PPID; do sleep 0.2; done >/dev/null 2>&1 </dev/null
        """)
    #expect(
      try eventually {
        try database.psql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query LIKE 'DELETE%'") == "1"
      })
    func inserted() throws -> String {
      try database.psql("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'pending_events'")
    }
    let store = store(database)
    let counted = MovementTotals()
    #expect(try inserted() == "0")
    counted.add(await store.sample(counted.request))
    #expect(try eventually { try inserted() == "51" })
    counted.add(await store.sample(counted.request))
    try database.psql("INSERT INTO pending_events (event_type) VALUES ('mail')")
    counted.add(await store.sample(counted.request))
    #expect(counted.lines == ["mail enqueued 1"])
    // From when nobody is left who can have anything to report.
    session.signal(9)
    session.wait()
    #expect(try database.waitUntilLeft())
    counted.add(await store.sample(counted.request))
    try database.psql("INSERT INTO pending_events (event_type) VALUES ('mail'), ('mail'); DELETE FROM pending_events")
    counted.add(await store.sample(counted.request))
    #expect(totals(counted) == ["enqueued 3", "unseen 3"])
    #expect(counted.unbalanced.isEmpty && counted.restarts.isEmpty && counted.notices.isEmpty, "\(counted.notices)")
  }

  /// `OUTBOX_TRAFFIC_SECONDS=300` for the long form.
  @Test func `counting that begins amid traffic counts each arrival once`() async throws {
    let seconds = Int(currentEnvironment()["OUTBOX_TRAFFIC_SECONDS"] ?? "") ?? 4
    let database = try TemporaryPostgres.shared().createDatabase(
      schema + """
        CREATE PROCEDURE come() LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO pending_events (event_type) VALUES ('mail');
        END $$;
        """)
    let sessions = try (0..<4).map { _ in
      try ChildProcess(
        "psql", ["-d", database.conninfo(), "-X", "-q", "-f", "-"],
        input: String(repeating: "CALL come(); SELECT pg_sleep(0.009);\n", count: 100 * seconds))
    }
    #expect(try eventually { try database.psql("SELECT count(*) >= 200 FROM pending_events") == "t" })
    let store = store(database)
    let counted = MovementTotals()
    let first = await store.sample(counted.request)
    counted.add(first)
    let depth = try #require(first.first?.snapshot).depth
    while sessions.contains(where: { $0.isRunning }) {
      counted.add(await store.sample(counted.request))
      try await Task.sleep(for: .milliseconds(300))
    }
    for _ in 0..<2 { counted.add(await store.sample(counted.request)) }
    #expect(try counted.lines == ["mail enqueued \(database.psql("SELECT count(*) - \(depth) FROM pending_events"))"])
    #expect(counted.unbalanced.isEmpty && counted.restarts.isEmpty)
  }

  @Test func `the counters of all partitions count, and one that is dropped is no reset`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(
      """
      CREATE TABLE pending_events (
        id text DEFAULT gen_random_uuid(), event_type text, status text DEFAULT 'pending', attempts smallint DEFAULT 0,
        max_attempts smallint DEFAULT 5, last_error text, created_at timestamptz DEFAULT now(),
        process_after timestamptz DEFAULT now(), completed_at timestamptz) PARTITION BY LIST (event_type);
      CREATE TABLE mail PARTITION OF pending_events FOR VALUES IN ('mail');
      CREATE TABLE sms PARTITION OF pending_events FOR VALUES IN ('sms');
      INSERT INTO pending_events (event_type) VALUES ('mail'), ('mail'), ('mail');
      """)
    let store = store(database)
    try database.waitUntilLeft()
    let counted = MovementTotals()
    counted.add(await store.sample(counted.request))
    try database.psql("INSERT INTO pending_events (event_type) VALUES ('mail'), ('sms'); DELETE FROM sms")
    counted.add(await store.sample(counted.request))
    #expect(totals(counted) == ["enqueued 2", "unseen 1"])
    try database.psql("DROP TABLE mail")
    counted.add(await store.sample(counted.request))
    #expect(totals(counted) == ["enqueued 2", "unseen 5"])
    #expect(counted.restarts.isEmpty)
  }

  @Test func `a partition counts from when it is one`() async throws {
    let columns = """
      id text DEFAULT gen_random_uuid(), event_type text, status text DEFAULT 'pending', attempts smallint DEFAULT 0,
      max_attempts smallint DEFAULT 5, last_error text, created_at timestamptz DEFAULT now() - interval '1 day',
      process_after timestamptz DEFAULT now(), completed_at timestamptz
      """
    let database = try TemporaryPostgres.shared().createDatabase(
      """
      CREATE TABLE pending_events (\(columns)) PARTITION BY LIST (event_type);
      CREATE TABLE mail PARTITION OF pending_events FOR VALUES IN ('mail');
      CREATE TABLE push (\(columns)); INSERT INTO push (event_type) SELECT 'push' FROM generate_series(1, 100);
      DELETE FROM push;
      CREATE TABLE sms PARTITION OF pending_events FOR VALUES IN ('sms');
      INSERT INTO pending_events (event_type) SELECT 'sms' FROM generate_series(1, 20);
      """)
    let store = store(database)
    try database.waitUntilLeft()
    let counted = MovementTotals()
    func sample(after statements: String) async throws {
      try database.psql(statements)
      counted.add(await store.sample(counted.request))
    }
    func visit(_ count: Int, _ name: String) -> String {
      "INSERT INTO \(name) (event_type) SELECT '\(name)' FROM generate_series(1, \(count)); DELETE FROM \(name);"
    }
    try await sample(after: "SELECT")
    try await sample(after: "ALTER TABLE pending_events DETACH PARTITION sms; " + visit(3, "mail"))
    #expect(totals(counted) == ["enqueued 3", "unseen 23"])
    // The newest of all comes again with its rows, and with what came while it was apart; nothing of that was inserted here.
    try await sample(
      after:
        "INSERT INTO sms (event_type) VALUES ('sms'); ALTER TABLE pending_events ATTACH PARTITION sms FOR VALUES IN ('sms')"
    )
    #expect(totals(counted) == ["enqueued 24", "unseen 23"])
    try await sample(after: visit(4, "mail"))
    #expect(totals(counted) == ["enqueued 28", "unseen 27"])
    // A table from before counts from now on.
    try await sample(after: "ALTER TABLE pending_events ATTACH PARTITION push FOR VALUES IN ('push')")
    try await sample(after: visit(5, "push"))
    #expect(totals(counted) == ["enqueued 33", "unseen 32"])
    // A new one, from its beginning on.
    try await sample(after: "CREATE TABLE fax PARTITION OF pending_events FOR VALUES IN ('fax'); " + visit(6, "fax"))
    #expect(totals(counted) == ["enqueued 39", "unseen 38"])
    try await sample(after: "CREATE TABLE other (\(columns)); " + visit(50, "other"))
    try await sample(
      after: "ALTER TABLE pending_events ATTACH PARTITION other FOR VALUES IN ('other'); " + visit(2, "fax"))
    #expect(totals(counted) == ["enqueued 41", "unseen 40"])
    #expect(counted.restarts.isEmpty && counted.unbalanced.isEmpty, "\(counted.unbalanced)")
  }

  @Test func `that the server counts nothing is said`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(schema)
    try database.psql("ALTER DATABASE \(database.name) SET track_counts = off")
    let counted = MovementTotals()
    counted.add(await store(database).sample(counted.request))
    let notice = try #require(counted.notices.first)
    #expect(notice.contains("track_counts = off") && notice.hasPrefix("what comes and leaves between two samples"))
    try database.psql("INSERT INTO pending_events (event_type) VALUES ('mail')")
    counted.add(await store(database).sample(counted.request))
    #expect(counted.lines == ["mail enqueued 1"] && counted.notices == [notice])
    try database.psql("ALTER DATABASE \(database.name) RESET track_counts")
    let samples = await store(database).sample(counted.request)
    #expect(samples.first?.accounting != nil && samples.first?.accounting?.notice == nil)
  }

  @Test func `a replica counts its delivered rows when it has them`() async throws {
    let primary = try TemporaryPostgres()
    let database = try primary.createDatabase(
      AiHummerWorkers.schema + "INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 5)")
    let replica = try TemporaryPostgres(replicaOf: primary)
    let copy = TemporaryDatabase(name: database.name, server: replica)
    let store = PostgreSQLStore(
      [OutboxDefinition(name: "o", address: .postgresql(Secret(copy.conninfo())), layout: .aiHummer)],
      limits: PostgreSQLLimits(clockAllowance: .milliseconds(20)), now: { Timestamp(seconds: 1_800_000_000) })
    let counted = MovementTotals()
    counted.add(await store.sample(counted.request))
    try copy.psql("SELECT pg_wal_replay_pause()")
    try database.psql("UPDATE outbox SET status = 'delivered', delivered_at = now() WHERE id = 1")
    for _ in 0..<5 {
      try await Task.sleep(for: .milliseconds(200))
      counted.add(await store.sample(counted.request))
    }
    #expect(counted.lines.isEmpty)
    try copy.psql("SELECT pg_wal_replay_resume()")
    #expect(try eventually { try copy.psql("SELECT count(*) FROM outbox WHERE status = 'delivered'") == "1" })
    counted.add(await store.sample(counted.request))
    counted.add(await store.sample(counted.request))
    #expect(counted.lines == ["mail delivered 1"])
    #expect(counted.unbalanced.isEmpty && counted.restarts.isEmpty)
  }
}
