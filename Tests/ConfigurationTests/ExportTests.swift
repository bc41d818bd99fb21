import Configuration
import Outbox
import TestSupport
import Testing

/// Section by section the rules of the OTLP exporter specification and of the variables' value types.
struct ExportTests {
  static let base = "OTEL_EXPORTER_OTLP_ENDPOINT"
  static let specific = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"

  func destination(_ environment: [String: String]) throws -> ExportDestination {
    try #require(try ConfigurationCase(watching: environment).configuration().destinations.first)
  }

  @Test(
    arguments: [
      ([:], "http://localhost:4318/v1/metrics"),
      ([base: ""], "http://localhost:4318/v1/metrics"),
      ([base: "http://c:4318"], "http://c:4318/v1/metrics"),
      ([base: "http://c:4318/"], "http://c:4318/v1/metrics"),
      ([base: "http://c/base"], "http://c/base/v1/metrics"),
      ([base: "http://c/base/"], "http://c/base/v1/metrics"),
      ([base: "http://c"], "http://c/v1/metrics"),
      ([base: "https://c"], "https://c/v1/metrics"),
      ([base: "HTTP://C/v1/metrics"], "HTTP://C/v1/metrics/v1/metrics"),
      ([base: "http://[::1]:4318"], "http://[::1]:4318/v1/metrics"),
      ([base: "http://c?token=t"], "http://c/v1/metrics?token=t"),
      ([specific: "http://c:4318"], "http://c:4318/"),
      ([specific: "https://c/v1/metrics/"], "https://c/v1/metrics/"),
      ([specific: "https://c/a?b=c%20d&e"], "https://c/a?b=c%20d&e"),
      ([specific: "http://c?b"], "http://c/?b"),
      ([base: "http://general", specific: "http://specific/x"], "http://specific/x"),
      ([base: "http://general", specific: ""], "http://general/v1/metrics"),
    ] as [([String: String], String)])
  func `the endpoint follows the specification [1] [116] [117] [118] [119]`(
    environment: [String: String], url: String
  ) throws {
    #expect(try destination(environment).url.revealed == url)
  }

  @Test func `the flag is a base URL and beats both variables`() throws {
    let input = ConfigurationCase(watching: [Self.base: "http://a", Self.specific: "http://b"]) {
      $0.endpoint = "http://flag"
    }
    #expect(try input.configuration().destinations.map(\.url.revealed) == ["http://flag/v1/metrics"])
  }

  @Test func `a query is refused in the flag, which everybody can read`() {
    let problems = ConfigurationCase(watching: [:]) { $0.endpoint = "http://c?token=hunter2" }.problems()
    #expect(problems.count == 1 && problems[0].hasPrefix("--endpoint: a query"), "\(problems)")
    #expect(!problems.description.contains("hunter2"))
  }

  @Test(arguments: [
    ("collector:4318", "no scheme"), ("http://", "no host"), ("http://:4318", "no host"), ("ftp://c", "neither http"),
    ("http://c:port", "port"), ("http://c:0", "port"), ("http://c:65536", "port"), ("http://c:", "port"),
    ("http://c/a b", "a blank"), ("http://c/\r\nX: y", "a blank"), ("http://::1:4318", "malformed"),
    ("http://[::1", "no `]`"), ("http://u:hunter2@c", "a user or password"), ("http://c/#hunter2", "fragment"),
    ("http://é", "cannot hold"),
  ])
  func `a URL that is none is a mistake and not repeated`(url: String, message: String) {
    let problems = ConfigurationCase(watching: [Self.base: url]).problems()
    #expect(problems.count == 1)
    #expect(problems.first?.hasPrefix("OTEL_EXPORTER_OTLP_ENDPOINT: the URL") == true)
    #expect(problems.first?.contains(message) == true)
    #expect(problems.first?.contains("hunter2") == false)
  }

  @Test(
    arguments: [
      ([:], Duration.seconds(10), 0), (["TIMEOUT": "250"], .milliseconds(250), 0), (["TIMEOUT": "0"], nil, 0),
      (["TIMEOUT": "abc"], .seconds(10), 1), (["TIMEOUT": "-1"], .seconds(10), 1),
      (["TIMEOUT": "1.5"], .seconds(10), 1),
      (["TIMEOUT": "10s"], .seconds(10), 1), (["TIMEOUT": "99999999999"], .seconds(10), 1),
      (["TIMEOUT": "2147483647"], .milliseconds(2_147_483_647), 0), (["TIMEOUT": "2147483648"], .seconds(10), 1),
      (["TIMEOUT": "1", "METRICS_TIMEOUT": "2"], .milliseconds(2), 0),
      (["TIMEOUT": "1", "METRICS_TIMEOUT": "x"], .milliseconds(1), 1),
      (["TIMEOUT": "1", "METRICS_TIMEOUT": ""], .milliseconds(1), 0),
    ] as [([String: String], Duration?, Int)])
  func `a time-out is whole milliseconds [122] [123] [124]`(
    options: [String: String], timeout: Duration?, warnings: Int
  ) throws {
    let environment = Dictionary(uniqueKeysWithValues: options.map { ("OTEL_EXPORTER_OTLP_\($0)", $1) })
    let loaded = try ConfigurationCase(watching: environment).load()
    #expect(loaded.configuration.destinations.first?.timeout == timeout)
    #expect(loaded.warnings.count == warnings)
    for value in options.values where warnings > 0 && loaded.configuration.destinations.first?.timeout == .seconds(10) {
      #expect(loaded.warnings.first?.message.contains("`\(value)`") == true)
    }
  }

  @Test(arguments: [
    ("gzip", ExportDestination.Compression.gzip, 0), ("GZIP", .gzip, 0), ("none", .none, 0), ("zstd", .none, 1),
  ])
  func `compression is a word in any case [126]`(
    text: String, compression: ExportDestination.Compression, warnings: Int
  ) throws {
    let loaded = try ConfigurationCase(watching: ["OTEL_EXPORTER_OTLP_COMPRESSION": text]).load()
    #expect(loaded.configuration.destinations.first?.compression == compression)
    #expect(loaded.warnings.count == warnings)
  }

  @Test func `the protocol is a word in any case [125]`() throws {
    for (text, transport) in [
      ("http/protobuf", ExportDestination.Transport.http), ("Http/Protobuf", .http), ("", .http), ("grpc", .grpc),
      ("GRPC", .grpc), ("HTTP/JSON", .httpJSON),
    ] {
      let loaded = try ConfigurationCase(watching: ["OTEL_EXPORTER_OTLP_PROTOCOL": text]).load()
      #expect(loaded.warnings.isEmpty)
      #expect(loaded.configuration.destinations.first?.transport == transport)
    }
    #expect(
      try ConfigurationCase(watching: ["OTEL_EXPORTER_OTLP_PROTOCOL": "thrift"]).warnings() == [
        "OTEL_EXPORTER_OTLP_PROTOCOL: `thrift` is not known and is ignored (one of `http/protobuf`, `http/json`, `grpc`)"
      ])
    #expect(
      try destination(["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"]).url.revealed.hasSuffix(":4318/v1/metrics"))
    let overridden = ["OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"]
    #expect(try destination(overridden).transport == .http)
  }

  @Test(
    arguments: [
      ([:], "http://localhost:4317"), ([base: "http://c:4317"], "http://c:4317"), ([base: "http://c"], "http://c"),
      ([base: "https://c:443/"], "https://c:443"), ([base: "https://[::1]"], "https://[::1]"),
      ([base: "c:4317"], "https://c:4317"), ([base: "c:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"], "http://c:4317"),
      ([base: "c"], "https://c"), ([specific: "http://b:1", base: "http://a:1"], "http://b:1"),
      ([base: "https://c:1", "OTEL_EXPORTER_OTLP_INSECURE": "true"], "https://c:1"),
      ([base: "http://c:1", "OTEL_EXPORTER_OTLP_INSECURE": "false"], "http://c:1"),
      (
        [base: "c:1", "OTEL_EXPORTER_OTLP_INSECURE": "true", "OTEL_EXPORTER_OTLP_METRICS_INSECURE": "false"],
        "https://c:1"
      ),
    ] as [([String: String], String)])
  func `the endpoint of gRPC is a host, whose scheme decides about TLS [113]`(
    environment: [String: String], url: String
  ) throws {
    let protocolName = ["OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"]
    let destination = try destination(environment.merging(protocolName) { $1 })
    #expect(destination.url.revealed == url && destination.displayName == url)
  }

  @Test(arguments: [("http://c", "80"), ("https://c/", "443"), ("https://[::1]", "443"), ("c", "443")])
  func `an endpoint of gRPC without a port means that of the scheme, which is said`(url: String, port: String) throws {
    let loaded = try ConfigurationCase(watching: [Self.base: url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"]).load()
    #expect(loaded.warnings.map(\.message) == ["the endpoint names no port, which means \(port)"])
  }

  @Test func `only gRPC knows a scheme that is missing [114]`() {
    let input = [Self.base: "c:4318", "OTEL_EXPORTER_OTLP_INSECURE": "true"]
    #expect(ConfigurationCase(watching: input).problems().count == 1)
  }

  @Test(arguments: [
    ("http://c:4317/v1/metrics", "neither path nor query"), ("http://c?token=hunter2", "neither path nor query"),
    ("unix:///run/otlp", "neither http nor https"), ("u:hunter2@c:4317", "user or password"), ("c:x", "port"),
  ])
  func `what is no endpoint of gRPC is a mistake`(url: String, message: String) {
    let problems = ConfigurationCase(watching: [Self.base: url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"]).problems()
    #expect(problems.count == 1 && problems.first?.contains(message) == true, "\(problems)")
    #expect(problems.first?.contains("hunter2") == false)
  }

  @Test(arguments: [
    ("grpc-timeout=1", "`grpc-timeout` is set by gRPC itself"), ("TE=1", "`TE` is set by gRPC itself"),
    ("k=hunter2\u{E9}", "the value of `k` holds a character that gRPC cannot send"),
  ])
  func `metadata that gRPC cannot send is reported with its name and ignored [107]`(
    pair: String, message: String
  ) throws {
    let loaded = try ConfigurationCase(watching: [
      "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_HEADERS": "good=1,\(pair)",
    ]).load()
    #expect(loaded.configuration.destinations.first?.headers.map(\.name) == ["good"])
    #expect(loaded.warnings.map(\.message) == [message + ", so it is ignored"])
  }

  @Test(arguments: [
    ("a=1, b = 2 ,c=x%20y%2Cz", [("a", "1"), ("b", "2"), ("c", "x y,z")]),
    ("Authorization=Basic QWxhZGRpbg==", [("Authorization", "Basic QWxhZGRpbg==")]),
    ("a=b+c", [("a", "b+c")]), ("a=100%", [("a", "100%")]), ("a=1,,b=2,", [("a", "1"), ("b", "2")]),
    ("a=", [("a", "")]), ("a=1;prop", [("a", "1;prop")]), ("a=1,A=2", [("A", "2")]),
  ])
  func `headers are a list of pairs [128] [129]`(text: String, headers: [(String, String)]) throws {
    let loaded = try ConfigurationCase(watching: ["OTEL_EXPORTER_OTLP_HEADERS": text]).load()
    let read = loaded.configuration.destinations.first?.headers ?? []
    #expect(read.map(\.name) == headers.map(\.0))
    #expect(read.map(\.value.revealed) == headers.map(\.1))
    #expect(loaded.warnings.isEmpty)
  }

  @Test(arguments: [
    "=hunter2", "hunter2", "bad name=hunter2", "a%41=hunter2 ", "k=hunter2%0D%0AX-Evil: 1", "k=hunter2\u{1}",
    "Content-Type=hunter2", "k\u{E9}=hunter2",
  ])
  func `a bad header is reported without its text and ignored [130]`(pair: String) throws {
    let loaded = try ConfigurationCase(watching: ["OTEL_EXPORTER_OTLP_HEADERS": "good=1,\(pair),fine=2"]).load()
    let names = loaded.configuration.destinations.first?.headers.map(\.name)
    // A percent sign is a character of a token, so that name is not decoded, and is good.
    #expect(names == (pair.hasPrefix("a%41") ? ["good", "a%41", "fine"] : ["good", "fine"]))
    #expect(loaded.warnings.count == (pair.hasPrefix("a%41") ? 0 : 1))
    #expect(!loaded.warnings.description.contains("hunter2"))
  }

  @Test func `the headers of metrics replace the general ones [120]`() throws {
    let headers = try destination([
      "OTEL_EXPORTER_OTLP_HEADERS": "a=1,b=2", "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "c=3",
    ]).headers
    #expect(headers == [ExportHeader("c", Secret("3"))])
  }

  @Test func `what is asked of the whole exporter [127] [137]`() throws {
    let standard = try ConfigurationCase(watching: [:]).configuration()
    #expect(!standard.telemetryDisabled && standard.metricsExporter == .otlp)
    #expect(!standard.endpointIsConfigured)
    #expect(standard.reasonNotToPush(once: false) == nil)
    #expect(standard.reasonNotToPush(once: true) == "no OTLP endpoint is configured")
    #expect(standard.exportTimeout == .seconds(30))

    let configured = try ConfigurationCase(watching: [Self.specific: "http://c/"]).configuration()
    #expect(configured.endpointIsConfigured && configured.reasonNotToPush(once: true) == nil)

    for (text, disabled, warnings) in [
      ("TRUE", true, 0), ("true", true, 0), ("false", false, 0), ("1", false, 1), ("yes", false, 1),
    ] {
      let loaded = try ConfigurationCase(watching: ["OTEL_SDK_DISABLED": text]).load()
      #expect(loaded.configuration.telemetryDisabled == disabled)
      #expect((loaded.configuration.reasonNotToPush(once: false) == "OTEL_SDK_DISABLED is true") == disabled)
      #expect(loaded.warnings.count == warnings)
    }
    for (text, exporter, warnings) in [
      ("none", MetricsExporter.none, 0), ("Console", .console, 0), ("otlp", .otlp, 0), ("x", .otlp, 1),
    ] {
      let loaded = try ConfigurationCase(watching: ["OTEL_METRICS_EXPORTER": text]).load()
      #expect(loaded.configuration.metricsExporter == exporter)
      #expect(loaded.warnings.count == warnings)
    }
    let unlimited = try ConfigurationCase(watching: ["OTEL_METRIC_EXPORT_TIMEOUT": "0"]).configuration()
    #expect(unlimited.exportTimeout == nil)
  }

  @Test(arguments: [
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative", 0),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta", 0),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory", 0),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "x", 1),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram", 0),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram", 0),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "x", 1),
    ("OTEL_CONFIG_FILE", "otel.yaml", 1), ("OTEL_LOG_LEVEL", "warn", 0), ("OTEL_LOG_LEVEL", "loud", 1),
    ("OUTBOX_LAYUOT", "shop", 1), ("OUTBOX_PORT_8080_TCP_ADDR", "10.0.0.1", 0),
  ])
  func `what is not supported is said`(variable: String, text: String, warnings: Int) throws {
    let read = try ConfigurationCase(watching: [variable: text]).warnings()
    #expect(read.count == warnings)
    #expect(read.allSatisfy { $0.hasPrefix(variable) })
  }

  @Test func `the file has several endpoints`() throws {
    let authority = try TestAuthority()
    let file = """
      export:
        - endpoint: "http://a:4318"
          headers_file: headers.txt
          headers: {X-Scope-OrgID: "${env:TENANT}", x-two: "3"}
          timeout: 250ms
          compression: gzip
          certificate: ca.pem
        - {url: "http://b/api/push?x=1", timeout: 0s}
        - {endpoint: "https://c:4317", protocol: grpc, max_request_bytes: 1000}
      """
    var input = ConfigurationCase(
      file: file, ConfigurationCase.watched.merging(["TENANT": "shop"]) { $1 },
      files: [
        "headers.txt": "# a comment\r\nAuthorization: Bearer a=b:c\r\n\r\nX-Two: 2\n",
        "ca.pem": try #require(contents(of: authority.file)),
      ])
    let configuration = try input.configuration()
    #expect(configuration.endpointIsConfigured)
    #expect(configuration.destinations.count == 3)
    let first = try #require(configuration.destinations.first)
    #expect(first.url.revealed == "http://a:4318/v1/metrics")
    #expect(
      first.headers == [
        ExportHeader("Authorization", Secret("Bearer a=b:c")), ExportHeader("X-Scope-OrgID", Secret("shop")),
        ExportHeader("x-two", Secret("3")),
      ])
    #expect(first.timeout == .milliseconds(250) && first.compression == .gzip && first.certificate == "ca.pem")
    #expect(configuration.destinations[1].url.revealed == "http://b/api/push?x=1")
    #expect(configuration.destinations[1].displayName == "http://b/api/push?•••")
    #expect(configuration.destinations[1].timeout == nil)
    #expect(configuration.destinations[2].url.revealed == "https://c:4317")
    #expect(configuration.destinations[2].transport == .grpc)
    #expect(configuration.destinations.map(\.requestLimit) == [nil, nil, 1000])

    // Variables without an endpoint do not reach into the file's endpoints, and say so.
    input.environment["OTEL_EXPORTER_OTLP_HEADERS"] = "a=hunter2"
    #expect(try input.configuration().destinations == configuration.destinations)
    #expect(
      try input.warnings() == [
        "OTEL_EXPORTER_OTLP_HEADERS: is not used, since the file's `export` is in force (write it there, or set "
          + "OTEL_EXPORTER_OTLP_ENDPOINT)"
      ])

    // With an endpoint in a variable, the file's are not read at all.
    input.environment[Self.base] = "http://c"
    #expect(try input.configuration().destinations.map(\.url.revealed) == ["http://c/v1/metrics"])
    #expect(try input.configuration().destinations.first?.headers == [ExportHeader("a", Secret("hunter2"))])
  }

  @Test func `mistakes in the file's endpoints have their places`() {
    let file = """
      export:
        - {endpoint: "collector:4318", protocol: thrift}
        - {endpoint: "http://a", url: "http://b"}
        - {compression: zstd}
        - {endpoint: "http://a", client_key: key.pem}
        - {endpoint: "http://a", headers_file: h}
        - {endpoint: "http://a", headers: {"bad name": hunter2}}
        - {endpoint: "collector:4317", protocol: grpc}
        - {url: "http://a", protocol: grpc}
      """
    let input = ConfigurationCase(
      file: file, ConfigurationCase.watched, files: ["h": "hunter2\n", "key.pem": "-----BEGIN X"])
    #expect(
      input.problems() == [
        "outbox.yaml:2:16: the URL has no scheme (begin it with http:// or https://)",
        "outbox.yaml:2:44: `thrift` is not a protocol (use http/protobuf, http/json or grpc)",
        "outbox.yaml:3:33: both `endpoint` and `url` are set (keep one of them)",
        "outbox.yaml:4:5: `endpoint` is missing (for example endpoint: http://localhost:4318)",
        "outbox.yaml:4:19: `zstd` is not known here (known are `none`, `gzip`)",
        "outbox.yaml:5:5: `client_certificate` and `client_key` belong together (set both, or none)",
        "outbox.yaml:5:40: the file does not hold a private key in PEM form (it begins with `-----BEGIN PRIVATE "
          + "KEY-----`)",
        "outbox.yaml:6:42: line 1 is not `Name: value` (one `Name: value` a line)",
        "outbox.yaml:7:38: the name of the header is not one that a header can have",
        "outbox.yaml:8:16: the URL has no scheme (begin it with http:// or https://)",
        "outbox.yaml:9:11: `url` is for OTLP over HTTP (for example endpoint: http://localhost:4317)",
      ])
  }
}
