import HTTPClient
import TestSupport
import Testing

private func post(
  _ server: ScriptedHTTPServer, _ body: [UInt8] = [1, 2, 3], headers: [HTTPHeader] = [],
  timeout: Duration? = .seconds(30)
) -> HTTPRequest {
  HTTPRequest(.post, server.url(), headers: headers, body: body, timeout: timeout)
}

private func cause(_ connection: borrowing HTTPConnection, _ request: HTTPRequest) -> HTTPError.Cause? {
  do throws(HTTPError) {
    _ = try connection.perform(request)
    return nil
  } catch {
    return error.cause
  }
}

/// `head` and a body without a length, until the connection closes.
private func raw(_ head: String, _ body: [UInt8] = []) -> ScriptedHTTPServer.Step {
  .raw(Array("\(head)\r\n\r\n".utf8) + body)
}

struct `A request` {
  @Test func `arrives with its body and headers, and no others that say what the body is`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let connection = HTTPConnection(userAgent: "agent/1")
    let headers = [
      HTTPHeader("Content-Type", "application/x-protobuf"), HTTPHeader("X-Empty", ""), HTTPHeader("X-A", "b c"),
    ]
    #expect(try connection.perform(post(server, [0, 255, 10], headers: headers)).status == 200)
    let request = try #require(server.requests.first)
    #expect(request.method == "POST" && request.target == "/v1/metrics")
    #expect(request.body == [0, 255, 10])
    #expect(request.values("content-type") == ["application/x-protobuf"])
    #expect(request.values("x-empty") == [""])
    #expect(request.values("x-a") == ["b c"])
    #expect(request.values("user-agent") == ["agent/1"])
    #expect(request.values("content-encoding").isEmpty)
  }

  @Test func `of two megabytes does not wait for permission [14]`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let connection = HTTPConnection(userAgent: "agent")
    let body = [UInt8](repeating: 7, count: 2_000_000)
    #expect(try connection.perform(post(server, body)).status == 200)
    #expect(server.requests[0].values("expect").isEmpty)
    #expect(server.requests[0].body == body)
  }

  @Test func `with nothing to send is a request all the same`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let connection = HTTPConnection(userAgent: "agent")
    #expect(try connection.perform(post(server, [])).status == 200)
    #expect(try connection.perform(HTTPRequest(.get, server.url("/x"))).status == 200)
    #expect(server.requests.map(\.method) == ["POST", "GET"])
    #expect(server.requests.map(\.body) == [[], []])
  }

  @Test func `uses the connection of the one before it`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let connection = HTTPConnection(userAgent: "agent")
    for _ in 1...3 { #expect(try connection.perform(post(server)).status == 200) }
    #expect(server.connectionCount == 1)
  }

  @Test func `gets a new connection when the server closed the idle one [13]`() throws {
    let server = ScriptedHTTPServer([.answerAndClose(200), .answer(200)])
    let connection = HTTPConnection(userAgent: "agent")
    #expect(try connection.perform(post(server)).status == 200)
    #expect(try connection.perform(post(server)).status == 200)
    #expect(server.requests.map(\.connection) == [1, 2])
  }

  @Test(arguments: ["a b", "", "na\u{e4}me", "x:y"])
  func `with a header name that HTTP forbids is not made`(name: String) {
    let connection = HTTPConnection(userAgent: "agent")
    let request = HTTPRequest(.get, "http://127.0.0.1:1", headers: [HTTPHeader(name, "v")])
    #expect(cause(connection, request) == .invalidRequest)
  }

  @Test func `cannot have headers smuggled in, and does not show values`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let connection = HTTPConnection(userAgent: "agent")
    #expect(cause(connection, post(server, headers: [HTTPHeader("X-A", "b\r\nX-Evil: 1")])) == .invalidRequest)
    #expect(server.requests.isEmpty)
    let header = HTTPHeader("Authorization", "hunter2")
    #expect(!"\(header)".contains("hunter2"))
    #expect(!String(reflecting: header).contains("hunter2"))
    var dumped = ""
    dump([header], to: &dumped)
    #expect(!dumped.contains("hunter2"))
  }
}

struct `An answer` {
  @Test func `is taken with its headers in lower case, in order`() throws {
    let server = ScriptedHTTPServer([
      .answer(
        429, headers: [("Retry-After", "1"), ("RETRY-AFTER", " 2 "), ("Content-Type", "Text/Plain; a=b")], body: [65])
    ])
    let connection = HTTPConnection(userAgent: "agent")
    let response = try connection.perform(post(server))
    #expect(response.status == 429 && response.body == [65])
    #expect(response.values("Retry-After") == ["1", "2"])
    #expect(response.value("retry-after") == "2")
    #expect(response.mediaType == "text/plain")
  }

  @Test func `does not begin with an interim one`() throws {
    let server = ScriptedHTTPServer([raw("HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\nHTTP/1.1 503 No\r\nX-B: 2", [66])])
    let connection = HTTPConnection(userAgent: "agent")
    let response = try connection.perform(post(server))
    #expect(response.status == 503 && response.body == [66])
    #expect(response.headers == [HTTPHeader("x-b", "2")])
  }

  @Test func `that redirects is not followed [45]`() throws {
    let other = ScriptedHTTPServer([.answer(200)])
    let server = ScriptedHTTPServer([.answer(307, headers: [("Location", other.url())])])
    let connection = HTTPConnection(userAgent: "agent")
    #expect(try connection.perform(post(server, headers: [HTTPHeader("X-Api-Key", "hunter2")])).status == 307)
    #expect(other.connectionCount == 0)
  }

  @Test func `is decompressed [9]`() throws {
    let text = Array("hello, hello, hello".utf8)
    let server = ScriptedHTTPServer([.answer(200, headers: [("Content-Encoding", "gzip")], body: gzip(text))])
    let connection = HTTPConnection(userAgent: "agent")
    #expect(try connection.perform(post(server)).body == text)
    #expect(server.requests[0].values("accept-encoding") == ["gzip"])
  }

  @Test func `that says gzip and is not keeps its status [36]`() throws {
    let server = ScriptedHTTPServer([.answer(200, headers: [("Content-Encoding", "gzip")], body: Array("plain".utf8))])
    let connection = HTTPConnection(userAgent: "agent")
    let response = try connection.perform(post(server))
    #expect(response.status == 200)
    #expect(response.bodyDefect != nil)
  }

  @Test func `whose body is cut off keeps its status [66]`() throws {
    let server = ScriptedHTTPServer([raw("HTTP/1.1 200 OK\r\nContent-Length: 100", [1, 2])])
    let connection = HTTPConnection(userAgent: "agent")
    let response = try connection.perform(post(server))
    #expect(response.status == 200 && response.bodyDefect != nil)
  }

  @Test func `of 4 MiB is read, and one byte more is refused [34]`() throws {
    let limit = HTTPConnection.responseLimit
    #expect(limit == 4 << 20)
    let server = ScriptedHTTPServer([
      .answer(200, body: [UInt8](repeating: 1, count: limit)),
      .answer(200, body: [UInt8](repeating: 1, count: limit + 1)),
    ])
    let connection = HTTPConnection(userAgent: "agent")
    #expect(try connection.perform(post(server)).body.count == limit)
    #expect(cause(connection, post(server)) == .responseTooLarge)
  }

  @Test func `that inflates beyond 4 MiB is refused [35]`() {
    let bomb = gzip([UInt8](repeating: 0, count: 64 << 20))
    #expect(bomb.count < 1 << 20)
    let server = ScriptedHTTPServer([.answer(200, headers: [("Content-Encoding", "gzip")], body: bomb)])
    let connection = HTTPConnection(userAgent: "agent")
    #expect(cause(connection, post(server)) == .responseTooLarge)
  }

  @Test func `that is larger than 4 MiB before it is inflated, and nothing after, is refused [34]`() {
    // Empty stored blocks (RFC 1951 §3.2.4) between the head of a gzip member and its last block.
    let blocks = Array(repeatElement([0, 0, 0, 0xff, 0xff] as [UInt8], count: 1 << 20).joined())
    let end = [1, 0, 0, 0xff, 0xff] + [UInt8](repeating: 0, count: 8)
    let endless = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3] + blocks + end
    let server = ScriptedHTTPServer([.answer(200, headers: [("Content-Encoding", "gzip")], body: endless)])
    #expect(cause(HTTPConnection(userAgent: "agent"), post(server)) == .responseTooLarge)
  }

  @Test func `with headers without end is refused`() {
    let line = "X-A: " + String(repeating: "a", count: 60_000) + "\r\n"
    let server = ScriptedHTTPServer([raw("HTTP/1.1 200 OK\r\n" + String(repeating: line, count: 10) + "X-B: 1")])
    let connection = HTTPConnection(userAgent: "agent")
    #expect(cause(connection, post(server)) != nil)
  }
}

struct `No answer`: ~Copyable {
  private let connection = HTTPConnection(userAgent: "agent")

  @Test func `because nobody listens`() {
    #expect(cause(connection, HTTPRequest(.post, "http://127.0.0.1:\(freePort())/")) == .cannotConnect)
  }

  @Test func `because the name has no address`() {
    // Too long for a label, so that no name server has to be asked.
    let name = String(repeating: "x", count: 64)
    #expect(cause(connection, HTTPRequest(.post, "http://\(name)/")) == .cannotResolve)
  }

  @Test(arguments: ["ftp://127.0.0.1/", "file:///etc/hostname", "http://", "http://[", "gopher://x"])
  func `because the URL is none that is spoken`(url: String) {
    #expect(cause(connection, HTTPRequest(.get, url)) == .invalidRequest)
  }

  @Test(arguments: [ScriptedHTTPServer.Step.close, .closeAtOnce, .raw(Array("HTTP/1.1 200 OK\r\nX-A".utf8))])
  func `because the connection ends`(step: ScriptedHTTPServer.Step) {
    let server = ScriptedHTTPServer([step])
    #expect(cause(connection, post(server)) == .closedWithoutAnswer)
  }

  @Test func `because the server never speaks`() {
    let server = ScriptedHTTPServer([.silence])
    #expect(cause(connection, post(server, timeout: .milliseconds(50))) == .timedOut)
  }

  @Test(arguments: [
    "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 20\r\n\r\n",
    "\u{0}\u{0}\u{12}\u{4}\u{0}garbage\r\n\r\n",
  ])
  func `because it speaks something else`(text: String) {
    let server = ScriptedHTTPServer([.raw(Array(text.utf8))])
    #expect(cause(connection, post(server)) == .notHTTP)
  }

  @Test func `because the server does not speak TLS`() {
    let server = ScriptedHTTPServer([.raw(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))])
    #expect(cause(connection, HTTPRequest(.post, "https://127.0.0.1:\(server.port)/")) != nil)
  }

  @Test func `because the certificate file is missing`() {
    let connection = HTTPConnection(userAgent: "agent", tls: TLSFiles(authorities: "/nowhere/ca.pem"))
    #expect(cause(connection, HTTPRequest(.post, "https://127.0.0.1:\(freePort())/")) != nil)
  }

  @Test func `because a deadline passed that was set meanwhile`() {
    let server = ScriptedHTTPServer([.silence])
    let deadline = HTTPDeadline()
    let connection = HTTPConnection(userAgent: "agent", deadline: deadline)
    deadline.set(monotonicNanoseconds: 0)
    let error = #expect(throws: HTTPError.self) { try connection.perform(post(server, timeout: nil)) }
    #expect(error?.cause == .interrupted)
    #expect(error?.explanation == "no answer in time (the time for the whole push was over)")
  }

  @Test func `leaves the connection usable`() throws {
    let server = ScriptedHTTPServer([.close, .answer(200)])
    #expect(cause(connection, post(server)) == .closedWithoutAnswer)
    #expect(try connection.perform(post(server)).status == 200)
  }
}

struct `A URL in a message` {
  @Test(arguments: [
    ("http://a/b", "http://a/b"), ("http://u:p@a/b?q=p#p", "http://a/b"), ("https://u:p@x@a:1", "https://a:1"),
    ("http://a/b@c", "http://a/b@c"), ("a?p", "a"),
  ])
  func `has no secrets`(url: String, shown: String) {
    #expect(urlWithoutSecrets(url) == shown)
  }
}

struct `A compressed body` {
  @Test(arguments: [0, 1, 1000, 3_000_000])
  func `is read back by another implementation [6]`(size: Int) throws {
    var state: UInt64 = 42
    let bytes = (0..<size).map { index -> UInt8 in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return index % 3 == 0 ? UInt8(truncatingIfNeeded: state >> 33) : 7
    }
    let directory = try TemporaryDirectory()
    try directory.write(gzip(bytes), to: "data.gz")
    try directory.write(bytes, to: "expected")
    let result = try run("sh", ["-c", "gzip -dc data.gz | cmp - expected"], directory: directory.path)
    #expect(result.code == 0, "\(result.error)")
  }
}
