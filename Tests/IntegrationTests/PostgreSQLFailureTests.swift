import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// What cannot be sampled, and what is then reported.
@Suite(withPostgreSQL)
struct PostgreSQLFailureTests {
  private func database() throws -> TemporaryDatabase {
    try TemporaryPostgres.shared().createDatabase(PostgreSQLSampleLayout.schema + PostgreSQLSampleLayout.rows)
  }

  private func failure(_ store: PostgreSQLStore) async throws -> SampleFailure {
    try #require(await store.sample(eventIDs: false).first?.failure)
  }

  private func snapshot(_ store: PostgreSQLStore) async throws -> Snapshot {
    try #require(await store.sample(eventIDs: false).first).counted()
  }

  private func sessions(_ database: TemporaryDatabase) throws -> String {
    try database.psql(
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outbox-exporter' AND datname = current_database()"
    )
  }

  // MARK: - Connecting at once

  private func atOnce(_ database: TemporaryDatabase, user: String? = nil) -> PostgreSQLStore {
    PostgreSQLStore(
      [
        OutboxDefinition(
          name: "orders", address: .postgresql(Secret(user.map { database.conninfo(user: $0) } ?? database.conninfo())),
          layout: PostgreSQLSampleLayout.layout())
      ], connectsAtOnce: true, now: { Timestamp(seconds: 1_800_000_000) })
  }

  @Test func `a store that connects at once samples over that connection`() async throws {
    let database = try database()
    let store = atOnce(database)
    #expect(try eventually { try sessions(database) == "1" })
    #expect(try await snapshot(store).depth > 0)
    #expect(try sessions(database) == "1")
    await store.close()
    #expect(try eventually { try sessions(database) == "0" })
    // The next one is its own.
    #expect(try await snapshot(store).depth > 0)
  }

  @Test func `a store that cannot connect at once says why, and tries again later`() async throws {
    let database = try database()
    let role = database.server.uniqueName("late")
    let store = atOnce(database, user: role)
    let failure = try await failure(store)
    #expect(failure.reason == .unreachable || failure.reason == .authentication, "\(failure)")
    #expect(failure.message.contains(role))
    try database.psql("CREATE ROLE \(role) LOGIN; GRANT SELECT ON outbox, dead_letters TO \(role)")
    #expect(await happens { (try? await snapshot(store).depth) ?? 0 > 0 })
  }

  @Test func `a store of one queue says how long a sample takes at most, and one of several does not`() {
    func longest(_ layouts: [Layout]) -> Duration? {
      let address = StoreAddress.postgresql(Secret("host=/nowhere"))
      return PostgreSQLStore(
        layouts.map { OutboxDefinition(name: $0.name, address: address, layout: $0) },
        now: { Timestamp(seconds: 1_800_000_000) }
      ).longestSample
    }
    // Two connections and four messages, each of which is cancelled and waited for: less than the patience of `--once`.
    #expect(longest([.kaireon]) == .seconds(2 * 5 + 4 * 11))
    #expect(longest([.kaireon, .aiHummer]) == nil)
    #expect(longest([.relaycast]) == nil)
  }

  // MARK: - Security

  @Test func `row-level security fails loudly instead of reading zero`() async throws {
    let database = try database()
    let role = database.server.uniqueName("tenant")
    try database.psql(
      """
      CREATE ROLE \(role) LOGIN; GRANT SELECT ON outbox, dead_letters TO \(role);
      ALTER TABLE outbox ENABLE ROW LEVEL SECURITY; CREATE POLICY nobody ON outbox USING (false);
      """)
    #expect(try database.psql("SELECT count(*) FROM outbox", user: role) == "0")
    let store = PostgreSQLSampleLayout.store(database.conninfo(user: role))
    let failure = try await failure(store)
    #expect(failure.reason == .rowSecurity)
    #expect(failure.message.contains("public.outbox") && failure.hint?.contains("BYPASSRLS") == true)
    try database.psql("ALTER ROLE \(role) BYPASSRLS")
    #expect(try await snapshot(store).depth > 0)
  }

  @Test func `row-level security that is switched on later is told apart from a missing grant`() async throws {
    let database = try database()
    let role = database.server.uniqueName("tenant")
    try database.psql("CREATE ROLE \(role) LOGIN; GRANT SELECT ON outbox, dead_letters TO \(role)")
    let store = PostgreSQLSampleLayout.store(database.conninfo(user: role))
    #expect(try await snapshot(store).depth > 0)
    try database.psql("ALTER TABLE outbox ENABLE ROW LEVEL SECURITY")
    #expect(try await failure(store).reason == .rowSecurity)
    try database.psql("ALTER TABLE outbox DISABLE ROW LEVEL SECURITY; REVOKE SELECT ON outbox FROM \(role)")
    #expect(try await failure(store).reason == .permission)
    try database.psql("GRANT SELECT ON outbox TO \(role)")
    #expect(try await snapshot(store).depth > 0)
    #expect(try sessions(database) == "1")
  }

  @Test func `a predicate that writes is refused`() async throws {
    let database = try database()
    try database.psql(
      """
      CREATE TABLE written (at timestamptz);
      CREATE FUNCTION write() RETURNS boolean LANGUAGE sql VOLATILE AS
        'INSERT INTO written VALUES (now()) RETURNING true';
      """)
    let layout = PostgreSQLSampleLayout.layout(rows: "{status} = 'pending' AND write()")
    let failure = try await failure(PostgreSQLSampleLayout.store(database.conninfo(), layout))
    #expect(failure.message.contains("25006") && failure.hint?.contains("read-only") == true)
    #expect(try database.psql("SELECT count(*) FROM written") == "0")
  }

  @Test func `a value that does not fit is not repeated`() async throws {
    let database = try database()
    try database.psql("UPDATE outbox SET \"Topic\" = 'person@example.org'")
    let layout = PostgreSQLSampleLayout.layout(destination: "{topic}::int")
    let failure = try await failure(PostgreSQLSampleLayout.store(database.conninfo(), layout))
    #expect(failure.reason == .other && failure.message.contains("22P02"))
    #expect(!"\(failure)".contains("person"))
  }

  // MARK: - Time

  @Test func `a locked table is reported within the lock time-out, over one connection`() async throws {
    let database = try database()
    let store = PostgreSQLSampleLayout.store(database.conninfo(), limits: PostgreSQLLimits(lock: .milliseconds(50)))
    #expect(try await snapshot(store).depth > 0)
    let locker = try database.holding("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
    for _ in 0..<5 { #expect(try await failure(store).reason == .lockTimeout) }
    #expect(try sessions(database) == "1")
    #expect(
      try database.psql("SELECT count(*) FROM pg_locks WHERE relation = 'outbox'::regclass AND NOT granted") == "0")
    try locker.release()
    #expect(try await snapshot(store).depth > 0)
    #expect(try sessions(database) == "1")
  }

  @Test func `a lock on one table leaves the other outboxes of the database alone`() async throws {
    let database = try database()
    try database.psql("CREATE TABLE calm AS TABLE outbox")
    let definitions = [("orders", "outbox"), ("calm", "calm")].map { name, table in
      OutboxDefinition(
        name: name, address: .postgresql(Secret(database.conninfo())),
        layout: PostgreSQLSampleLayout.layout(table: table))
    }
    let store = PostgreSQLStore(
      definitions, limits: PostgreSQLLimits(lock: .milliseconds(50)), now: { Timestamp(seconds: 1_800_000_000) })
    let locker = try database.holding("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
    let samples = await store.sample(eventIDs: false)
    #expect(samples.map { $0.failure?.reason } == [.lockTimeout, nil])
    try locker.release()
  }

  @Test func `a statement past its time-out is cancelled by the server`() async throws {
    let database = try database()
    let layout = PostgreSQLSampleLayout.layout(rows: "{status} = 'pending' AND pg_sleep(60) IS NOT NULL")
    let store = PostgreSQLSampleLayout.store(
      database.conninfo(), layout, limits: PostgreSQLLimits(statement: .milliseconds(50)))
    let failure = try await failure(store)
    #expect(failure.reason == .timeout && failure.message.contains("57014"))
    #expect(try sessions(database) == "1")
  }

  @Test func `a server that stops answering is left by the client, and asked again later`() async throws {
    let database = try database()
    let clock = ManualClock()
    let layout = PostgreSQLSampleLayout.layout(rows: "{status} = 'pending' AND pg_sleep(60) IS NOT NULL")
    let store = PostgreSQLSampleLayout.store(
      database.conninfo(), layout, names: ["orders", "mails"],
      limits: PostgreSQLLimits(statement: .seconds(2), roundTrip: .milliseconds(200)), clock: clock)
    let samples = await store.sample(eventIDs: false)
    #expect(samples.map { $0.failure?.reason } == [.timeout, .timeout])
    #expect(samples.map { $0.outbox.name } == ["orders", "mails"])
    let isGone = try eventually { try sessions(database) == "0" }
    #expect(isGone)
  }

  @Test func `a host that accepts and never answers is a time-out`() async throws {
    let server = try BlackholeServer()
    let store = PostgreSQLSampleLayout.store(
      "host=127.0.0.1 port=\(server.port) dbname=d user=u", names: ["a", "b"],
      limits: PostgreSQLLimits(connect: .milliseconds(200)))
    let samples = await store.sample(eventIDs: false)
    #expect(samples.map { $0.failure?.reason } == [.timeout, .timeout])
  }

  // MARK: - Connecting

  @Test func `nobody listening is unreachable`() async throws {
    let failure = try await failure(
      PostgreSQLSampleLayout.store("host=127.0.0.1 port=\(freePort()) dbname=d user=u"))
    #expect(failure.reason == .unreachable && failure.message.contains("127.0.0.1"))
  }

  @Test func `a database that does not exist is absent`() async throws {
    let server = try TemporaryPostgres.shared()
    let failure = try await failure(
      PostgreSQLSampleLayout.store("host=\(server.socketDirectory) port=\(server.port) dbname=nowhere user=postgres"))
    #expect(failure.reason == .absent && failure.message.contains("nowhere"))
  }

  @Test func `a wrong password is reported without it, and tried again with growing waits`() async throws {
    let database = try database()
    let role = database.server.uniqueName("app")
    try database.psql("CREATE ROLE \(role) LOGIN PASSWORD 'right'")
    let clock = ManualClock()
    let store = PostgreSQLSampleLayout.store(
      database.conninfo(user: role, password: "s3cret-wrong"), limits: PostgreSQLLimits(longestBackOff: .seconds(4)),
      clock: clock)
    // One line in the server's log for each attempt.
    func attempts() -> Int {
      database.server.log.split(separator: "\n").filter {
        $0.contains("password authentication failed") && $0.contains(role)
      }.count
    }
    var seen: [Int] = []
    for second in 0..<16 {
      if second > 0 { clock.advance(seconds: 1) }
      let failure = try await failure(store)
      #expect(failure.reason == .authentication)
      #expect(!"\(failure)".contains("s3cret"))
      seen.append(attempts())
    }
    // After 0, 1, 3, 7, 11 and 15 seconds: waits of 1, 2, 4, 4 and 4.
    #expect(seen == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6])
  }

  @Test func `a role without CONNECT lacks a permission`() async throws {
    let database = try database()
    let role = database.server.uniqueName("app")
    try database.psql("CREATE ROLE \(role) LOGIN; REVOKE CONNECT ON DATABASE \(database.name) FROM PUBLIC")
    let failure = try await failure(PostgreSQLSampleLayout.store(database.conninfo(user: role)))
    #expect(failure.reason == .permission)
  }

  @Test func `a session that the server ended is replaced within the sample`() async throws {
    let database = try database()
    let store = PostgreSQLSampleLayout.store(database.conninfo())
    let before = try await snapshot(store)
    try database.psql(
      """
      SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
      WHERE application_name = 'outbox-exporter' AND datname = current_database()
      """)
    #expect(try await snapshot(store).depth == before.depth)
    #expect(try sessions(database) == "1")
  }

  @Test func `a server that was down is sampled again once it is back`() async throws {
    let server = try TemporaryPostgres()
    let database = try server.createDatabase(PostgreSQLSampleLayout.schema + PostgreSQLSampleLayout.rows)
    let clock = ManualClock()
    let store = PostgreSQLSampleLayout.store(database.conninfo(), clock: clock)
    let before = try await snapshot(store)
    try server.stop()
    #expect(try await failure(store).reason == .unreachable)
    try server.start()
    // Left alone for a second.
    #expect(try await failure(store).reason == .unreachable)
    clock.advance(seconds: 1)
    #expect(try await snapshot(store).depth == before.depth)
  }

  // MARK: - Schema

  @Test func `a missing table is reported with what it may have been meant to be`() async throws {
    let database = try database()
    try database.psql("CREATE SCHEMA shop; ALTER TABLE outbox SET SCHEMA shop")
    let store = PostgreSQLSampleLayout.store(database.conninfo())
    let failure = try await failure(store)
    #expect(failure.reason == .schema)
    #expect(failure.message.contains(database.name) && failure.message.contains("no table outbox"))
    #expect(failure.message.contains("shop.outbox") && failure.hint?.contains("tables: {events:") == true)
    try database.psql("ALTER TABLE shop.outbox SET SCHEMA public")
    #expect(try await snapshot(store).depth > 0)
  }

  @Test func `a missing column is reported with those that there are`() async throws {
    let database = try database()
    let layout = PostgreSQLSampleLayout.layout(topic: "channel")
    let failure = try await failure(PostgreSQLSampleLayout.store(database.conninfo(), layout))
    #expect(failure.reason == .schema)
    #expect(failure.message.contains("no column channel") && failure.message.contains("Topic"))
    #expect(failure.hint?.contains("columns: {topic:") == true)
  }

  @Test func `an optional table may be absent`() async throws {
    let database = try database()
    try database.psql("DROP TABLE dead_letters")
    let snapshot = try await snapshot(PostgreSQLSampleLayout.store(database.conninfo()))
    #expect(snapshot.depth > 0 && snapshot.dead.isEmpty)
  }

  @Test func `a migration between two samples is followed, and what it breaks is named`() async throws {
    let database = try database()
    let store = PostgreSQLSampleLayout.store(database.conninfo())
    let before = try await snapshot(store)
    try database.psql("DROP TABLE dead_letters")
    let without = try await snapshot(store)
    #expect(without.depth == before.depth && without.dead.isEmpty)
    try database.psql("ALTER TABLE outbox RENAME attempts TO tries")
    let failure = try await failure(store)
    #expect(failure.reason == .schema && failure.message.contains("no column attempts"))
    try database.psql("ALTER TABLE outbox RENAME tries TO attempts")
    #expect(try await snapshot(store).depth == before.depth)
  }

  @Test func `a predicate that is no SQL is reported as the layout's fault`() async throws {
    let database = try database()
    let layout = PostgreSQLSampleLayout.layout(rows: "{status} = = 'pending'")
    let failure = try await failure(PostgreSQLSampleLayout.store(database.conninfo(), layout))
    #expect(failure.reason == .schema && failure.message.contains("42601"))
  }

  @Test func `a predicate cannot leave the read-only transaction`() async throws {
    let database = try database()
    let before = try database.psql("SELECT count(*) FROM outbox")
    let layout = PostgreSQLSampleLayout.layout(
      rows: "false) e) c) r GROUP BY d, s, r, k; COMMIT; DELETE FROM outbox; SELECT * FROM (SELECT ((1")
    let failure = try await failure(PostgreSQLSampleLayout.store(database.conninfo(), layout))
    #expect(failure.reason == .schema && failure.message.contains("semicolon"))
    #expect(try database.psql("SELECT count(*) FROM outbox") == before)
    // By the database's own settings a backslash may hide the end of a quote, so quotes are no excuse.
    let quoted = PostgreSQLSampleLayout.layout(rows: "'' <> E'\\'' OR {topic} <> '; COMMIT'")
    let other = try await self.failure(PostgreSQLSampleLayout.store(database.conninfo(), quoted))
    #expect(other.reason == .schema && other.message.contains("semicolon"))
  }
}
