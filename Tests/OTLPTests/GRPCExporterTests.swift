import GRPCClient
import HTTPClient
import Metrics
import Outbox
import TestSupport
import Testing

@testable import OTLP

private func batch(points: Int = 10, size: Int = 0) -> MetricBatch {
  let instrument = Instrument(name: "m", kind: .gauge, unit: "", description: "", attributes: [], prometheusName: "m")
  let attribute = Attribute("k", String(repeating: "x", count: size))
  let point = DataPoint(attributes: [attribute], time: Timestamp(nanoseconds: 1), value: .int(5))
  return MetricBatch(
    resource: [], scopeVersion: "1", metrics: [Metric(instrument, points: Array(repeating: point, count: points))])
}

/// An exporter whose pauses take no time; how long they would have been is asked of `sleeps`.
private struct Exporter {
  let exporter: OTLPExporter
  let time = TestTime()

  init(
    _ server: ScriptedHTTP2Server, headers: [(name: String, value: String)] = [],
    compression: OTLPDestination.Compression = .none, timeout: Duration? = .seconds(30)
  ) {
    exporter = OTLPExporter(
      OTLPDestination(
        endpoint: server.url, transport: .grpc, headers: headers, timeout: timeout, compression: compression),
      version: "1.2.3", timing: time.timing)
  }

  func push(_ batch: MetricBatch = batch(), within bound: Duration = .seconds(300)) async -> PushReport {
    await exporter.deliver(batch, within: bound)
  }
}

/// What a call by gRPC looks like to a server that decodes frames and HPACK on its own.
struct `A push over gRPC` {
  @Test func `is one call with the headers that gRPC asks for, in their order [74] [76] [79] [83]`() async throws {
    let server = ScriptedHTTP2Server([.frames(.answer())])
    let exporter = Exporter(server, headers: [("X-Scope-OrgID", "t1"), ("key-bin", "AAE=")])
    let report = await exporter.push()
    #expect(report.deliveredPoints == 10 && report.isComplete)
    let request = try #require(server.requests.first)
    let names = [
      ":method", ":scheme", ":path", ":authority", "grpc-timeout", "te", "content-type", "grpc-accept-encoding",
      "user-agent", "x-scope-orgid", "key-bin",
    ]
    #expect(request.headers.map(\.name) == names)
    #expect(request.values(":method") == ["POST"] && request.values(":scheme") == ["http"])
    #expect(request.values(":path") == ["/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"])
    #expect(request.values(":authority") == ["127.0.0.1:\(server.port)"])
    #expect(request.values("te") == ["trailers"] && request.values("content-type") == ["application/grpc"])
    #expect(request.values("grpc-accept-encoding") == ["identity,gzip"])
    #expect(request.values("user-agent") == ["outbox-exporter/1.2.3 OTel-OTLP-Exporter-Swift/1.2.3"])
    #expect(request.values("x-scope-orgid") == ["t1"] && request.values("key-bin") == ["AAE="])
    let timeout = try #require(request.values("grpc-timeout").first)
    #expect(timeout.last == "m" && Int(timeout.dropLast()).map { (1...30_000).contains($0) } == true)
    let message = MetricEncoder.encode(batch()).requests[0].body
    let length = UInt32(message.count)
    #expect(request.body == [0, 0, 0, UInt8(length >> 8), UInt8(length & 255)] + message)
  }

  @Test func `has no time limit to tell where there is none`() async {
    let server = ScriptedHTTP2Server([.frames(.answer())])
    let connection = GRPCConnection(url: server.url, userAgent: "a")
    _ = try? connection.perform(GRPCCall("/s/m", message: [], timeout: nil))
    #expect(server.requests.first?.values("grpc-timeout") == [])
    #expect(server.requests.first?.body == [0, 0, 0, 0, 0])
  }

  @Test(arguments: [
    (Duration.milliseconds(250), "250m"), (.microseconds(3), "1m"), (.seconds(10), "10000m"),
    (.seconds(99_999), "99999000m"), (.seconds(100_000), "100000S"), (.seconds(1_000_000_000_000), "99999999S"),
  ])
  func `tells the time limit in at most eight digits [79]`(limit: Duration, text: String) {
    #expect(GRPCCall.timeoutText(limit) == text)
  }

  @Test func `is compressed when asked to, the same in each attempt [8] [77]`() async {
    let server = ScriptedHTTP2Server([.frames(.status("14")), .frames(.answer())])
    #expect(await Exporter(server, compression: .gzip).push().isComplete)
    let message = gzip(MetricEncoder.encode(batch()).requests[0].body)
    let expected = [1, 0, 0, UInt8(message.count >> 8), UInt8(message.count & 255)] + message
    #expect(server.requests.map(\.body) == [expected, expected])
    #expect(server.requests.map { $0.values("grpc-encoding") } == [["gzip"], ["gzip"]])
    #expect(server.requests.allSatisfy { $0.values("content-encoding").isEmpty })
  }

  @Test func `keeps its connection for a hundred exports [12] [81]`() async {
    let server = ScriptedHTTP2Server([.frames(.answer())])
    let exporter = Exporter(server)
    for _ in 1...100 { #expect(await exporter.push().isComplete) }
    #expect(server.connectionCount == 1 && server.requests.count == 100)
  }

  @Test(arguments: [0, 1, 16_384, 65_535])
  func `completes whatever windows and frames the server allows [102]`(window: UInt32) async {
    // INITIAL_WINDOW_SIZE, HEADER_TABLE_SIZE 0 and the smallest MAX_FRAME_SIZE.
    let server = ScriptedHTTP2Server(
      [.frames([.ping, .settings([(4, 100_000), (5, 32_768)])] + .answer())],
      settings: [(4, max(1, window)), (1, 0), (5, 16_384)])
    let exporter = Exporter(server)
    let batch = batch(points: window == 1 || window == 0 ? 10 : 2000, size: window < 2 ? 0 : 500)
    #expect(await exporter.push(batch).isComplete)
    #expect(await exporter.push(batch).isComplete)
    #expect(
      server.requests.map { $0.body.count - 5 }
        == Array(repeating: MetricEncoder.encode(batch).requests[0].body.count, count: 2))
    #expect(server.connectionCount == 1)
    #expect(await happens { server.acknowledgements.filter { $0 == 6 }.count >= 1 })
  }
}

struct `A pause that a gRPC server asks for` {
  @Test func `is where the next ones grow from, until a success [89]`() async {
    // google.rpc.Status { code: UNAVAILABLE, details: [RetryInfo { retry_delay: 4 s }] }
    let wish = [("grpc-status-details-bin", "CA4aMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIBA")]
    let (asked, busy) = (
      ScriptedHTTP2Server.Step.frames(.status("14", wish)), ScriptedHTTP2Server.Step.frames(.status("14"))
    )
    let server = ScriptedHTTP2Server([asked, busy, busy, asked, .frames(.answer()), busy, .frames(.answer())])
    let exporter = Exporter(server)
    #expect(await exporter.push().isComplete)
    #expect(await exporter.push().isComplete)
    #expect(exporter.time.sleeps == [4, 6, 9, 13.5, 1].map { .seconds($0) })
  }
}

struct `The end of a call` {
  /// ExportMetricsServiceResponse { partial_success { rejected_data_points: 3, error_message: "no" } }, framed.
  private let partial: [UInt8] = [0, 0, 0, 0, 8, 0x0a, 0x06, 0x08, 0x03, 0x12, 0x02, 0x6e, 0x6f]

  @Test func `may be a partial success [85]`() async {
    let server = ScriptedHTTP2Server([.frames(.answer(message: partial))])
    let report = await Exporter(server).push()
    #expect(report.deliveredPoints == 7 && report.droppedPoints == 3 && report.failure?.message == "no")
    #expect(server.requests.count == 1)
  }

  @Test func `is the same in many pieces [82]`() async {
    let head = HTTP2Frame.headers([(":status", "200"), ("content-type", "application/grpc+proto")])
    let pieces = partial.map { HTTP2Frame.data([$0]) }
    let server = ScriptedHTTP2Server([.slowly([head] + pieces + [.headers([("grpc-status", "0")], end: true)])])
    #expect(await Exporter(server).push().droppedPoints == 3)
  }

  @Test func `may be compressed`() async {
    let message = gzip(Array(partial[5...]))
    let frame = [1, 0, 0, 0, UInt8(message.count)] + message
    let server = ScriptedHTTP2Server([.frames(.answer(message: frame, head: [("grpc-encoding", "gzip")]))])
    #expect(await Exporter(server).push().droppedPoints == 3)
  }

  @Test(
    arguments: [
      [[]], [[0, 0, 0, 0, 0]], [[0, 0, 0, 0, 2, 0x0a, 0]], [[0, 0, 0, 0, 3, 0xff, 0xff, 0xff]],
    ] as [[[UInt8]]])
  func `well is a success whatever the message [30] [84]`(messages: [[UInt8]]) async {
    for message in messages {
      let server = ScriptedHTTP2Server([.frames(.answer(message: message))])
      #expect(await Exporter(server).push().isComplete)
    }
    let trailersOnly = ScriptedHTTP2Server([.frames(.status("0"))])
    #expect(await Exporter(trailersOnly).push().isComplete)
  }

  @Test(
    arguments: [
      ([1, 0, 0, 0, 1, 7], []), ([1, 0, 0, 0, 1, 7], [("grpc-encoding", "snappy")]),
      ([1, 0, 0, 0, 1, 7], [("grpc-encoding", "gzip")]), ([0, 0, 0, 0, 9, 1], []), ([0, 0], []),
    ] as [([UInt8], [(String, String)])])
  func `with a message that cannot be read is INTERNAL, once [105]`(
    message: [UInt8], head: [(String, String)]
  ) async {
    let server = ScriptedHTTP2Server([.frames(.answer(message: message, head: head))])
    let report = await Exporter(server).push()
    #expect(report.droppedPoints == 10 && report.failure?.errorType == "INTERNAL")
    #expect(server.requests.count == 1)
  }

  @Test func `is not waited for where the message would be too large [34] [104]`() async {
    let head = HTTP2Frame.headers([(":status", "200"), ("content-type", "application/grpc")])
    for prefix in [[0, 255, 255, 255, 255], [0, 0, 0x40, 0, 1]] as [[UInt8]] {
      let server = ScriptedHTTP2Server([.frames([head, .data(prefix)])])
      let report = await Exporter(server).push()
      #expect(report.droppedPoints == 10 && report.failure?.errorType == "response_too_large")
      #expect(server.requests.count == 1)
    }
    let bomb = gzip([UInt8](repeating: 0, count: 8 << 20))
    let size = lengthField(bomb.count)
    let chunks = stride(from: 0, to: bomb.count, by: 16_000).map {
      HTTP2Frame.data(Array(bomb[$0..<min($0 + 16_000, bomb.count)]))
    }
    let frames = [
      HTTP2Frame.headers([(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "gzip")]),
      .data([1] + size),
    ]
    let server = ScriptedHTTP2Server([.frames(frames + chunks + [.headers([("grpc-status", "0")], end: true)])])
    let report = await Exporter(server).push()
    #expect(bomb.count < 60_000 && report.failure?.errorType == "INTERNAL", "\(report)")
  }

  private func lengthField(_ count: Int) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
  }

  @Test func `without a status is UNKNOWN, once [94]`() async {
    let server = ScriptedHTTP2Server([
      .frames([
        .headers([(":status", "200"), ("content-type", "application/grpc")]), .data([0, 0, 0, 0, 0], end: true),
      ])
    ])
    let report = await Exporter(server).push()
    #expect(report.droppedPoints == 10 && report.failure?.errorType == "UNKNOWN" && server.requests.count == 1)
  }

  @Test(arguments: [429, 502, 503, 504])
  func `by a proxy that is busy is retried [95]`(status: Int) async {
    let busy = ScriptedHTTP2Server.Step.frames([.headers([(":status", "\(status)")], end: true)])
    let server = ScriptedHTTP2Server([busy, .frames(.answer())])
    #expect(await Exporter(server).push().isComplete)
    #expect(server.requests.count == 2)
  }

  @Test(arguments: [
    (400, "INTERNAL"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "UNIMPLEMENTED"), (418, "UNKNOWN"),
  ])
  func `by a proxy that refuses is not [95]`(status: Int, name: String) async {
    let server = ScriptedHTTP2Server([
      .frames([.headers([(":status", "\(status)")]), .data(Array("no".utf8), end: true)])
    ])
    let report = await Exporter(server).push()
    #expect(report.failure?.errorType == name && server.requests.count == 1)
    #expect(report.failure?.message.contains("HTTP status \(status): no") == true)
  }

  @Test func `is what gRPC says, even beside another HTTP status [96]`() async {
    let server = ScriptedHTTP2Server([.frames([.headers([(":status", "503"), ("grpc-status", "3")], end: true)])])
    #expect(await Exporter(server).push().failure?.errorType == "INVALID_ARGUMENT")
    #expect(server.requests.count == 1)
  }

  @Test func `by a login page is a failure that shows the beginning of it [97]`() async {
    let server = ScriptedHTTP2Server([
      .frames([
        .headers([(":status", "200"), ("content-type", "text/html")]), .data(Array("<html>Log in".utf8), end: true),
      ])
    ])
    let report = await Exporter(server).push()
    #expect(report.failure?.errorType == "UNKNOWN" && server.requests.count == 1)
    #expect(report.failure?.message.contains("<html>Log in") == true)
  }

  @Test(arguments: [
    (0x7, "UNAVAILABLE", true), (0x8, "CANCELLED", true), (0x2, "INTERNAL", false), (0xb, "RESOURCE_EXHAUSTED", false),
    (0xc, "PERMISSION_DENIED", false),
  ])
  func `by RST_STREAM is what its code means [98]`(code: UInt32, name: String, isRetried: Bool) async {
    let server = ScriptedHTTP2Server([.frames([.reset(code)]), .frames(.answer())])
    let exporter = Exporter(server)
    let report = await exporter.push()
    #expect(report.isComplete == isRetried && server.requests.count == (isRetried ? 2 : 1))
    let observation = await exporter.exporter.observe()
    #expect(observation.exportedPoints == (isRetried ? 10 : 0))
    #expect(observation.failedPoints == (isRetried ? [:] : [name: 10]))
  }
}

struct `A connection that ends` {
  @Test func `in the packet with the trailers keeps the success, and the next call has a new one [99]`() async {
    let server = ScriptedHTTP2Server([.frames(.answer() + [.goAway(lastStream: 1)]), .frames(.answer())])
    let exporter = Exporter(server)
    #expect(await exporter.push().isComplete)
    #expect(await exporter.push().isComplete)
    #expect(server.requests.map(\.connection) == [1, 2] && exporter.time.sleeps.isEmpty)
  }

  @Test func `before our call began costs one more call on a new one, and no pause [100]`() async {
    let server = ScriptedHTTP2Server([
      .frames(.answer()), .framesAndClose([.goAway(lastStream: 1)]), .frames(.answer()),
    ])
    let exporter = Exporter(server)
    #expect(await exporter.push().isComplete)
    #expect(await exporter.push().isComplete)
    #expect(server.requests.map(\.connection) == [1, 1, 2] && exporter.time.sleeps.isEmpty)
    #expect(await exporter.exporter.observe().exportedPoints == 20)
  }

  @Test func `while nothing is asked is not noticed by anybody [13] [101]`() async throws {
    let server = ScriptedHTTP2Server([
      .framesAndClose(.answer()), .frames(.answer() + [.goAway(lastStream: 1)]), .frames(.answer()),
    ])
    let exporter = Exporter(server)
    for _ in 1...3 { #expect(await exporter.push().isComplete) }
    #expect(server.requests.map(\.connection) == [1, 2, 3] && exporter.time.sleeps.isEmpty)
  }

  @Test func `without an answer is another attempt's turn [65]`() async {
    let server = ScriptedHTTP2Server([.framesAndClose([]), .frames(.answer())])
    let exporter = Exporter(server)
    #expect(await exporter.push().isComplete)
    #expect(server.requests.count == 2 && exporter.time.sleeps == [.seconds(1)])
  }

  @Test func `because the time is over is told to the server [67] [103]`() async {
    let silent = ScriptedHTTP2Server([.silence, .frames(.answer())])
    #expect(await Exporter(silent, timeout: .milliseconds(300)).push().isComplete)
    #expect(await happens { silent.resets == [8] })
    // One that takes no data at all.
    let deaf = ScriptedHTTP2Server([.silence], givesWindows: false)
    let report = await Exporter(deaf, timeout: .milliseconds(300)).push(
      batch(points: 2000, size: 100), within: .milliseconds(900))
    #expect(report.failure?.errorType == "timeout" && report.droppedPoints == 2000)
    #expect(await happens { !deaf.resets.isEmpty })
    #expect(deaf.requests.isEmpty)
  }

  @Test(arguments: [HTTP2Frame(0xfa, stream: 0, [UInt8](repeating: 0, count: 16_000)), .ping])
  func `because the server sends without end and answers nothing keeps to the time [103]`(frame: HTTP2Frame) async {
    let server = ScriptedHTTP2Server([.flood(Array(repeating: frame, count: 100)), .frames(.answer())])
    #expect(await Exporter(server, timeout: .milliseconds(300)).push().isComplete)
    #expect(server.requests.map(\.connection) == [1, 2])
  }

  @Test func `because it speaks HTTP/1.1 is said [80]`() async {
    let server = ScriptedHTTPServer([.answer(400)])
    let exporter = OTLPExporter(
      OTLPDestination(endpoint: "http://127.0.0.1:\(server.port)", transport: .grpc), version: "1",
      timing: TestTime().timing)
    let report = await exporter.deliver(batch(), within: .seconds(60))
    #expect(report.failure?.errorType == "protocol_not_offered")
    let words = "the server does not speak HTTP/2 (it answers in HTTP/1.1). Where it takes OTLP over HTTP, set"
    #expect(report.failure?.message.hasPrefix(words) == true, "\(String(describing: report.failure))")
  }

  @Test func `under headers without end is refused [106]`() async {
    let fields = (0..<20).map { ("x-\($0)", String(repeating: "a", count: 60_000)) }
    var block = HTTP2Frame.fieldBlock([(":status", "200")] + fields)
    var frames = [HTTP2Frame(1, Array(block.prefix(16_000)))]
    block.removeFirst(16_000)
    while !block.isEmpty {
      frames.append(HTTP2Frame(9, flags: block.count <= 16_000 ? 4 : 0, Array(block.prefix(16_000))))
      block.removeFirst(min(16_000, block.count))
    }
    let server = ScriptedHTTP2Server([.frames(frames), .frames(.answer())])
    let connection = GRPCConnection(url: server.url, userAgent: "a")
    var failed = false
    do throws(HTTPError) {
      failed = try connection.perform(GRPCCall("/s/m", message: [])).status != .ok
    } catch {
      failed = true
    }
    #expect(failed)
  }
}
