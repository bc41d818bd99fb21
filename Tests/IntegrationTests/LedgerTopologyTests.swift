import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// A ledger with prepared transactions, on a replica, and after a failover.
@Suite(withPostgreSQL) struct `A ledger on servers of its own` {
  @Test func `counts what two phases committed, reads on a replica, and begins anew when that takes over`() async throws
  {
    let server = try TemporaryPostgres(settings: ["max_prepared_transactions": "5"])
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer, server: server)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    try await fixture.expect(
      """
      BEGIN; INSERT INTO outbox (id, channel) SELECT i, 'mail' FROM generate_series(1, 3) i; PREPARE TRANSACTION 'a';
      BEGIN; INSERT INTO outbox (id, channel) VALUES (50, 'sms'); PREPARE TRANSACTION 'b';
      INSERT INTO outbox (id, channel) VALUES (9, 'push')
      """, ["push enqueued 1"])
    for _ in 0..<12 { try await fixture.sample() }
    await fixture.restart()
    try await fixture.expect("ROLLBACK PREPARED 'b'", [])
    try await fixture.expect("COMMIT PREPARED 'a'", ["mail enqueued 3"])
    try server.stop()
    try server.start()
    await fixture.restart()
    try await fixture.expect(
      "UPDATE outbox SET status = 'delivered' WHERE id = 1", ["mail delivered 1", "mail measured 1"])

    let replica = try TemporaryPostgres(replicaOf: server)
    fixture.move(to: replica)
    func catchUp() throws {
      let written = try server.psql("SELECT pg_current_wal_insert_lsn()")
      #expect(try eventually { try replica.psql("SELECT pg_last_wal_replay_lsn() >= '\(written)'") == "t" })
    }
    func expectThere(_ statements: String, _ expected: [String]) async throws {
      try fixture.database.psql(statements)
      try catchUp()
      var counted: [String] = []
      // What a replica has of a transaction it counts once it knows that none before it is open.
      let isCounted = await happens {
        counted += (try? await fixture.movements()) ?? ["none"]
        return counted == expected.sorted()
      }
      #expect(isCounted, "\(counted)")
    }
    try catchUp()
    #expect(try await fixture.movements() == [])
    try await expectThere("INSERT INTO outbox (id, channel) VALUES (20, 'sms')", ["sms enqueued 1"])
    try await expectThere("UPDATE outbox SET status = 'failed' WHERE id = 20", ["sms retried 1"])

    // Of what is taken from a sequence a replica is told little.
    for round in 1...3 {
      let held = try fixture.database.holding(
        #"LOCK TABLE outbox_ledger."public.outbox", outbox_ledger.losses IN SHARE MODE"#)
      try fixture.database.psql("UPDATE outbox SET attempts = attempts + 1")
      try held.release()
      try catchUp()
      try await fixture.sample()
      let reason = "changes could not be written into the ledger, nor could it be noted which"
      #expect(fixture.restarts.filter { $0 == reason }.count == round, "\(fixture.restarts)")
    }

    try server.stop()
    try replica.psql("SELECT pg_promote()")
    await fixture.restart()
    try await fixture.sample()
    #expect(fixture.last?.restart == "another server has taken over, and may lack what was counted already")
    #expect(fixture.last?.movements == nil)
    try replica.psql("DELETE FROM outbox WHERE id = 20", database: fixture.database.name)
    #expect(try await fixture.movements() == ["sms discarded 1"])
  }

  @Test func `that a session goes around is noticed by the depth, and a new state is no such moment`()
    async throws
  {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    try await fixture.expect(
      "INSERT INTO outbox (id, channel) SELECT i, 'mail' FROM generate_series(1, 5) i", ["mail enqueued 5"])
    // The triggers are there in every sample.
    try fixture.database.psql(
      "SET session_replication_role = replica; DELETE FROM outbox WHERE id < 3")
    try await fixture.sample()
    #expect(fixture.last?.restart?.hasPrefix("2 events left without the ledger's triggers") == true)
    #expect(fixture.last?.movements == nil)
    try await fixture.expect(
      "UPDATE outbox SET status = 'delivered' WHERE id = 3", ["mail delivered 1", "mail measured 1"])
    // What no sample has looked for yet is looked for at once.
    try await fixture.expect("INSERT INTO outbox (id, channel, status) VALUES (9, 'sms', 'frozen')", ["sms enqueued 1"])
    try await fixture.expect("DELETE FROM outbox WHERE id = 9", ["sms discarded 1"])
  }
}
