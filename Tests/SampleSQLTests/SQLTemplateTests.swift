import Layouts
import SampleSQL
import Testing

@Suite struct `SQL template` {
  private func expand(
    _ text: String, _ dialect: SQLDialect = .sqlite, columns: [String: ColumnDefinition] = Self.columns,
    schema: QueueSchema = Self.schema
  ) throws(LayoutProblem) -> String {
    var template = SQLTemplate(
      queue: TableQueue(tables: Self.tables, columns: columns, selections: []), schema: schema, dialect: dialect)
    return try template.expand(text)
  }

  private static let tables = ["events": TableName("ev"), "parents": TableName("shop.par", optional: true)]
  private static let columns: [String: ColumnDefinition] = [
    "id": .column("id"),
    "odd": .column("we\"ird col"),
    "seconds": .column("s", encoding: .unixSeconds),
    "fractional": .column("f", encoding: .unixFractionalSeconds),
    "milliseconds": .column("m", encoding: .unixMilliseconds),
    "zoned": .column("z", encoding: .timestamptz),
    "naive": .column("n", encoding: .naiveUTC),
    "paris": .column("p", encoding: .naive(zone: "Europe/Paris")),
    "quote": .column("p", encoding: .naive(zone: "it's")),
    "text": .column("t", encoding: .iso8601),
    "absent": .column("gone", encoding: .unixSeconds, optional: true),
    "required": .column("gone"),
    "sum": .expression("{id} + {seconds.seconds}"),
    "due": .expression("COALESCE({milliseconds}, {absent})", encoding: .unixMilliseconds),
    "circle": .expression("{circle}"),
    "parent": .column("pid", table: "parents"),
  ]
  private static let schema = QueueSchema(tables: [
    "events": .init(
      reference: "\"ev\"",
      columns: [
        "id": "TEXT", "we\"ird col": "", "s": "bigint", "f": "double precision", "m": "bigint",
        "z": "timestamp with time zone", "n": "timestamp without time zone", "p": "timestamp without time zone",
        "t": "text",
      ])
  ])

  @Test(arguments: [
    ("{id}", #"e."id""#),
    ("{odd}", #"e."we""ird col""#),
    ("{absent}", "NULL"),
    ("{absent.seconds}", "NULL"),
    ("{absent.now-5}", "NULL"),
    ("{parent}", "NULL"),
    ("{table:events}", #""ev""#),
    ("a {{ b }} c {{{id}}}", #"a { b } c {e."id"}"#),
    ("{sum}", #"(e."id" + (e."s" * 1.0))"#),
    ("{due.seconds}", #"((COALESCE(e."m", NULL)) / 1000.0)"#),
    ("{now}", ":now"),
    ("{seconds.seconds}", #"(e."s" * 1.0)"#),
    ("{seconds.now}", "CAST(:now AS INTEGER)"),
    ("{seconds.now-300}", "CAST(:now - 300 AS INTEGER)"),
    ("{seconds.now + 60}", "CAST(:now + 60 AS INTEGER)"),
    ("{fractional.now-1}", "(:now - 1)"),
    ("{milliseconds.now-1}", "CAST((:now - 1) * 1000 AS INTEGER)"),
    ("{text.seconds}", #"((julianday(e."t") - 2440587.5) * 86400.0)"#),
    ("no placeholder", "no placeholder"),
  ])
  func `expands for SQLite`(template: String, sql: String) throws {
    #expect(try expand(template) == sql)
  }

  @Test(arguments: [
    ("{now}", "date_part('epoch', now())"),
    ("{absent}", "NULL"),
    ("{absent.seconds}", "NULL::float8"),
    ("{seconds.seconds}", #"(e."s")::float8"#),
    ("{seconds.now}", "floor(extract(epoch from now()))::bigint"),
    ("{milliseconds.seconds}", #"((e."m")::float8 / 1000.0)"#),
    ("{milliseconds.now-300}", "floor((extract(epoch from now()) - 300) * 1000)::bigint"),
    ("{zoned.seconds}", #"date_part('epoch', e."z")"#),
    ("{zoned.now}", "now()"),
    ("{zoned.now-300}", "(now() - interval '300 seconds')"),
    ("{naive.now+7}", "((now() + interval '7 seconds') AT TIME ZONE 'UTC')"),
    ("{paris.seconds}", #"date_part('epoch', e."p" AT TIME ZONE 'Europe/Paris')"#),
    ("{paris.now}", "(now() AT TIME ZONE 'Europe/Paris')"),
    ("{quote.now}", "(now() AT TIME ZONE 'it''s')"),
    ("{text.seconds}", #"date_part('epoch', (e."t")::timestamptz)"#),
  ])
  func `expands for PostgreSQL`(template: String, sql: String) throws {
    #expect(try expand(template, .postgresql) == sql)
  }

  private static let words = QueueSchema(tables: [
    "events": .init(
      reference: "\"ev\"", columns: ["id": "text", "we\"ird col": "shop.mood"],
      enums: ["we\"ird col": .init(words: ["new", "it's done", "Gone", "caf\u{e9}"])])
  ])

  @Test(arguments: [
    ("{odd} = 'new'", "# = 'new'"),
    ("{odd}='new' AND {id} = 'old'", #"#='new' AND e."id" = 'old'"#),
    ("{odd} = 'old'", "(# IS NULL AND NULL)"),
    ("{odd} <> 'old'", "(# IS NOT NULL OR NULL)"),
    ("{odd} != 'new'", "# != 'new'"),
    ("{odd} IN ('new', 'it''s done')", "# IN ('new', 'it''s done')"),
    ("{odd} IN ('old','it''s done' ,\n'new') OR true", "# IN ('it''s done', 'new') OR true"),
    ("{odd} in ('it''s', 'gone')", "(# IS NULL AND NULL)"),
    ("NOT {odd} Not  In ( 'old', 'Gone' )", "NOT # NOT IN ('Gone')"),
    ("{odd} NOT IN ('old')", "(# IS NOT NULL OR NULL)"),
    // Another letter to the database, though it looks the same.
    ("{odd} = 'cafe\u{301}'", "(# IS NULL AND NULL)"),
    ("{odd} = 'caf\u{e9}'", "# = 'caf\u{e9}'"),
    // What is no comparison with words stays what it is.
    ("{odd} = 'old' || {id}", #"# = 'old' || e."id""#),
    ("{odd} = 'old'::text", "# = 'old'::text"),
    ("{odd}::text = 'old'", "#::text = 'old'"),
    ("{odd} IN ('old', {id})", #"# IN ('old', e."id")"#),
    ("{odd} IN (SELECT 'old')", "# IN (SELECT 'old')"),
    ("{odd} = ANY ('{{old}}')", "# = ANY ('{old}')"),
    ("{odd} IS NULL", "# IS NULL"),
    ("{odd} INSTEAD ('old')", "# INSTEAD ('old')"),
    ("{odd} = 'old", "# = 'old"),
    ("{odd} IN ('old'", "# IN ('old'"),
    ("{odd} <= 'old'", "# <= 'old'"),
    ("{odd}", "#"),
    ("{id} IN ('old')", #"e."id" IN ('old')"#),
  ])
  func `words that an enum type lacks are left out, all others stand as they are`(template: String, sql: String) throws
  {
    let expected = sql.split(separator: "#", omittingEmptySubsequences: false).joined(separator: #"e."we""ird col""#)
    let columns = Self.columns.filter { ["id", "odd"].contains($0.key) }
    #expect(try expand(template, .postgresql, columns: columns, schema: Self.words) == expected)
  }

  @Test func `a domain over an enum is compared as the enum`() throws {
    var schema = Self.words
    schema.tables["events"]?.enums["we\"ird col"]?.underDomain = "shop.mood"
    #expect(
      try expand("{odd} IN ('old', 'new')", .postgresql, schema: schema) == #"e."we""ird col"::shop.mood IN ('new')"#)
    #expect(try expand("{odd}", .postgresql, schema: schema) == #"e."we""ird col"::shop.mood"#)
  }

  @Test func `SQL that stays when a word is added compares as text`() throws {
    var template = SQLTemplate(
      queue: TableQueue(tables: Self.tables, columns: Self.columns, selections: []), schema: Self.words,
      dialect: .postgresql, row: "n", oldRow: "o", outlivesSchema: true)
    #expect(
      try template.expand("{odd} NOT IN ('old', 'new') OR {old:odd} = 'old'")
        == #"n."we""ird col"::text NOT IN ('old', 'new') OR o."we""ird col"::text = 'old'"#)
  }

  @Test func `PostgreSQL's types say what a time column holds, whatever the layout believes`() throws {
    let believed: [String: ColumnDefinition] = [
      "a": .column("z", encoding: .unixSeconds), "b": .column("n", encoding: .timestamptz),
      "c": .column("s", encoding: .unixMilliseconds),
    ]
    #expect(try expand("{a.now}", .postgresql, columns: believed) == "now()")
    #expect(try expand("{b.now}", .postgresql, columns: believed) == "(now() AT TIME ZONE 'UTC')")
    #expect(try expand("{c.seconds}", .postgresql, columns: believed) == #"((e."s")::float8 / 1000.0)"#)
  }

  @Test(arguments: [
    ("{nobody}", "{nobody} is no column role"),
    ("{}", "no column role"),
    ("{table:nobody}", "there is no table with the role nobody"),
    ("{table:parents}", "there is no table with the role parents"),
    ("{id.seconds}", "the column role id has no time encoding"),
    ("{seconds.minutes}", "after the dot comes"),
    ("{seconds.now-}", "after the dot comes"),
    ("{seconds.nowish}", "after the dot comes"),
    ("{text.now}", "do not compare as text"),
    ("{circle}", "in a circle"),
    ("open {id", "a brace without its partner"),
    ("close id}", "a brace without its partner"),
  ])
  func `says what is wrong with a template`(template: String, problem: String) {
    #expect {
      _ = try expand(template)
    } throws: { error in
      (error as? LayoutProblem)?.message.contains(problem) == true
    }
  }

  @Test func `a required column that is not there is named with those that are`() {
    #expect(
      throws: LayoutProblem.missingColumn(
        role: "required", name: "gone", table: "ev",
        available: ["f", "id", "m", "n", "p", "s", "t", "we\"ird col", "z"])
    ) { _ = try expand("{required}") }
  }

  @Test func `a naive time has no present in SQLite`() {
    for role in ["zoned", "naive", "paris"] {
      #expect(throws: LayoutProblem.self) { _ = try expand("{\(role).now}") }
    }
  }

  @Test func `used columns are noted by table, subqueries included`() throws {
    var schema = Self.schema
    schema.tables["parents"] = .init(reference: "\"shop\".\"par\"", columns: ["pid": "text", "secret": "text"])
    var template = SQLTemplate(
      queue: TableQueue(tables: Self.tables, columns: Self.columns, selections: []), schema: schema,
      dialect: .postgresql)
    _ = try template.expand("{due.seconds} > {now} AND EXISTS (SELECT FROM {table:parents} p WHERE p.pid = {id})")
    #expect(template.usedColumns == ["events": ["m", "id"], "parents": ["pid"]])
  }
}

@Suite struct `SQL identifier` {
  @Test(arguments: [
    ("plain", #""plain""#),
    ("Camel Case", #""Camel Case""#),
    (#"x"; DROP TABLE y; --"#, #""x""; DROP TABLE y; --""#),
    (#"""#, #""""""#),
    ("", #""""#),
  ])
  func `is only ever a name`(name: String, sql: String) {
    #expect(SQLIdentifier.quoted(name) == sql)
  }

  @Test(arguments: [
    ("table", #""table""#),
    ("shop.orders", #""shop"."orders""#),
    (#""with.dot".orders"#, #""with.dot"."orders""#),
    (#""say ""hi""".t"#, #""say ""hi"""."t""#),
  ])
  func `of a table is quoted part by part`(name: String, sql: String) {
    #expect(SQLIdentifier.quotedPath(name) == sql)
  }

  @Test func `a literal keeps its quotes`() {
    #expect(SQLIdentifier.literal("it's 'so'", .sqlite) == "'it''s ''so'''")
  }
}
