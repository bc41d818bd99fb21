import Layouts
import Outbox
import SQLiteClient
import Stores
import TestSupport
import Testing

/// Rows and layouts that nobody expected, in SQLite.
@Suite struct `Unexpected rows` {
  private let directory: TemporaryDirectory
  private let path: String
  private let clock = TestClock(1_800_000_000)

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/o.sqlite"
    try write(
      "CREATE TABLE o(id INTEGER PRIMARY KEY, status TEXT, created REAL, due REAL); CREATE INDEX s ON o(status)")
  }

  private func write(_ sql: String) throws {
    try SQLiteConnection(path: path, access: .readWrite).execute(sql)
  }

  private func store(_ selections: [Selection]) -> SQLiteStore {
    let layout = Layout(
      name: "o", summary: "", systems: [.sqlite],
      queues: [
        TableQueue(
          tables: ["events": TableName("o")],
          columns: [
            "id": .column("id"), "status": .column("status"),
            "created": .column("created", encoding: .unixFractionalSeconds),
            "due": .column("due", encoding: .unixFractionalSeconds),
          ],
          stateColumn: "status", knownStates: ["new", "sent"], selections: selections)
      ])
    return SQLiteStore(
      OutboxDefinition(name: "o", address: .sqlite(path: path), layout: layout), now: { [clock] in clock.now })
  }

  @Test func `a state that is NULL, or holds a zero character, quote or backslash, is unknown and counted`()
    async throws
  {
    try write(
      """
      INSERT INTO o(status, created) VALUES ('new', 1799999990), (NULL, 1799999990), (NULL, 1799999990),
        ('new' || char(0), 1799999990), ('it''s', 1799999990), ('a\\b', 1799999990), ('a;b', 1799999990)
      """)
    let store = store([Selection(rows: "{status} = 'new'", state: .ready, since: "{created.seconds}")])
    let snapshot = try #require(await store.sample(eventIDs: true).first?.snapshot)
    #expect(snapshot.depth(.ready) == 1)
    #expect(snapshot.depth(.unknown) == 6)
  }

  @Test func `a state that is no text is unknown and counted, also where it looks like another one`() async throws {
    try write(
      """
      CREATE TABLE p(id INTEGER PRIMARY KEY, status, created REAL, due REAL); CREATE INDEX t ON p(status);
      INSERT INTO o(status, created) VALUES ('new', 1799999990), (CAST(X'FF' AS TEXT), 1799999990),
        (CAST(X'FE' AS TEXT), 1799999990), (CAST(X'EFBFBD' AS TEXT), 1799999990), (X'6E6577', 1799999990),
        (5, 1799999990), (-1.5, 1799999990);
      INSERT INTO p SELECT * FROM o;
      DROP TABLE o; ALTER TABLE p RENAME TO o
      """)
    let store = store([Selection(rows: "{status} = 'new'", state: .ready, since: "{created.seconds}")])
    let snapshot = try #require(await store.sample(eventIDs: true).first?.snapshot)
    #expect(snapshot.depth(.ready) == 1)
    #expect(snapshot.depth(.unknown) == 6)
  }

  @Test func `where NULL means something to the layout it is not counted twice`() async throws {
    try write("INSERT INTO o(status, created) VALUES (NULL, 1799999990), ('sent', 1799999990)")
    let store = store([Selection(rows: "{status} IS NULL", state: .ready, since: "{created.seconds}")])
    let snapshot = try #require(await store.sample(eventIDs: false).first?.snapshot)
    #expect(snapshot.depth == 1 && snapshot.depth(.ready) == 1)
  }

  @Test func `a predicate about the clock is asked again although nothing was written`() async throws {
    try write("INSERT INTO o(status, created, due) VALUES ('new', 1799999990, 1800000004)")
    let store = store([
      Selection(rows: "{due} <= {due.now}", state: .ready, since: "{created.seconds}"),
      Selection(rows: "{due} > {due.now}", state: .scheduled, since: "{created.seconds}"),
    ])
    #expect(try #require(await store.sample(eventIDs: false).first?.snapshot).depth(.scheduled) == 1)
    clock.advance(.seconds(5))
    let later = try #require(await store.sample(eventIDs: false).first?.snapshot)
    #expect(later.depth(.scheduled) == 0 && later.depth(.ready) == 1)
  }

  @Test func `a file that was there and is gone is absent, not empty`() async throws {
    let store = store([Selection(rows: "{status} = 'new'", state: .ready, since: nil)])
    #expect(await store.sample(eventIDs: false).first?.snapshot != nil)
    _ = try run("rm", [path])
    #expect(await store.sample(eventIDs: false).first?.failure?.reason == .absent)
  }

  @Test func `a pipe is refused instead of waited for`() async throws {
    _ = try run("rm", [path])
    _ = try run("mkfifo", [path])
    let store = store([Selection(rows: "{status} = 'new'", state: .ready, since: nil)])
    #expect(await store.sample(eventIDs: false).first?.failure?.reason == .absent)
  }

  @Test func `a layout with a semicolon is refused`() async throws {
    let store = store([Selection(rows: "{status} = 'new;'", state: .ready, since: nil)])
    #expect(await store.sample(eventIDs: false).first?.failure?.reason == .schema)
  }
}
