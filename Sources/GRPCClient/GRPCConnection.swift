package import HTTPClient

/// Unary calls to one server, one at a time, on a connection that is kept between them. Blocks the calling thread: give it
/// one of its own. Plain HTTP/2 with prior knowledge for `http`, TLS with ALPN `h2` for `https`; never HTTP/1.1.
package final class GRPCConnection {
  private let url: String
  private let userAgent: String
  private let tls: TLSFiles
  private let deadline: HTTPDeadline
  private var session: HTTP2Session?

  /// A connection that is opened by the first call.
  ///
  /// - Parameters:
  ///   - url: scheme, host and port.
  ///   - userAgent: the product and version that servers see.
  ///   - tls: what to trust and how to identify ourselves; ignored for `http`.
  ///   - deadline: ends a call from outside.
  package init(
    url: String, userAgent: String, tls: TLSFiles = TLSFiles(), deadline: HTTPDeadline = HTTPDeadline()
  ) {
    self.url = url
    self.userAgent = userAgent
    self.tls = tls
    self.deadline = deadline
  }

  /// Makes a call.
  ///
  /// - Throws: `HTTPError` where there is no answer.
  package func perform(_ call: GRPCCall) throws(HTTPError) -> GRPCAnswer {
    if let bad = call.metadata.first(where: { !$0.isValid }) {
      throw HTTPError(
        .invalidRequest, url: url, detail: "the metadata \"\(printable(bad.name))\" has characters gRPC forbids")
    }
    let end = call.timeout.map { ContinuousClock.now + $0 }
    if let session, session.isUsable() {
      let stream = stream(call, until: end)
      // A server that is about to go away says which calls it did not begin, or says nothing at all: the connection was
      // good a moment ago, so another one is worth an immediate attempt.
      do throws(HTTPError) {
        try session.exchange(stream, until: end, deadline)
        if stream.endCode != 0x7 || !stream.isUnanswered { return GRPCAnswer(stream) }
      } catch {
        self.session = nil
        guard error.cause == .closedWithoutAnswer, stream.isUnanswered else { throw error }
      }
    }
    session = nil
    let connection = try ByteConnection(
      url: url, tls: tls, protocolName: "h2", timeout: end.map { $0 - .now }, deadline: deadline)
    let session = HTTP2Session(connection, url: url)
    let stream = stream(call, until: end)
    try session.exchange(stream, until: end, deadline)
    self.session = session
    return GRPCAnswer(stream)
  }

  private func stream(_ call: GRPCCall, until end: ContinuousClock.Instant?) -> HTTP2Stream {
    HTTP2Stream(
      headers: headers(call, left: end.map { $0 - .now }),
      body: GRPCFrame.message(call.message, isCompressed: call.isCompressed))
  }

  private func headers(_ call: GRPCCall, left: Duration?) -> [(name: String, value: String, isSecret: Bool)] {
    let scheme = url.prefix { $0 != ":" }.lowercased()
    let authority = url.dropFirst(scheme.count + 3).prefix { $0 != "/" }
    var headers: [(name: String, value: String, isSecret: Bool)] = [
      (":method", "POST", false), (":scheme", scheme, false), (":path", call.path, false),
      (":authority", String(authority), false),
    ]
    // Directly behind the pseudo headers (gRPC over HTTP/2, "Requests").
    if let left { headers.append(("grpc-timeout", GRPCCall.timeoutText(left), false)) }
    headers += [("te", "trailers", false), ("content-type", "application/grpc", false)]
    if call.isCompressed { headers.append(("grpc-encoding", "gzip", false)) }
    headers += [("grpc-accept-encoding", "identity,gzip", false), ("user-agent", userAgent, false)]
    return headers + call.metadata.map { ($0.name.lowercased(), $0.value, true) }
  }
}
