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
    let left = try run(
      "psql",
      [
        "-d", pooler.conninfo(database), "-X", "-q", "-A", "-t", "-c",
        """
        SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('row_security'),
          current_setting('jit'), current_setting('transaction_read_only')
        """,
      ])
    #expect(left.output == "0|0|on|on|off\n", "\(left.error)")
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
    if mode == "statement" {
      // This pooler closes the connection before it has passed the server's error on.
      #expect(failures.map { $0.first?.failure?.reason } == [.unreachable, .unreachable])
      #expect(failures.allSatisfy { $0.first?.failure?.hint?.contains("pool_mode = transaction") == true })
    } else {
      #expect(failures.map { $0.first?.failure?.reason } == [.lockTimeout, .lockTimeout])
    }
    #expect(
      try database.psql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
      )
        == "0")
    try locker.release()
    // Where the pooler has closed the connection, the store connects again once its back-off is over.
    #expect(await happens { await store.sample(eventIDs: false).first?.snapshot?.depth ?? 0 > 0 })
  }

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
    for _ in 0..<20 {
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
    #expect(seen.count > 10 && writer.isRunning, "\(writer.standardError)")
  }
}
