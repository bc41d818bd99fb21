import HTTPClient
import Metrics
import Outbox
import TestSupport
import Testing

@testable import OTLP

/// One attempt, and what is said about it.
private func attempt(
  _ transport: OTLPDestination.Transport, _ endpoint: String, authorities: String? = nil,
  identity: TestAuthority.Identity? = nil, key: String? = nil
) async -> DeliveryFailure? {
  let destination = OTLPDestination(
    endpoint: endpoint, transport: transport, authorities: authorities, clientCertificate: identity?.certificate,
    clientKey: key ?? identity?.key)
  let exporter = OTLPExporter(
    destination, version: "1", policy: RetryPolicy(initialDelay: .seconds(1000), maximumDelay: .seconds(1000)))
  let instrument = Instrument(name: "m", kind: .gauge, unit: "", description: "", attributes: [], prometheusName: "m")
  let metric = Metric(instrument, points: [DataPoint(attributes: [], time: Timestamp(nanoseconds: 1), value: .int(1))])
  let batch = MetricBatch(resource: [], scopeVersion: "1", metrics: [metric])
  return await exporter.deliver(batch, within: .seconds(60)).failure
}

/// Every way in which a handshake fails, against OpenSSL's server, for both transports.
struct `A TLS connection` {
  private let authority = try! TestAuthority()

  private func expect(
    _ transport: OTLPDestination.Transport, _ server: TLSServer, authorities: String?,
    identity: TestAuthority.Identity? = nil, key: String? = nil, type: String = "tls", says words: String...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    let failure = await attempt(
      transport, "https://127.0.0.1:\(server.port)", authorities: authorities, identity: identity, key: key)
    #expect(failure?.errorType == type, "\(failure?.message ?? "")", sourceLocation: sourceLocation)
    for word in words {
      #expect(
        failure?.message.contains(word) == true, "\(word) is not in: \(failure?.message ?? "")",
        sourceLocation: sourceLocation)
    }
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `is refused where nobody trusted has signed the server's certificate [68]`(
    transport: OTLPDestination.Transport
  ) async throws {
    let server = try TLSServer(try authority.identity("server"))
    let other = try TestAuthority()
    await expect(transport, server, authorities: nil, says: "local issuer", "set OTEL_EXPORTER_OTLP_CERTIFICATE to")
    await expect(
      transport, server, authorities: other.file, says: "local issuer",
      "set OTEL_EXPORTER_OTLP_CERTIFICATE to")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `is refused where the certificate is for another host [109]`(transport: OTLPDestination.Transport) async throws {
    let server = try TLSServer(try authority.identity("elsewhere", for: "DNS:collector.example"))
    await expect(transport, server, authorities: authority.file, says: "for other names")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `is refused where the certificate has expired`(transport: OTLPDestination.Transport) async throws {
    let server = try TLSServer(try authority.identity("expired", days: -1))
    await expect(transport, server, authorities: authority.file, says: "has expired", "renew it")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `is refused where the certificate is not valid yet`(transport: OTLPDestination.Transport) async throws {
    let server = try TLSServer(try authority.futureIdentity())
    await expect(transport, server, authorities: authority.file, says: "not yet valid", "set the clock")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `is refused where the certificate is made for clients`(transport: OTLPDestination.Transport) async throws {
    let server = try TLSServer(try authority.identity("client", extensions: "extendedKeyUsage=clientAuth"))
    await expect(transport, server, authorities: authority.file, says: "not made for servers")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc], [("rsa:1024", "-sha256"), ("rsa:2048", "-sha1")])
  func `is refused where key or digest are too weak`(
    transport: OTLPDestination.Transport, weakness: (key: String, digest: String)
  ) async throws {
    let server = try TLSServer(
      try authority.identity("weak", key: weakness.key, digest: weakness.digest),
      ["-cipher", "DEFAULT:@SECLEVEL=0"])
    await expect(transport, server, authorities: authority.file, says: "too weak", "RSA of 2048")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `is refused where the certificate is signed by what is no authority`(
    transport: OTLPDestination.Transport
  ) async throws {
    let between = try authority.identity("between", extensions: "basicConstraints=critical,CA:FALSE")
    let server = try TLSServer(
      try authority.identity("server", issuer: between), ["-cert_chain", between.certificate])
    await expect(transport, server, authorities: authority.file, says: "cannot be accepted", "-showcerts")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `is refused where no cipher is shared`(transport: OTLPDestination.Transport) async throws {
    let server = try TLSServer(
      try authority.identity("server"), ["-tls1_2", "-cipher", "NULL-SHA256:@SECLEVEL=0"])
    await expect(transport, server, authorities: authority.file, says: "shares no cipher")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc], ["-tls1_2", "-tls1_3"])
  func `names the client certificate where the server demands one [112]`(
    transport: OTLPDestination.Transport, version: String
  ) async throws {
    let server = try TLSServer(
      try authority.identity("server"),
      ["-Verify", "1", "-verify_return_error", "-CAfile", authority.file, version, "-alpn", "h2"])
    await expect(
      transport, server, authorities: authority.file, says: "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `says that the server does not accept our certificate`(transport: OTLPDestination.Transport) async throws {
    let other = try TestAuthority()
    let server = try TLSServer(
      try authority.identity("server"),
      ["-Verify", "1", "-verify_return_error", "-CAfile", authority.file, "-alpn", "h2"])
    await expect(
      transport, server, authorities: authority.file, identity: try other.identity("stranger"),
      says: "does not accept our client certificate")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `names the key that does not fit, is encrypted or is gone [111]`(
    transport: OTLPDestination.Transport
  ) async throws {
    let identity = try authority.identity("client")
    let server = try TLSServer(try authority.identity("server"))
    let encrypted = try authority.encrypted(identity.key, passphrase: "hunter2")
    for key in [try authority.identity("other").key, encrypted, "/nowhere/key.pem"] {
      await expect(
        transport, server, authorities: authority.file, identity: identity, key: key, type: "tls_files",
        says: "OTEL_EXPORTER_OTLP_CLIENT_KEY", "without passphrase")
    }
    await expect(
      transport, server, authorities: "/nowhere/ca.pem", type: "tls_files",
      says: "Check the file in OTEL_EXPORTER_OTLP_CERTIFICATE")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `says that the server's protocol is too old`(transport: OTLPDestination.Transport) async throws {
    let server = try TLSServer(
      try authority.identity("server"), ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])
    await expect(transport, server, authorities: authority.file, says: "version 1.2")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `says that the server speaks without TLS`(transport: OTLPDestination.Transport) async {
    let server = ScriptedHTTPServer([.rawAtOnce(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))])
    let failure = await attempt(transport, "https://127.0.0.1:\(server.port)")
    #expect(failure?.message.contains("begin the endpoint with http://") == true, "\(failure?.message ?? "")")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `is named where the server expects it and gets none`(transport: OTLPDestination.Transport) async throws {
    let server = try TLSServer(try authority.identity("server"))
    let failure = await attempt(transport, "http://127.0.0.1:\(server.port)")
    #expect(failure?.message.contains("begin the endpoint with https://") == true, "\(failure?.message ?? "")")
  }

  @Test func `is refused to gRPC by a server without HTTP/2 [80]`() async throws {
    let server = try TLSServer(try authority.identity("server"))
    await expect(
      .grpc, server, authorities: authority.file, type: "protocol_not_offered", says: "did not choose h2", "HTTP/2")
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `is made with the files as they are then [115]`(transport: OTLPDestination.Transport) async throws {
    let server = try TLSServer(
      try authority.identity("server"),
      ["-Verify", "1", "-verify_return_error", "-CAfile", authority.file, "-alpn", "h2"])
    let (directory, other) = (try TemporaryDirectory(), try TestAuthority())
    let file = directory.path + "/ca.pem"
    try directory.write(try #require(contents(of: other.file)), to: "ca.pem")
    let exporter = OTLPExporter(
      OTLPDestination(endpoint: "https://127.0.0.1:\(server.port)", transport: transport, authorities: file),
      version: "1", policy: RetryPolicy(initialDelay: .seconds(1000), maximumDelay: .seconds(1000)))
    let first = await exporter.deliver(oneBatch(), within: .seconds(60)).failure
    #expect(first?.message.contains("set OTEL_EXPORTER_OTLP_CERTIFICATE to") == true)
    try directory.write(try #require(contents(of: authority.file)), to: "ca.pem")
    let second = await exporter.deliver(oneBatch(), within: .seconds(60)).failure
    #expect(
      second?.message.contains("set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and") == true, "\(String(describing: second))"
    )
  }
}
