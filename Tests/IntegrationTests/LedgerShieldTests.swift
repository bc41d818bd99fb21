import Layouts
import Outbox
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL) struct `What goes wrong in the ledger` {
  private func installed(user: String = "postgres") async throws -> LedgerFixture {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer, user: user)
    #expect(try fixture.installation().install(grantingTo: user))
    return fixture
  }

  private static let everything = """
    INSERT INTO outbox (id, channel) SELECT i, 'mail' FROM generate_series(1, 5) i;
    UPDATE outbox SET status = 'delivered' WHERE id = 1; UPDATE outbox SET status = 'delivered' WHERE id IN (2, 3);
    DELETE FROM outbox WHERE id = 4; INSERT INTO outbox_dlq (id) VALUES (9); DELETE FROM outbox_dlq;
    """
  private static let journal = #"outbox_ledger."public.outbox""#

  @Test(arguments: [
    "DROP TABLE \(journal)", "DROP TABLE \(journal), outbox_ledger.losses",
    "ALTER TABLE \(journal) RENAME COLUMN kind TO sort",
    "ALTER TABLE \(journal) ALTER COLUMN kind TYPE integer USING 1", "ALTER TABLE \(journal) ADD CHECK (false)",
    "ALTER TABLE \(journal) ADD COLUMN more integer NOT NULL",
    "DO 'BEGIN EXECUTE ''DROP FUNCTION '' || (SELECT oid::regprocedure FROM pg_proc WHERE proname ~ ''outbox waiting''); END'",
    "ALTER TABLE outbox RENAME COLUMN attempts TO tries",
    "ALTER TABLE outbox RENAME COLUMN channel TO route",
  ])
  func `does not reach the application, and is no wrong number`(_ mischief: String) async throws {
    let fixture = try await installed()
    try await fixture.sample()
    try fixture.database.psql(mischief)
    try fixture.database.psql(
      Self.everything.replacing(
        "(id, channel)", with: mischief.contains("route") ? "(id, route)" : "(id, channel)"))
    #expect(try fixture.database.psql("SELECT count(*) FROM outbox") == "4")
    let sample = try await fixture.sample()
    if mischief.contains("outbox RENAME") {
      // The layout itself does not fit any more.
      #expect(sample.snapshot == nil || sample.accounting?.movements == nil)
      return
    }
    #expect(sample.snapshot?.depth == 1)
    #expect(fixture.last?.movements == nil)
    #expect(fixture.last?.restart != nil)
    // Installing again mends it.
    if mischief.contains("CHECK") { return }
    #expect(try fixture.installation().install(grantingTo: nil))
    await fixture.restart()
    try await fixture.sample()
    #expect(fixture.last?.mark.method == .ledger)
    try await fixture.expect("DELETE FROM outbox WHERE id = 5", ["mail discarded 1"])
  }

  @Test(arguments: ["ACCESS EXCLUSIVE", "SHARE"])
  func `does not make the application wait for a lock`(mode: String) async throws {
    let fixture = try await installed()
    let held = try fixture.database.holding("LOCK TABLE \(Self.journal) IN \(mode) MODE")
    try fixture.database.psql("SET statement_timeout = '20s'; " + Self.everything)
    try held.release()
    #expect(try fixture.database.psql("SELECT DISTINCT sqlstate FROM outbox_ledger.losses") == "55P03")
  }

  @Test(arguments: ["ACCESS EXCLUSIVE", "SHARE"])
  func `does not make the application wait where the loss cannot be noted either, and is no wrong number`(mode: String)
    async throws
  {
    let fixture = try await installed()
    try fixture.database.psql("INSERT INTO outbox (id, channel) VALUES (1, 'mail'), (2, 'mail')")
    try await fixture.sample()
    let held = try fixture.database.holding("LOCK TABLE \(Self.journal), outbox_ledger.losses IN \(mode) MODE")
    // The depth tells nothing of an attempt that failed.
    try fixture.database.psql(
      """
      SET statement_timeout = '20s'; SET lock_timeout = '19s'; UPDATE outbox SET attempts = 1;
      DO $$ BEGIN ASSERT current_setting('lock_timeout') = '19s'; END $$;
      """)
    try held.release()
    #expect(try fixture.database.psql("SELECT count(*) FROM outbox_ledger.losses") == "0")
    #expect(fixture.database.server.log.contains("outbox_ledger: a movement is lost (SQLSTATE 55P03)"))
    try await fixture.sample()
    #expect(fixture.last?.movements == nil)
    #expect(fixture.last?.restart == Self.unnoted)
    let status = try fixture.installation().status()
    #expect(status.state == .installed)
    #expect(status.problems.contains { $0.contains("what 1 statement changed could be neither") }, "\(status.problems)")
    try await fixture.sample(untilRestarts: [Self.unnoted, Self.ended])
    try await fixture.expect("UPDATE outbox SET attempts = 2", ["mail retried 2"])
  }

  private static let unnoted = "changes could not be written into the ledger, nor could it be noted which"
  private static let ended =
    "transactions have ended that may have lost changes, of which it could not be noted which"

  /// What is lost is a part of its transaction, and what says so is not.
  @Test func `is no wrong number where a transaction ends long after its loss could not be noted`() async throws {
    let fixture = try await installed()
    try fixture.database.psql("INSERT INTO outbox (id, channel) VALUES (1, 'mail'), (2, 'mail')")
    try await fixture.sample()
    let held = try fixture.database.holding("LOCK TABLE \(Self.journal), outbox_ledger.losses IN SHARE MODE")
    let application = try fixture.database.holding("UPDATE outbox SET attempts = 1 WHERE id = 1")
    try held.release()
    try await fixture.sample()
    #expect(fixture.restarts == [Self.unnoted])
    for attempt in 1...3 {
      try await fixture.expect("UPDATE outbox SET attempts = \(attempt) WHERE id = 2", ["mail retried 1"])
    }
    await fixture.restart()
    try application.release()
    try await fixture.sample(untilRestarts: [Self.unnoted, Self.ended])
    try await fixture.expect("UPDATE outbox SET attempts = 4", ["mail retried 2"])
  }

  @Test func `does not reach the application where nothing can say what is lost`() async throws {
    let fixture = try await installed()
    let held = try fixture.database.holding(
      "LOCK TABLE \(Self.journal), outbox_ledger.losses IN SHARE MODE; ALTER SEQUENCE outbox_ledger.unnoted CACHE 2")
    try fixture.database.psql("SET statement_timeout = '20s'; " + Self.everything)
    try held.release()
    #expect(fixture.database.server.log.contains("is lost (SQLSTATE 55P03), and nothing says so (SQLSTATE 55P03)"))
    try fixture.database.psql("DROP SEQUENCE outbox_ledger.unnoted")
    try await fixture.sample()
    #expect(fixture.last?.mark.method != .ledger)
    let status = try fixture.installation().status()
    #expect(status.state == .broken)
    #expect(status.problems == ["missing: the sequence outbox_ledger.unnoted"])
    try fixture.database.psql(
      "DROP TABLE \(Self.journal), outbox_ledger.losses; DELETE FROM outbox; DELETE FROM outbox_dlq; " + Self.everything
    )
    #expect(try fixture.database.psql("SELECT count(*) FROM outbox") == "4")
    #expect(try fixture.installation().install(grantingTo: nil))
    #expect(try fixture.installation().status().problems.isEmpty)
  }

  /// VACUUM makes a table shorter under a lock that nobody can write beside.
  @Test func `is never made shorter by VACUUM`() async throws {
    let fixture = try await installed()
    let tables = "\(Self.journal), outbox_ledger.losses"
    let size =
      "SELECT pg_relation_size('\(Self.journal)') > 100000, pg_relation_size('outbox_ledger.losses') > 100000"
    try fixture.database.psql(
      """
      INSERT INTO \(Self.journal) (kind, destination) SELECT 'E', 'mail' FROM generate_series(1, 10000);
      INSERT INTO outbox_ledger.losses (journal, sqlstate) SELECT 'nobody', '00000' FROM generate_series(1, 10000);
      DELETE FROM \(Self.journal);
      DELETE FROM outbox_ledger.losses;
      """)
    try fixture.database.psql("VACUUM \(tables)")
    #expect(try fixture.database.psql(size) == "t|t")
  }

  @Test func `does not reach a role without any right to the ledger, nor its search path`() async throws {
    let fixture = try await installed()
    let role = fixture.database.server.uniqueName("app")
    try fixture.database.psql(
      """
      CREATE ROLE \(role) LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON outbox, outbox_dlq TO \(role);
      \(LedgerSchemas.evil) GRANT USAGE ON SCHEMA evil TO \(role);
      """)
    try await fixture.sample()
    let hostile =
      "SET search_path = evil, pg_catalog, public; CREATE TEMPORARY TABLE new_rows (); CREATE TEMPORARY TABLE old_rows ();"
    try fixture.database.psql(hostile + Self.everything, user: role)
    #expect(
      try await fixture.movements()
        == ["mail delivered 3", "mail discarded 1", "mail enqueued 5", "mail measured 3"])
    #expect(throws: (any Error).self) { try fixture.database.psql("SELECT FROM \(Self.journal)", user: role) }
    // Nor where a loss is to be noted.
    try fixture.database.psql("DELETE FROM outbox; ALTER TABLE \(Self.journal) RENAME COLUMN kind TO sort")
    try fixture.database.psql(hostile + Self.everything, user: role)
    #expect(try fixture.database.psql("SELECT DISTINCT sqlstate FROM outbox_ledger.losses") == "42703")
  }

  @Test func `is said where a trigger is missing or disabled`() async throws {
    let fixture = try await installed()
    try await fixture.sample()
    try fixture.database.psql("ALTER TABLE outbox DISABLE TRIGGER outbox_ledger_update")
    try fixture.database.psql(Self.everything)
    try await fixture.sample()
    #expect(fixture.last?.movements == nil)
    #expect(fixture.last?.mark.method != .ledger)
    #expect(fixture.last?.notice?.contains("lacks the trigger outbox_ledger_update") == true)
    #expect(try fixture.installation().status().state == .broken)
    #expect(try fixture.installation().install(grantingTo: nil))
    await fixture.restart()
    try await fixture.sample()
    #expect(fixture.last?.mark.method == .ledger)
    #expect(fixture.last?.movements == nil)
  }

  @Test func `is said where the role may not read or purge it`() async throws {
    let role = try TemporaryPostgres.shared().uniqueName("exporter")
    let fixture = try LedgerFixture(
      .aiHummer,
      "CREATE ROLE \(role) LOGIN;" + LedgerSchemas.aiHummer + "GRANT SELECT ON outbox, outbox_dlq TO \(role);",
      user: role)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    #expect(fixture.last?.mark.method != .ledger)
    #expect(fixture.last?.notice?.contains("the role \(role) may not") == true)
    #expect(try !fixture.installation().install(grantingTo: role))
    await fixture.restart()
    try await fixture.sample()
    #expect(fixture.last?.mark.method == .ledger)
    #expect(fixture.last?.notice == nil)
    try fixture.database.psql("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA outbox_ledger FROM \(role)")
    await fixture.restart()
    try await fixture.sample()
    #expect(fixture.last?.notice?.contains("may not purge") == true)
  }

  /// A trigger's handler is over by then.
  @Test(arguments: [
    "ALTER TABLE \(journal) ADD CONSTRAINT late UNIQUE (destination) DEFERRABLE INITIALLY DEFERRED",
    """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''refused''; END';
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON outbox_ledger.losses DEFERRABLE FOR EACH ROW EXECUTE FUNCTION refuse();
    """,
  ])
  func `is broken where something of it is checked at commit`(_ mischief: String) async throws {
    let fixture = try await installed()
    let ledger = try fixture.installation()
    try fixture.database.psql(mischief)
    #expect(try ledger.status().state == .broken)
    #expect(try ledger.status().problems.first?.contains("application: late on outbox_ledger.") == true)
    try await fixture.sample()
    #expect(fixture.last?.notice?.contains("late on outbox_ledger.") == true)
    if mischief.contains("losses") {
      #expect(throws: SampleFailure.self) { try ledger.install(grantingTo: nil) }
      try fixture.database.psql("DROP TRIGGER late ON outbox_ledger.losses")
    } else {
      // The journal is made anew.
      #expect(try ledger.install(grantingTo: nil))
    }
    #expect(try ledger.status().state == .installed)
    #expect(try ledger.text(grantingTo: nil).contains("is DEFERRABLE may fail the application"))
  }
}
