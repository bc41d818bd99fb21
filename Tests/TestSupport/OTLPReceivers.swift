import HTTPClient

/// A real receiver of OTLP on a loopback port, with a directory of its own. It is killed when it goes out of use.
package final class OTLPReceiver {
  /// The whole URL to push to.
  package let endpoint: String
  /// The root of its HTTP interface.
  package let base: String
  /// The port of the endpoint.
  package let port: Int
  private let process: ChildProcess
  private let directory: TemporaryDirectory
  /// How its HTTP interface is asked.
  private let tls: TLSFiles

  /// A receiver that did not come up.
  package struct NotReady: Error, CustomStringConvertible {
    package let description: String
  }

  private init(
    _ program: String, scheme: String = "http", port: Int, path: String, directory: TemporaryDirectory,
    arguments: [String], tls: TLSFiles = TLSFiles(), ready: (OTLPReceiver) -> Bool
  ) throws {
    self.tls = tls
    base = "\(scheme)://127.0.0.1:\(port)"
    endpoint = base + path
    self.port = port
    self.directory = directory
    process = try ChildProcess(program, arguments, directory: directory.path)
    guard eventually({ !process.isRunning || ready(self) }), process.isRunning else {
      throw NotReady(description: "\(program) is not ready: \(process.standardError)\(process.standardOutput)")
    }
  }

  /// What a receiver's OTLP endpoint speaks.
  package enum Wire: Sendable {
    /// OTLP/HTTP.
    case http
    /// OTLP/gRPC.
    case grpc
  }

  /// The OpenTelemetry Collector, which prints what it gets.
  ///
  /// - Parameters:
  ///   - identity: its certificate; nil speaks without TLS.
  ///   - clients: the authority of clients' certificates, which are then demanded.
  package static func collector(
    _ wire: Wire = .http, identity: TestAuthority.Identity? = nil, clients: String? = nil
  ) throws -> OTLPReceiver {
    let directory = try TemporaryDirectory()
    let port = freePort()
    var tls = identity.map { ", tls: {cert_file: \"\($0.certificate)\", key_file: \"\($0.key)\"" } ?? ""
    if let clients { tls += ", client_ca_file: \"\(clients)\"" }
    if identity != nil { tls += "}" }
    try directory.write(
      """
      receivers: {otlp: {protocols: {\(wire): {endpoint: "127.0.0.1:\(port)"\(tls)}}}}
      exporters: {debug: {verbosity: detailed, sampling_initial: 1000000}}
      service: {telemetry: {metrics: {level: none}}, pipelines: {metrics: {receivers: [otlp], exporters: [debug]}}}
      """, to: "config.yaml")
    return try OTLPReceiver(
      "otelcol", scheme: identity == nil ? "http" : "https", port: port, path: wire == .http ? "/v1/metrics" : "",
      directory: directory, arguments: ["--config", "config.yaml"]
    ) { $0.process.standardError.contains("Everything is ready") }
  }

  /// rotel, a second implementation of OTLP, which prints what it gets.
  package static func rotel(_ wire: Wire = .http) throws -> OTLPReceiver {
    let (http, grpc) = (freePort(), freePort())
    return try OTLPReceiver(
      "rotel", port: wire == .http ? http : grpc, path: wire == .http ? "/v1/metrics" : "",
      directory: try TemporaryDirectory(),
      arguments: [
        "start", "--otlp-http-endpoint", "127.0.0.1:\(http)", "--otlp-grpc-endpoint", "127.0.0.1:\(grpc)",
        "--exporter", "blackhole", "--debug-log", "metrics", "--debug-log-verbosity", "detailed",
      ]
    ) { _ in status("http://127.0.0.1:\(http)/v1/metrics") != nil && isListening(grpc) }
  }

  /// Prometheus with its OTLP receiver and the default translation of names.
  ///
  /// - Parameters:
  ///   - identity: its certificate; nil speaks without TLS.
  ///   - authority: who has signed it, and clients' certificates.
  ///   - client: what the test itself asks with; every client has to have one then.
  ///   - configuration: added to its file.
  ///   - added: to its command line.
  package static func prometheus(
    identity: TestAuthority.Identity? = nil, authority: String? = nil, client: TestAuthority.Identity? = nil,
    configuration: String = "", arguments added: [String] = []
  ) throws -> OTLPReceiver {
    let directory = try TemporaryDirectory()
    try directory.write("global: {scrape_interval: 1h}\n" + configuration, to: "prometheus.yml")
    let port = freePort()
    var arguments = [
      "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:\(port)",
      "--web.enable-otlp-receiver",
    ]
    if let identity {
      var server = "cert_file: \(identity.certificate), key_file: \(identity.key)"
      if client != nil, let authority {
        server += ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: \(authority)"
      }
      try directory.write("tls_server_config: {\(server)}\n", to: "web.yml")
      arguments.append("--web.config.file=web.yml")
    }
    return try OTLPReceiver(
      "prometheus", scheme: identity == nil ? "http" : "https", port: port, path: "/api/v1/otlp/v1/metrics",
      directory: directory, arguments: arguments + added,
      tls: TLSFiles(authorities: authority, certificate: client?.certificate, key: client?.key)
    ) { $0.status("/-/ready") == 200 }
  }

  /// VictoriaMetrics with Prometheus' names. It demands no client certificates (its enterprise edition does).
  ///
  /// - Parameter added: to its command line.
  package static func victoriaMetrics(
    identity: TestAuthority.Identity? = nil, authority: String? = nil, arguments added: [String] = []
  ) throws -> OTLPReceiver {
    let port = freePort()
    let certificates = identity.map { ["-tls", "-tlsCertFile=\($0.certificate)", "-tlsKeyFile=\($0.key)"] }
    return try OTLPReceiver(
      "victoria-metrics", scheme: identity == nil ? "http" : "https", port: port, path: "/opentelemetry/v1/metrics",
      directory: try TemporaryDirectory(),
      arguments: [
        "-httpListenAddr=127.0.0.1:\(port)", "-storageDataPath=data", "-opentelemetry.usePrometheusNaming",
        "-search.latencyOffset=0s",
      ] + (certificates ?? []) + added, tls: TLSFiles(authorities: authority)
    ) { $0.status("/health") == 200 }
  }

  /// What it printed so far: standard output and standard error.
  package var output: String { process.standardOutput + process.standardError }

  /// What it shows of the points it got (Collector and rotel).
  package var dump: DebugDump { DebugDump(output) }

  /// Ends it, cleanly.
  package func stop() {
    process.signal(15)
    _ = process.wait(atMost: .seconds(30))
  }

  /// The JSON answer to a GET.
  package func json(_ path: String) throws -> ParsedJSON { try ParsedJSON(try get(path)) }

  /// The body of the answer to a GET.
  package func get(_ path: String) throws -> String {
    let connection = HTTPConnection(userAgent: "test", tls: tls)
    return String(decoding: try connection.perform(HTTPRequest(.get, base + path)).body, as: UTF8.self)
  }

  private func status(_ path: String) -> Int? { Self.status(base + path, tls: tls) }

  private static func status(_ url: String, tls: TLSFiles = TLSFiles()) -> Int? {
    let connection = HTTPConnection(userAgent: "test", tls: tls)
    return try? connection.perform(HTTPRequest(.get, url, timeout: .seconds(5))).status
  }

  /// Whatever it says, somebody accepted.
  private static func isListening(_ port: Int) -> Bool {
    let connection = HTTPConnection(userAgent: "test")
    do throws(HTTPError) {
      _ = try connection.perform(HTTPRequest(.get, "http://127.0.0.1:\(port)", timeout: .seconds(5)))
      return true
    } catch {
      return error.cause != .cannotConnect
    }
  }
}

/// Text as it may stand in the query of a URL.
package func percentEncoded(_ text: String) -> String {
  text.utf8.map { byte in
    let isPlain = (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    if isPlain { return String(Unicode.Scalar(byte)) }
    return "%" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
  }.joined()
}
