import Configuration
import Layouts
import Outbox
import Testing

struct UserLayoutTests {
  /// A layout with every field set, and with texts that a careless writer would break.
  static let full = Layout(
    name: "my-orders", summary: "orders: \"ours\", since # 2", systems: [.postgresql, .sqlite],
    queues: [
      TableQueue(
        suffix: "main",
        tables: ["events": TableName("shop.\"out.box\""), "dead": TableName("shop.dead", optional: true)],
        columns: [
          "id": .column("id"), "state": .column("null"), "created": .column("created_at", encoding: .timestamptz),
          "due": .column("next attempt", encoding: .naiveUTC, optional: true),
          "entry": .column("entry_json"), "attempts": .column("n"), "status": .column("s"), "topic": .column("t"),
          "lease": .expression("json_extract({entry}, '$.availableAt')", encoding: .unixMilliseconds),
          "zone": .column("z", encoding: .naive(zone: "Europe/Paris")),
          "iso": .column("i", table: "dead", encoding: .iso8601, optional: true),
          "seconds": .column("s", encoding: .unixSeconds), "fraction": .column("f", encoding: .unixFractionalSeconds),
          "literal": .expression("'${{env:NOT}}' || '$${{' || '\\ \" é \u{85} \u{2028} 🦜'\n  || E'\\t\t'"),
        ],
        stateColumn: "state", knownStates: ["pending", "true", "", " x", "0", "~", "- a", "a: b", "[c]"],
        destination: "{topic}",
        untilCoversClock: true,
        selections: [
          Selection(
            rows: "{status} = 'pending'", state: .ready, until: .init("{due.seconds}", .scheduled),
            retry: "{attempts} > 0", since: "{created.seconds}",
            stuck: .init(.leaseExpired, rows: "{lease} IS NOT NULL", since: "{lease.seconds}"),
            destination: "lower({topic})", id: "{id} || ''"),
          Selection(rows: "true", state: .parked, since: nil, stuck: .init(.unclaimable, since: "{created.seconds}")),
          Selection(table: "dead", rows: "true", state: .dead, since: nil, id: nil),
        ]),
      TableQueue(
        tables: ["events": TableName("t")], columns: [:],
        selections: [Selection(rows: "1", state: .unknown, since: "2", id: nil)]),
    ],
    createdLazily: true,
    limits: Limits(
      age: .init(warning: .milliseconds(90_500), critical: .seconds(3600)), ready: .init(warning: 1),
      stuck: .init(critical: 2), dead: .init(warning: 11, critical: 101)),
    sources: ["https://example.com/a#b", "src/x.ts"], notes: ["one, two", "%three", "@four `five`", "six: #7 "])

  static let directory = Layout(
    name: "queue.1", summary: "", systems: [.files],
    directory: DirectoryQueue(
      fileSuffix: ".json", deadDirectory: "failed",
      fields: .init(
        id: ["id"], created: ["enqueuedAt", "createdAt"], attempts: ["retryCount"], lastAttempt: ["lastAttemptAt"],
        claimed: [], recoveryState: ["recoveryState"], destination: ["channel"]),
      backoff: [.zero, .seconds(5), .seconds(125)], maxAttempts: 5,
      claimedStates: ["send_attempt_started": .leaseExpired, "unknown_after_send": .unclaimable],
      lease: .seconds(300), deliveredSuffix: ".done", removal: .delivered))

  /// What the parser makes of a layout's text, used by an outbox that asks for it by name.
  func parsed(_ text: String, name: String, dsn: String) throws -> Layout? {
    let input = ConfigurationCase(file: text, ["OUTBOX_DSN": dsn, "OUTBOX_LAYOUT": name])
    return try input.configuration().outboxes.first?.layout
  }

  @Test func `a layout that is written is read as it was`() throws {
    #expect(try parsed(LayoutYAML.text(Self.full), name: "my-orders", dsn: "sqlite:a.db") == Self.full)
    #expect(try parsed(LayoutYAML.text(Self.directory), name: "queue.1", dsn: "files:a") == Self.directory)
    for layout in ConfigurationCase.catalog where layout.name != "twins" {
      let dsn = layout.systems.contains(.files) ? "files:a" : "sqlite:a.db"
      // The layout of the file stands before the built-in one of its name, so this is not the catalogue's.
      #expect(try parsed(LayoutYAML.text(layout), name: layout.name, dsn: dsn) == layout)
    }
  }

  /// What `outbox-exporter layouts NAME` prints is meant to be copied into a file.
  @Test(arguments: LayoutCatalog.builtIn)
  func `a built-in layout that is written is read as it was`(layout: Layout) throws {
    let dsns: [StoreSystem: String] = [.postgresql: "service=a", .sqlite: "sqlite:a.db", .files: "files:a"]
    for system in layout.systems {
      let dsn = try #require(dsns[system])
      #expect(try parsed(LayoutYAML.text(layout), name: layout.name, dsn: dsn) == layout)
    }
  }

  @Test func `any text survives being written and read`() throws {
    let parts = [
      "a", " ", "'", "\"", "\\", "\n", "\t", ":", "#", "-", "{", "}", "[", "]", ",", "&", "*", "!", "|", ">", "%", "@",
      "`",
      "$", "${", "$${", "${env:X}", "é", "\u{0}1", "\u{7F}", "\u{FEFF}", "🦜", "\r\n", "null", "~", "?", "=",
    ]
    var generator = SplitMix(state: 42)
    for _ in 0..<2000 {
      let text = (0..<Int.random(in: 1...6, using: &generator)).map { _ in parts.randomElement(using: &generator)! }
        .joined()
      // Braces mean something in a template, and a template that is wrong is refused.
      let template = text.replacing("{", with: "{{").replacing("}", with: "}}")
      var layout = Layout(
        name: "l", summary: text, systems: [.sqlite],
        queues: [
          TableQueue(
            tables: ["events": TableName("t")], columns: ["id": .column(text)], knownStates: [text, text],
            selections: [Selection(rows: template, state: .ready, since: template)])
        ], notes: [text])
      layout.queues[0].destination = template
      #expect(try parsed(LayoutYAML.text(layout), name: "l", dsn: "sqlite:a.db") == layout)
    }
  }

  @Test func `a layout is written for people`() {
    let text = LayoutYAML.text(Self.directory)
    #expect(
      text == """
        layouts:
          queue.1:
            systems: [files]
            directory:
              file_suffix: ".json"
              dead_directory: failed
              fields:
                id: [id]
                created: [enqueuedAt, createdAt]
                attempts: [retryCount]
                last_attempt: [lastAttemptAt]
                recovery_state: [recoveryState]
                destination: [channel]
              backoff: [0s, 5s, 2m5s]
              max_attempts: 5
              claimed_states:
                send_attempt_started: lease_expired
                unknown_after_send: unclaimable
              lease: 5m
              delivered_suffix: ".done"
              removal: delivered

        """)
  }

  @Test func `a layout stands at its outbox too`() throws {
    let file = """
      outboxes:
        - name: orders
          dsn: "sqlite:a.db"
          layout:
            queues:
              - tables: {events: shop.outbox, dead: {name: shop.dead, optional: true}}
                columns:
                  id: id
                  status: status
                  created: {column: created_at, encoding: timestamptz}
                  failed: {column: failed_at, table: dead, encoding: "naive:Europe/Paris"}
                  due: {column: next_attempt_at, encoding: naive_utc, optional: true}
                  entry: entry_json
                  attempts: attempts
                  topic: topic
                  lease: {sql: "json_extract({entry}, '$.availableAt')", encoding: unix_milliseconds}
                state_column: status
                known_states: [pending, sent]
                destination: "{topic}"
                rows:
                  - where: "{status} = 'pending'"
                    state: ready
                    until: {time: "{due.seconds}", state: scheduled}
                    retry: "{attempts} > 0"
                    since: "{created.seconds}"
                    stuck: {reason: lease_expired, when: "{lease} > 0", since: "{lease.seconds}"}
                  - {table: dead, where: "true", state: dead, since: "{failed.seconds}", id: null}
      """
    let expected = Layout(
      name: "orders", summary: "", systems: [.postgresql, .sqlite],
      queues: [
        TableQueue(
          tables: ["events": TableName("shop.outbox"), "dead": TableName("shop.dead", optional: true)],
          columns: [
            "id": .column("id"), "status": .column("status"), "created": .column("created_at", encoding: .timestamptz),
            "failed": .column("failed_at", table: "dead", encoding: .naive(zone: "Europe/Paris")),
            "due": .column("next_attempt_at", encoding: .naiveUTC, optional: true),
            "entry": .column("entry_json"), "attempts": .column("attempts"), "topic": .column("topic"),
            "lease": .expression("json_extract({entry}, '$.availableAt')", encoding: .unixMilliseconds),
          ],
          stateColumn: "status", knownStates: ["pending", "sent"], destination: "{topic}",
          selections: [
            Selection(
              rows: "{status} = 'pending'", state: .ready, until: .init("{due.seconds}", .scheduled),
              retry: "{attempts} > 0", since: "{created.seconds}",
              stuck: .init(.leaseExpired, rows: "{lease} > 0", since: "{lease.seconds}")),
            Selection(table: "dead", rows: "true", state: .dead, since: "{failed.seconds}", id: nil),
          ])
      ])
    #expect(try ConfigurationCase(file: file).configuration().outboxes.map(\.layout) == [expected])
  }

  @Test(arguments: [
    (
      "{statsu} = 1", "true",
      "{statsu} is no column role; the roles are created, status, text"
    ),
    ("{table:dead} = 1", "true", "there is no table with the role dead"),
    ("true", "{status.seconds}", "the column role status has no time encoding"),
    ("{text.now} > 1", "true", "times kept as text do not compare as text; compare {text.seconds} with {now}"),
    ("{status", "true", "it has a brace without its partner; write {{ or }} for a brace"),
    ("{status} = '${env:SECRET}' {x}", "true", "{x} is no column role; the roles are created, status, text"),
  ])
  func `a template that no database can be asked is a mistake`(rows: String, since: String, cause: String) {
    let file = """
      layouts:
        mine:
          systems: [sqlite]
          queues:
            - tables: {events: t}
              columns: {status: s, created: {column: c, encoding: unix_seconds}, text: {column: x, encoding: iso8601}}
              rows: [{where: "\(rows)", state: ready, since: "\(since)", id: null}]
      """
    #expect(
      ConfigurationCase(file: file, ConfigurationCase.watched.merging(["SECRET": "hunter2"]) { $1 }).problems() == [
        "outbox.yaml:5:9: a template of the queue is wrong: \(cause) (see `outbox-exporter layouts NAME` for working examples)"
      ])
  }

  @Test func `mistakes in a layout have their places`() {
    let file = """
      layouts:
        a:
          systems: [oracle, files]
          queues:
            - suffix: one
              tables: {event: t}
              columns: {id: {column: a, sql: b}, due: {column: d, encoding: unix_second}, "a b": c, x: {column: x, table: y}}
              state_column: stat
              rows:
                - {state: delivered, where: "true"}
                - {where: "true", state: ready, until: {time: now}, stuck: {reason: tired}}
            - {suffix: one, tables: {events: t}, rows: []}
        b: {summary: nothing}
        c: {directory: {file_suffix: .json, feilds: {}}}
      """
    #expect(
      ConfigurationCase(file: file, ConfigurationCase.watched).problems() == [
        "outbox.yaml:3:15: `oracle` is not known here (known are `postgresql`, `sqlite`)",
        "outbox.yaml:3:23: `files` is not known here (known are `postgresql`, `sqlite`)",
        "outbox.yaml:5:7: two queues have the same `suffix` (each queue becomes an outbox with a name of its own)",
        "outbox.yaml:5:9: the queue has no table `events` (write tables: {events: NAME})",
        "outbox.yaml:7:23: a column needs either `column` or `sql` (`column` for a name, `sql` for an expression)",
        "outbox.yaml:7:71: `unix_second` is not a time encoding (did you mean `unix_seconds`?)",
        "outbox.yaml:7:85: a role has to be a word of letters, digits and `_`",
        "outbox.yaml:7:117: `table` names no table role (known are `event`)",
        "outbox.yaml:8:23: `state_column` names no column role (known are `due`, `x`)",
        "outbox.yaml:10:21: `delivered` is not known here (known are `ready`, `scheduled`, `claimed`, `parked`, `dead`, `unknown`)",
        "outbox.yaml:11:50: `state` is missing",
        "outbox.yaml:11:70: `since` is missing",
        "outbox.yaml:11:79: `tired` is not known here (known are `lease_expired`, `attempts_exhausted`, `unclaimable`)",
        "outbox.yaml:12:9: the queue has no `rows` (write which rows are in which state)",
        "outbox.yaml:13:6: the layout needs either `queues` or `directory` (`queues` for tables, `directory` for files)",
        "outbox.yaml:14:18: `dead_directory` is missing",
        "outbox.yaml:14:18: `lease` is missing",
        "outbox.yaml:14:39: unknown key `feilds` (did you mean `fields`?)",
      ])
  }
}

/// A generator that gives the same texts in every run.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
