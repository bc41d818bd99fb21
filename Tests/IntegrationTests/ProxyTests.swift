import TestSupport
import Testing

/// The proxy variables of the environment, as libcurl reads them. The receiver's name has no address, so what arrives came
/// through the proxy.
@Suite struct `A proxy` {
  private static let credentials = "user:\(CommandFixture.secret)"
  private let fixture = try! CommandFixture()

  private func push(
    to endpoint: String, through variables: [String: String], _ more: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let outbox = try fixture.writeOutbox(waiting: [5])
    // Whatever the machine has set of its own.
    let names = ["http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY"]
    let environment = Dictionary(uniqueKeysWithValues: names.map { ($0, "") })
      .merging(["OTEL_METRIC_EXPORT_TIMEOUT": "5000"]) { $1 }.merging(variables) { $1 }.merging(more) { $1 }
    return try fixture.run(
      ["--once", "--endpoint", endpoint] + outbox, environment: environment, sourceLocation: sourceLocation
    ).output
  }

  @Test func `gets the requests for http, with its credentials [20]`() throws {
    let proxy = ScriptedHTTPServer([.answer(200)])
    let output = try push(
      to: "http://collector.example:4318",
      through: ["http_proxy": "http://\(Self.credentials)@127.0.0.1:\(proxy.port)"])
    #expect(output.contains("Pushed "), "\(output)")
    let request = try #require(proxy.requests.first)
    #expect(request.method == "POST" && request.target == "http://collector.example:4318/v1/metrics")
    #expect(request.values("host") == ["collector.example:4318"])
    #expect(request.values("proxy-authorization").first?.hasPrefix("Basic ") == true)
  }

  @Test(arguments: ["127.0.0.1", "localhost,127.0.0.1", "*"])
  func `is left out for the hosts of no_proxy [20]`(excepted: String) throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let proxy = ScriptedHTTPServer([.answer(500)])
    let output = try push(
      to: server.url(""), through: ["http_proxy": "http://127.0.0.1:\(proxy.port)", "no_proxy": excepted])
    #expect(output.contains("Pushed "), "\(output)")
    #expect(proxy.connectionCount == 0 && server.requests.count == 1)
  }

  @Test(needs("otelcol"), arguments: [OTLPReceiver.Wire.http, .grpc])
  func `makes a tunnel for https, in which the certificate is the receiver's [20]`(wire: OTLPReceiver.Wire) throws {
    let authority = try TestAuthority()
    let receiver = try OTLPReceiver.collector(
      wire, identity: try authority.identity("server", for: "DNS:collector.example,IP:127.0.0.1"))
    let proxy = TunnelProxy(to: receiver.port)
    let output = try push(
      to: "https://collector.example:4999", through: ["https_proxy": "http://127.0.0.1:\(proxy.port)"],
      [
        "OTEL_EXPORTER_OTLP_CERTIFICATE": authority.file,
        "OTEL_EXPORTER_OTLP_PROTOCOL": wire == .grpc ? "grpc" : "http/protobuf",
      ])
    #expect(output.contains("Pushed "), "\(output)")
    #expect(proxy.heads.map(\.first) == ["CONNECT collector.example:4999 HTTP/1.1"])
    // What the receiver may know is not told to the proxy.
    #expect(!proxy.heads.joined().contains { $0.contains(CommandFixture.secret) })
  }

  @Test(needs("otelcol")) func `makes a tunnel for gRPC without TLS too [20]`() throws {
    let receiver = try OTLPReceiver.collector(.grpc)
    let proxy = TunnelProxy(to: receiver.port)
    let output = try push(
      to: "http://collector.example:4317", through: ["http_proxy": "http://127.0.0.1:\(proxy.port)"],
      ["OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"])
    #expect(output.contains("Pushed "), "\(output)")
    #expect(proxy.heads.map(\.first) == ["CONNECT collector.example:4317 HTTP/1.1"])
  }

  @Test(arguments: ["http/protobuf", "grpc"])
  func `that wants credentials is named as what refuses [20]`(transport: String) throws {
    let proxy = TunnelProxy(to: nil)
    let output = try push(
      to: "https://collector.example:4318",
      through: ["https_proxy": "http://\(Self.credentials)@127.0.0.1:\(proxy.port)"],
      ["OTEL_EXPORTER_OTLP_PROTOCOL": transport])
    #expect(output.contains("407") && output.contains("https_proxy"), "\(output)")
  }

  @Test func `that cannot be found is named as what is missing [20]`() throws {
    let name = String(repeating: "x", count: 64)
    let output = try push(to: "http://collector.example:4318", through: ["http_proxy": "http://\(name)"])
    #expect(output.contains("Could not resolve proxy") && output.contains("Check http_proxy"), "\(output)")
  }
}
