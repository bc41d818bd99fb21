import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// A state is found through its index and partial indexes, and its unknown values are seen, whatever type the column has.
@Suite(withPostgreSQL) struct `A state column` {
  struct ColumnType: Sendable, CustomTestStringConvertible {
    let name: String
    var made = ""
    var testDescription: String { name }
  }

  private static let words = "'pending', 'sending', 'delivered', 'dead', 'quarantined'"

  static let types = [
    ColumnType(name: "text"), ColumnType(name: "varchar(20)"), ColumnType(name: "char(15)"),
    ColumnType(name: "word", made: "CREATE DOMAIN word AS varchar CHECK (VALUE <> '')"),
    ColumnType(name: "\"Status\"", made: "CREATE TYPE \"Status\" AS ENUM (\(words), 'failed', 'processing')"),
    ColumnType(name: "fewer", made: "CREATE TYPE fewer AS ENUM (\(words))"),
    ColumnType(
      name: "other.checked",
      made: """
        CREATE SCHEMA other; CREATE TYPE other."Few" AS ENUM (\(words)); CREATE DOMAIN other.plain AS other."Few";
        CREATE DOMAIN other.checked AS other.plain CHECK (VALUE::text <> 'odd')
        """),
  ]

  private func schema(_ type: String) -> String {
    """
    CREATE TABLE outbox (
      id bigint PRIMARY KEY, channel text, status \(type), attempts integer NOT NULL DEFAULT 0,
      next_attempt_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(), locked_at timestamptz,
      delivered_at timestamptz);
    CREATE INDEX ON outbox (status);
    INSERT INTO outbox (id, channel, status, attempts, created_at, locked_at)
    SELECT id, 'mail', status::\(type), attempts, t - age * interval '1 s', t - age * interval '1 s'
    FROM moment, (VALUES (1, 'pending', 0, 10), (2, 'pending', 2, 20), (3, 'sending', 0, 400), (4, 'dead', 3, 500),
      (5, NULL, 0, 600), (6, 'quarantined', 0, 700), (7, 'quarantined', 0, 800)) v (id, status, attempts, age);
    INSERT INTO outbox (id, channel, status) SELECT 100 + i, 'mail', 'delivered' FROM generate_series(1, 20000) i;
    ANALYZE outbox;
    """
  }

  private let expected = """
    depth mail ready first 1
    depth mail ready retry 1
    depth mail claimed first 1
    depth mail unknown first 3
    age mail first oldest 400000 median 10000 p99 400000
    age mail retry oldest 20000 median 20000 p99 20000
    stuck mail lease_expired 1 oldest 100000
    dead mail 1 oldest 500000
    implausible 0
    """

  @Test(arguments: types) func `may be of any type`(type: ColumnType) async throws {
    let fixture = try LayoutFixture(
      .aiHummer, (type.made.isEmpty ? "" : type.made + ";") + schema(type.name))
    try await fixture.expectFigures(expected)
    for statement in try await fixture.sentStatements() {
      #expect(!statement.scansTable("outbox"), "\(statement.plan)")
      #expect(statement.rowsRead("outbox") < 100, "\(statement.plan)")
    }
  }

  @Test func `may hold bytes that are no text, each of them a state of its own`() async throws {
    // To a reader of UTF-8 these three look alike; the third is what the other two look like.
    let fixture = try LayoutFixture(
      .aiHummer,
      schema("text") + """
        INSERT INTO outbox (id, channel, status)
        SELECT i, 'mail', s FROM (VALUES (8, E'\\xFF'), (9, E'\\xFF'), (10, E'\\xFE'), (11, E'\\xEF\\xBF\\xBD')) AS v (i, s);
        """, encoding: "SQL_ASCII")
    try await fixture.expectFigures(
      expected.replacing("unknown first 3", with: "unknown first 7"))
  }

  @Test func `may lose a word of its enum while it is watched`() async throws {
    let fixture = try LayoutFixture(
      .aiHummer, "CREATE TYPE words AS ENUM (\(Self.words), 'failed');" + schema("words"))
    let store = fixture.store()
    let before = await store.sample(eventIDs: false).first
    try fixture.database.psql("ALTER TYPE words RENAME VALUE 'dead' TO 'broken'")
    let after = await store.sample(eventIDs: false).first
    #expect(before?.snapshot?.dead.map(\.count) == [1])
    #expect(after?.snapshot?.dead == [], "\(String(describing: after?.failure))")
    #expect(after?.snapshot?.depth == (before?.snapshot?.depth ?? 0) + 1)
  }

  @Test func `may get a word that the layout knows, which a ledger then understands`() async throws {
    var layout = Layout.aiHummer
    layout.queues[0].ledger = LedgerRules(
      waiting: "{status} NOT IN ('delivered', 'dead', 'expired')", delivered: "{status} = 'delivered'",
      dead: "{status} = 'dead'", failed: "{old:status} = 'failed' AND {status} <> 'failed'",
      firstDue: "{created.seconds}")
    let fixture = try LedgerFixture(
      layout,
      """
      CREATE TYPE words AS ENUM ('pending', 'delivered', 'dead');
      \(LedgerSchemas.aiHummer)
      ALTER TABLE outbox ALTER status DROP DEFAULT, ALTER status TYPE words USING status::words,
        ALTER status SET DEFAULT 'pending';
      """)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    try await fixture.expect(
      "INSERT INTO outbox (id, channel) SELECT i, 'mail' FROM generate_series(1, 5) i", ["mail enqueued 5"])
    try await fixture.expect(
      "UPDATE outbox SET status = 'delivered' WHERE id < 3", ["mail delivered 2", "mail measured 2"])
    try fixture.database.psql("ALTER TYPE words ADD VALUE 'expired'")
    try await fixture.expect("UPDATE outbox SET status = 'expired' WHERE id = 3", ["mail discarded 1"])
  }
}
