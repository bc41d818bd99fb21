import TestSupport
import Testing

/// PostgreSQL databases that cannot be sampled, as the user of the command is told.
@Suite(withPostgreSQL) struct `Databases that the command cannot read` {
  private static let schema = """
    CREATE TABLE outbox_events (
      id text PRIMARY KEY, status text NOT NULL, topic text, "createdAt" timestamp(3) NOT NULL DEFAULT now(),
      "updatedAt" timestamp(3) NOT NULL DEFAULT now());
    CREATE INDEX ON outbox_events (status, "updatedAt");
    INSERT INTO outbox_events VALUES ('evt_1', 'pending', 'offers');
    """

  private func expectUnknown(
    _ dsn: String, _ fixture: CommandFixture? = nil, arguments: [String] = ["--layout", "kaireon"], reason: String,
    _ words: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let fixture = try fixture ?? CommandFixture()
    let text = try fixture.run(
      ["--once"] + arguments, environment: ["OUTBOX_DSN": dsn], sourceLocation: sourceLocation)
    text.expectUnknown(words, sourceLocation: sourceLocation)
    let json = try fixture.run(
      ["--once", "--format", "json"] + arguments, environment: ["OUTBOX_DSN": dsn], sourceLocation: sourceLocation)
    #expect(json.code == 3, sourceLocation: sourceLocation)
    #expect(json.output.contains("\"reason\": \"\(reason)\""), "\(json.output)", sourceLocation: sourceLocation)
    #expect(!json.output.contains("\"depth\""), "a figure of a store that was not read", sourceLocation: sourceLocation)
  }

  /// A role of its own; what it may do is up to the test.
  private func role(in database: TemporaryDatabase, _ statements: (String) -> String = { _ in "" }) throws -> String {
    let role = database.server.uniqueName("monitor")
    try database.psql("CREATE ROLE \(role) LOGIN PASSWORD '\(CommandFixture.secret)'; \(statements(role))")
    return role
  }

  @Test func `the table is missing`() throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    try expectUnknown(
      database.conninfo(), reason: "schema", ["there is no table outbox_events", database.name, "→", "tables:"])
  }

  @Test func `a column is missing`() throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.schema + "ALTER TABLE outbox_events DROP status;")
    try expectUnknown(
      database.conninfo(), reason: "schema", ["outbox_events has no column status", "→", "columns: {status: …}"])
  }

  @Test func `the role has no grant`() throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.schema)
    let role = try role(in: database)
    try expectUnknown(
      database.conninfo(user: role), reason: "permission",
      ["permission denied", "→ `outbox-exporter sql` prints the GRANTs", role])
  }

  @Test func `row security would hide rows`() throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.schema)
    let role = try role(in: database) { role in
      """
      GRANT SELECT ON outbox_events TO \(role); ALTER TABLE outbox_events ENABLE ROW LEVEL SECURITY;
      CREATE POLICY nobody ON outbox_events USING (false);
      """
    }
    try expectUnknown(
      database.conninfo(user: role), reason: "row_security",
      ["outbox_events", "→ policies would hide rows", "BYPASSRLS"])
  }

  @Test func `the password is wrong`() throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.schema)
    let role = try role(in: database)
    let words = ["password authentication failed", role, "→ check the role and its password"]
    let wrong = CommandFixture.secret + "-and-wrong"
    try expectUnknown(database.conninfo(user: role, password: wrong), reason: "authentication", words)
    try expectUnknown(
      "postgresql://\(role):\(wrong)@127.0.0.1:\(database.server.port)/\(database.name)", reason: "authentication",
      words)
  }

  @Test func `no password is given`() throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.schema)
    try expectUnknown(
      database.conninfo(user: role(in: database), password: nil), reason: "authentication", ["password", "→"])
  }

  @Test func `a password works wherever it may stand`() throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.schema)
    let role = try role(in: database) { "GRANT SELECT ON outbox_events TO \($0);" }
    let (port, secret) = (database.server.port, CommandFixture.secret)
    let dsn = "postgresql://\(role):\(secret)@127.0.0.1:\(port)/\(database.name)"
    let fixture = try CommandFixture()
    let byVariable = try fixture.run(["--once", "--layout", "kaireon"], environment: ["OUTBOX_DSN": dsn])
    #expect(byVariable.code == 0, "\(byVariable)")
    try fixture.exporter.home.write(dsn + "\n", to: "dsn")
    let byFile = try fixture.run(
      ["--once"] + fixture.configured("outboxes: [{dsn_file: dsn, layout: kaireon}]\n"))
    #expect(byFile.code == 0, "\(byFile)")
    try fixture.exporter.home.write("127.0.0.1:\(port):*:\(role):\(secret)\n", to: "passwords")
    fixture.exporter.setPermissions("passwords", 0o600)
    let byPasswordFile = try fixture.run(
      ["--once", "--layout", "kaireon", "--dsn", database.conninfo(user: role, password: nil)],
      environment: ["PGPASSFILE": fixture.exporter.path("passwords")])
    #expect(byPasswordFile.code == 0, "\(byPasswordFile)")
  }

  @Test func `the database is not there`() throws {
    let server = try TemporaryPostgres.shared()
    try expectUnknown(
      TemporaryDatabase(name: "nowhere", server: server).conninfo(), reason: "absent",
      ["\"nowhere\"", "→ check the database's name"])
  }

  @Test func `nobody listens`() throws {
    try expectUnknown(
      "postgresql://shop:\(CommandFixture.secret)@127.0.0.1:\(freePort())/shop", reason: "unreachable",
      ["127.0.0.1", "refused", "→ check the host and port"])
  }

  @Test func `the host takes the connection and never answers`() throws {
    let blackhole = try BlackholeServer()
    let fixture = try CommandFixture()
    let configured = try fixture.configured("timeouts: {connect: 300ms}\n")
    try expectUnknown(
      "postgresql://shop:\(CommandFixture.secret)@127.0.0.1:\(blackhole.port)/shop", fixture,
      arguments: configured + ["--layout", "kaireon"], reason: "timeout",
      ["no connection", "→ the host takes connections"])
  }

  @Test func `a slow database leaves ticks out, and they are counted`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.schema)
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let configured = try fixture.configured(
      """
      outboxes: [{name: slow, dsn: "${env:SLOW}", layout: slow}]
      layouts:
        slow:
          systems: [postgresql]
          queues:
            - tables: {events: outbox_events}
              columns: {id: id, status: status}
              rows: [{where: "{status} = 'pending' AND pg_sleep(0.5)::text IS NOT NULL", state: ready}]
      """)
    let sidecar = try fixture.start(
      configured + ["--interval", "200ms", "--endpoint", server.url("")],
      environment: ["SLOW": database.conninfo()])
    let isCounted = await happens {
      let points = server.requests.flatMap { ReceivedFigure.all(in: $0.body) }
      return points.contains { $0.metric == "outbox.depth" && $0.value == 1 }
        && points.contains { $0.metric == "outbox.sample.skipped" && $0.value ?? 0 >= 2 }
    }
    #expect(isCounted, "\(sidecar.standardError)")
    sidecar.signal(15)
    #expect(try CommandFixture.outcome(of: sidecar).code == 0)
  }

  @Test func `somebody holds the table`() throws {
    let database = try TemporaryPostgres.shared().createDatabase(Self.schema)
    let holder = try database.holding("LOCK TABLE outbox_events IN ACCESS EXCLUSIVE MODE")
    let fixture = try CommandFixture()
    let configured = try fixture.configured("timeouts: {lock: 100ms}\n")
    try expectUnknown(
      database.conninfo(), fixture, arguments: configured + ["--layout", "kaireon"], reason: "lock_timeout",
      ["lock timeout", "→ another session holds the table"])
    try holder.release()
  }
}
