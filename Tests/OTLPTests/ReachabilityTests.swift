import GRPCClient
import HTTPClient
import TestSupport
import Testing

@testable import OTLP

/// What the machine knows about the receiver: its address, and who may vouch for it.
@Suite(.serialized) struct `The machine` {
  @Test func `may not know the receiver's address for a while [64]`() async {
    let server = ScriptedHTTPServer([.answer(200)])
    let time = TestTime()
    let exporter = OTLPExporter(
      OTLPDestination(endpoint: "http://collector.example:\(server.port)/v1/metrics"), version: "1",
      timing: time.timing)
    let lookups = await StagedSystem.withHost("collector.example", failures: 3) {
      #expect(await exporter.deliver(oneBatch(), within: .seconds(300)).isComplete)
    }
    #expect(lookups == 4)
    #expect(server.requests.count == 1)
    #expect(server.requests.first?.values("host") == ["collector.example:\(server.port)"])
    #expect(time.sleeps == [.seconds(1), .milliseconds(1500), .milliseconds(2250)])
  }

  @Test(arguments: [OTLPDestination.Transport.http, .grpc])
  func `and then the host name is what to look at [64]`(transport: OTLPDestination.Transport) async throws {
    let exporter = OTLPExporter(
      OTLPDestination(endpoint: "http://collector.example:4318", transport: transport), version: "1",
      timing: TestTime().timing)
    _ = await StagedSystem.withHost("collector.example", failures: .max) {
      let failure = await exporter.deliver(oneBatch(), within: .seconds(10)).failure
      #expect(failure?.errorType == "cannot_resolve")
      #expect(
        failure?.message.contains("Check the host name in the endpoint") == true, "\(String(describing: failure))")
    }
  }

  @Test func `vouches for a receiver only where no file of authorities is set [108]`() async throws {
    let (system, own) = (try TestAuthority(), try TestAuthority())
    let server = try TLSServer(try system.identity("server"), ["-alpn", "http/1.1"])
    let privateServer = try TLSServer(try own.identity("server"), ["-alpn", "http/1.1"])
    try await StagedSystem.trusting(system) {
      #expect(outcome(server, trusting: nil) == nil)
      #expect(outcome(server, trusting: own.file) == .tls)
      #expect(outcome(privateServer, trusting: own.file) == nil)
      #expect(outcome(privateServer, trusting: nil) == .tls)
    }
    #expect(outcome(server, trusting: nil) == .tls)
  }

  @Test func `vouches for a receiver of gRPC by the same rule [108]`() async throws {
    let (system, own) = (try TestAuthority(), try TestAuthority())
    let server = try TLSServer(try system.identity("server"), ["-alpn", "h2"])
    try await StagedSystem.trusting(system) {
      // The server says nothing after the handshake, so a handshake that works ends with the time.
      #expect(callOutcome(server, trusting: nil) == .timedOut)
      #expect(callOutcome(server, trusting: own.file) == .tls)
    }
  }

  private func outcome(_ server: TLSServer, trusting file: String?) -> HTTPError.Cause? {
    let connection = HTTPConnection(userAgent: "test", tls: TLSFiles(authorities: file))
    do throws(HTTPError) {
      let status = try connection.perform(HTTPRequest(.get, "https://127.0.0.1:\(server.port)/")).status
      #expect(status == 200)
      return nil
    } catch {
      return error.cause
    }
  }

  private func callOutcome(_ server: TLSServer, trusting file: String?) -> HTTPError.Cause? {
    let connection = GRPCConnection(
      url: "https://127.0.0.1:\(server.port)", userAgent: "test", tls: TLSFiles(authorities: file))
    do throws(HTTPError) {
      _ = try connection.perform(GRPCCall("/s/m", message: [], timeout: .seconds(1)))
      return nil
    } catch {
      return error.cause
    }
  }
}

struct `HTTP/2` {
  @Test(arguments: [["-alpn", "http/1.1"], []])
  func `is offered to a server with TLS, and HTTP/1.1 is spoken where it is refused [21]`(alpn: [String]) throws {
    let authority = try TestAuthority()
    let server = try TLSServer(try authority.identity("server"), alpn + ["-tlsextdebug"])
    let connection = HTTPConnection(userAgent: "test", tls: TLSFiles(authorities: authority.file))
    let answer = try connection.perform(HTTPRequest(.get, "https://127.0.0.1:\(server.port)/"))
    #expect(answer.status == 200)
    // The list that the client offers (RFC 7301 §3.1), as the server prints it: "h2" and "http/1.1".
    let offer = "0000 - 00 0c 02 68 32 08 68 74-74 70 2f 31 2e 31"
    #expect(eventually { server.output.contains(offer) }, "\(server.output)")
  }
}
