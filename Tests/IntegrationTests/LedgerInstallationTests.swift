import Layouts
import Outbox
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL) struct `A ledger` {
  private static let catalogues = """
    SELECT 'class', relname, relacl::text FROM pg_class WHERE relname !~ '^pg_toast' UNION ALL
    SELECT 'proc', proname, proacl::text FROM pg_proc UNION ALL SELECT 'type', typname, NULL FROM pg_type
    WHERE typname !~ '^pg_toast' UNION ALL SELECT 'schema', nspname, nspacl::text FROM pg_namespace
    WHERE nspname !~ '^pg_(toast_)?temp' UNION ALL SELECT 'trigger', tgname, tgrelid::regclass::text FROM pg_trigger
    UNION ALL SELECT 'default', adrelid::regclass::text, NULL FROM pg_attrdef
    UNION ALL SELECT 'constraint', conname, NULL FROM pg_constraint ORDER BY 1, 2, 3
    """

  @Test func `leaves nothing when it is removed`() throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    let before = try fixture.database.psql(Self.catalogues)
    let ledger = try fixture.installation()
    #expect(try ledger.status().state == .absent)
    #expect(try ledger.install(grantingTo: nil))
    #expect(try !ledger.install(grantingTo: nil))
    #expect(try ledger.status().state == .installed)
    #expect(try fixture.database.psql(Self.catalogues) != before)
    // What an earlier version made goes, too.
    try fixture.database.psql(
      "CREATE FUNCTION outbox_ledger.\"public.outbox insert movement\"(text) RETURNS text LANGUAGE sql AS 'SELECT $1'")
    #expect(try ledger.remove())
    #expect(try fixture.database.psql(Self.catalogues) == before)
    #expect(try !ledger.remove())
  }

  @Test func `is what its printed text makes`() throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    let before = try fixture.database.psql(Self.catalogues)
    let ledger = try fixture.installation()
    let parts = try ledger.text(grantingTo: "postgres").split(separator: "-- Remove, as")
    // The removal is commented out: the whole installs.
    try fixture.database.psql(try ledger.text(grantingTo: "postgres"))
    #expect(try ledger.status().state == .installed)
    let removal = parts[1].split(separator: "\n").dropFirst().map { $0.dropFirst("-- ".count) }
    try fixture.database.psql(removal.joined(separator: "\n"))
    #expect(try fixture.database.psql(Self.catalogues) == before)
  }

  @Test func `is broken where its journal takes what it should refuse`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    let ledger = try fixture.installation()
    #expect(try ledger.install(grantingTo: nil))
    try fixture.database.psql("ALTER TABLE outbox_ledger.\"public.outbox\" ALTER destination DROP NOT NULL")
    #expect(try ledger.status().state == .broken)
    #expect(try ledger.install(grantingTo: nil))
    #expect(try ledger.status().state == .installed)
  }

  @Test func `is not installed while that would make the application wait`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    let before = try fixture.database.psql(Self.catalogues)
    let held = try fixture.database.holding("INSERT INTO outbox (channel) VALUES ('mail')")
    let ledger = try fixture.installation()
    #expect(throws: SampleFailure.self) { try ledger.install(grantingTo: nil) }
    #expect(try fixture.database.psql(Self.catalogues) == before)
    try held.release()
    #expect(try ledger.install(grantingTo: nil))
  }

  @Test func `is left alone by those that belong to other tables`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer + LedgerSchemas.kaireon)
    let other = try fixture.installation(of: .kaireon)
    #expect(try fixture.installation().install(grantingTo: nil))
    #expect(try other.install(grantingTo: nil))
    #expect(try other.remove())
    #expect(try fixture.installation().status().state == .installed)
    try await fixture.sample()
    try await fixture.expect("INSERT INTO outbox (channel) VALUES ('mail')", ["mail enqueued 1"])
  }

  @Test func `that was installed anew or taken from another cluster begins a new count`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    try fixture.database.psql("INSERT INTO outbox (channel) VALUES ('mail')")
    #expect(try fixture.installation().remove())
    #expect(try fixture.installation().install(grantingTo: nil))
    await fixture.restart()
    try await fixture.sample()
    #expect(fixture.last?.movements == nil)
    #expect(fixture.last?.restart == "the ledger was installed anew")
    try fixture.database.psql("UPDATE outbox_ledger.watched SET cluster = 1")
    try await fixture.sample()
    #expect(fixture.last?.mark.method != .ledger)
    #expect(try fixture.installation().status().state == .broken)
  }

  @Test func `keeps what a reader has not read, and nothing else`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    let journal = #"outbox_ledger."public.outbox""#
    let held = try fixture.database.holding("INSERT INTO outbox (channel) VALUES ('held')")
    for _ in 0..<25 {
      try fixture.database.psql("INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 100)")
      try await fixture.sample()
    }
    #expect(try fixture.database.psql("SELECT count(*) FROM \(journal)") == "2500")
    try held.release()
    for _ in 0..<25 {
      try fixture.database.psql("INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 100)")
      try await fixture.sample()
    }
    #expect(try #require(Int(try fixture.database.psql("SELECT count(*) FROM \(journal)"))) <= 1100)
    #expect(fixture.total.destinations["mail"]?.enqueued == 5000)
    #expect(fixture.total.destinations["held"] == nil)
  }

  @Test(arguments: [
    "ALTER TABLE outbox RENAME TO outbox2", "ALTER SCHEMA public RENAME TO elsewhere; CREATE SCHEMA public",
    "DROP TABLE outbox",
  ])
  func `is found and removed by whatever its table is called now`(_ change: String) throws {
    var layout = Layout.aiHummer
    let fixture = try LedgerFixture(layout, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    let schema = LedgerSchemas.aiHummer.replacing("CREATE TABLE outbox (", with: "CREATE TABLE IF NOT EXISTS outbox (")
      .replacing("CREATE TABLE outbox_dlq", with: "CREATE TABLE IF NOT EXISTS outbox_dlq")
    if change.hasPrefix("DROP") {
      try fixture.database.psql("DROP TABLE outbox; \(schema)")
    } else {
      try fixture.database.psql(change)
    }
    if change.contains("outbox2") { layout.queues[0].tables["events"] = TableName("outbox2") }
    if change.contains("elsewhere") {
      layout.queues[0].tables = [
        "events": TableName("elsewhere.outbox"), "dead": TableName("elsewhere.outbox_dlq", optional: true),
      ]
    }
    let definition = OutboxDefinition(
      name: "o", address: .postgresql(Secret(fixture.database.conninfo())), layout: layout)
    let ledger = try #require(try LedgerInstallation.all(of: definition, limits: PostgreSQLLimits()).first)
    #expect(try ledger.status().state == .broken)
    #expect(try ledger.remove())
    #expect(try !ledger.remove())
    #expect(try fixture.database.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'outbox_ledger'") == "0")
    #expect(try fixture.database.psql("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == "0")
  }

  @Test func `of a table that is gone is found and removed, and others are left alone`() throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer + LedgerSchemas.kaireon)
    let definition = OutboxDefinition(
      name: "k", address: .postgresql(Secret(fixture.database.conninfo())), layout: .kaireon)
    let other = try #require(try LedgerInstallation.all(of: definition, limits: PostgreSQLLimits()).first)
    #expect(try fixture.installation().install(grantingTo: nil))
    #expect(try other.install(grantingTo: nil))
    try fixture.database.psql("DROP TABLE outbox, outbox_dlq")
    let left = try fixture.installation()
    #expect(try left.status().problems.contains { $0.contains("public.outbox, which is not there any more") })
    #expect(throws: SampleFailure.self) { try left.install(grantingTo: nil) }
    #expect(try left.remove())
    #expect(try other.status().state == .installed)
    #expect(throws: SampleFailure.self) { try fixture.installation() }
    #expect(try other.remove())
    #expect(try fixture.database.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'outbox_ledger'") == "0")
  }

  /// The triggers of a table that was renamed still run the functions that are the new one's now.
  @Test func `is not written to by the table that was called like its own before`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try fixture.database.psql(
      "ALTER TABLE outbox RENAME TO outbox_old; "
        + LedgerSchemas.aiHummer.replacing("CREATE TABLE outbox_dlq", with: "CREATE TABLE IF NOT EXISTS outbox_dlq"))
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    try await fixture.expect(
      """
      INSERT INTO outbox_old (channel) VALUES ('old'); DELETE FROM outbox_old; INSERT INTO outbox (channel) VALUES ('mail');
      INSERT INTO outbox_dlq (id) VALUES (1); DELETE FROM outbox_dlq;
      """, ["mail enqueued 1"])
    #expect(
      try fixture.database.psql("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'outbox_old'::regclass") == "0")
  }

  @Test(arguments: [true, false])
  func `is installed, emptied and removed under a publication of all tables`(isThereFirst: Bool) async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    let publication = "CREATE PUBLICATION everything FOR ALL TABLES"
    if isThereFirst { try fixture.database.psql(publication) }
    #expect(try fixture.installation().install(grantingTo: nil))
    if !isThereFirst { try fixture.database.psql(publication) }
    try await fixture.sample()
    for _ in 0..<25 {
      try fixture.database.psql("INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 100)")
      try await fixture.sample()
      #expect(fixture.last?.notice == nil)
    }
    let kept = try fixture.database.psql(#"SELECT count(*) FROM outbox_ledger."public.outbox""#)
    #expect(try #require(Int(kept)) <= 1100)
    #expect(try fixture.installation().remove())
  }

  @Test func `is emptied by a role whose transactions only read unless they say so, and says where it cannot be`()
    async throws
  {
    let role = try TemporaryPostgres.shared().uniqueName("exporter")
    let fixture = try LedgerFixture(
      .aiHummer,
      """
      CREATE ROLE \(role) LOGIN; ALTER ROLE \(role) SET default_transaction_read_only = on; \(LedgerSchemas.aiHummer)
      GRANT SELECT ON outbox, outbox_dlq TO \(role);
      """, user: role)
    #expect(try fixture.installation().install(grantingTo: role))
    for _ in 0..<3 {
      try fixture.database.psql("INSERT INTO outbox (channel) VALUES ('mail')")
      try await fixture.sample()
    }
    #expect(fixture.last?.notice == nil)
    #expect(try fixture.database.psql("SELECT count(*) FROM outbox_ledger.readers") == "1")
    try fixture.database.psql("ALTER TABLE outbox_ledger.readers ADD CHECK (seen IS NULL) NOT VALID")
    for _ in 0..<25 {
      try fixture.database.psql("INSERT INTO outbox (channel) VALUES ('mail')")
      try await fixture.sample()
    }
    #expect(fixture.last?.notice?.contains("cannot be purged and grows") == true)
  }

  /// Its owner could have put a trigger there that runs with the superuser's rights.
  @Test func `is not put by a superuser into a schema that another role owns`() throws {
    let role = try TemporaryPostgres.shared().uniqueName("Other Role")
    let fixture = try LedgerFixture(
      .aiHummer,
      "CREATE ROLE \"\(role)\" LOGIN; CREATE SCHEMA outbox_ledger AUTHORIZATION \"\(role)\"; \(LedgerSchemas.aiHummer)")
    let failure = #expect(throws: SampleFailure.self) { try fixture.installation().install(grantingTo: nil) }
    #expect(failure?.message.contains("belongs to the role \(role)") == true, "\(String(describing: failure))")
    #expect(
      try fixture.database.psql("SELECT count(*) FROM pg_class WHERE relnamespace = 'outbox_ledger'::regnamespace")
        == "0")
    try fixture.database.psql("ALTER SCHEMA outbox_ledger OWNER TO postgres")
    #expect(try fixture.installation().install(grantingTo: nil))
  }

  @Test func `is installed and removed by the owner of the tables, whatever it is called`() async throws {
    let role = try TemporaryPostgres.shared().uniqueName("App-Owner")
    let fixture = try LedgerFixture(
      .aiHummer,
      """
      CREATE ROLE "\(role)" LOGIN; DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO %I', current_database(), '\(role)'); END $$;
      GRANT CREATE ON SCHEMA public TO "\(role)"; SET ROLE "\(role)"; \(LedgerSchemas.aiHummer)
      """, user: "'\(role)'")
    #expect(try fixture.installation(user: "'\(role)'").install(grantingTo: nil))
    try await fixture.sample()
    try await fixture.expect("INSERT INTO outbox (channel) VALUES ('mail')", ["mail enqueued 1"])
    #expect(try fixture.installation(user: "'\(role)'").remove())
  }

  @Test func `counts as its own no trigger that is called like one, and takes nobody's name`() async throws {
    let function = "CREATE FUNCTION app() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    let trigger = "CREATE TRIGGER outbox_ledger_other AFTER INSERT ON outbox EXECUTE FUNCTION app();"
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer + function + trigger)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    try await fixture.expect("INSERT INTO outbox (channel) VALUES ('mail')", ["mail enqueued 1"])
    try fixture.database.psql("ALTER TABLE outbox DISABLE TRIGGER outbox_ledger_delete")
    try await fixture.sample()
    #expect(fixture.last?.mark.method != .ledger)

    #expect(try fixture.installation().remove())
    try fixture.database.psql("ALTER TRIGGER outbox_ledger_other ON outbox RENAME TO outbox_ledger_insert")
    let failure = #expect(throws: SampleFailure.self) { try fixture.installation().install(grantingTo: nil) }
    #expect(failure?.message.contains("outbox has a trigger outbox_ledger_insert that is no ledger's") == true)
  }

  @Test func `shares a table of dead letters with another one`() async throws {
    let fixture = try LedgerFixture(
      .aiHummer,
      LedgerSchemas.aiHummer + LedgerSchemas.kaireon
        + "ALTER TABLE outbox_dlq ADD topic text, ADD \"failedAt\" timestamp;")
    var kaireon = Layout.kaireon
    kaireon.queues[0].tables["dead"] = TableName("outbox_dlq", optional: true)
    let definition = OutboxDefinition(
      name: "k", address: .postgresql(Secret(fixture.database.conninfo())), layout: kaireon)
    let other = try #require(try LedgerInstallation.all(of: definition, limits: PostgreSQLLimits()).first)
    #expect(try fixture.installation().install(grantingTo: nil))
    #expect(try other.install(grantingTo: nil))
    #expect(try fixture.installation().status().state == .installed)
    #expect(try other.status().state == .installed)
    try await fixture.sample()
    let buried = """
      INSERT INTO outbox (id, channel) VALUES (1, 'mail');
      BEGIN; INSERT INTO outbox_dlq (id, channel) VALUES (1, 'mail'); DELETE FROM outbox WHERE id = 1; COMMIT;
      """
    try await fixture.expect(buried, ["mail enqueued 1", "mail dead 1"])
    #expect(try other.remove())
    try await fixture.expect(buried, ["mail enqueued 1", "mail dead 1"])
  }

  @Test func `says nothing to sessions of the application that ask for warnings`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try fixture.database.psql(
      """
      SET plpgsql.extra_warnings = 'all'; INSERT INTO outbox (id, channel) VALUES (1, 'mail'), (2, 'mail');
      UPDATE outbox SET attempts = 1; UPDATE outbox SET attempts = 2 WHERE id = 1; DELETE FROM outbox; TRUNCATE outbox;
      """)
    let log = fixture.database.server.log.split(separator: "\n")
    #expect(log.filter { $0.contains("database=\(fixture.database.name) ") && $0.contains("WARNING") }.isEmpty)
  }

  @Test func `is for tables only, and says so of a view`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try fixture.database.psql("ALTER TABLE outbox RENAME TO rows; CREATE VIEW outbox AS SELECT * FROM rows;")
    let ledger = try fixture.installation()
    #expect(try ledger.status().state == .broken)
    #expect(try ledger.remove())
    #expect(try ledger.status().state == .absent)
    #expect(try ledger.status().problems == ["outbox is no table, and can have none"])
    for use: () throws -> Void in [
      { _ = try ledger.install(grantingTo: nil) },
      { _ = try ledger.text(grantingTo: nil) },
    ] {
      let failure = #expect(throws: SampleFailure.self) { try use() }
      #expect(failure?.message.contains("outbox is no table") == true)
    }
    #expect(try await fixture.sample().failure == nil)
  }

  /// Whoever holds one table and waits for the other may be what the application deadlocks with, and dies of.
  @Test(arguments: [true, false])
  func `does not deadlock with an application that takes its tables the other way round`(isInstalled: Bool) throws {
    let fixture = try LedgerFixture(
      .aiHummer, LedgerSchemas.aiHummer + "INSERT INTO outbox_dlq (id) VALUES (1);")
    if isInstalled { #expect(try fixture.installation().install(grantingTo: nil)) }
    let application = try ChildProcess(
      "psql", ["-d", fixture.database.conninfo(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
      input: """
        BEGIN; DELETE FROM outbox_dlq WHERE id = 1;
        DO $$ BEGIN
          FOR i IN 1..200 LOOP
            EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'outbox_dlq'::regclass);
            PERFORM pg_sleep(0.01);
          END LOOP;
        END $$;
        INSERT INTO outbox (channel) VALUES ('mail'); COMMIT;

        """)
    let holds = "SELECT count(*) FROM pg_locks WHERE granted AND relation = 'outbox_dlq'::regclass"
    #expect(try eventually { try fixture.database.psql(holds) != "0" })
    let ledger = try fixture.installation(lock: .seconds(30))
    let failure = #expect(throws: SampleFailure.self) {
      _ = isInstalled ? try ledger.remove() : try ledger.install(grantingTo: nil)
    }
    #expect(failure?.reason == .lockTimeout, "\(String(describing: failure))")
    #expect(application.wait() == 0, "\(application.standardError)")
    #expect(isInstalled ? try ledger.remove() : try ledger.install(grantingTo: nil))
  }

  @Test func `works where the server quotes every name`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    try fixture.database.psql("ALTER DATABASE \(fixture.database.name) SET quote_all_identifiers = on")
    #expect(try fixture.installation().install(grantingTo: nil))
    #expect(try fixture.installation().status().state == .installed)
    try await fixture.sample()
    try await fixture.expect("INSERT INTO outbox (channel) VALUES ('mail')", ["mail enqueued 1"])
    #expect(try fixture.installation().remove())
  }

  /// The depth is the same after it, so nothing else tells.
  @Test func `begins anew after its triggers were off for a while`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    try await fixture.expect("INSERT INTO outbox (channel) VALUES ('mail')", ["mail enqueued 1"])
    try fixture.database.psql(
      """
      ALTER TABLE outbox DISABLE TRIGGER USER; UPDATE outbox SET status = 'delivered'; INSERT INTO outbox (channel) VALUES ('mail');
      ALTER TABLE outbox ENABLE TRIGGER USER;
      """)
    try await fixture.sample()
    #expect(fixture.last?.movements == nil)
    #expect(
      fixture.restarts == ["the ledger's triggers were switched off, or made anew, and may have missed something"])
    try await fixture.expect("INSERT INTO outbox (channel) VALUES ('mail')", ["mail enqueued 1"])
  }
}
