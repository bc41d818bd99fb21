import Layouts
import Outbox
import SampleSQL
import Testing

/// Rows that nobody has changed give the same figures, unless the layout's SQL asks for something else than the rows.
@Suite struct `Steady SQL` {
  private static let queue = TableQueue(
    tables: ["events": TableName("ev"), "dead": TableName("dl")],
    columns: [
      "id": .column("id"), "state": .column("st"), "due": .column("due_at", encoding: .unixSeconds),
      "dead_id": .column("id", table: "dead"),
    ],
    stateColumn: "state", knownStates: ["new", "done"],
    selections: [Selection(rows: "{state} = 'new'", state: .ready, since: "{due.seconds}")])

  private static let schema = QueueSchema(tables: [
    "events": .init(
      reference: "\"ev\"", columns: ["id": "integer", "st": "text", "due_at": "integer", "doc": "jsonb", "u": "text"]),
    "dead": .init(reference: "\"dl\"", columns: ["id": "integer"]),
  ])

  @Test(arguments: [
    ("true", true), ("{due} < 7 AND NOT ({state} IN ('new', 'unknown', 'it''s') OR {due} IS NULL)", true),
    ("CASE WHEN COALESCE({due}, 0) > -1.5 THEN {state}::text LIKE 'x%' ELSE {due}::numeric BETWEEN 1 AND 2 END", true),
    ("{doc} ->> 'now and then' = 'x'", false), ("{due} < 'now'", false), ("{due} > 'Yesterday'", false),
    ("now() > '2026-01-01'", false), ("CURRENT_TIMESTAMP IS NOT NULL", false), ("{due} < random ()", false),
    ("{due.now} > {due}", false), ("{now} > {due.seconds}", false), ("{moment} IS NULL", false),
    ("'2026-01-01'::timestamptz > {due}", false), ("{state} = E'new'", false),
    ("{state} = 'a\\' OR now() > 'b'", false),
    ("{state} = $$now$$", false), ("\"now\"() > {due}", false), ("{due} > 0 /* ' */", false), ("{due} > 0 -- '", false),
    ("EXISTS (SELECT FROM {table:dead} d WHERE d.id = {id})", false), ("{written.seconds} > 0", false),
    ("{{ now() }}", false), ("{state} = '{due}'", false), ("pg_sleep IS NULL", false), ("naïve({due})", false),
  ])
  func `of a layout's own SQL it is known that it is steady, or it counts as unsteady`(
    rows: String, isSteady: Bool
  ) throws {
    var queue = Self.queue
    queue.columns["doc"] = .column("doc")
    queue.columns["moment"] = .expression("clock_timestamp()")
    queue.columns["written"] = .column("u", encoding: .iso8601)
    queue.selections[0].rows = rows
    #expect(try SampleQuery(queue: queue, schema: Self.schema, dialect: .postgresql).isSteady == isSteady)
  }

  @Test func `a template counts wherever it stands`() throws {
    let harmful = "random() > 0"
    let changes: [(inout TableQueue) -> Void] = [
      { $0.destination = harmful }, { $0.selections[0].only = harmful }, { $0.selections[0].retry = harmful },
      { $0.selections[0].since = harmful }, { $0.selections[0].destination = harmful },
      { $0.selections[0].until = .init(harmful, .scheduled) },
      { $0.selections[0].stuck = .init(.leaseExpired, rows: harmful, since: "{due.seconds}") },
      { $0.selections[0].stuck = .init(.leaseExpired, since: harmful) },
    ]
    for change in changes {
      var changed = Self.queue
      change(&changed)
      #expect(try !SampleQuery(queue: changed, schema: Self.schema, dialect: .postgresql).isSteady)
    }
    // What is only shown changes no figure.
    var shown = Self.queue
    shown.selections[0].id = harmful
    #expect(try SampleQuery(queue: shown, schema: Self.schema, dialect: .postgresql).isSteady)
    var covered = Self.queue
    covered.untilCoversClock = true
    covered.selections[0].rows = "{due} <= {due.now}"
    #expect(try SampleQuery(queue: covered, schema: Self.schema, dialect: .postgresql).isSteady)
  }
}
