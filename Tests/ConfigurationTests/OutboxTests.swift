import Configuration
import Layouts
import Outbox
import Testing

struct OutboxSettingsTests {
  @Test func `the file lists outboxes`() throws {
    let file = """
      outboxes:
        - name: orders
          dsn: "postgresql://app:${env:DB_PASSWORD}@db/shop"
          layout: shop
          tables: {events: shop.outbox_events, dead: shop.dead_letters}
          columns: {destination: channel}
          objective: {age: 60s, target: 0.999}
          limits: {age: {warning: 1m}, ready: {warning: 1000}, stuck: {critical: 5}, dead: {warning: never, critical: 10}}
        - dsn_file: /run/secrets/dsn
          layout: folder
      """
    let input = ConfigurationCase(
      file: file, ["DB_PASSWORD": "hunter2", "HOME": "/home/me"], files: ["/run/secrets/dsn": "files:~/queue\n"])
    let outboxes = try input.configuration().outboxes
    #expect(outboxes.map(\.name) == ["orders", "folder"])
    let orders = try #require(outboxes.first)
    #expect(orders.address == .postgresql(Secret("postgresql://app:hunter2@db/shop")))
    #expect(orders.objective == Objective(age: .seconds(60), target: 0.999))
    #expect(
      orders.limits
        == Limits(
          age: .init(warning: .seconds(60), critical: .seconds(900)), ready: .init(warning: 1000),
          stuck: .init(critical: 5), dead: .init(critical: 10)))
    #expect(
      orders.layout.queues.first?.tables == [
        "events": TableName("shop.outbox_events"), "dead": TableName("shop.dead_letters"),
      ])
    #expect(orders.layout.queues.first?.columns["destination"] == .column("channel"))
    #expect(outboxes.last?.address == .files(path: "/home/me/queue"))
    #expect(outboxes.last?.layout == ConfigurationCase.catalog[2])
  }

  @Test func `flags and variables name one outbox in place of the file's`() throws {
    let file = "outboxes: [{dsn: \"${env:MISSING}\", layout: none}]"
    var input = ConfigurationCase(
      file: file, ["OUTBOX_DSN": "postgresql://u:p@h/db", "OUTBOX_LAYOUT": "shop", "OUTBOX_NAME": "a"])
    #expect(
      try input.configuration().outboxes == [
        OutboxDefinition(
          name: "a", address: .postgresql(Secret("postgresql://u:p@h/db")), layout: ConfigurationCase.catalog[0])
      ])
    input.flags.dsn = Secret("files:/queue")
    input.flags.layout = "folder"
    input.flags.name = "b"
    #expect(
      try input.configuration().outboxes == [
        OutboxDefinition(name: "b", address: .files(path: "/queue"), layout: ConfigurationCase.catalog[2])
      ])
  }

  @Test func `a password in a flag is refused`() {
    let input = ConfigurationCase {
      $0.dsn = Secret("postgresql://u:hunter2@h/db")
      $0.layout = "shop"
    }
    #expect(
      input.problems() == [
        "--dsn: a password must not stand in a flag, where every user of the machine can read it (use OUTBOX_DSN, "
          + "`dsn_file` in a configuration file, PGPASSFILE or a service file)"
      ])
  }

  @Test(
    arguments: [
      ([:], "configuration: no outbox is configured"),
      (
        ["OUTBOX_DSN": "sqlite:a.db"],
        "OUTBOX_DSN: the DSN has no layout beside it (set OUTBOX_LAYOUT or --layout: one of `shop`)"
      ),
      (["OUTBOX_LAYOUT": "shop"], "OUTBOX_LAYOUT: is set, but no DSN is"),
      (
        ["OUTBOX_DSN": "sqlite:a.db", "OUTBOX_LAYOUT": "sohp"],
        "OUTBOX_LAYOUT: the layout `sohp` is not known (did you mean `shop`?"
      ),
      (
        ["OUTBOX_DSN": "sqlite:a.db", "OUTBOX_LAYOUT": "other"],
        "OUTBOX_LAYOUT: the layout `other` is not known (known are `shop`, `twins`, `folder`"
      ),
      (
        ["OUTBOX_DSN": "sqlite:a.db", "OUTBOX_LAYOUT": "twins"],
        "OUTBOX_LAYOUT: the layout `twins` does not fit the DSN, which is of kind sqlite (it takes postgresql://user@host/database)"
      ),
      (["OUTBOX_DSN": "mysql://h/db", "OUTBOX_LAYOUT": "shop"], "OUTBOX_DSN: `mysql:` is not supported"),
      (["OUTBOX_DSN": "sqlite:~/a.db", "OUTBOX_LAYOUT": "shop"], "OUTBOX_DSN: `~` is used, but HOME is not set"),
    ] as [([String: String], String)])
  func `what is missing or does not fit is said`(environment: [String: String], problem: String) {
    let problems = ConfigurationCase(environment).problems()
    #expect(problems.count == 1)
    #expect(problems.first?.hasPrefix(problem) == true)
  }

  @Test(arguments: [
    ("{layout: shop}", "2:5: `dsn` is missing"),
    ("{dsn: \"sqlite:a\"}", "2:5: `layout` is missing (one of `shop`)"),
    ("{dsn: \"sqlite:a\", dsn_file: f, layout: shop}", "2:33: both `dsn` and `dsn_file` are set"),
    ("{dsn_file: gone, layout: shop}", "2:16: the file cannot be read: No such file or directory"),
    ("{dsn: hunter2, layout: shop}", "2:11: this is not a DSN"),
    ("{dsn: \"sqlite:a\", layout: folder}", "2:31: the layout `folder` does not fit the DSN, which is of kind sqlite"),
    (
      "{dsn: \"sqlite:a\", layout: shop, tables: {evnets: x}}",
      "2:46: the layout `shop` has no table role `evnets` (did you mean `events`?"
    ),
    (
      "{dsn: \"sqlite:a\", layout: shop, columns: {zebra: x}}",
      "2:47: the layout `shop` has no column role `zebra` (its roles are `destination`, `id`)"
    ),
    (
      "{dsn: \"files:a\", layout: folder, tables: {events: x}}",
      "2:47: the layout `folder` has no table role `events` (it has none)"
    ),
    (
      "{dsn: service=a, layout: twins, tables: {events: x}}",
      "2:46: the layout `twins` has several queues with a table role `events` (say which: `first.events`, `second.events`)"
    ),
    ("{dsn: \"sqlite:a\", layout: shop, objective: {age: 1m}}", "2:48: an objective needs `age` and `target`"),
    (
      "{dsn: \"sqlite:a\", layout: shop, objective: {age: 1m, target: 99.9}}",
      "2:66: `99.9` is not a share above 0 and at most 1"
    ),
    ("{dsn: \"sqlite:a\", layout: shop, objective: {age: 0s, target: 1}}", "2:54: the age has to be more than zero"),
    (
      "{dsn: \"sqlite:a\", layout: shop, limits: {age: {warning: 1h}}}",
      "2:51: the warning limit of `age` is beyond its critical limit"
    ),
    ("{dsn: \"sqlite:a\", layout: shop, limits: {ready: {warning: 0}}}", "2:63: `0` is not a whole number from 1 up"),
    ("{dsn: \"sqlite:a\", layout: shop, limits: {depth: {warning: 1}}}", "2:46: unknown key `depth`"),
    ("{dsn:postgres://u:hunter2@h/db, layout: shop}", "2:6: unknown key (known are"),
  ])
  func `a mistake in an outbox has its place`(outbox: String, problem: String) {
    let problems = ConfigurationCase(file: "outboxes:\n  - \(outbox)").problems()
    #expect(problems.contains { $0.hasPrefix("outbox.yaml:\(problem)") })
    #expect(problems.count == (outbox.contains("hunter2@") ? 2 : 1))
    #expect(!problems.description.contains("hunter2"))
  }

  @Test func `a name is there once`() {
    let file = """
      outboxes:
        - {dsn: "sqlite:a.db", layout: shop}
        - {dsn: "sqlite:b.db", layout: shop}
      """
    #expect(
      ConfigurationCase(file: file).problems() == [
        "outbox.yaml:3:5: the outbox name `shop` is taken by the outbox at outbox.yaml:2:5 (give each outbox a `name`)"
      ])
  }

  @Test func `overrides reach the queue that is meant`() throws {
    let twins = ConfigurationCase.catalog[1]
    let tables = try twins.naming(table: "second.events", "s.two")
    #expect(tables.queues.map { $0.tables["events"]?.name } == ["first", "s.two"])
    let one = try twins.naming(column: "first.destination", "topic")
    #expect(one.queues.map { $0.columns["destination"]?.value } == [.column("topic"), .expression("'second'")])
    let both = try twins.naming(column: "destination", "topic")
    #expect(both.queues.allSatisfy { $0.columns["destination"]?.value == .column("topic") })
    var alternatives = twins
    for index in alternatives.queues.indices { alternatives.queues[index].suffix = nil }
    let first = try alternatives.naming(table: "events", "mine")
    #expect(first.queues.map { $0.tables["events"]?.name } == ["mine", "second"])
    #expect(throws: LayoutOverrideError.unknownRole("third.events", known: ["events"])) {
      try twins.naming(table: "third.events", "x")
    }
  }
}
