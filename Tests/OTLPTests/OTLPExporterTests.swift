import HTTPClient
import Metrics
import Outbox
import Synchronization
import TestSupport
import Testing

@testable import OTLP

/// Time that passes only while somebody sleeps. Sleeps are remembered and end at once, or when told to.
private final class VirtualTime: Sendable {
  struct Content {
    var now: Int64 = 1_000_000_000_000
    var sleeps: [Duration] = []
  }

  let content = Mutex(Content())
  let blocksSleep: Bool

  init(blocksSleep: Bool = false) {
    self.blocksSleep = blocksSleep
  }

  var sleeps: [Duration] { content.withLock { $0.sleeps } }

  func timing(random: Double = 1) -> DeliveryTiming {
    DeliveryTiming(
      monotonic: { self.content.withLock { $0.now } },
      wall: { Timestamp(nanoseconds: 784_111_770_000_000_000) },
      sleep: { duration in
        self.content.withLock { content in
          content.sleeps.append(duration)
          content.now += duration.wholeNanoseconds
        }
        // Until the exporter wakes up by itself.
        if self.blocksSleep { try? await Task.sleep(for: .seconds(3600)) }
      },
      random: { random })
  }
}

private func batch(_ value: Int64, points: Int = 1, size: Int = 0) -> MetricBatch {
  let instrument = Instrument(name: "m", kind: .gauge, unit: "", description: "", attributes: [], prometheusName: "m")
  let attribute = Attribute("k", String(repeating: "x", count: size))
  let point = DataPoint(attributes: [attribute], time: Timestamp(nanoseconds: 1), value: .int(value))
  return MetricBatch(
    resource: [], scopeVersion: "1", metrics: [Metric(instrument, points: Array(repeating: point, count: points))])
}

private func body(_ value: Int64, points: Int = 1, size: Int = 0) -> [UInt8] {
  MetricEncoder.encode(batch(value, points: points, size: size)).requests[0].body
}

private func exporter(
  _ server: ScriptedHTTPServer, _ time: VirtualTime = VirtualTime(), queueLimit: Int = 1 << 20,
  timeout: Duration? = .seconds(30)
) -> OTLPExporter {
  OTLPExporter(
    OTLPDestination(endpoint: server.url(), timeout: timeout, queueLimit: queueLimit), version: "1.2.3",
    timing: time.timing())
}

private func events(_ exporter: OTLPExporter) async -> [DeliveryEvent] {
  var events: [DeliveryEvent] = []
  for await event in exporter.events { events.append(event) }
  return events
}

private let protobuf = [("Content-Type", "application/x-protobuf")]

struct `A push` {
  @Test func `is one POST with the encoded batch and the headers that OTLP asks for [1] [3] [7] [10]`() async throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let destination = OTLPDestination(
      endpoint: server.url(),
      headers: [("X-Scope-OrgID", "t1"), ("content-type", "text/plain"), ("Content-Encoding", "br")])
    let exporter = OTLPExporter(destination, version: "1.2.3")
    let report = await exporter.deliver(batch(5, points: 10), within: .seconds(30))
    #expect(report.deliveredPoints == 10 && report.isComplete && report.failure == nil)
    #expect(server.requests.count == 1)
    let request = try #require(server.requests.first)
    #expect(request.method == "POST" && request.target == "/v1/metrics" && request.body == body(5, points: 10))
    #expect(request.values("content-type") == ["application/x-protobuf"])
    #expect(request.values("content-encoding").isEmpty)
    #expect(request.values("x-scope-orgid") == ["t1"])
    #expect(request.values("user-agent") == ["outbox-exporter/1.2.3 OTel-OTLP-Exporter-Swift/1.2.3"])
  }

  @Test func `is compressed when asked to, with the same bytes and headers in each attempt [6] [8] [11]`() async {
    let server = ScriptedHTTPServer([.answer(503), .answer(200)])
    let destination = OTLPDestination(endpoint: server.url(), headers: [("X-A", "b")], compression: .gzip)
    let exporter = OTLPExporter(destination, version: "1", timing: VirtualTime().timing())
    #expect(await exporter.deliver(batch(5, points: 100), within: .seconds(300)).isComplete)
    #expect(server.requests.map(\.body) == [gzip(body(5, points: 100)), gzip(body(5, points: 100))])
    #expect(server.requests.map { $0.values("content-encoding") } == [["gzip"], ["gzip"]])
    #expect(server.requests.map { $0.values("x-a") } == [["b"], ["b"]])
  }

  @Test func `of nothing makes no connection [15]`() async {
    let server = ScriptedHTTPServer([.answer(200)])
    let report = await exporter(server).deliver(batch(5, points: 0), within: .seconds(30))
    #expect(report == PushReport())
    #expect(server.connectionCount == 0)
  }

  @Test func `keeps its connection [12]`() async {
    let server = ScriptedHTTPServer([.answer(200)])
    let exporter = exporter(server)
    for value in 1...3 { #expect(await exporter.deliver(batch(Int64(value)), within: .seconds(30)).isComplete) }
    #expect(server.connectionCount == 1)
  }

  @Test func `that is larger than a request becomes several, in order`() async {
    let server = ScriptedHTTPServer([.answer(200)])
    let destination = OTLPDestination(endpoint: server.url(), requestLimit: 2000)
    let report = await OTLPExporter(destination, version: "1").deliver(batch(5, points: 100), within: .seconds(30))
    #expect(report.deliveredPoints == 100)
    #expect(
      server.requests.map(\.body) == MetricEncoder.encode(batch(5, points: 100), limit: 2000).requests.map(\.body))
    #expect(server.requests.count > 1)
  }
}

struct `A push that fails` {
  @Test(arguments: [400, 401, 404, 408, 413, 500, 501, 529, 302])
  func `for good is not repeated, and is counted [38] [41] [42] [43] [44] [175] [177]`(status: Int) async {
    let server = ScriptedHTTPServer([.answer(status)])
    let time = VirtualTime()
    let exporter = exporter(server, time)
    let report = await exporter.deliver(batch(5, points: 10), within: .seconds(300))
    #expect(server.requests.count == 1 && time.sleeps.isEmpty)
    #expect(report.deliveredPoints == 0 && report.droppedPoints == 10 && report.failure?.status == status)
    let observation = await exporter.observe()
    #expect(observation.failedPoints == ["\(status)": 10] && observation.exportedPoints == 0)
    #expect(observation.operations.map(\.errorType) == ["\(status)"])
    #expect(observation.inflightPoints == 0)
  }

  @Test(arguments: [
    ScriptedHTTPServer.Step.close, .closeAtOnce, .raw(Array("HTTP/1.1 200 OK\r\nContent-Le".utf8)),
    .answer(429), .answer(502), .answer(503), .answer(504),
  ])
  func `for now is repeated with growing pauses, and its points count once [49] [65] [66] [174] [178]`(
    step: ScriptedHTTPServer.Step
  ) async {
    let server = ScriptedHTTPServer([step, step, step, .answer(200)])
    let time = VirtualTime()
    let exporter = exporter(server, time)
    let report = await exporter.deliver(batch(5, points: 10), within: .seconds(300))
    #expect(report.deliveredPoints == 10 && report.isComplete)
    #expect(time.sleeps == [.seconds(1), .seconds(1.5), .seconds(2.25)])
    #expect(Set(server.requests.map(\.body)) == [body(5, points: 10)])
    let observation = await exporter.observe()
    #expect(observation.exportedPoints == 10 && observation.failedPoints.isEmpty)
    #expect(observation.operations == [ExportOperation(duration: .seconds(4.75), errorType: nil, status: 200)])
    #expect(await exporter.observe().operations.isEmpty, "each export is observed once")
  }

  @Test func `because nobody listens ends within the bound [63]`() async {
    let time = VirtualTime()
    let destination = OTLPDestination(endpoint: "http://127.0.0.1:\(freePort())/v1/metrics")
    let exporter = OTLPExporter(destination, version: "1", timing: time.timing())
    let report = await exporter.deliver(batch(5, points: 10), within: .seconds(300))
    #expect(report.droppedPoints == 10 && report.failure?.errorType == "cannot_connect")
    // Nine pauses of 1 × 1.5ⁿ s make 74.9 s and seven of 30 s 210 s; the next one would end after the bound.
    #expect(time.sleeps.count == 16)
    let observation = await exporter.observe()
    #expect(observation.failedPoints == ["cannot_connect": 10] && observation.inflightPoints == 0)
  }

  @Test func `because the receiver stays overloaded ends within the bound, counted once [50] [175]`() async {
    let server = ScriptedHTTPServer([.answer(503)])
    let time = VirtualTime()
    let exporter = exporter(server, time)
    let report = await exporter.deliver(batch(5, points: 10), within: .seconds(120))
    // 74.9 s in nine pauses, one of 30 s, and the next would end after the bound.
    #expect(time.sleeps.count == 10 && time.sleeps.last == .seconds(30) && server.requests.count == 11)
    #expect(report.droppedPoints == 10)
    #expect(await exporter.observe().failedPoints == ["503": 10])
  }

  @Test func `because nobody answers ends at the time limit of the attempt [67]`() async {
    let server = ScriptedHTTPServer([.silence, .answer(200)])
    let exporter = exporter(server, timeout: .milliseconds(50))
    #expect(await exporter.deliver(batch(5), within: .seconds(300)).isComplete)
    #expect(server.requests.count == 2)
  }

  @Test func `waits as long as the server asks [53] [54] [55]`() async {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    let server = ScriptedHTTPServer([
      .answer(503, headers: [("Retry-After", "20")]), .answer(429, headers: [("Retry-After", date)]),
      .answer(429, headers: [("Retry-After", "7")]), .answer(200),
    ])
    let time = VirtualTime()
    #expect(await exporter(server, time).deliver(batch(5), within: .seconds(300)).isComplete)
    #expect(time.sleeps == [.seconds(20), .seconds(7), .seconds(7)])
  }

  @Test func `does not wait for what comes too late [61]`() async {
    let server = ScriptedHTTPServer([.answer(503, headers: [("Retry-After", "250")]), .answer(200)])
    let time = VirtualTime()
    let report = await exporter(server, time).deliver(batch(5, points: 2), within: .seconds(200))
    #expect(report.droppedPoints == 2 && report.failure?.errorType == "503")
    #expect(time.sleeps.isEmpty && server.requests.count == 1)
  }

  @Test(arguments: [401, 403, 404, 405, 500])
  func `because the destination refuses everything costs one request a pause, not all that wait`(status: Int) async {
    let server = ScriptedHTTPServer([.answer(status), .answer(status), .answer(200)])
    let time = VirtualTime()
    let exporter = exporter(server, time)
    for value in 1...4 { await exporter.enqueue(batch(Int64(value))) }
    _ = await exporter.flush(within: .seconds(300))
    let observation = await exporter.observe()
    #expect(observation.exportedPoints == 2 && observation.failedPoints == ["\(status)": 2])
    #expect(server.requests.map(\.body) == (1...4).map { body($0) })
    #expect(time.sleeps == [.seconds(1), .seconds(1.5)])
  }

  @Test(arguments: [400, 413, 422])
  func `because of what one request holds does not hold up the next`(status: Int) async {
    let server = ScriptedHTTPServer([.answer(status), .answer(200)])
    let time = VirtualTime()
    let exporter = exporter(server, time)
    for value in 1...2 { await exporter.enqueue(batch(Int64(value))) }
    _ = await exporter.flush(within: .seconds(300))
    #expect(await exporter.observe().exportedPoints == 1)
    #expect(time.sleeps.isEmpty)
  }

  @Test func `starts from the shortest pause after a success [52]`() async {
    let server = ScriptedHTTPServer([.answer(503), .answer(503), .answer(200), .answer(503), .answer(200)])
    let time = VirtualTime()
    let exporter = exporter(server, time)
    _ = await exporter.deliver(batch(1), within: .seconds(300))
    _ = await exporter.deliver(batch(2), within: .seconds(300))
    #expect(time.sleeps == [.seconds(1), .seconds(1.5), .seconds(1)])
  }
}

struct `A partial success` {
  @Test(arguments: [(3, 3), (25, 10)])
  func `is not repeated, and what was refused is counted, at most what was sent [28] [31] [176]`(
    claimed: UInt8, counted: Int
  )
    async
  {
    let body: [UInt8] = [0x0a, 0x06, 0x08, claimed, 0x12, 0x02, 0x6e, 0x6f]
    let server = ScriptedHTTPServer([.answer(200, headers: protobuf, body: body)])
    let exporter = exporter(server)
    let report = await exporter.deliver(batch(5, points: 10), within: .seconds(300))
    #expect(server.requests.count == 1)
    #expect(
      report.deliveredPoints == 10 - counted && report.droppedPoints == counted && report.failure?.message == "no")
    let observation = await exporter.observe()
    #expect(observation.exportedPoints == UInt64(10 - counted))
    #expect(observation.failedPoints == ["rejected": UInt64(counted)])
  }

  @Test func `with a negative count is a success with a warning, said once [31] [33]`() async {
    // rejected_data_points: -1, error_message: "no"
    let minusOne = [UInt8](repeating: 0xff, count: 9) + [0x01]
    let body: [UInt8] = [0x0a, 0x0f, 0x08] + minusOne + [0x12, 0x02, 0x6e, 0x6f]
    let server = ScriptedHTTPServer([.answer(200, headers: protobuf, body: body)])
    let exporter = exporter(server)
    for value in 1...3 { #expect(await exporter.deliver(batch(Int64(value)), within: .seconds(300)).isComplete) }
    _ = await exporter.shutDown(within: .seconds(1))
    #expect(await events(exporter) == [.rejected(points: 0, message: "no")])
    #expect(await exporter.observe().exportedPoints == 3)
  }
}

struct `An outage` {
  @Test func `keeps the order, and begins and ends with one event [69] [180]`() async {
    let server = ScriptedHTTPServer([.answer(503), .answer(503), .answer(200)])
    let exporter = exporter(server)
    for value in 1...3 { await exporter.enqueue(batch(Int64(value), points: 2)) }
    let report = await exporter.flush(within: .seconds(300))
    _ = await exporter.shutDown(within: .seconds(1))
    #expect(report.isComplete)
    #expect(server.requests.map(\.body) == [1, 1, 1, 2, 3].map { body($0, points: 2) })
    let told = await events(exporter)
    guard case .outageBegan(let failure)? = told.first else {
      Issue.record("no outage: \(told)")
      return
    }
    #expect(failure.errorType == "503")
    #expect(told.dropFirst() == [.outageEnded(lasted: .seconds(2.5), kept: 6, lost: 0)])
  }

  @Test func `does not hold up who hands over a batch, and loses the oldest when there is no room [70] [72]`() async {
    let server = ScriptedHTTPServer([.answerWhenReleased(503), .answer(200)])
    let size = body(1, size: 1000).count
    let exporter = exporter(server, queueLimit: 3 * size)
    await exporter.enqueue(batch(1, size: 1000))
    // The first is on the wire until the server is released: it stays.
    #expect(await happens { !server.requests.isEmpty })
    for value in 2...6 { await exporter.enqueue(batch(Int64(value), size: 1000)) }
    #expect(await exporter.observe().inflightPoints == 3)
    #expect(await exporter.observe().failedPoints == ["queue_full": 3])
    server.release()
    let report = await exporter.flush(within: .seconds(300))
    #expect(report.deliveredPoints == 3)
    #expect(server.requests.map(\.body) == [1, 1, 5, 6].map { body($0, size: 1000) })
    #expect(await exporter.observe().inflightPoints == 0)
  }

  @Test func `that lasts until the end costs one more attempt and no pause [71] [177]`() async {
    let server = ScriptedHTTPServer([.answer(503)])
    let time = VirtualTime(blocksSleep: true)
    let exporter = exporter(server, time)
    await exporter.enqueue(batch(1, points: 4))
    await exporter.enqueue(batch(2, points: 4))
    // In its first pause, which never ends by itself.
    #expect(await happens { time.sleeps.count == 1 })
    let report = await exporter.shutDown(within: .seconds(5))
    #expect(server.requests.map(\.body) == [1, 1].map { body($0, points: 4) })
    #expect(report.deliveredPoints == 0 && report.droppedPoints == 8 && report.failure?.errorType == "503")
    #expect(await exporter.observe().inflightPoints == 0)
    await exporter.enqueue(batch(3))
    #expect(await exporter.observe().failedPoints == ["503": 8, "shutdown": 1])
    #expect(server.requests.count == 2)
  }

  @Test func `is over at the end, in the pause before the receiver came back`() async {
    let server = ScriptedHTTPServer([.answer(503), .answer(200)])
    let time = VirtualTime(blocksSleep: true)
    let exporter = exporter(server, time)
    await exporter.enqueue(batch(1, points: 4))
    #expect(await happens { time.sleeps.count == 1 })
    #expect(await exporter.shutDown(within: .seconds(5)).deliveredPoints == 4)
  }

  @Test func `of one destination does not hold up another [73]`() async {
    let silent = ScriptedHTTPServer([.silence])
    let server = ScriptedHTTPServer([.answer(200)])
    let slow = exporter(silent, timeout: nil)
    await slow.enqueue(batch(1))
    #expect(await happens { !silent.requests.isEmpty })
    #expect(await exporter(server).deliver(batch(2), within: .seconds(300)).isComplete)
    // Ends the attempt that has no limit of its own.
    #expect(await slow.shutDown(within: .milliseconds(10)).droppedPoints == 1)
  }
}

struct `Points that cannot be sent` {
  @Test func `are counted by reason and reported [17] [18]`() async {
    let server = ScriptedHTTPServer([.answer(200)])
    // Compressed it would be small enough.
    let destination = OTLPDestination(endpoint: server.url(), compression: .gzip, requestLimit: 1000)
    let exporter = OTLPExporter(destination, version: "1")
    var batch = batch(1, points: 3, size: 10)
    batch.metrics[0].points[0].value = .double(.nan)
    batch.metrics[0].points[1].attributes = [Attribute("k", String(repeating: "x", count: 3000))]
    let report = await exporter.deliver(batch, within: .seconds(30))
    #expect(report.deliveredPoints == 1 && report.droppedPoints == 2)
    #expect(await exporter.observe().failedPoints == ["invalid": 1, "too_large": 1])
  }
}
