import Outbox
import Stores
import TestSupport
import Testing

/// PostgreSQL behind a pooler, and as a streaming replica.
@Suite(withPostgreSQL)
struct PostgreSQLTopologyTests {
  static let withPgBouncer = ConditionTrait.enabled(
    if: PgBouncer.unavailable == nil, Comment(rawValue: PgBouncer.unavailable ?? ""))

  private func database(_ server: TemporaryPostgres) throws -> TemporaryDatabase {
    try server.createDatabase(PostgreSQLSampleLayout.schema + PostgreSQLSampleLayout.rows)
  }

  private func snapshot(_ store: PostgreSQLStore) async throws -> Snapshot {
    try #require(await store.sample(eventIDs: true).first).counted()
  }

  /// What a session of the pooler's is left with.
  private func settings(_ pooler: PgBouncer, _ database: TemporaryDatabase) throws -> String {
    try run(
      "psql",
      [
        "-d", pooler.conninfo(database), "-X", "-q", "-A", "-t", "-c",
        """
        SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('row_security'),
          current_setting('jit'), current_setting('transaction_read_only'), current_setting('enable_seqscan')
        """,
      ]
    ).output
  }

  private static let untouched = "0|0|on|on|off|on\n"

  /// In statement mode too: a message that begins and ends its transaction is as good as one statement.
  @Test(withPgBouncer, arguments: ["session", "transaction", "statement"])
  func `a pooler in any mode is sampled through, and its session left as it was`(mode: String) async throws {
    let server = try TemporaryPostgres.shared()
    let database = try database(server)
    let pooler = try PgBouncer(mode: mode, before: server)
    let store = PostgreSQLSampleLayout.store(pooler.conninfo(database))
    let direct = try await snapshot(PostgreSQLSampleLayout.store(database.conninfo()))
    for _ in 0..<3 {
      let pooled = try await snapshot(store)
      #expect(pooled.depths == direct.depths)
      #expect(pooled.eventIDs == direct.eventIDs)
    }
    // A session pool hands its only connection over when the exporter has closed its own.
    if mode == "session" { await store.close() }
    #expect(try settings(pooler, database) == Self.untouched)
  }

  @Test(withPgBouncer, arguments: ["session", "transaction", "statement"])
  func `a failed sample does not keep the connection of a pooler in any mode`(mode: String) async throws {
    let server = try TemporaryPostgres.shared()
    let database = try database(server)
    let pooler = try PgBouncer(mode: mode, before: server)
    let store = PostgreSQLSampleLayout.store(
      pooler.conninfo(database), limits: PostgreSQLLimits(lock: .milliseconds(50)))
    _ = try await snapshot(store)
    let locker = try database.holding("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
    let failures = [await store.sample(eventIDs: false), await store.sample(eventIDs: false)]
    // In statement mode the pooler closes the connection before it has passed the error of a transaction on; then the
    // sample is asked for without one.
    #expect(failures.map { $0.first?.failure?.reason } == [.lockTimeout, .lockTimeout])
    #expect(
      try database.psql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
      )
        == "0")
    try locker.release()
    let direct = try await snapshot(PostgreSQLSampleLayout.store(database.conninfo()))
    let pooled = try await snapshot(store)
    #expect(pooled.depths == direct.depths && pooled.eventIDs == direct.eventIDs)
    if mode == "session" { await store.close() }
    #expect(try settings(pooler, database) == Self.untouched)
  }

  @Test(withPgBouncer, arguments: ["session", "transaction", "statement"])
  func `a ledger is installed and removed through a pooler in any mode`(mode: String) async throws {
    let server = try TemporaryPostgres.shared()
    let database = try server.createDatabase(TroubleFixture.table("outbox_events"))
    let pooler = try PgBouncer(mode: mode, before: server)
    let command = try ExporterCommand()
    func ledger(_ verb: String) throws -> Int32 {
      try command.run(
        ["ledger", verb], environment: ["OUTBOX_DSN": pooler.conninfo(database), "OUTBOX_LAYOUT": "kaireon"]
      ).code
    }
    #expect(try ledger("install") == 0)
    #expect(try database.psql("SELECT count(*) > 0 FROM pg_trigger WHERE NOT tgisinternal") == "t")
    #expect(try ledger("remove") == 0)
    #expect(try database.psql("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == "0")
  }

  @Test(withPgBouncer) func `start-up options, which a pooler refuses, are named`() async throws {
    let server = try TemporaryPostgres.shared()
    let database = try database(server)
    let pooler = try PgBouncer(mode: "transaction", before: server)
    let store = PostgreSQLSampleLayout.store(pooler.conninfo(database) + " options='-c work_mem=1MB'")
    let failure = try #require(await store.sample(eventIDs: false).first?.failure)
    #expect(failure.reason == .unreachable && failure.hint?.contains("ignore_startup_parameters") == true, "\(failure)")
  }

  @Test(withPgBouncer) func `a sample that waits for a pooler's connection ends with its time`()
    async throws
  {
    let server = try TemporaryPostgres.shared()
    let database = try database(server)
    let pooler = try PgBouncer(mode: "session", before: server)
    // The pool has one connection, and another client holds it.
    let client = try ChildProcess("psql", ["-d", pooler.conninfo(database), "-X", "-q", "-c", "SELECT pg_sleep(600)"])
    #expect(try eventually { try database.psql(Self.sleeping) == "1" })
    let store = PostgreSQLSampleLayout.store(
      pooler.conninfo(database), limits: PostgreSQLLimits(roundTrip: .milliseconds(300)))
    let failure = try #require(await store.sample(eventIDs: false).first?.failure)
    #expect(failure.reason == .timeout && failure.hint?.contains("pooler") == true, "\(failure)")
    try database.psql("SELECT pg_terminate_backend(pid) FROM (\(Self.sleepers)) s")
    _ = client.wait(atMost: .seconds(10))
    #expect(await happens { await store.sample(eventIDs: false).first?.snapshot?.depth ?? 0 > 0 })
  }

  private static let sleepers =
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
  private static let sleeping = "SELECT count(*) FROM (\(sleepers)) s"

  @Test(withPgBouncer)
  func `a pooler whose server is gone is reported`() async throws {
    let server = try TemporaryPostgres()
    let database = try database(server)
    let pooler = try PgBouncer(mode: "transaction", before: server)
    let store = PostgreSQLSampleLayout.store(
      pooler.conninfo(database), limits: PostgreSQLLimits(connect: .seconds(2), roundTrip: .seconds(2)))
    _ = try await snapshot(store)
    try server.stop()
    let samples = await store.sample(eventIDs: false)
    let reason = try #require(samples.first?.failure?.reason)
    #expect([.unreachable, .timeout].contains(reason), "\(samples)")
  }

  @Test func `a replica is sampled, with its lag`() async throws {
    let primary = try TemporaryPostgres()
    let database = try database(primary)
    let replica = try TemporaryPostgres(replicaOf: primary)
    let copy = TemporaryDatabase(name: database.name, server: replica)
    // A commit to replay, so that the replica knows of a time.
    try database.psql("ANALYZE outbox")
    func catchUp() throws {
      let written = try database.psql("SELECT pg_current_wal_insert_lsn()")
      let isCaughtUp = try eventually {
        try copy.psql(
          """
          SELECT pg_last_wal_replay_lsn() >= '\(written)' AND EXISTS (SELECT FROM pg_stat_wal_receiver)
            AND pg_last_xact_replay_timestamp() IS NOT NULL
          """) == "t"
      }
      #expect(isCaughtUp)
    }
    try catchUp()
    let store = PostgreSQLSampleLayout.store(copy.conninfo())
    let before = try await snapshot(store)
    #expect(before.depth == Int(try database.psql("SELECT count(*) FROM outbox WHERE status <> 'sent'")))
    // An idle primary: nothing is missing, however old the last commit is.
    #expect(before.replicaLag == .zero)

    try copy.psql("SELECT pg_wal_replay_pause()")
    let replayed = try #require(Double(try copy.psql("SELECT extract(epoch FROM pg_last_xact_replay_timestamp())")))
    try database.psql("DELETE FROM outbox")
    let written = try database.psql("SELECT pg_current_wal_insert_lsn()")
    let isReceived = try eventually {
      try copy.psql("SELECT pg_last_wal_receive_lsn() >= '\(written)'") == "t"
    }
    #expect(isReceived)
    let behind = try await snapshot(store)
    #expect(behind.depth == before.depth)
    let lag = try #require(behind.replicaLag)
    #expect(abs(behind.storeTime.seconds - lag.seconds - replayed) < 0.001)

    try copy.psql("SELECT pg_wal_replay_resume()")
    try catchUp()
    #expect(try await snapshot(store).depth == 0)

    // A replica that receives nothing any more does not know that it is behind: it must not say zero.
    try primary.stop()
    let isAlone = try eventually { try copy.psql("SELECT count(*) FROM pg_stat_wal_receiver") == "0" }
    #expect(isAlone)
    #expect(try #require(await snapshot(store).replicaLag) > .zero)
  }

  @Test func `a replica whose primary is under load is sampled at one moment each time, and says how old that is`()
    async throws
  {
    let primary = try TemporaryPostgres()
    let database = try database(primary)
    // Every transaction keeps the number of waiting events, whatever it does with them.
    try database.psql(
      """
      CREATE PROCEDURE churn() LANGUAGE plpgsql AS $$
      BEGIN LOOP
        WITH gone AS (
          DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE status <> 'sent' ORDER BY random() LIMIT 20) RETURNING *)
        INSERT INTO outbox (status, "Topic", attempts, locked_until)
          SELECT (ARRAY['pending', 'sending'])[1 + (random() < 0.5)::int]::outbox_status, "Topic", attempts + 1, locked_until
          FROM gone;
        COMMIT;
      END LOOP; END $$
      """)
    let replica = try TemporaryPostgres(replicaOf: primary)
    let copy = TemporaryDatabase(name: database.name, server: replica)
    let writer = try ChildProcess("psql", ["-d", database.conninfo(), "-X", "-q", "-c", "CALL churn()"])
    func replayed() throws -> Double {
      Double(try copy.psql("SELECT extract(epoch FROM pg_last_xact_replay_timestamp())")) ?? 0
    }
    let begin = try replayed()
    #expect(try eventually { try replayed() > begin })
    let depth = Int(try database.psql("SELECT count(*) FROM outbox WHERE status <> 'sent'"))
    let store = PostgreSQLSampleLayout.store(copy.conninfo())
    var seen: Set<[String]> = []
    for _ in 0..<10 {
      let before = try replayed()
      let snapshot = try await snapshot(store)
      let after = try replayed()
      #expect(snapshot.depth == depth)
      let lag = try #require(snapshot.replicaLag)
      // Zero where all that was received has been replayed.
      let commit = snapshot.storeTime.seconds - lag.seconds
      #expect(lag == .zero || commit > before - 0.001 && commit < after + 0.001, "\(before) \(commit) \(after)")
      seen.insert(figureLines(snapshot).sorted())
    }
    #expect(seen.count > 5 && writer.isRunning, "\(writer.standardError)")
  }
}
