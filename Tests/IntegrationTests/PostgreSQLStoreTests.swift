import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// Figures, and what a sample leaves behind in the database. Expected values come from SQL written for the test and run
/// through psql.
@Suite(withPostgreSQL)
struct PostgreSQLStoreTests {
  private func database() throws -> TemporaryDatabase {
    try TemporaryPostgres.shared().createDatabase(PostgreSQLSampleLayout.schema + PostgreSQLSampleLayout.rows)
  }

  private func snapshot(_ store: PostgreSQLStore, eventIDs: Bool = false) async throws -> Snapshot {
    let samples = await store.sample(eventIDs: eventIDs)
    #expect(samples.count == 1)
    return try samples[0].counted()
  }

  @Test func `every figure is what independent SQL says`() async throws {
    let database = try database()
    let snapshot = try await snapshot(PostgreSQLSampleLayout.store(database.conninfo()), eventIDs: true)
    let depths = snapshot.depths.map { "\($0.destination)|\($0.state.rawValue)|\($0.retry ? "t" : "f")|\($0.count)" }
    let states = """
      CASE WHEN status = 'sending' THEN 'claimed' WHEN due_at > now() THEN 'scheduled' ELSE 'ready' END
      """
    #expect(
      depths.sorted().joined(separator: "\n")
        == (try database.psql(
          """
          SELECT "Topic" COLLATE "C", \(states), attempts > 0, count(*) FROM outbox WHERE status <> 'sent' GROUP BY 1, 2, 3
          ORDER BY 1, 2, 3
          """)))
    #expect(depths.count > 8)

    let ages = snapshot.ages.map { age in
      "\(age.destination)|\(age.retry ? "t" : "f")|" + milliseconds(snapshot.storeTime, minus: age.oldest)
    }
    #expect(
      ages.sorted().joined(separator: "\n")
        == (try database.psql(
          """
          SELECT "Topic" COLLATE "C", attempts > 0, floor(extract(epoch FROM min(due_at)) * 1000) FROM outbox
          WHERE status <> 'sent' AND due_at <= now() GROUP BY 1, 2 ORDER BY 1, 2
          """)))

    let stuck = snapshot.stuck.map { figure in
      "\(figure.destination)|\(figure.count)|" + milliseconds(snapshot.storeTime, minus: figure.oldest)
    }
    #expect(
      stuck.sorted().joined(separator: "\n")
        == (try database.psql(
          """
          SELECT "Topic" COLLATE "C", count(*), floor(extract(epoch FROM min(locked_until)) * 1000) FROM outbox
          WHERE status = 'sending' AND locked_until <= now() GROUP BY 1 ORDER BY 1
          """)))
    #expect(snapshot.stuck.map(\.reason) == [.leaseExpired, .leaseExpired])

    let dead = snapshot.dead.map { figure in
      "\(figure.destination)|\(figure.count)|"
        + (figure.oldest.map { milliseconds(snapshot.storeTime, minus: $0) } ?? "")
    }
    #expect(
      dead.joined(separator: "\n")
        == (try database.psql(
          "SELECT \"Topic\", count(*), floor(extract(epoch FROM min(failed_at)) * 1000) FROM dead_letters GROUP BY 1")))
    #expect(snapshot.replicaLag == nil)
    #expect(snapshot.exact && snapshot.inUse)

    let ids = try #require(snapshot.eventIDs)
    #expect(
      ids.oldest.joined(separator: "\n")
        == (try database.psql(
          """
          SELECT id FROM outbox WHERE status <> 'sent' AND due_at <= now() AND (status = 'sending' OR due_at <= now())
          ORDER BY due_at LIMIT 5
          """)))
    #expect(
      ids.newestDead.joined(separator: "\n")
        == (try database.psql("SELECT id FROM dead_letters ORDER BY failed_at DESC LIMIT 5")))
    #expect(
      ids.stuck.joined(separator: "\n")
        == (try database.psql(
          "SELECT id FROM outbox WHERE status = 'sending' AND locked_until <= now() ORDER BY locked_until LIMIT 5")))
  }

  /// Whole milliseconds since 1970, as psql prints them.
  private func milliseconds(_ time: Timestamp, minus age: Duration) -> String {
    let nanoseconds = time.nanoseconds - age.wholeNanoseconds
    // Half a microsecond, since seconds travel as a double.
    return "\((nanoseconds + 500) / 1_000_000)"
  }

  @Test func `ages are measured on the database's clock, whatever the exporter's clock and the role's zone are`()
    async throws
  {
    let database = try database()
    let role = database.server.uniqueName("app")
    try database.psql(
      """
      CREATE ROLE \(role) LOGIN; ALTER ROLE \(role) SET TimeZone = 'America/New_York';
      GRANT SELECT ON outbox, dead_letters TO \(role); DELETE FROM outbox;
      INSERT INTO outbox ("Topic", created_at, due_at)
      VALUES ('mail', now() AT TIME ZONE 'UTC' - interval '300 seconds', now() - interval '300 seconds');
      """)
    var layout = PostgreSQLSampleLayout.layout()
    layout.queues[0].selections[0].since = "{created.seconds}"
    let snapshot = try await snapshot(PostgreSQLSampleLayout.store(database.conninfo(user: role), layout))
    let created = try #require(Double(try database.psql("SELECT extract(epoch FROM created_at) FROM outbox")))
    let age = try #require(snapshot.oldestAge)
    #expect(abs(snapshot.storeTime.seconds - age.seconds - created) < 0.001)
    #expect(age >= .seconds(300) && snapshot.implausible == 0)
  }

  @Test func `the session is pinned while the figures are read`() async throws {
    let database = try database()
    let settings = [
      "TimeZone", "row_security", "statement_timeout", "lock_timeout", "jit", "max_parallel_workers_per_gather",
      "transaction_read_only", "transaction_isolation", "application_name",
    ]
    let shown = settings.map { "current_setting('\($0)')" }.joined(separator: ", ")
    let layout = PostgreSQLSampleLayout.layout(destination: "concat_ws('/', \(shown))")
    let limits = PostgreSQLLimits(statement: .milliseconds(4_500), lock: .milliseconds(250))
    let snapshot = try await snapshot(PostgreSQLSampleLayout.store(database.conninfo(), layout, limits: limits))
    #expect(
      Set(snapshot.depths.map(\.destination)) == ["UTC/off/4500ms/250ms/off/0/on/read committed/outbox-exporter"])
  }

  @Test func `a sample is one message, and its transaction ends with it`() async throws {
    let database = try database()
    try database.server.psql("ALTER DATABASE \(database.name) SET log_statement = 'all'")
    let store = PostgreSQLSampleLayout.store(database.conninfo())
    _ = try await snapshot(store)
    let before = database.loggedMessages().count
    for _ in 0..<3 {
      // What nobody has written to would not be counted again.
      try database.psql("CREATE TEMP TABLE happened ()")
      _ = try await snapshot(store)
    }
    let messages = database.loggedMessages()[before...]
    #expect(messages.count == 3)
    for message in messages { #expect(message.hasPrefix("BEGIN ") && message.hasSuffix("COMMIT")) }
    #expect(
      try database.psql(
        "SELECT state, xact_start IS NULL OR state = 'idle' FROM pg_stat_activity WHERE application_name = 'outbox-exporter' AND datname = current_database()"
      ) == "idle|t")
    let shown = await store.statements(eventIDs: false)
    #expect(try shown[0].result.get().sample == messages.last)
  }

  @Test func `several outboxes of a database share one connection`() async throws {
    let database = try database()
    let store = PostgreSQLSampleLayout.store(database.conninfo(), names: ["orders", "mails", "audits"])
    let samples = await store.sample(eventIDs: false)
    #expect(samples.map(\.outbox.name) == ["orders", "mails", "audits"])
    #expect(samples.compactMap(\.snapshot).count == 3)
    #expect(try sessions(database) == "1")
    await store.close()
    let isClosed = try eventually { try sessions(database) == "0" }
    #expect(isClosed)
    let again = await store.sample(eventIDs: false)
    #expect(again.compactMap(\.snapshot).count == 3)
  }

  private func sessions(_ database: TemporaryDatabase) throws -> String {
    try database.psql(
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outbox-exporter' AND datname = current_database()"
    )
  }

  @Test func `a state that the layout does not know is found through the index, and again after an hour`() async throws
  {
    let database = try database()
    let clock = ManualClock()
    let store = PostgreSQLSampleLayout.store(database.conninfo(), clock: clock)
    #expect(try await snapshot(store).depth(.unknown) == 0)
    try database.psql("UPDATE outbox SET status = 'odd' WHERE id <= 3")
    clock.advance(seconds: 3_599)
    #expect(try await snapshot(store).depth(.unknown) == 0)
    clock.advance(seconds: 1)
    #expect(try await snapshot(store).depth(.unknown) == 3)

    try database.psql("DROP INDEX outbox_by_status; CREATE INDEX ON outbox (status) WHERE status <> 'sent'")
    let blind = PostgreSQLSampleLayout.store(database.conninfo())
    #expect(try await snapshot(blind).depth(.unknown) == 0)
  }

  @Test func `a table that is rewritten while the sample waits for it does not read as empty`() async throws {
    let database = try database()
    let store = PostgreSQLSampleLayout.store(database.conninfo(), limits: PostgreSQLLimits(lock: .seconds(20)))
    let before = try await snapshot(store)
    let migration = try ChildProcess(
      "psql", ["-d", database.conninfo(), "-X", "-q", "-f", "-"],
      input: """
        BEGIN; ALTER TABLE outbox ALTER attempts TYPE bigint;
        DO $$ BEGIN
          FOR i IN 1..3000 LOOP
            EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE relation = 'outbox'::regclass AND NOT granted);
            PERFORM pg_sleep(0.01);
          END LOOP;
        END $$;
        COMMIT;
        """)
    let isLocked = try eventually {
      try database.psql(
        "SELECT count(*) FROM pg_locks WHERE relation = 'outbox'::regclass AND mode = 'AccessExclusiveLock' AND granted"
      ) == "1"
    }
    #expect(isLocked)
    #expect(try await snapshot(store).depth == before.depth)
    #expect(migration.wait() == 0, "\(migration.standardError)")
  }

  @Test func `a role with only the printed grants can sample`() async throws {
    let database = try database()
    let role = database.server.uniqueName("monitor")
    try database.psql(
      """
      CREATE ROLE \(role) LOGIN; CREATE SCHEMA shop; ALTER TABLE outbox SET SCHEMA shop;
      ALTER TABLE dead_letters SET SCHEMA shop;
      """)
    let layout = PostgreSQLSampleLayout.layout(table: "shop.outbox", dead: "shop.dead_letters")
    let store = PostgreSQLSampleLayout.store(database.conninfo(user: role), layout)
    let refused = await store.sample(eventIDs: true)
    #expect(refused[0].failure?.reason == .permission)
    #expect(refused[0].failure?.hint?.contains("outbox-exporter sql") == true)
    let grants = try await store.statements(eventIDs: true)[0].result.get().grants
    try database.psql(grants.joined(separator: ";\n"))
    let snapshot = try await snapshot(store, eventIDs: true)
    #expect(snapshot.depth == Int(try database.psql("SELECT count(*) FROM shop.outbox WHERE status <> 'sent'")))
    let payload = try? database.psql("SELECT payload FROM shop.outbox", user: role)
    #expect(payload == nil)
  }
}
