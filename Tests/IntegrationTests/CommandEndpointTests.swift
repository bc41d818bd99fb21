import TestSupport
import Testing

/// What becomes of the push of `--once`. It is said, and leaves the health as it is.
@Suite struct `Endpoints of the command` {
  private func push(
    to endpoint: String, environment: [String: String] = [:], _ words: [String],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let fixture = try CommandFixture()
    let outbox = try fixture.writeOutbox(waiting: [5])
    let arguments = ["--once", "--endpoint", endpoint] + outbox
    let text = try fixture.run(arguments, environment: environment, sourceLocation: sourceLocation)
    #expect(text.code == 0 && text.output.hasPrefix("OK"), "\(text)", sourceLocation: sourceLocation)
    #expect(text.output.contains("The push failed: "), "\(text)", sourceLocation: sourceLocation)
    for word in words {
      #expect(text.output.contains(word), "\(word) is not in \(text)", sourceLocation: sourceLocation)
    }
    let line = text.output.split(separator: "\n").first { $0.contains("The push failed: ") } ?? ""
    #expect(line.ranges(of: endpoint).count == 1, "the endpoint stands once in \(line)", sourceLocation: sourceLocation)
  }

  /// Ends what would be tried again and again for half a minute.
  private let soon = ["OTEL_METRIC_EXPORT_TIMEOUT": "400"]

  @Test func `one that takes everything`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let arguments = try ["--once", "--endpoint", server.url("")] + fixture.writeOutbox(waiting: [5])
    let text = try fixture.run(arguments)
    #expect(text.code == 0 && text.output.contains("Pushed "), "\(text)")
    let json = try fixture.run(arguments + ["--format", "json"])
    #expect(json.output.contains("\"attempted\": true") && json.output.contains("\"delivered\": true"))
    let requests = server.requests
    #expect(requests.count == 2)
    for request in requests {
      #expect(request.method == "POST" && request.target == "/v1/metrics")
      #expect(request.values("authorization") == ["Bearer \(CommandFixture.secret)"])
      let points = ReceivedFigure.all(in: request.body)
      #expect(
        points.contains { $0.metric == "outbox.depth" && $0.attributes["outbox.state"] == "ready" && $0.value == 1 })
      #expect(points.contains { $0.metric == "outbox.up" && $0.value == 1 })
      // The sidecar counts; a run that ends at once would look like its restart.
      #expect(!points.contains { $0.metric == "outbox.sample.skipped" || $0.metric == "outbox.sample.failures" })
    }
  }

  @Test func `a failed sample is pushed as down, with no depth`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let outcome = try fixture.run(
      ["--once", "--endpoint", server.url(""), "--dsn", "sqlite:nowhere/x.db", "--layout", "praisonai"])
    #expect(outcome.code == 3)
    let points = server.requests.flatMap { ReceivedFigure.all(in: $0.body) }
    #expect(points.filter { $0.metric == "outbox.up" }.map(\.value) == [0])
    #expect(!points.contains { $0.metric == "outbox.depth" })
  }

  @Test func `one that refuses the connection`() throws {
    let port = freePort()
    try push(
      to: "http://127.0.0.1:\(port)", environment: soon,
      ["http://127.0.0.1:\(port)/v1/metrics", "nobody accepts connections", "Check that a receiver listens there"])
  }

  @Test func `one that answers 404`() throws {
    let server = ScriptedHTTPServer([.answer(404, body: Array("404 page not found".utf8))])
    try push(to: server.url(""), ["answered 404: 404 page not found", "No OTLP receiver is at this path"])
    #expect(server.requests.count == 1)
  }

  @Test func `one that answers 401`() throws {
    let server = ScriptedHTTPServer([.answer(401)])
    try push(to: server.url(""), ["answered 401", "OTEL_EXPORTER_OTLP_HEADERS"])
  }

  @Test func `one that redirects to a URL with a secret`() throws {
    let server = ScriptedHTTPServer([
      .answer(302, headers: [("Location", "http://h/login?token=\(CommandFixture.secret)")])
    ])
    try push(to: server.url(""), ["answered 302", "http://h/login", "Configure the final URL"])
  }

  @Test func `one that answers garbage`() throws {
    let server = ScriptedHTTPServer([.raw(Array("SSH-2.0-OpenSSH_9.2\r\n".utf8))])
    try push(to: server.url(""), environment: soon, [server.url(), "HTTP"])
  }

  @Test func `one whose 200 is a web page has taken the data`() throws {
    let server = ScriptedHTTPServer([
      .answer(200, headers: [("Content-Type", "text/html")], body: Array("<html>hello".utf8))
    ])
    let fixture = try CommandFixture()
    let outcome = try fixture.run(["--once", "--endpoint", server.url("")] + fixture.writeOutbox())
    #expect(outcome.code == 0 && outcome.output.contains("Pushed "))
  }

  @Test func `one that never answers is given up`() throws {
    let server = ScriptedHTTPServer([.silence])
    try push(
      to: server.url(""), environment: soon.merging(["OTEL_EXPORTER_OTLP_TIMEOUT": "100"]) { $1 },
      [server.url(), "no answer in time"])
  }

  @Test func `one that takes the connection and no request is given up`() throws {
    let blackhole = try BlackholeServer()
    try push(
      to: "http://127.0.0.1:\(blackhole.port)", environment: soon, ["127.0.0.1:\(blackhole.port)", "no answer in time"])
  }

  @Test func `one that is overloaded is tried again, and given up`() throws {
    let server = ScriptedHTTPServer([.answer(503)])
    try push(to: server.url(""), environment: ["OTEL_METRIC_EXPORT_TIMEOUT": "2500"], ["answered 503"])
    #expect(server.requests.count > 1)
  }

  @Test func `one that recovers gets everything`() throws {
    let server = ScriptedHTTPServer([.answer(503), .answer(200)])
    let fixture = try CommandFixture()
    let outcome = try fixture.run(["--once", "--endpoint", server.url("")] + fixture.writeOutbox())
    #expect(outcome.output.contains("Pushed ") && server.requests.count == 2)
  }

  @Test func `of two, the one that failed is named`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let port = freePort()
    let fixture = try CommandFixture()
    try fixture.writeOutbox()
    let configured = try fixture.configured(
      """
      outboxes: [{dsn: "sqlite:outbox.sqlite", layout: praisonai}]
      export:
        - {endpoint: "\(server.url(""))", headers: {X-Token: \(CommandFixture.secret)}}
        - {endpoint: "http://127.0.0.1:\(port)"}
      """)
    let outcome = try fixture.run(["--once"] + configured, environment: soon)
    #expect(outcome.code == 0 && outcome.output.contains("The push failed: "))
    #expect(outcome.output.contains(":\(port)/v1/metrics") && !outcome.output.contains(":\(server.port)"))
    #expect(server.requests.map { $0.values("x-token") } == [[CommandFixture.secret]])
  }

  @Test func `where none is set nothing is pushed, and that is said`() throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run(["--once"] + fixture.writeOutbox())
    #expect(outcome.output.contains("Nothing was pushed: no OTLP endpoint is configured."))
  }

  @Test func `telemetry that is disabled makes no connection`() throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let outcome = try fixture.run(
      ["--once", "--endpoint", server.url("")] + fixture.writeOutbox(), environment: ["OTEL_SDK_DISABLED": "true"])
    #expect(outcome.code == 0 && outcome.output.contains("Nothing was pushed"))
    #expect(server.connectionCount == 0)
  }
}
