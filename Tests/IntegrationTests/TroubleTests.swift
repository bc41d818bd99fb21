import Outbox
import TestSupport
import Testing

/// Incidents of a database or a network, re-enacted with the real sidecar: it must not make them worse, and must not let one
/// outbox's trouble become another's.
///
/// Short here; `OUTBOX_TROUBLE_CYCLES=1200 swift test --filter TroubleTests` holds every trouble for five minutes.
@Suite(withPostgreSQL)
struct TroubleTests {
  private typealias Fixture = TroubleFixture

  static let withNamespaces = ConditionTrait.enabled(
    if: NetworkNamespace.unavailable == nil && PgBouncer.unavailable == nil,
    Comment(rawValue: NetworkNamespace.unavailable ?? PgBouncer.unavailable ?? ""))

  private func database(_ tables: String...) throws -> TemporaryDatabase {
    try TemporaryPostgres.shared().createDatabase(tables.map { Fixture.table($0) }.joined())
  }

  // MARK: - The blocked ALTER TABLE

  @Test func `a table under ACCESS EXCLUSIVE costs one connection and its own figures, nothing else`() async throws {
    let shop = try database("locked", "calm")
    let other = try database("calm")
    let pair = try PairedSidecars(
      healthy: [
        ("calm", Fixture.outbox("calm", shop.conninfo(), table: "calm")),
        ("other", Fixture.outbox("other", other.conninfo(), table: "calm")),
      ], sick: [Fixture.outbox("locked", shop.conninfo(), table: "locked")], interval: "1s")
    #expect(await pair.begin(["locked"]), "\(pair.beside.log)")
    let locker = try shop.holding("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
    // Where no transaction ends, what was counted stands, and nobody asks for the lock.
    try shop.psql("SELECT pg_current_xact_id()")
    let good = pair.beside.good("locked")
    var most = (sessions: 0, waiting: 0)
    // Both sidecars have a session here.
    let differences = try await pair.differences(cycles: max(4, Fixture.cycles / 4)) {
      let now = try Fixture.sessions(shop)
      most = (max(most.sessions, now.sessions), max(most.waiting, now.waiting))
    }
    #expect(differences.allSatisfy { abs($0) <= 1 }, "\(differences)")
    #expect(most.sessions == 2 && most.waiting <= 1, "\(most)")
    #expect(pair.beside.failures("locked").subtracting(["timeout"]) == ["lock_timeout"])
    // A sample that was under way when the lock was taken.
    #expect(pair.beside.good("locked") <= good + 1)
    try locker.release()
    let healed = pair.beside.good("locked")
    #expect(await happens { pair.beside.good("locked") > healed })
    #expect(pair.alone.stop() == 0 && pair.beside.stop() == 0)
  }

  @Test func `an ALTER TABLE that waits for a reader is not kept waiting by the monitor, which queues behind it`()
    async throws
  {
    let server = try TemporaryPostgres(settings: ["log_lock_waits": "on", "deadlock_timeout": "100ms"])
    let shop = try server.createDatabase(Fixture.table("locked"))
    let sidecar = try WatchingSidecar(
      Fixture.configuration([Fixture.outbox("locked", shop.conninfo(), table: "locked")], interval: "100ms"))
    #expect(await happens { sidecar.good("locked") > 0 }, "\(sidecar.log)")
    // The application's own migrations, while it is sampled ten times a second: none waits noticeably for a sample.
    for number in 0..<20 {
      try shop.psql("SET lock_timeout = '10s'; ALTER TABLE locked ADD COLUMN added\(number) int")
    }
    #expect(!server.log.contains("still waiting for AccessExclusiveLock"))

    // A reader keeps its lock, the migration queues behind it, and the samples behind the migration.
    let reader = try shop.holding("SELECT count(*) FROM locked")
    let migration = try ChildProcess(
      "psql", ["-d", shop.conninfo(), "-X", "-q", "-c", "ALTER TABLE locked ADD COLUMN x int"])
    #expect(eventually { server.log.contains("still waiting for AccessExclusiveLock") })
    // Where no transaction ends, what was counted stands, and nobody asks for the lock.
    try shop.psql("SELECT pg_current_xact_id()")
    #expect(await happens { sidecar.failures("locked").contains("lock_timeout") })
    for _ in 0..<20 {
      let now = try Fixture.sessions(shop)
      #expect(now.sessions == 1 && now.waiting <= 1, "\(now)")
    }
    try reader.release()
    // It gets its lock with the samples still coming.
    #expect(migration.wait(atMost: .seconds(60)) == 0, "\(migration.standardError)")
    let good = sidecar.good("locked")
    #expect(await happens { sidecar.good("locked") > good })
    // A round does not wait for the lock as long as the sample does; what it then reports is that nothing came yet.
    #expect(sidecar.failures("locked").subtracting(["timeout"]) == ["lock_timeout"])
    #expect(sidecar.stop() == 0)
  }

  // MARK: - Servers and networks that hang

  @Test func `servers that hang in every way cost the other outboxes no cycle`() async throws {
    let server = try TemporaryPostgres.shared()
    let (healthy, paused, stopped, dribbling) = try (database("calm"), database("q"), database("q"), database("q"))
    let silent = try BlackholeServer()
    let (half, slow) = (TroubledProxy(before: server), TroubledProxy(before: server))
    let pair = try PairedSidecars(
      healthy: [("calm", Fixture.outbox("calm", healthy.conninfo(), table: "calm"))],
      sick: [
        Fixture.outbox("silent", "host=127.0.0.1 port=\(silent.port) dbname=d user=u", table: "q"),
        Fixture.outbox("paused", paused.conninfo(), table: "q"),
        Fixture.outbox("stopped", half.conninfo(stopped), table: "q"),
        Fixture.outbox("dribbling", slow.conninfo(dribbling), table: "q"),
      ])
    #expect(await pair.begin(["paused", "stopped", "dribbling"]), "\(pair.beside.log)")
    let backend = try paused.psql(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'outbox-exporter' AND datname = current_database()")
    let process = try #require(Int32(backend))
    half.begin(.stopsInTheMiddle)
    slow.begin(.byteASecond)
    signalProcess(process, stop: true)
    defer { signalProcess(process, stop: false) }
    let sick = ["silent", "paused", "stopped", "dribbling"]
    let good = sick.map { pair.beside.good($0) }
    let differences = try await pair.differences()
    #expect(differences.allSatisfy { abs($0) <= 1 }, "\(differences)")
    for (outbox, before) in zip(sick, good) {
      // A sample that was under way. The session that is stopped is given up in the end, and a new one has nothing the matter.
      #expect(outbox == "paused" || pair.beside.good(outbox) <= before + 1, "\(outbox)")
      #expect(pair.beside.failures(outbox) == ["timeout"], "\(outbox)")
    }
    #expect(pair.alone.stop() == 0)
    #expect(pair.beside.stop() == 0)
  }

  @Test(withNamespaces) func `a network whose cable is pulled costs the other outboxes no cycle`() async throws {
    let server = try TemporaryPostgres.shared()
    let (near, far) = try (database("calm"), database("q"))
    let cable = try NetworkCable()
    let pooler = try PgBouncer(mode: "transaction", before: server, in: cable.far, at: NetworkCable.farAddress)
    let pair = try PairedSidecars(
      healthy: [("calm", Fixture.outbox("calm", near.conninfo(), table: "calm"))],
      sick: [Fixture.outbox("far", pooler.conninfo(far), table: "q")], in: cable.near)
    #expect(await pair.begin(["far"]), "\(pair.beside.log)")
    try cable.unplug()
    let good = pair.beside.good("far")
    let differences = try await pair.differences()
    #expect(differences.allSatisfy { abs($0) <= 1 }, "\(differences)")
    #expect(pair.beside.good("far") <= good + 1)
    #expect(pair.beside.failures("far").isSubset(of: ["timeout", "unreachable"]))
    try cable.plugIn()
    #expect(await happens(within: .seconds(120)) { pair.beside.good("far") > good + 1 }, "\(pair.beside.log)")
    #expect(pair.alone.stop() == 0 && pair.beside.stop() == 0)
  }

  // MARK: - VACUUM

  @Test func `no sample keeps VACUUM from removing what is dead`() async throws {
    let shop = try database("busy")
    let sidecar = try WatchingSidecar(
      Fixture.configuration([Fixture.outbox("busy", shop.conninfo(), table: "busy")], interval: "100ms"))
    #expect(await happens { sidecar.good("busy") > 0 }, "\(sidecar.log)")
    var transactions: [String: Int] = [:]
    for _ in 0..<10 {
      try shop.psql("UPDATE busy SET \"updatedAt\" = now() AT TIME ZONE 'UTC'")
      // A sample of some milliseconds may be under way at the first one.
      let isClean = try eventually {
        try run("psql", ["-d", shop.conninfo(), "-X", "-q", "-c", "VACUUM (VERBOSE) busy"]).error
          .contains("0 are dead but not yet removable")
      }
      #expect(isClean)
      for _ in 0..<5 {
        let seen = try shop.psql(
          """
          SELECT state, xact_start FROM pg_stat_activity
          WHERE application_name = 'outbox-exporter' AND datname = current_database() AND backend_xmin IS NOT NULL
          """)
        if !seen.isEmpty { transactions[seen, default: 0] += 1 }
      }
    }
    // Each look starts psql anew, longer than a sample takes: no transaction lasts over several of them.
    #expect(transactions.values.allSatisfy { $0 <= 2 }, "\(transactions)")
    #expect(transactions.keys.allSatisfy { !$0.hasPrefix("idle in transaction") }, "\(transactions)")
    #expect(sidecar.stop() == 0)
  }
}
