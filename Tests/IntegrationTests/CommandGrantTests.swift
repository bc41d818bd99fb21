import TestSupport
import Testing

/// `outbox-exporter sql` tells an owner what to grant: no less than a sample needs, and no more.
@Suite(withPostgreSQL) struct `Grants` {
  struct System: Sendable, CustomTestStringConvertible {
    let layout: String
    let table: String
    let schema: String
    var testDescription: String { layout }
  }

  static let systems = [
    System(
      layout: "kaireon", table: "outbox_events",
      schema: """
        CREATE TABLE outbox_events (
          id text PRIMARY KEY, status text NOT NULL DEFAULT 'pending', topic text, payload jsonb NOT NULL DEFAULT '{}',
          "retryCount" integer NOT NULL DEFAULT 0, "createdAt" timestamp(3) NOT NULL DEFAULT now(),
          "updatedAt" timestamp(3) NOT NULL DEFAULT now());
        CREATE INDEX ON outbox_events (status, "updatedAt");
        CREATE TABLE dead_letter_events (id text PRIMARY KEY, topic text, payload jsonb, "failedAt" timestamp(3));
        INSERT INTO outbox_events (id, topic) VALUES ('evt_1', 'offers');
        """),
    System(
      layout: "aihummer", table: "outbox",
      schema: """
        CREATE TABLE outbox (
          id bigint PRIMARY KEY, tenant_id text, channel text, payload jsonb, status text NOT NULL DEFAULT 'pending',
          attempts integer NOT NULL DEFAULT 0, next_attempt_at timestamptz, locked_at timestamptz,
          created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz);
        CREATE INDEX ON outbox (status, next_attempt_at);
        INSERT INTO outbox (id, channel) VALUES (1, 'telegram');
        """),
    System(
      layout: "relaycast", table: "pending_events",
      schema: """
        CREATE TABLE pending_events (
          id text PRIMARY KEY, workspace_id text NOT NULL, event_type text NOT NULL, payload jsonb NOT NULL DEFAULT '{}',
          status text NOT NULL DEFAULT 'pending', attempts smallint NOT NULL DEFAULT 0,
          max_attempts smallint NOT NULL DEFAULT 5, last_error text, created_at timestamptz NOT NULL DEFAULT now(),
          process_after timestamptz NOT NULL DEFAULT now(), completed_at timestamptz);
        CREATE INDEX idx_pending_events_status ON pending_events (status, process_after);
        INSERT INTO pending_events (id, workspace_id, event_type) VALUES ('e1', 'w', 'message');
        """),
  ]

  @Test(arguments: systems) func `a role with what is printed can be sampled with, and reads no payload`(
    _ system: System
  )
    throws
  {
    let database = try TemporaryPostgres.shared().createDatabase(system.schema)
    let role = database.server.uniqueName("monitor")
    try database.psql("CREATE ROLE \(role) LOGIN PASSWORD '\(CommandFixture.secret)'")
    let fixture = try CommandFixture()
    let arguments = ["--layout", system.layout]
    let environment = ["OUTBOX_DSN": database.conninfo(user: role, password: CommandFixture.secret)]

    let before = try fixture.run(["--once"] + arguments, environment: environment)
    before.expectUnknown(["permission denied", "→ `outbox-exporter sql` prints the GRANTs"])

    let printed = try fixture.run(["sql"] + arguments, environment: environment)
    #expect(printed.code == 0, "\(printed)")
    let grants = printed.output.split(separator: "\n").filter { $0.hasPrefix("GRANT ") }
    #expect(!grants.isEmpty && grants.allSatisfy { $0.contains(role) && $0.hasSuffix(";") }, "\(printed)")
    #expect(!grants.contains { $0.contains("payload") || $0.contains(" ALL ") })
    try database.psql(grants.joined(separator: "\n"))

    let after = try fixture.run(["--once"] + arguments, environment: environment)
    #expect(after.code == 0 && after.output.hasPrefix("OK  1 outbox"), "\(after)")
    let statements = printed.output.split(separator: "\n").filter { !$0.hasPrefix("GRANT ") }.joined(separator: "\n")
    #expect(try database.psql(statements, user: role).contains("|ready|0||1|"))
    #expect(printed.output.contains("Where no transaction has ended"))
    #expect(throws: (any Error).self) { try database.psql("SELECT payload FROM \(system.table)", user: role) }
  }

  @Test func `the owner is told what another role needs, with a ledger and without`() throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.systems[0].schema)
    let role = database.server.uniqueName("monitor")
    try database.psql("CREATE ROLE \(role) LOGIN")
    let fixture = try CommandFixture()
    let owner = ["OUTBOX_DSN": database.conninfo(), "OUTBOX_LAYOUT": "kaireon"]
    let none = try fixture.run(["sql", "--grant-to", role], environment: owner)
    #expect(none.output.contains("-- GRANT USAGE ON SCHEMA outbox_ledger TO \"\(role)\";"), "\(none)")
    #expect(try fixture.run(["ledger", "install"], environment: owner).code == 0)
    let printed = try fixture.run(["sql", "--grant-to", role], environment: owner)
    let grants = printed.output.split(separator: "\n").filter { $0.hasPrefix("GRANT ") }
    #expect(grants.count == none.output.split(separator: "\n").filter { $0.hasPrefix("GRANT ") }.count + 3)
    #expect(grants.allSatisfy { $0.hasSuffix(" TO \"\(role)\";") }, "\(printed)")
    try database.psql(grants.joined(separator: "\n"))

    let sampled = ["OUTBOX_DSN": database.conninfo(user: role), "OUTBOX_LAYOUT": "kaireon"]
    #expect(try fixture.run(["--once"], environment: sampled).code == 0)
    let status = try fixture.run(["ledger", "status"], environment: sampled)
    #expect(status.code == 0 && status.output.hasPrefix("kaireon: installed"), "\(status)")
    #expect(!status.output.contains("may not"), "\(status)")
  }
}
