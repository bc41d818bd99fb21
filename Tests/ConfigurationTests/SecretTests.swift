import Configuration
import Layouts
import Outbox
import Testing

struct PrintedConfigurationTests {
  static let file = """
    environment: production
    interval: 30s
    exit_after_failed_cycles: 5
    resource_attributes: {team: "a: b"}
    layouts:
      mine: {systems: [sqlite], queues: [{tables: {events: t}, rows: [{where: "true", state: ready}]}]}
    outboxes:
      - name: orders
        dsn: "postgresql://app:hunter2@db/shop"
        layout: shop
        objective: {age: 60s, target: 0.999}
      - {dsn: "sqlite:/data/*.db", layout: mine}
    export:
      - {endpoint: "https://c/otlp?token=hunter2", headers: {Authorization: Bearer hunter2}, timeout: 0s, compression: gzip}
    """

  @Test func `the configuration in force is printed with its secrets masked [131]`() throws {
    let configuration = try ConfigurationCase(file: Self.file).configuration()
    #expect(
      ConfigurationYAML.text(configuration, catalog: ConfigurationCase.catalog) == """
        environment: production
        interval: 30s
        database_share: 0.01
        exit_after_failed_cycles: 5
        log_level: info
        end_series_on_stop: true
        destinations:
          limit: 100
        spool:
          max_bytes: 67108864
          max_age: 1d
        timeouts:
          connect: 5s
          statement: 5s
          lock: 500ms
        resource_attributes:
          service.name: outbox-exporter
          team: "a: b"
        outboxes:
          - name: orders
            dsn: "•••"
            layout: shop
            objective:
              age: 1m
              target: 0.999
            limits:
              age:
                warning: 5m
                critical: 15m
              dead:
                warning: 1
          - name: mine
            dsn: "sqlite:/data/*.db"
            layout:
              name: mine
              systems: [sqlite]
              queues:
                - tables:
                    events: t
                  rows:
                    - where: true
                      state: ready
        export:
          - url: "https://c/otlp/v1/metrics?•••"
            protocol: http/protobuf
            headers:
              Authorization: "•••"
            timeout: 0s
            compression: gzip

        """)
  }

  @Test func `what is printed can be read again`() throws {
    let configuration = try ConfigurationCase(file: Self.file).configuration()
    let printed = ConfigurationYAML.text(configuration, catalog: ConfigurationCase.catalog)
    // The masks are no DSN and no URL; everything else has to be the same.
    let mended = printed.replacing("dsn: \"•••\"", with: "dsn: \"postgresql://app:hunter2@db/shop\"")
      .replacing("?•••", with: "?token=hunter2").replacing("\"•••\"", with: "Bearer hunter2")
    #expect(try ConfigurationCase(file: mended).configuration() == configuration)
  }

  @Test func `a value that holds a secret shows it in no way of printing`() throws {
    var configuration = try ConfigurationCase(file: Self.file).configuration()
    #expect(configuration.outboxes.first?.address == .postgresql(Secret("postgresql://app:hunter2@db/shop")))
    #expect(!"\(configuration)".contains("hunter2"))
    #expect(!String(reflecting: configuration).contains("hunter2"))
    configuration.outboxes[0].name = "shown"
    #expect("\(configuration)".contains("shown"))
  }

  /// Every place where a secret may stand, each in a configuration that is also wrong.
  @Test(arguments: [
    "dsn: hunter2", "dsn: \"hunter2:hunter2@host/db\"", "dsn: \"mysql://u:hunter2@h\"", "dsn: [hunter2]",
    "dsn: {hunter2: 1}",
    "dsn: \"${env:SECRET}\"", "dsn_file: file", "layout: \"${env:SECRET}\"", "name: [\"hunter2\"]",
    "objective: {age: \"${env:SECRET}\", target: \"${env:SECRET}\"}", "limits: {ready: {warning: \"${env:SECRET}\"}}",
    "hunter2@host: 1", "dsn: \"${env:hunter2 }\"", "dsn: \"${hunter2}\"", "dsn: hunter2: x", "dsn: \"hunter2",
  ])
  func `no message repeats a secret [131]`(line: String) {
    let input = ConfigurationCase(
      file: "outboxes:\n  - \(line)\n    tables: {\"hunter2@\": x}\n", ["SECRET": "hunter2"], files: ["file": "hunter2"]
    )
    let problems = input.problems()
    #expect(!problems.isEmpty)
    #expect(!problems.description.contains("hunter2"))
  }
}

struct CatalogTests {
  @Test func `every flag, variable and key is listed once and explained`() {
    for list in [ConfigurationCatalog.flags, ConfigurationCatalog.variables, ConfigurationCatalog.fileKeys] {
      #expect(Set(list.map(\.name)).count == list.count)
      #expect(list.allSatisfy { !$0.meaning.isEmpty })
    }
  }

  /// A key that is listed is one that the file may have: each is put into a file where nothing else is wrong, and none
  /// may be called unknown.
  @Test(arguments: ConfigurationCatalog.fileKeys.map(\.name))
  func `every key that is listed is known`(key: String) {
    var text = "[]"
    for part in key.split(separator: ".").reversed() {
      let name = part.filter { $0 != "[" && $0 != "]" }.replacing("<", with: "").replacing(">", with: "")
      text = part.hasSuffix("[]") ? "{\(name): [\(text)]}" : "{\(name): \(text)}"
    }
    let problems = ConfigurationCase(file: text).problems()
    #expect(!problems.contains { $0.contains("unknown key") })
  }
}
