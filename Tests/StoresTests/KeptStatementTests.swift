import SQLiteClient
import Testing

@Suite struct `A connection that keeps its statements` {
  private let connection: Shared

  /// A suite can be copied, a connection cannot.
  private final class Shared {
    let connection: SQLiteConnection

    init() throws {
      connection = try SQLiteConnection(path: "", access: .memory, keepsStatements: true)
      try connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT UNIQUE)")
    }

    func put(_ word: String?) throws(SQLiteError) {
      try connection.query(
        "INSERT INTO t (word) VALUES (:word)", word.map { [":word": .text($0)] } ?? [:]
      ) { _ in }
    }

    func rows() throws(SQLiteError) -> [String] {
      var rows: [String] = []
      try connection.query("SELECT * FROM t ORDER BY id") { row in
        rows.append("\(row.integer(0) ?? 0) \(row.text(1) ?? "NULL")")
      }
      return rows
    }
  }

  init() throws { connection = try Shared() }

  @Test func `binds nothing of what was bound before`() throws {
    try connection.put("one")
    try connection.put(nil)
    try connection.put("two")
    #expect(try connection.rows() == ["1 one", "2 NULL", "3 two"])
  }

  @Test func `runs a statement again that has failed`() throws {
    try connection.put("one")
    #expect(throws: SQLiteError.self) { try connection.put("one") }
    try connection.put("two")
    #expect(try connection.rows().map { $0.split(separator: " ")[1] } == ["one", "two"])
  }

  @Test func `runs a statement inside of itself`() throws {
    try connection.put("one")
    try connection.put("two")
    var inner: [[String]] = []
    var outer: [String] = []
    try connection.connection.query("SELECT * FROM t ORDER BY id") { row in
      outer.append(row.text(1) ?? "")
      inner.append((try? connection.rows()) ?? [])
    }
    #expect(outer == ["one", "two"])
    #expect(inner == [["1 one", "2 two"], ["1 one", "2 two"]])
    #expect(try connection.rows() == ["1 one", "2 two"])
  }

  @Test func `sees a table as it was changed, and lets it be dropped`() throws {
    try connection.put("one")
    _ = try connection.rows()
    try connection.connection.execute(
      "ALTER TABLE t RENAME COLUMN word TO other; ALTER TABLE t RENAME COLUMN id TO word")
    #expect(throws: SQLiteError.self) { try connection.rows() }
    try connection.connection.execute("DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT)")
    #expect(try connection.rows() == [])
    try connection.put("two")
    #expect(try connection.rows() == ["1 two"])
    #expect(try connection.connection.integer("PRAGMA schema_version") ?? 0 > 0)
  }

  @Test func `prepares a statement once, and keeps no more of them than a few`() throws {
    let (all, again) = (
      "SELECT count(*) FROM sqlite_stmt", "SELECT max(run) FROM sqlite_stmt WHERE sql LIKE '%ORDER BY id'"
    )
    for _ in 0..<5 { _ = try connection.rows() }
    #expect(try connection.connection.integer(again) == 5)
    for _ in 0..<2 {
      for number in 0..<100 { #expect(try connection.connection.integer("SELECT \(number)") == Int64(number)) }
    }
    // Those that are kept, and the one that asks.
    #expect(try connection.connection.integer(all) == 33)
  }
}
