import Layouts
import Outbox
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL) struct `The rights of a ledger` {
  /// An outbox that belongs to a role with a name that needs quotes.
  private struct Owned {
    let owner: String
    let fixture: LedgerFixture

    init(more: String = "", installing: Bool = true) async throws {
      owner = try TemporaryPostgres.shared().uniqueName(#"App "Owner"#)
      fixture = try LedgerFixture(
        .aiHummer,
        """
        CREATE ROLE \(quoted(owner)) LOGIN; \(LedgerSchemas.aiHummer)
        ALTER TABLE outbox OWNER TO \(quoted(owner)); ALTER TABLE outbox_dlq OWNER TO \(quoted(owner)); \(more)
        """)
      if installing {
        #expect(try fixture.installation().install(grantingTo: nil))
        try await fixture.sample()
      }
    }
  }

  private static let functionOwners = """
    SELECT string_agg(DISTINCT r.rolname || ' ' || (p.proname = 'purge'), ',' ORDER BY r.rolname || ' ' || (p.proname = 'purge'))
    FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE p.pronamespace = 'outbox_ledger'::regnamespace
    """

  private static let events =
    "INSERT INTO outbox (id, channel) VALUES (1, 'mail'), (2, 'mail'); UPDATE outbox SET attempts = 1;"

  @Test func `are the table owner's where a superuser installs it, and no more`() async throws {
    let owned = try await Owned()
    #expect(
      try owned.fixture.database.psql(Self.functionOwners) == "\(owned.owner) false,postgres true")
    try await owned.fixture.expect(
      """
      SET ROLE \(quoted(owned.owner)); \(Self.events) UPDATE outbox SET status = 'delivered' WHERE id = 1;
      INSERT INTO outbox (id, channel) VALUES (3, 'mail'); TRUNCATE outbox;
      """,
      [
        "mail enqueued 3", "mail retried 2", "mail delivered 1", "mail measured 1", "mail discarded 2",
      ])
    let may = try owned.fixture.database.psql(
      """
      SELECT string_agg(c.relname || ' ' || p, ', ' ORDER BY c.relname, p) FROM pg_class c,
        unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) p
      WHERE c.relnamespace = 'outbox_ledger'::regnamespace AND c.relkind = 'r'
        AND has_table_privilege(\(literal(owned.owner)), c.oid, p)
      """)
    #expect(may == "losses INSERT, public.outbox INSERT")
    #expect(
      try owned.fixture.database.psql(
        "SELECT has_schema_privilege(\(literal(owned.owner)), 'outbox_ledger', 'CREATE')") == "f")
    #expect(try owned.fixture.installation().remove())
    try owned.fixture.database.psql("DROP TABLE outbox, outbox_dlq; DROP ROLE \(quoted(owned.owner))")
  }

  @Test func `are the table owner's where another member of that role installs it`() async throws {
    let admin = try TemporaryPostgres.shared().uniqueName("admin")
    let owned = try await Owned(
      more: "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO PUBLIC', current_database()); END $$;",
      installing: false)
    let database = owned.fixture.database
    try database.psql("CREATE ROLE \(admin) LOGIN; GRANT \(quoted(owned.owner)) TO \(admin)")
    let ledger = try owned.fixture.installation(user: admin)
    #expect(try ledger.install(grantingTo: nil))
    #expect(try database.psql(Self.functionOwners) == "\(owned.owner) false,\(admin) true")
    #expect(
      try database.psql("SELECT has_schema_privilege(\(literal(owned.owner)), 'outbox_ledger', 'CREATE')") == "f")
    try await owned.fixture.sample()
    try await owned.fixture.expect(
      "SET ROLE \(quoted(owned.owner)); \(Self.events)", ["mail enqueued 2", "mail retried 2"])
    // Brought up to date by the same role, it goes on counting.
    try database.psql("UPDATE outbox_ledger.watched SET definition = 'older'")
    #expect(try ledger.status().state == .outdated)
    #expect(try ledger.install(grantingTo: nil))
    await owned.fixture.restart()
    try await owned.fixture.expect("DELETE FROM outbox WHERE id = 1", ["mail discarded 1"])
    #expect(owned.fixture.restarts.isEmpty)
    #expect(try ledger.remove())
    #expect(try database.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'outbox_ledger'") == "0")
  }

  @Test func `stay the owner's in a schema of its own when another member brings the ledger up to date`() async throws {
    let admin = try TemporaryPostgres.shared().uniqueName("admin")
    let owned = try await Owned(
      more: "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO PUBLIC', current_database()); END $$;",
      installing: false)
    let database = owned.fixture.database
    try database.psql("CREATE ROLE \(admin) LOGIN; GRANT \(quoted(owned.owner)) TO \(admin)")
    let owner = try owned.fixture.installation(user: "'\(owned.owner)'")
    #expect(try owner.install(grantingTo: nil))
    for ledger in [try owned.fixture.installation(user: admin), owner] {
      try database.psql("UPDATE outbox_ledger.watched SET definition = 'older'")
      #expect(try ledger.install(grantingTo: nil))
      #expect(try ledger.status().state == .installed)
    }
    #expect(try owner.remove())
  }

  /// What a table's owner puts into its columns is run by its triggers.
  @Test func `are not a superuser's for what the owner's types do`() async throws {
    let owned = try await Owned(
      more: """
        CREATE TABLE caught (role text); GRANT INSERT ON caught TO PUBLIC; CREATE TYPE word AS (w text);
        CREATE FUNCTION as_text(word) RETURNS text LANGUAGE plpgsql AS
          'BEGIN INSERT INTO public.caught VALUES (current_user); RETURN ($1).w; END';
        CREATE CAST (word AS text) WITH FUNCTION as_text(word) AS IMPLICIT;
        """)
    try owned.fixture.database.psql(
      """
      ALTER TABLE outbox ALTER channel TYPE word USING ROW(channel)::word;
      INSERT INTO outbox (channel) VALUES (ROW('mail'));
      """)
    #expect(try owned.fixture.database.psql("SELECT DISTINCT role FROM caught") == owned.owner)
  }

  @Test func `that were lost with another owner are found missing, and given anew`() async throws {
    let owned = try await Owned()
    let heir = try TemporaryPostgres.shared().uniqueName("heir")
    let database = owned.fixture.database
    try await owned.fixture.expect(Self.events, ["mail enqueued 2", "mail retried 2"])
    try database.psql(
      """
      CREATE ROLE \(heir); REASSIGN OWNED BY \(quoted(owned.owner)) TO \(heir);
      INSERT INTO outbox (id, channel) VALUES (3, 'mail'); DELETE FROM outbox WHERE id = 3;
      """)
    let status = try owned.fixture.installation().status()
    #expect(status.state == .broken)
    #expect(status.problems.contains { $0.contains("rights of the role \(heir)") }, "\(status.problems)")
    try await owned.fixture.sample()
    #expect(owned.fixture.last?.mark.method != .ledger)
    #expect(owned.fixture.last?.notice?.contains("rights of the role \(heir)") == true)
    #expect(try owned.fixture.installation().install(grantingTo: nil))
    await owned.fixture.restart()
    try await owned.fixture.sample()
    #expect(owned.fixture.last?.mark.method == .ledger)
    #expect(owned.fixture.last?.restart != nil)
    try await owned.fixture.expect("INSERT INTO outbox (id, channel) VALUES (4, 'late')", ["late enqueued 1"])
    #expect(try database.psql(Self.functionOwners) == "\(heir) false,postgres true")
    try database.psql("DROP ROLE \(quoted(owned.owner))")
  }

  @Test(arguments: [
    "REVOKE INSERT ON outbox_ledger.\"public.outbox\" FROM OWNER", "REVOKE INSERT ON outbox_ledger.losses FROM OWNER",
    "REVOKE USAGE ON SEQUENCE outbox_ledger.unnoted FROM OWNER",
    "REVOKE USAGE ON SCHEMA outbox_ledger FROM OWNER", "REVOKE SELECT ON outbox FROM OWNER",
    "REVOKE USAGE ON SCHEMA public FROM PUBLIC; ALTER SCHEMA public OWNER TO postgres",
    "REVOKE EXECUTE ON FUNCTION outbox_ledger.TERM FROM OWNER",
    "ALTER FUNCTION outbox_ledger.\"public.outbox update\"() SECURITY INVOKER",
    "ALTER FUNCTION outbox_ledger.\"public.outbox dead insert\"() OWNER TO pg_monitor",
  ])
  func `that do not suffice any more end the count at once`(_ change: String) async throws {
    let owned = try await Owned()
    try await owned.fixture.expect(Self.events, ["mail enqueued 2", "mail retried 2"])
    let term = try owned.fixture.database.psql(
      """
      SELECT quote_ident(proname) || '(' || pg_get_function_identity_arguments(oid) || ')' FROM pg_proc
      WHERE proname = 'public.outbox waiting'
      """)
    try owned.fixture.database.psql(
      change.replacing("OWNER TO", with: "owner to").replacing("OWNER", with: quoted(owned.owner))
        .replacing("TERM", with: term))
    // In the very next sample, although the catalogue is looked at once a minute.
    try await owned.fixture.sample()
    #expect(owned.fixture.last?.mark.method != .ledger)
    #expect(try owned.fixture.installation().status().state == .broken)
  }

  @Test func `of a superuser do not stay with the functions when the table gets another owner`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    let owner = try TemporaryPostgres.shared().uniqueName("new")
    try fixture.database.psql(
      "CREATE ROLE \(owner); ALTER TABLE outbox OWNER TO \(owner); ALTER TABLE outbox_dlq OWNER TO \(owner)")
    let status = try fixture.installation().status()
    #expect(status.state == .outdated)
    #expect(status.problems.contains { $0.contains("rights of the superuser postgres") }, "\(status.problems)")
    await fixture.restart()
    try await fixture.expect("INSERT INTO outbox (id, channel) VALUES (1, 'mail')", ["mail enqueued 1"])
    #expect(fixture.last?.notice?.contains("rights of the superuser postgres") == true)
    #expect(try fixture.installation().install(grantingTo: nil))
    #expect(try fixture.installation().status().state == .installed)
    #expect(try fixture.installation().status().problems.isEmpty)
    #expect(try fixture.database.psql(Self.functionOwners) == "\(owner) false,postgres true")
    try await fixture.expect("SET ROLE \(owner); DELETE FROM outbox", ["mail discarded 1"])
    #expect(fixture.restarts.isEmpty)
  }

  @Test func `are each owner's own where one hand installs the ledgers of several`() async throws {
    let other = try TemporaryPostgres.shared().uniqueName("other")
    let owned = try await Owned(
      more: """
        CREATE ROLE \(other); \(LedgerSchemas.kaireon) ALTER TABLE outbox_events OWNER TO \(other);
        ALTER TABLE dead_letter_events OWNER TO \(other);
        """)
    let database = owned.fixture.database
    let definition = OutboxDefinition(
      name: "k", address: .postgresql(Secret(database.conninfo())), layout: .kaireon)
    let second = try #require(try LedgerInstallation.all(of: definition, limits: PostgreSQLLimits()).first)
    #expect(try second.install(grantingTo: nil))
    try database.psql(
      """
      SET ROLE \(other); INSERT INTO outbox_events (id, status, topic) VALUES ('1', 'pending', 'a');
      """)
    #expect(try database.psql("SELECT count(*) FROM outbox_ledger.\"public.outbox_events\"") == "1")
    #expect(throws: (any Error).self) {
      try database.psql(
        "SET ROLE \(other); INSERT INTO outbox_ledger.\"public.outbox\" (kind, destination) VALUES ('e', 'forged')")
    }
    #expect(try second.remove())
    try database.psql("DROP TABLE outbox_events, dead_letter_events; DROP ROLE \(other)")
    try await owned.fixture.expect(Self.events, ["mail enqueued 2", "mail retried 2"])
  }

  @Test func `of a superuser do not run what another role may have put in the place of the purge`() async throws {
    let owned = try await Owned(
      more: "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO PUBLIC', current_database()); END $$",
      installing: false)
    let user = "'\(owned.owner)'"
    #expect(try owned.fixture.installation(user: user).install(grantingTo: nil))
    let database = owned.fixture.database
    try database.psql(
      """
      CREATE TABLE caught (role text); GRANT INSERT ON caught TO PUBLIC; SET ROLE \(quoted(owned.owner));
      CREATE OR REPLACE FUNCTION outbox_ledger.purge(of_journal text, by_reader text, read_through xid8, at_most integer)
      RETURNS integer LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.caught VALUES (current_user); RETURN 0; END';
      """)
    for _ in 0..<12 {
      try database.psql("INSERT INTO outbox (channel) VALUES ('mail')")
      try await owned.fixture.sample()
    }
    #expect(owned.fixture.total.destinations["mail"]?.enqueued == 11)
    #expect(owned.fixture.last?.notice?.contains("runs nothing that another role may have replaced") == true)
    #expect(try database.psql("SELECT count(*) FROM caught") == "0")
  }

  @Test func `to a schema that another role rules are asked for by its name`() async throws {
    let owned = try await Owned()
    let failure = #expect(throws: SampleFailure.self) {
      try owned.fixture.installation(user: "'\(owned.owner)'").remove()
    }
    #expect(failure?.hint?.contains("the role that installed the ledger") == true, "\(String(describing: failure))")
    #expect(try owned.fixture.installation().status().state == .installed)
  }
}

private func quoted(_ name: String) -> String { "\"\(name.replacing("\"", with: "\"\""))\"" }
private func literal(_ text: String) -> String { "'\(text)'" }
