import Layouts
import Outbox
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL) struct `The functions of the ledger` {
  private func installed(
    _ layout: Layout = .aiHummer, _ statements: String = LedgerSchemas.aiHummer, objective: Duration? = nil
  ) async throws -> LedgerFixture {
    let fixture = try LedgerFixture(layout, statements, objective: objective)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    return fixture
  }

  /// One that the plan names is run, which costs every trigger, and so does to set a search path.
  @Test func `are put into the plan of the trigger's statement, and set nothing`() async throws {
    let fixture = try await installed()
    for term in ["waiting", "kept", "ended", "removed", "first due", "destination"] {
      let arguments = try fixture.database.psql(
        """
        SELECT string_agg(CASE format_type(t, NULL) WHEN 'text' THEN 'status' WHEN 'bigint' THEN 'attempts::int8'
          ELSE 'created_at' END, ', ')
        FROM pg_proc, unnest(proargtypes) t WHERE proname = 'public.outbox \(term)'
        """)
      let plan = try fixture.database.psql(
        "EXPLAIN (VERBOSE, COSTS OFF) SELECT outbox_ledger.\"public.outbox \(term)\"(\(arguments)) FROM outbox")
      #expect(plan.contains("Output: ") && !plan.contains("outbox_ledger"), "\(plan)")
    }
    #expect(
      try fixture.database.psql(
        """
        SELECT string_agg(split_part(substr(proname, 15), '#', 1), ', ' ORDER BY proname) FROM pg_proc
        WHERE proname ^@ 'public.outbox' AND proconfig IS NOT NULL
        """) == "dead delete, dead insert, truncate")
  }

  @Test(arguments: [
    "ALTER TABLE outbox ALTER attempts TYPE bigint", "ALTER TABLE outbox ALTER channel TYPE varchar(40)",
    "ALTER TABLE outbox ALTER channel TYPE character(8)", "ALTER TABLE outbox DROP COLUMN payload",
    "ALTER TABLE outbox ALTER id TYPE integer",
    "ALTER TABLE outbox ADD COLUMN kind text DEFAULT 'x', ADD \"place in the statement\" text",
    """
    CREATE TYPE state AS ENUM ('pending', 'sending', 'failed', 'delivered', 'dead');
    ALTER TABLE outbox ALTER status DROP DEFAULT, ALTER status TYPE state USING status::state;
    ALTER TABLE outbox ALTER status SET DEFAULT 'pending'
    """,
  ])
  func `go on when the table is altered`(_ change: String) async throws {
    let fixture = try await installed()
    try await fixture.expect("INSERT INTO outbox (id, channel) VALUES (1, 'mail'), (2, 'mail')", ["mail enqueued 2"])
    try fixture.database.psql(change)
    await fixture.restart()
    try await fixture.expect(
      """
      INSERT INTO outbox (id, channel) VALUES (3, 'mail'); UPDATE outbox SET attempts = 1 WHERE id = 1;
      UPDATE outbox SET status = 'delivered' WHERE id IN (1, 2); DELETE FROM outbox WHERE id = 3;
      """,
      ["mail enqueued 1", "mail retried 1", "mail delivered 2", "mail measured 2", "mail discarded 1"])
    #expect(fixture.restarts.isEmpty)
  }

  /// What depends on a column would keep its table's owner from dropping it.
  @Test func `keep nobody from dropping what they read`() async throws {
    let fixture = try await installed(
      .aiHummer,
      "CREATE TYPE state AS ENUM ('pending', 'sending', 'failed', 'delivered', 'dead');"
        + LedgerSchemas.aiHummer.replacing(
          "status text NOT NULL DEFAULT 'pending'", with: "status state NOT NULL DEFAULT 'pending'"))
    try await fixture.expect("INSERT INTO outbox (channel) VALUES ('mail')", ["mail enqueued 1"])
    for column in ["next_attempt_at", "locked_at", "attempts", "channel", "status", "id", "created_at"] {
      try fixture.database.psql("ALTER TABLE outbox DROP COLUMN \(column)")
    }
    try fixture.database.psql("DROP TYPE state; INSERT INTO outbox (payload) VALUES (NULL); DROP TABLE outbox")
  }

  @Test(arguments: ["timestamp", "timestamptz"])
  func `read a moment by what its column is now, whatever the session's zone`(_ type: String) async throws {
    let other = type == "timestamp" ? "timestamptz" : "timestamp"
    let fixture = try await installed(
      .aiHummer, LedgerSchemas.aiHummer.replacing("timestamptz", with: other), objective: .seconds(3600))
    try fixture.database.psql(
      """
      SET TimeZone = 'UTC'; ALTER TABLE outbox ALTER created_at DROP DEFAULT, ALTER next_attempt_at TYPE \(type),
        ALTER created_at TYPE \(type);
      """)
    for zone in ["Asia/Tokyo", "America/Lima"] {
      let now = type == "timestamp" ? "now() AT TIME ZONE 'UTC'" : "now()"
      try await fixture.expect(
        """
        SET TimeZone = '\(zone)';
        INSERT INTO outbox (channel, created_at) VALUES ('late', \(now) - interval '2 h'), ('soon', \(now)), ('ahead', \(now));
        DELETE FROM outbox WHERE channel = 'late'; DELETE FROM outbox WHERE channel = 'soon';
        UPDATE outbox SET status = 'delivered';
        """,
        [
          "late enqueued 1", "late discarded 1", "late discarded late 1", "soon enqueued 1", "soon discarded 1",
          "ahead enqueued 1", "ahead delivered 1", "ahead measured 1",
        ])
    }
    let most = fixture.total.destinations["ahead"]?.durations.sum ?? 3600
    #expect(most < 3600)
  }

  /// Within the time a nested loop would not come to its end.
  @Test func `do for many rows what was planned for two`() async throws {
    let fixture = try await installed()
    try await fixture.expect(
      """
      SET statement_timeout = '30s'; SET enable_hashjoin = off; SET enable_mergejoin = off; INSERT INTO outbox (id, channel) SELECT i, 'mail' FROM generate_series(1, 100000) i;
      UPDATE outbox SET attempts = 1 WHERE id IN (1, 2); UPDATE outbox SET attempts = 1 WHERE id IN (3, 4);
      UPDATE outbox SET status = 'delivered'; UPDATE outbox SET id = -id, status = 'pending' WHERE id < 3;
      """, ["mail enqueued 100000", "mail retried 4", "mail delivered 100000", "mail measured 100000"])
  }

  @Test func `come back from a dump`() async throws {
    let fixture = try await installed()
    let copy = try fixture.database.server.createDatabase(try fixture.database.server.dump(fixture.database))
    try copy.psql(
      """
      INSERT INTO outbox (id, channel) VALUES (1, 'mail'), (2, 'mail'); UPDATE outbox SET attempts = 1;
      UPDATE outbox SET status = 'delivered' WHERE id = 1; DELETE FROM outbox WHERE id = 2;
      """)
    let kinds = "SELECT string_agg(kind::text, '' ORDER BY kind) FROM outbox_ledger.\"public.outbox\""
    #expect(try copy.psql(kinds) == "CEEdrr")
  }

  /// What a session has planned for one row cannot be used for another type.
  @Test(arguments: ["attempts TYPE bigint", "channel TYPE varchar(40)", "id TYPE integer"])
  func `go on in a session that was there before a column got another type`(_ change: String) async throws {
    let fixture = try await installed()
    try await fixture.expect(
      """
      INSERT INTO outbox (id, channel) VALUES (1, 'mail'), (2, 'mail'), (3, 'mail'), (4, 'mail');
      UPDATE outbox SET attempts = 1 WHERE id = 1; UPDATE outbox SET attempts = 1 WHERE id IN (2, 3);
      ALTER TABLE outbox ALTER \(change);
      UPDATE outbox SET attempts = attempts + 1 WHERE id = 1; UPDATE outbox SET attempts = attempts + 1 WHERE id IN (2, 3);
      UPDATE outbox SET locked_at = now() WHERE id = 4;
      INSERT INTO outbox (id, channel) VALUES (5, 'mail'); DELETE FROM outbox WHERE id = 5;
      UPDATE outbox SET status = 'delivered' WHERE id = 1;
      """,
      ["mail enqueued 5", "mail retried 6", "mail discarded 1", "mail delivered 1", "mail measured 1"])
  }

  @Test func `take numbers beyond those of the column that they were made for`() async throws {
    let fixture = try await installed(
      .aiHummer,
      LedgerSchemas.aiHummer.replacing("id bigint GENERATED", with: "id integer GENERATED")
        .replacing("attempts integer", with: "attempts smallint"))
    try fixture.database.psql("ALTER TABLE outbox ALTER id TYPE bigint, ALTER attempts TYPE bigint")
    try await fixture.expect(
      """
      INSERT INTO outbox (id, channel, attempts) VALUES (5000000000, 'mail', 5000000000), (5000000001, 'mail', 1);
      UPDATE outbox SET attempts = attempts + 1 WHERE id = 5000000000; UPDATE outbox SET attempts = attempts + 1;
      """, ["mail enqueued 2", "mail retried 3"])
  }

  /// A layout may name an identifier that is SQL, is shared by the events of several tenants, or changes.
  @Test func `tell rows apart without their identifier`() async throws {
    var layout = Layout.aiHummer
    layout.queues[0].columns["id"] = .expression("{tenant} || {attempts}")
    layout.queues[0].columns["tenant"] = .column("tenant_id")
    let fixture = try await installed(
      layout, LedgerSchemas.aiHummer.replacing("IDENTITY PRIMARY KEY", with: "IDENTITY"))
    let role = fixture.database.server.uniqueName("app")
    try fixture.database.psql(
      """
      \(LedgerSchemas.evil) CREATE FUNCTION evil.joined(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
      CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.joined);
      CREATE ROLE \(role) LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO \(role); GRANT USAGE ON SCHEMA evil TO \(role);
      """)
    try fixture.database.psql(
      """
      SET search_path = evil, pg_catalog, public;
      INSERT INTO outbox (id, tenant_id, channel) VALUES (1, 'a', 'mail'), (1, 'b', 'fax'), (1, 'c', 'mail'), (7, 'd', 'mail');
      UPDATE outbox SET attempts = attempts + 1; UPDATE outbox SET id = id + 1, attempts = attempts + 1 WHERE tenant_id LIKE '%';
      """, user: role)
    #expect(
      try await fixture.movements() == ["fax enqueued 1", "fax retried 2", "mail enqueued 3", "mail retried 6"])
  }

  /// The old value of a row that a trigger keeps from moving comes without a new one.
  @Test func `note a loss where the rows of a statement do not pair`() async throws {
    let fixture = try await installed(
      .aiHummer,
      """
      CREATE TABLE outbox (
        id bigint, channel text, status text NOT NULL DEFAULT 'pending', attempts integer NOT NULL DEFAULT 0,
        locked_at timestamptz, created_at timestamptz NOT NULL DEFAULT now()) PARTITION BY LIST (channel);
      CREATE TABLE a PARTITION OF outbox FOR VALUES IN ('a'); CREATE TABLE b PARTITION OF outbox FOR VALUES IN ('b');
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN new.id > 1 THEN new END; END';
      CREATE TRIGGER refuse BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION refuse();
      """)
    try fixture.database.psql(
      """
      INSERT INTO outbox (id, channel) VALUES (1, 'a'), (2, 'a'), (3, 'a');
      UPDATE outbox SET channel = 'b', attempts = 1; INSERT INTO outbox (id, channel) VALUES (0, 'a');
      UPDATE outbox SET channel = 'b' WHERE id = 0;
      """)
    #expect(try fixture.database.psql("SELECT sqlstate FROM outbox_ledger.losses") == "21000\n21000")
    #expect(try fixture.database.psql("SELECT count(*) FROM outbox") == "2")
  }

  @Test func `write down no latency from a time that is none`() async throws {
    let fixture = try await installed()
    try await fixture.expect(
      """
      INSERT INTO outbox (id, channel, next_attempt_at) VALUES (1, 'mail', '-infinity'), (2, 'mail', '4714-11-24 BC'),
        (3, 'mail', now());
      UPDATE outbox SET status = 'delivered' WHERE id = 1; UPDATE outbox SET status = 'delivered' WHERE id > 1;
      """, ["mail enqueued 3", "mail delivered 3", "mail measured 1"])
    #expect(fixture.total.destinations["mail"]?.durations.sum.isFinite == true)
  }

  /// A layout whose destination cannot be told of every row that the table may hold.
  private static func letters(waiting: String) -> Layout {
    var layout = Layout.aiHummer
    layout.queues[0].columns["destination"] = .expression("({channel}::json ->> 'to')")
    layout.queues[0].columns["channel"] = .column("channel")
    layout.queues[0].ledger?.waiting = waiting
    return layout
  }

  @Test func `compute nothing of rows that no rule knows`() async throws {
    let fixture = try await installed(Self.letters(waiting: "{status} = 'pending'"))
    try await fixture.expect(
      """
      INSERT INTO outbox (id, channel, status) VALUES (1, '{"to": "mail"}', 'pending'), (2, 'none', 'draft'),
        (3, '{"to": "push"}', 'delivered');
      INSERT INTO outbox (id, channel, status) VALUES (4, 'none', 'draft');
      UPDATE outbox SET attempts = 1 WHERE id = 4; UPDATE outbox SET attempts = 1 WHERE id IN (2, 4);
      DELETE FROM outbox WHERE id IN (2, 4);
      """, ["mail enqueued 1", "push delivered 1", "push enqueued 1", "push measured 1"])
    #expect(try fixture.database.psql("SELECT count(*) FROM outbox_ledger.losses") == "0")
  }

  @Test(arguments: ["{status}", "{attempts}"])
  func `are refused where what says that a row waits is no truth`(_ waiting: String) throws {
    let fixture = try LedgerFixture(Self.letters(waiting: waiting), LedgerSchemas.aiHummer)
    #expect(throws: SampleFailure.self) { try fixture.installation().install(grantingTo: nil) }
    #expect(try fixture.installation().status().state == .absent)
  }

  private static let channels: Layout = {
    var layout = Layout.aiHummer
    layout.queues[0].tables["channels"] = TableName("channels")
    layout.queues[0].columns["destination"] = .expression(
      "SELECT c.name FROM {table:channels} c WHERE c.id::text = {channel}")
    layout.queues[0].columns["channel"] = .column("channel")
    return layout
  }()

  /// A destination of another table, and a column of a type that no function should depend on.
  @Test(arguments: [
    (channels, "text", "CREATE TABLE channels (id text, name text); INSERT INTO channels VALUES ('1', 'mail');", "1"),
    (Layout.aiHummer, "citext", "CREATE EXTENSION citext;", "mail"),
  ])
  func `have a search path of their own where they need more than columns`(
    _ layout: Layout, _ type: String, _ before: String, _ channel: String
  ) async throws {
    let fixture = try await installed(
      layout, before + LedgerSchemas.aiHummer.replacing("channel text", with: "channel \(type)"))
    #expect(try fixture.database.psql("SELECT count(*) FROM pg_proc WHERE proname LIKE '%waiting'") == "0")
    try fixture.database.psql(LedgerSchemas.evil)
    let insert = "INSERT INTO outbox (id, channel) VALUES"
    try await fixture.expect(
      """
      SET search_path = evil, pg_catalog, public; \(insert) (1, '\(channel)'), (2, '\(channel)'), (3, '\(channel)');
      \(insert) (4, '\(channel)'); UPDATE outbox SET attempts = 1 WHERE id = 1; DELETE FROM outbox WHERE id = 4;
      UPDATE outbox SET status = 'delivered' WHERE id OPERATOR(pg_catalog.<) 3; TRUNCATE outbox;
      """,
      [
        "mail enqueued 4", "mail retried 1", "mail delivered 2", "mail measured 2", "mail discarded 2",
      ])
  }
}
