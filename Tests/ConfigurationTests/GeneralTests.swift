import Configuration
import Layouts
import Outbox
import Testing

struct GeneralTests {
  @Test func `one DSN and one layout are enough`() throws {
    let loaded = try ConfigurationCase(watching: [:]).load()
    var expected = ExporterConfiguration()
    expected.outboxes = loaded.configuration.outboxes
    expected.destinations = loaded.configuration.destinations
    #expect(loaded.configuration == expected)
    #expect(loaded.warnings.isEmpty)
    #expect(loaded.configuration.outboxes.map(\.name) == ["shop"])
    #expect(loaded.configuration.interval == .seconds(15))
    #expect(loaded.configuration.destinationLimit == 100)
    #expect(loaded.configuration.endsSeriesOnStop)
    #expect(loaded.configuration.exitAfterFailedCycles == nil)
    #expect(loaded.configuration.stateDirectory == nil)
    #expect(loaded.configuration.serviceName == "outbox-exporter")
  }

  @Test func `a flag beats a variable, a variable the file, the file the default`() throws {
    let file = """
      environment: file
      state_dir: /file
      interval: 20s
      liveness_file: /file.live
      log_level: error
      exit_after_failed_cycles: 3
      end_series_on_stop: false
      destinations: {limit: 7}
      spool: {max_bytes: 1000, max_age: 2h}
      timeouts: {connect: 1s, statement: 2s, lock: 30ms}
      """
    var input = ConfigurationCase(file: file, ConfigurationCase.watched)
    var configuration = try input.configuration()
    #expect(configuration.environment == "file")
    #expect(configuration.stateDirectory == "/file")
    #expect(configuration.interval == .seconds(20))
    #expect(configuration.livenessFile == "/file.live")
    #expect(configuration.logLevel == .error)
    #expect(configuration.exitAfterFailedCycles == 3)
    #expect(!configuration.endsSeriesOnStop)
    #expect(configuration.destinationLimit == 7)
    #expect(configuration.spool.byteLimit == 1000)
    #expect(configuration.spool.ageLimit == .seconds(7200))
    #expect(configuration.timeouts.connect == .seconds(1))
    #expect(configuration.timeouts.statement == .seconds(2))
    #expect(configuration.timeouts.lock == .milliseconds(30))

    input.environment.merge([
      "OUTBOX_ENVIRONMENT": "variable", "OUTBOX_STATE_DIR": "/variable", "OUTBOX_LIVENESS_FILE": "/variable.live",
      "OTEL_METRIC_EXPORT_INTERVAL": "30000", "OTEL_LOG_LEVEL": "Debug",
    ]) { $1 }
    configuration = try input.configuration()
    #expect(configuration.environment == "variable")
    #expect(configuration.stateDirectory == "/variable")
    #expect(configuration.interval == .seconds(30))
    #expect(configuration.livenessFile == "/variable.live")
    #expect(configuration.logLevel == .debug)

    input.flags.environment = "flag"
    input.flags.stateDirectory = "/flag"
    input.flags.interval = "1m"
    input.flags.livenessFile = "/flag.live"
    input.flags.logLevel = "trace"
    input.flags.exitAfterFailedCycles = "9"
    configuration = try input.configuration()
    #expect(configuration.environment == "flag")
    #expect(configuration.stateDirectory == "/flag")
    #expect(configuration.interval == .seconds(60))
    #expect(configuration.livenessFile == "/flag.live")
    #expect(configuration.logLevel == .trace)
    #expect(configuration.exitAfterFailedCycles == 9)

    // An empty variable is as good as unset.
    input.flags = CommandLineOptions()
    input.flags.config = "outbox.yaml"
    for name in ["OUTBOX_ENVIRONMENT", "OUTBOX_STATE_DIR", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_LOG_LEVEL"] {
      input.environment[name] = ""
    }
    configuration = try input.configuration()
    #expect(configuration.environment == "file" && configuration.stateDirectory == "/file")
    #expect(configuration.interval == .seconds(20) && configuration.logLevel == .error)
  }

  @Test(
    arguments: [
      (["HOME": "/home/me"], "/home/me/.local/state/outbox-exporter"),
      (["HOME": "/home/me", "XDG_STATE_HOME": "/state"], "/state/outbox-exporter"),
      (["HOME": "/home/me", "XDG_STATE_HOME": "relative"], "/home/me/.local/state/outbox-exporter"),
      ([:], nil), (["OUTBOX_STATE_DIR": "/mine", "HOME": "/home/me"], "/mine"),
    ] as [([String: String], String?)])
  func `once keeps its state where the user's programs do`(environment: [String: String], directory: String?) throws {
    #expect(try ConfigurationCase(watching: environment) { $0.once = true }.configuration().stateDirectory == directory)
  }

  @Test(arguments: [
    ("1000", Duration.seconds(1), 0), ("240000", .seconds(240), 0), ("300000", .seconds(240), 1),
    ("50", .milliseconds(100), 1), ("0", .milliseconds(100), 1), ("15s", .seconds(15), 1), ("-5", .seconds(15), 1),
  ])
  func `the interval's variable never stops the process`(text: String, interval: Duration, warnings: Int) throws {
    let loaded = try ConfigurationCase(watching: ["OTEL_METRIC_EXPORT_INTERVAL": text]).load()
    #expect(loaded.configuration.interval == interval)
    #expect(loaded.warnings.count == warnings)
    #expect(loaded.warnings.allSatisfy { $0.message.contains("`\(text)`") })
  }

  @Test func `the name of the environment comes from the resource where nothing else names it`() throws {
    let attributes = ["OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=staging"]
    #expect(try ConfigurationCase(watching: attributes).configuration().environment == "staging")
    let both = attributes.merging(["OUTBOX_ENVIRONMENT": "production"]) { $1 }
    #expect(try ConfigurationCase(watching: both).configuration().environment == "production")
  }

  @Test(
    arguments: [
      ("a=b,c=d%2Ce", [("a", "b"), ("c", "d,e")], 0), (" a = b ", [("a", "b")], 0), ("a%20b=c%3D", [("a b", "c=")], 0),
      ("a=b=c", [("a", "b=c")], 0), ("a=1,a=2", [("a", "2")], 0), ("a=,b=1", [("b", "1")], 0), ("a=b,c", [], 1),
      ("a=b,=c", [], 1), ("a=b,c=%G1", [], 1), ("a=b,", [], 1), ("a=%FF", [], 1),
    ] as [(String, [(String, String)], Int)])
  func `resource attributes are all read or none [132]`(text: String, pairs: [(String, String)], warnings: Int) throws {
    let loaded = try ConfigurationCase(watching: ["OTEL_RESOURCE_ATTRIBUTES": text]).load()
    #expect(loaded.configuration.resourceAttributes == pairs.map { ResourceAttribute($0, $1) })
    #expect(loaded.warnings.count == warnings)
  }

  @Test(
    arguments: [
      ([:], "", "outbox-exporter"),
      (["OTEL_RESOURCE_ATTRIBUTES": "service.name=attribute"], "", "attribute"),
      (["OTEL_RESOURCE_ATTRIBUTES": "service.name=attribute"], "file", "file"),
      (["OTEL_RESOURCE_ATTRIBUTES": "service.name=attribute", "OTEL_SERVICE_NAME": "variable"], "file", "variable"),
      (["OTEL_SERVICE_NAME": ""], "", "outbox-exporter"),
    ] as [([String: String], String, String)])
  func `the service has a name [133]`(environment: [String: String], file: String, name: String) throws {
    let text = file.isEmpty ? "" : "resource_attributes: {service.name: \(file)}"
    let input = ConfigurationCase(file: text, ConfigurationCase.watched.merging(environment) { $1 })
    let configuration = try input.configuration()
    #expect(configuration.serviceName == name)
    #expect(!configuration.resourceAttributes.contains { $0.key == "service.name" })
  }

  @Test func `an attribute of the file beats that of the variable [134]`() throws {
    let environment = ConfigurationCase.watched.merging(["OTEL_RESOURCE_ATTRIBUTES": "a=variable,b=2"]) { $1 }
    let input = ConfigurationCase(file: "resource_attributes: {a: file, c: \"3\"}", environment)
    #expect(
      try input.configuration().resourceAttributes == [
        ResourceAttribute("b", "2"), ResourceAttribute("a", "file"), ResourceAttribute("c", "3"),
      ])
  }

  @Test func `every mistake is reported at once, each with its place`() {
    #expect(ConfigurationCase { $0.interval = "0s" }.problems().count == 2)
    let file = """
      environmnt: production
      interval: 15
      end_series_on_stop: yes
      destinations: {limit: 0, max: 3}
      timeouts: {lock: 0s, statement: "${env:MISSING}"}
      state_dir:
      liveness_file: [a]
      exit_after_failed_cycles: -1
      log_level: "${foo}"
      outboxes:
        - name: orders
          dns: sqlite:a.db
          layout: shpo
      """
    let input = ConfigurationCase(file: file, ["OUTBOX_NAME": "x"]) {
      $0.interval = "10m"
      $0.logLevel = "loud"
      $0.environment = ""
      $0.exitAfterFailedCycles = "0"
    }
    #expect(
      input.problems() == [
        "--interval: an interval of 10m is out of range (from 100ms to 4m, since backends forget a series after five minutes)",
        "--log-level: `loud` is not known (one of trace, debug, info, notice, warning, error, critical)",
        "--exit-after-failed-cycles: `0` is not a whole number from 1 up",
        "--environment: has an empty value (leave the flag away, or name a value)",
        "OUTBOX_NAME: is set, but no DSN is (set OUTBOX_DSN or --dsn; outboxes of the file have a key of their own)",
        "outbox.yaml:1:1: unknown key `environmnt` (did you mean `environment`?)",
        "outbox.yaml:2:11: `15` is not a duration (write a whole number and a unit, for example 250ms, 15s, 5m or 1h30m)",
        "outbox.yaml:3:21: `yes` is neither true nor false",
        "outbox.yaml:4:23: `0` is not a whole number from 1 up",
        "outbox.yaml:4:26: unknown key `max` (known are `limit`)",
        "outbox.yaml:5:18: a time-out has to be at least 1ms",
        "outbox.yaml:5:33: the environment variable `MISSING` is not set (set it, or write `$${` for a literal `${`)",
        "outbox.yaml:6:11: `state_dir` has no value (leave the key away, or give it one)",
        "outbox.yaml:7:16: `liveness_file` has to be a single value",
        "outbox.yaml:8:27: `-1` is not a whole number from 1 up",
        "outbox.yaml:9:12: `${` is not followed by `env:NAME}` (write ${env:NAME}, or `$${` for a literal `${`)",
        "outbox.yaml:11:5: `dsn` is missing (set `dsn` or `dsn_file`)",
        "outbox.yaml:12:5: unknown key `dns` (did you mean `dsn`?)",
        "outbox.yaml:13:13: the layout `shpo` is not known (did you mean `shop`?; `outbox-exporter layouts` describes them)",
      ])
  }

  @Test(arguments: [
    ("a: [", "outbox.yaml:2:1: while parsing a flow node: did not find expected node content"),
    (
      "- a\n", "outbox.yaml:1:1: the file has to be keys with values (write `key: value`, with a blank after the colon)"
    ),
    (
      "just text",
      "outbox.yaml:1:1: the file has to be keys with values (write `key: value`, with a blank after the colon)"
    ),
    ("interval: 1s\ninterval: 2s", "outbox.yaml:2:1: the key `interval` is there twice; it was first set in line 1"),
    ("outboxes: {}", "outbox.yaml:1:11: `outboxes` has to be a list (begin every item with `- `)"),
  ])
  func `a file that is not right as a whole`(file: String, problem: String) {
    #expect(ConfigurationCase(file: file).problems() == [problem])
  }

  @Test func `a file that cannot be read`() {
    var input = ConfigurationCase { $0.config = "gone.yaml" }
    let cause = "gone.yaml cannot be read: No such file or directory (check its path and its permissions)"
    #expect(input.problems() == ["--config: \(cause)"])
    input = ConfigurationCase(["OUTBOX_CONFIG": "gone.yaml"])
    #expect(input.problems() == ["OUTBOX_CONFIG: \(cause)"])
  }

  @Test(arguments: [
    ("${env:A}", "one"), ("x${env:A}y${env:B_2}", "xoney2"), ("$${env:A}", "${env:A}"), ("$5 $", "$5 $"),
    ("$$${env:A}", "$${env:A}"), ("'${env:A}'", "one"), ("${env:EMPTY}z", "z"), ("${env:NESTED}", "${env:A}"),
  ])
  func `variables stand anywhere in a value`(written: String, text: String) throws {
    let environment = ConfigurationCase.watched.merging(
      ["A": "one", "B_2": "2", "EMPTY": "", "NESTED": "${env:A}"]) { $1 }
    #expect(try ConfigurationCase(file: "environment: \(written)", environment).configuration().environment == text)
  }
}
