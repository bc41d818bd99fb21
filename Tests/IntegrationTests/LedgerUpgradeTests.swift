import Layouts
import Outbox
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL) struct `A ledger of an earlier form` {
  /// Until then nothing counted the losses that could not be noted.
  private static let older = """
    DROP SEQUENCE outbox_ledger.unnoted; UPDATE outbox_ledger.watched SET version = 2, definition = 'older';
    CREATE OR REPLACE FUNCTION outbox_ledger."public.outbox update"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
      AS 'BEGIN INSERT INTO outbox_ledger."public.outbox" (kind, destination) VALUES (''r'', ''old''); RETURN NULL; END';
    """

  @Test func `is not read, and goes on counting where it is brought up to date`() async throws {
    let role = try TemporaryPostgres.shared().uniqueName("Exporter")
    let fixture = try LedgerFixture(
      .aiHummer,
      "CREATE ROLE \"\(role)\" LOGIN;" + LedgerSchemas.aiHummer + "GRANT SELECT ON outbox, outbox_dlq TO \"\(role)\";",
      user: "'\(role)'")
    let ledger = try fixture.installation()
    #expect(try ledger.install(grantingTo: role))
    try await fixture.sample()
    try fixture.database.psql(Self.older + "INSERT INTO outbox (id, channel) VALUES (1, 'mail')")
    #expect(try ledger.status().state == .outdated)
    #expect(try ledger.status().problems.count == 1)
    #expect(try ledger.install(grantingTo: nil))
    #expect(try ledger.status().state == .installed)
    #expect(try ledger.status().problems.isEmpty)
    await fixture.restart()
    try await fixture.expect("UPDATE outbox SET attempts = 1", ["mail enqueued 1", "mail retried 1"])
    #expect(fixture.restarts.isEmpty)

    try fixture.database.psql(Self.older)
    await fixture.restart()
    try await fixture.sample()
    #expect(fixture.last?.mark.method != .ledger)
    #expect(fixture.last?.notice?.contains("another version's") == true)
  }

  @Test func `is removed, and leaves what others need`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer + LedgerSchemas.kaireon)
    let other = try fixture.installation(of: .kaireon)
    #expect(try fixture.installation().install(grantingTo: nil))
    #expect(try other.install(grantingTo: nil))
    try fixture.database.psql(Self.older)
    #expect(try other.remove())
    try fixture.database.psql("INSERT INTO outbox (id, channel) VALUES (1, 'mail')")
    #expect(try fixture.installation().remove())
    #expect(try fixture.database.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'outbox_ledger'") == "0")
  }

  @Test func `is broken where it loses what it should write, for a column that is gone`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer + "ALTER TABLE outbox DROP updated_at;")
    let ledger = try fixture.installation()
    #expect(try ledger.install(grantingTo: nil))
    try await fixture.sample()
    try fixture.database.psql("INSERT INTO outbox (id, channel) VALUES (1, 'mail')")
    let held = try fixture.database.holding(#"LOCK TABLE outbox_ledger."public.outbox" IN SHARE MODE"#)
    try fixture.database.psql("UPDATE outbox SET attempts = 1")
    try held.release()
    #expect(try ledger.status().state == .installed)
    #expect(try ledger.status().problems == ["1 change could not be written down: SQLSTATE 55P03"])

    try fixture.database.psql("ALTER TABLE outbox RENAME locked_at TO lck")
    let outdated = try fixture.installation()
    #expect(try outdated.status().state == .outdated)
    for attempts in 2...3 { try fixture.database.psql("UPDATE outbox SET attempts = \(attempts)") }
    let status = try outdated.status()
    #expect(status.state == .broken)
    let why = "the ledger reads \"locked_at\", and the table has no such column any more"
    #expect(
      status.problems.last == "3 changes could not be written down: SQLSTATE 42703 (2), 55P03 (1); \(why)",
      "\(status.problems)")
    #expect(try outdated.install(grantingTo: nil))
    #expect(try outdated.status().state == .installed)
    #expect(try outdated.status().problems.isEmpty)
    await fixture.restart()
    try await fixture.sample()
    #expect(fixture.last?.restart == "the ledger was installed anew")
    try await fixture.expect("UPDATE outbox SET attempts = 4", ["mail retried 1"])
  }
}
