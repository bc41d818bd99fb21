import TestSupport
import Testing

/// A user may see file systems of its own, so that the system's authorities can be others for one process.
private let canMount = (try? run("unshare", ["-rm", "true"]).code) == 0

/// How the command reaches its endpoint, told by variables.
@Suite struct `The way to the endpoint` {
  private let fixture = try! CommandFixture()
  private let authority = try! TestAuthority()

  private func once(_ environment: [String: String]) throws -> ExporterCommand.Outcome {
    let outbox = try fixture.writeOutbox(waiting: [5])
    return try fixture.run(
      ["--once"] + outbox, environment: environment.merging(["OTEL_METRIC_EXPORT_TIMEOUT": "9000"]) { old, _ in old })
  }

  @Test(needs("otelcol"), arguments: ["http/protobuf", "grpc"])
  func `may be mutual TLS`(protocolName: String) throws {
    let wire = protocolName == "grpc" ? OTLPReceiver.Wire.grpc : .http
    let receiver = try OTLPReceiver.collector(
      wire, identity: try authority.identity("server"), clients: authority.file)
    let client = try authority.identity("client")
    let environment = [
      // Without a scheme gRPC means TLS.
      "OTEL_EXPORTER_OTLP_ENDPOINT": wire == .grpc ? String(receiver.base.dropFirst("https://".count)) : receiver.base,
      "OTEL_EXPORTER_OTLP_PROTOCOL": protocolName, "OTEL_EXPORTER_OTLP_CERTIFICATE": authority.file,
      "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": client.certificate, "OTEL_EXPORTER_OTLP_CLIENT_KEY": client.key,
      "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    ]
    let outcome = try once(environment)
    #expect(outcome.code == 0 && outcome.output.contains("Pushed "), "\(outcome)")
    receiver.stop()
    #expect(receiver.dump.points.contains { $0.metric == "outbox.depth" && $0.value == "1" })
  }

  @Test func `begins with keys that fit`() throws {
    let client = try authority.identity("client")
    let outcome = try once([
      "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": client.certificate,
      "OTEL_EXPORTER_OTLP_CLIENT_KEY": try authority.encrypted(client.key, passphrase: CommandFixture.secret),
    ])
    #expect(outcome.code == 78 && outcome.error.contains("the private key is encrypted"), "\(outcome)")
  }

  @Test(
    needs("otelcol"), .enabled(if: canMount, "unshare -rm is not allowed here"), arguments: ["http/protobuf", "grpc"])
  func `is trusted by the system's authorities, or by those of the file alone [108]`(protocolName: String) throws {
    let wire = protocolName == "grpc" ? OTLPReceiver.Wire.grpc : .http
    let receiver = try OTLPReceiver.collector(wire, identity: try authority.identity("server"))
    let other = try TestAuthority()
    // What Debian's libcurl looks at, as a bundle and as a directory of hashes.
    let system = try TemporaryDirectory()
    let certificate = try #require(contents(of: authority.file))
    try system.write(certificate, to: "ca-certificates.crt")
    try system.write(certificate, to: "authority.pem")
    #expect(try run("openssl", ["rehash", system.path]).code == 0)
    try fixture.writeOutbox(waiting: [5])
    func once(_ environment: [String: String]) throws -> ExporterCommand.Outcome {
      let script = """
        exec unshare -rm sh -c 'mount --bind "$0" /etc/ssl/certs && exec "$PROGRAM" --once' "\(system.path)"
        """
      return try fixture.exporter.runShell(
        script,
        environment: [
          "OUTBOX_DSN": "sqlite:outbox.sqlite", "OUTBOX_LAYOUT": "praisonai",
          "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.base, "OTEL_EXPORTER_OTLP_PROTOCOL": protocolName,
          "OTEL_METRIC_EXPORT_TIMEOUT": "4000",
        ].merging(environment) { $1 })
    }
    let trusting = try once([:])
    #expect(trusting.output.contains("Pushed "), "\(trusting)")
    let pinned = try once(["OTEL_EXPORTER_OTLP_CERTIFICATE": other.file])
    #expect(pinned.output.contains("unable to get local issuer certificate"), "\(pinned)")
    let named = try once(["OTEL_EXPORTER_OTLP_CERTIFICATE": authority.file])
    #expect(named.output.contains("Pushed "), "\(named)")
  }

  @Test func `may lead through a proxy, unless the host is left out [20]`() throws {
    let proxy = ScriptedHTTPServer([.answer(200)])
    let variables = ["http_proxy": proxy.url(""), "https_proxy": proxy.url(""), "no_proxy": ""]
    let plain = variables.merging(["OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.invalid:4318"]) { $1 }
    #expect(try once(plain).output.contains("Pushed "))
    #expect(proxy.requests.map(\.target) == ["http://collector.invalid:4318/v1/metrics"])
    let direct = try once(plain.merging(["no_proxy": "collector.invalid"]) { $1 })
    #expect(direct.output.contains("the host name has no address"), "\(direct)")
    #expect(proxy.requests.count == 1)

    let gatekeeper = ScriptedHTTPServer([.answer(403)])
    for (endpoint, protocolName) in [
      ("https://collector.invalid:1", "http/protobuf"), ("http://collector.invalid:1", "grpc"),
    ] {
      _ = try once([
        "http_proxy": gatekeeper.url(""), "https_proxy": gatekeeper.url(""), "no_proxy": "",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocolName,
        "OTEL_METRIC_EXPORT_TIMEOUT": "400",
      ])
    }
    #expect(gatekeeper.requests.allSatisfy { $0.method == "CONNECT" && $0.target == "collector.invalid:1" })
    #expect(gatekeeper.requests.count >= 2)
  }
}
