import Layouts
import Outbox
import SampleSQL
import Testing

@Suite struct `Sample query` {
  private let queue = TableQueue(
    tables: ["events": TableName("ev"), "dead": TableName("dl", optional: true)],
    columns: [
      "id": .column("id"), "state": .column("st"), "due": .column("due_at", encoding: .unixSeconds),
      "unused": .column("u"), "dead_id": .column("id", table: "dead"),
      "dead_at": .column("at", table: "dead", encoding: .unixSeconds),
    ],
    stateColumn: "state", knownStates: ["new", "done"],
    selections: [
      Selection(rows: "{state} = 'new'", state: .ready, since: "{due.seconds}"),
      Selection(table: "dead", rows: "true", state: .dead, since: "{dead_at.seconds}", id: "{dead_id}"),
    ])

  private func schema(indexed: Set<String> = ["st"], dead: Bool = true, columns: [String]? = nil) -> QueueSchema {
    let names = columns ?? ["id", "st", "due_at", "u", "payload"]
    var tables = [
      "events": QueueSchema.Table(
        reference: "\"ev\"", columns: Dictionary(uniqueKeysWithValues: names.map { ($0, "integer") }),
        indexedColumns: indexed)
    ]
    if dead { tables["dead"] = QueueSchema.Table(reference: "\"dl\"", columns: ["id": "integer", "at": "integer"]) }
    return QueueSchema(tables: tables)
  }

  @Test func `reads what it says and nothing else`() throws {
    for dialect in [SQLDialect.sqlite, .postgresql] {
      let query = try SampleQuery(queue: queue, schema: schema(), dialect: dialect)
      #expect(try query.columns() == ["\"ev\"": ["due_at", "id", "st"], "\"dl\"": ["at", "id"]])
      for statement in [query.figures, try query.eventIDs(), query.states].compactMap({ $0 }) {
        #expect(!statement.contains("payload"))
        #expect(!statement.contains("e.*"))
        #expect(!statement.contains("{") && !statement.contains("}"))
      }
    }
  }

  @Test func `the figures need no identifiers`() throws {
    let query = try SampleQuery(queue: queue, schema: schema(), dialect: .postgresql)
    #expect(!query.figures.contains("\"id\""))
    #expect(try query.eventIDs()?.contains("\"id\"") == true)
  }

  @Test func `an optional table that is not there is left out`() throws {
    let query = try SampleQuery(queue: queue, schema: schema(dead: false), dialect: .sqlite)
    #expect(!query.figures.contains("dl"))
    #expect(try query.columns() == ["\"ev\"": ["due_at", "id", "st"]])
  }

  @Test func `a table that has to be there is missed`() {
    #expect(throws: LayoutProblem.missingTable(role: "events", name: "ev")) {
      _ = try SampleQuery(queue: queue, schema: QueueSchema(tables: [:]), dialect: .sqlite)
    }
  }

  @Test func `a required column is missed even where nothing uses it`() {
    #expect(
      throws: LayoutProblem.missingColumn(role: "unused", name: "u", table: "ev", available: ["due_at", "id", "st"])
    ) {
      _ = try SampleQuery(queue: queue, schema: schema(columns: ["id", "st", "due_at"]), dialect: .sqlite)
    }
  }

  @Test func `states are skipped over through an index, and looked for nowhere else`() throws {
    let indexed = try SampleQuery(queue: queue, schema: schema(), dialect: .sqlite)
    #expect(
      indexed.states == """
        WITH RECURSIVE v(x) AS (
          SELECT min(e."st") FROM "ev" e
          UNION ALL
          SELECT (SELECT min(e."st") FROM "ev" e WHERE e."st" > v.x) FROM v WHERE v.x IS NOT NULL
        )
        SELECT typeof(v.x), v.x FROM v WHERE v.x IS NOT NULL
        """)
    #expect(try SampleQuery(queue: queue, schema: schema(indexed: []), dialect: .sqlite).states == nil)
    #expect(try SampleQuery(queue: queue, schema: schema(indexed: ["id"]), dialect: .sqlite).states == nil)
  }

  @Test func `unknown states are counted, however they are spelt`() throws {
    let query = try SampleQuery(
      queue: queue, schema: schema(), dialect: .postgresql,
      unknownStates: [Array("o'clock".utf8), Array("{braces}".utf8), [0xff, 0x6f]].map { .init(text: $0, .postgresql) })
    #expect(query.figures.contains(#"e."st" IN ('o''clock', '{braces}', E'\xff\x6f')"#))
    #expect(query.figures.contains("'unknown'"))
    // They have no identifier worth showing and no age.
    #expect(try query.eventIDs()?.contains("braces") == false)
  }

  @Test func `a hostile name of a table or column stays a name`() throws {
    let name = "x\"; DROP TABLE ev; --"
    var hostile = queue
    hostile.columns["due"] = .column(name, encoding: .unixSeconds)
    var tables = schema(columns: ["id", "st", "u", name])
    tables.tables["events"]?.reference = SQLIdentifier.quotedPath("\"a.b\".\(SQLIdentifier.quoted(name))")
    let query = try SampleQuery(queue: hostile, schema: tables, dialect: .sqlite)
    #expect(query.figures.contains(#"e."x""; DROP TABLE ev; --""#))
    #expect(query.figures.contains(#"FROM "a.b"."x""; DROP TABLE ev; --" e"#))
  }

  @Test func `a queue without identifiers has no statement for them`() throws {
    var anonymous = queue
    anonymous.selections = [Selection(rows: "true", state: .ready, since: nil, id: nil)]
    #expect(try SampleQuery(queue: anonymous, schema: schema(), dialect: .sqlite).eventIDs() == nil)
  }
}

@Suite struct `Figure rows` {
  private let now = Timestamp(seconds: 1_800_000_000)

  private func row(
    _ destination: String, _ state: EventState, retry: Bool = false, stuck: StuckReason? = nil, count: Int,
    oldest: Double? = nil, median: Double? = nil, p99: Double? = nil, stuckSince: Double? = nil, implausible: Int = 0
  ) -> FigureRow {
    FigureRow(
      destination: destination, state: state, retry: retry, stuck: stuck, count: count, oldest: oldest, median: median,
      p99: p99, stuckSince: stuckSince, implausible: implausible)
  }

  @Test func `are added up over states and reasons`() {
    let snapshot = Snapshot(
      storeTime: now,
      rows: [
        row("a", .ready, count: 2, oldest: 1_799_999_990, median: 1_799_999_995, implausible: 1),
        row("a", .claimed, count: 1, oldest: 1_799_999_980, p99: 1_799_999_980),
        row("a", .claimed, stuck: .leaseExpired, count: 3, oldest: 1_799_999_970, stuckSince: 1_799_999_999),
        row("a", .claimed, retry: true, stuck: .leaseExpired, count: 1, stuckSince: 1_799_999_900),
        row("b", .dead, count: 4, oldest: 1_799_999_000, implausible: 2),
        row("c", .dead, count: 1),
      ])
    #expect(
      snapshot.depths == [
        .init(destination: "a", state: .ready, retry: false, count: 2),
        .init(destination: "a", state: .claimed, retry: false, count: 4),
        .init(destination: "a", state: .claimed, retry: true, count: 1),
      ])
    #expect(
      snapshot.ages == [
        .init(destination: "a", retry: false, oldest: .seconds(30), median: .seconds(5), p99: .seconds(20))
      ])
    #expect(snapshot.stuck == [.init(destination: "a", reason: .leaseExpired, count: 4, oldest: .seconds(100))])
    #expect(
      snapshot.dead == [
        .init(destination: "b", count: 4, oldest: .seconds(1000)), .init(destination: "c", count: 1, oldest: nil),
      ])
    #expect(snapshot.implausible == 3)
  }

  @Test func `no rows are an empty outbox`() {
    #expect(Snapshot(storeTime: now, rows: []) == Snapshot(storeTime: now))
  }
}
