import TestSupport
import Testing

/// What a user can get wrong before anything is sampled: one clear message each, on standard error alone, and the exit
/// code of sysexits.h.
@Suite struct `Mistakes on the command line` {
  struct Mistake: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var arguments: [String] = ["--once"]
    var environment: [String: String] = [:]
    var file: String?
    var code: Int32 = 78
    let words: [String]

    init(
      _ description: String, _ arguments: [String] = ["--once"], _ environment: [String: String] = [:],
      file: String? = nil, code: Int32 = 78, says words: [String]
    ) {
      testDescription = description
      self.arguments = arguments
      self.environment = environment
      self.file = file
      self.code = code
      self.words = words
    }
  }

  private static let secret = CommandFixture.secret
  private static let outbox = ["--once", "--dsn", "sqlite:outbox.sqlite", "--layout", "praisonai"]

  static let usage: [Mistake] = [
    Mistake("an unknown flag", ["--bogus"], code: 64, says: ["--bogus", "run --help"]),
    Mistake("a flag that is nearly right", ["--onse"], code: 64, says: ["--onse", "--once"]),
    Mistake("an unknown subcommand", ["layout"], code: 64, says: ["layout", "--help"]),
    Mistake("a flag without its value", ["--once", "--dsn"], code: 64, says: ["--dsn"]),
    Mistake("a format that is not there", ["--once", "--format", "xml"], code: 64, says: ["xml", "text", "json"]),
    Mistake("a layout to print that is not there", ["layouts", "kafka"], code: 64, says: ["kafka", "praisonai"]),
    Mistake(
      "a DSN as a stray argument", ["--once", "postgresql://shop:\(secret)@db/shop"], code: 64, says: ["Unexpected"]),
    Mistake("a DSN with blanks as a stray argument", ["host=db password=\(secret)"], code: 64, says: ["Unexpected"]),
  ]

  static let settings: [Mistake] = [
    Mistake("nothing to watch", says: ["no outbox is configured", "OUTBOX_DSN"]),
    Mistake(
      "an unknown layout", ["--once", "--dsn", "sqlite:a.db", "--layout", "nope"],
      says: ["--layout", "`nope`", "kaireon", "outbox-exporter layouts"]),
    Mistake(
      "a layout that is nearly right", ["--once", "--dsn", "sqlite:a.db", "--layout", "praisonal"],
      says: ["did you mean `praisonai`"]),
    Mistake(
      "no layout", ["--once", "--dsn", "sqlite:a.db"],
      says: ["--dsn", "no layout", "OUTBOX_LAYOUT", "`praisonai`"]),
    Mistake(
      "a layout for another kind of store", ["--once", "--dsn", "sqlite:a.db", "--layout", "kaireon"],
      says: ["--layout", "kaireon", "sqlite", "postgresql://"]),
    Mistake(
      "a password in the user part of --dsn",
      ["--once", "--dsn", "postgresql://shop:\(secret)@db/shop", "--layout", "kaireon"],
      says: ["--dsn", "password", "OUTBOX_DSN", "dsn_file", "PGPASSFILE"]),
    Mistake(
      "a password in the query of --dsn",
      ["--once", "--dsn", "postgresql://shop@db/shop?password=\(secret)", "--layout", "kaireon"],
      says: ["--dsn", "password", "dsn_file"]),
    Mistake(
      "a password in a conninfo", ["--once", "--dsn", "host=db user=shop password='\(secret)'", "--layout", "kaireon"],
      says: ["--dsn", "password", "dsn_file"]),
    Mistake(
      "a connection URL that cannot be read", ["--once", "--layout", "kaireon"],
      ["OUTBOX_DSN": "postgresql://shop:\(secret)@db:port/shop"], says: ["the DSN of kaireon", "host or port", "%40"]),
    Mistake(
      "a connection string that cannot be read", ["--once", "--layout", "kaireon"],
      ["OUTBOX_DSN": "host=db pass word=\(secret)"], says: ["the DSN of kaireon", "keyword=value"]),
    Mistake(
      "a store that is not supported", ["--once", "--layout", "kaireon"],
      ["OUTBOX_DSN": "mysql://root:\(secret)@db/shop"], says: ["OUTBOX_DSN", "mysql", "postgresql://"]),
    Mistake(
      "a DSN without its scheme", ["--once", "--layout", "kaireon"], ["OUTBOX_DSN": "shop:\(secret)@db/shop"],
      says: ["OUTBOX_DSN", "postgresql://"]),
    Mistake("an interval that is none", outbox + ["--interval", "soon"], says: ["--interval", "`soon`", "15s"]),
    Mistake("an endpoint of another kind", outbox + ["--endpoint", "ftp://h"], says: ["--endpoint", "http"]),
    Mistake(
      "an endpoint without a scheme", outbox + ["--endpoint", "collector:4318"], says: ["--endpoint", "http://"]),
    Mistake(
      "an endpoint with a wrong port", outbox + ["--endpoint", "http://collector:port"], says: ["--endpoint", "65535"]),
    Mistake(
      "an endpoint with a password", outbox, ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:\(secret)@collector:4318"],
      says: ["OTEL_EXPORTER_OTLP_ENDPOINT", "password", "OTEL_EXPORTER_OTLP_HEADERS"]),
    Mistake(
      "certificates that are not there", outbox, ["OTEL_EXPORTER_OTLP_CERTIFICATE": "nowhere.pem"],
      says: ["OTEL_EXPORTER_OTLP_CERTIFICATE", "No such file"]),
  ]

  static let files: [Mistake] = [
    Mistake("no such file", ["--once", "--config", "nowhere.yaml"], says: ["--config", "No such file", "path"]),
    Mistake(
      "malformed YAML", file: "outboxes:\n  - name: x\n   dsn: y\n", says: ["outbox.yaml:3:4: ", "expected '-'"]),
    Mistake(
      "YAML that never ends a quote", file: "environment: \"production\ninterval: 15s\n", says: ["outbox.yaml:"]),
    Mistake(
      "an unknown key", file: "outboxs: []\n", says: ["outbox.yaml:1:1: ", "`outboxs`", "did you mean `outboxes`"]),
    Mistake(
      "a variable that is not set", file: "environment: ${env:NOT_SET_ANYWHERE}\n",
      says: ["outbox.yaml:1:14: ", "`NOT_SET_ANYWHERE` is not set"]),
    Mistake(
      "a file of secrets that is not there",
      file:
        "outboxes: [{dsn_file: nowhere, layout: kaireon}]\nexport: [{endpoint: \"http://h\", headers_file: none}]\n",
      says: ["outbox.yaml:1:23: ", "outbox.yaml:2:", "No such file"]),
    Mistake(
      "a table that the layout does not have",
      file: "outboxes: [{dsn: \"host=db password=\(secret)\", layout: kaireon, tables: {event: x}}]\n",
      says: ["outbox.yaml:1:", "event", "did you mean `events`"]),
    Mistake(
      "two outboxes of one name",
      file: "outboxes: [{dsn: \"sqlite:a\", layout: praisonai}, {dsn: \"sqlite:b\", layout: praisonai}]\n",
      says: ["outbox.yaml:1:", "`praisonai` is taken", "`name`"]),
    Mistake(
      "a layout whose SQL names no column",
      file: """
        outboxes: [{dsn: "sqlite:a", layout: mine}]
        layouts:
          mine:
            queues: [{tables: {events: t}, columns: {id: id}, rows: [{where: "{status} = 1", state: ready}]}]
        """, says: ["outbox.yaml:4:", "{status}"]),
  ]

  private func check(_ mistake: Mistake) throws {
    let fixture = try CommandFixture()
    let configured = try mistake.file.map { try fixture.configured($0) } ?? []
    let outcome = try fixture.run(mistake.arguments + configured, environment: mistake.environment)
    #expect(outcome.code == mistake.code, "\(outcome)")
    #expect(outcome.output == "")
    for word in mistake.words { #expect(outcome.error.contains(word), "\(word) is not in \(outcome.error)") }
    if mistake.code == 78 { #expect(outcome.error.contains("nothing was sampled")) }
  }

  @Test(arguments: usage) func `wrong usage ends with 64`(_ mistake: Mistake) throws { try check(mistake) }

  @Test(arguments: settings) func `a wrong setting ends with 78`(_ mistake: Mistake) throws { try check(mistake) }

  @Test(arguments: files) func `a wrong file ends with 78`(_ mistake: Mistake) throws { try check(mistake) }

  @Test func `the sidecar ends with 78 too, before it samples`() throws {
    let outcome = try CommandFixture().run(["--dsn", "sqlite:a.db", "--layout", "nope"])
    #expect(outcome.code == 78 && outcome.output == "" && outcome.error.contains("`nope`"))
  }

  @Test func `every mistake is reported at once, in order and with its place`() throws {
    let fixture = try CommandFixture()
    let file = """
      environment: ${env:NOT_SET_ANYWHERE}
      interval: 1h
      outboxes:
        - name: orders
          dsn: "postgresql://shop:\(CommandFixture.secret)@db/shop"
          layot: kaireon
          limits: {age: {warning: soon}}
      export: [{endpoint: "collector:4318"}]
      """
    let outcome = try fixture.run(["--once", "--log-level", "loud"] + fixture.configured(file))
    #expect(outcome.code == 78)
    let places = outcome.error.split(separator: "\n").map {
      $0.dropFirst("outbox-exporter: ".count).split(separator: ": ").first ?? ""
    }
    #expect(
      places == [
        "--log-level", "outbox.yaml:1:14", "outbox.yaml:2:11", "outbox.yaml:4:5", "outbox.yaml:6:5", "outbox.yaml:7:29",
        "outbox.yaml:8:21", "nothing was sampled; `outbox-exporter --help` has examples",
      ], "\(outcome.error)")
  }

  @Test func `a state directory that cannot be written ends the sidecar with 78`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write("", to: "locked/file")
    fixture.exporter.setPermissions("locked", 0o555)
    let outcome = try fixture.run(
      fixture.writeOutbox() + ["--state-dir", "locked/state"], obeysPermissions: true)
    #expect(outcome.code == 78 && outcome.output == "")
    #expect(outcome.error.contains("locked/state") && outcome.error.contains("Permission denied"))
    #expect(outcome.error.contains("--state-dir"))
  }
}
