import Metrics
import Outbox
import SQLiteClient
import TestSupport
import Testing

@testable import OTLP

private func batch(_ value: Int64, points: Int = 1) -> MetricBatch {
  let instrument = Instrument(name: "m", kind: .gauge, unit: "", description: "", attributes: [], prometheusName: "m")
  let point = DataPoint(attributes: [], time: Timestamp(nanoseconds: 1), value: .int(value))
  return MetricBatch(
    resource: [], scopeVersion: "1", metrics: [Metric(instrument, points: Array(repeating: point, count: points))])
}

private func body(_ value: Int64, points: Int = 1) -> [UInt8] {
  MetricEncoder.encode(batch(value, points: points)).requests[0].body
}

private func exporter(
  _ server: ScriptedHTTPServer, _ directory: TemporaryDirectory, wall: Timestamp = queueEpoch,
  ageLimit: Duration? = nil
) -> OTLPExporter {
  OTLPExporter(
    OTLPDestination(endpoint: server.url(), timeout: .seconds(30), ageLimit: ageLimit), version: "1",
    spool: Spool(path: directory.path + "/spool.sqlite"),
    timing: DeliveryTiming(monotonic: { 0 }, wall: { wall }, sleep: { _ in }, random: { 1 }))
}

private func events(_ exporter: OTLPExporter) async -> [DeliveryEvent] {
  _ = await exporter.shutDown(within: .seconds(1))
  var events: [DeliveryEvent] = []
  for await event in exporter.events { events.append(event) }
  return events
}

struct `Delivery with a spool` {
  @Test
  func `goes on after a restart with what the last process could not deliver, unchanged, then with what is new [149]`()
    async throws
  {
    let directory = try TemporaryDirectory()
    let away = ScriptedHTTPServer([.answer(503)])
    let first = exporter(away, directory)
    for value in 1...3 { await first.enqueue(batch(Int64(value), points: 2)) }
    let report = await first.shutDown(within: .zero)
    #expect(report.keptPoints == 6 && report.droppedPoints == 0 && report.isComplete)
    let observed = await first.observe()
    #expect(observed.spool.depth == 3 && observed.inflightPoints == 6 && observed.failedPoints.isEmpty)

    let server = ScriptedHTTPServer([.answer(200)])
    let later = queueEpoch.advanced(by: .seconds(90))
    let second = exporter(server, directory, wall: later)
    #expect(await second.observe().spool.start == queueEpoch)
    await second.enqueue(batch(4, points: 2))
    #expect(await second.flush(within: .seconds(30)).isComplete)
    #expect(server.requests.map(\.body) == (1...4).map { body($0, points: 2) })
    let after = await second.observe().spool
    #expect(after == SpoolObservation(depth: 0, age: .zero, dropped: [:], start: queueEpoch))
  }

  @Test func `sends each request again whose answer did not arrive before the end`() async throws {
    let directory = try TemporaryDirectory()
    let silent = ScriptedHTTPServer([.silence])
    let first = OTLPExporter(
      OTLPDestination(endpoint: silent.url(), timeout: nil), version: "1",
      spool: Spool(path: directory.path + "/spool.sqlite"))
    await first.enqueue(batch(1))
    #expect(await happens { !silent.requests.isEmpty })
    #expect(await first.shutDown(within: .milliseconds(10)).keptPoints == 1)
    let server = ScriptedHTTPServer([.answer(200)])
    #expect(await exporter(server, directory).flush(within: .seconds(30)).deliveredPoints == 1)
    #expect(server.requests.map(\.body) == [body(1)])
  }

  @Test func `is not held up by a receiver that refuses old samples, and says so once`() async throws {
    func refusal(_ text: String) -> ScriptedHTTPServer.Step { .answer(400, body: Array(text.utf8)) }
    let server = ScriptedHTTPServer([
      refusal("out of order sample m{k=\"1\"}"), refusal("out of order sample m{k=\"2\"}"), refusal("too old sample"),
      .answer(200),
    ])
    let directory = try TemporaryDirectory()
    let exporter = exporter(server, directory)
    for value in 1...4 { await exporter.enqueue(batch(Int64(value), points: 2)) }
    _ = await exporter.flush(within: .seconds(30))
    #expect(await exporter.observe().exportedPoints == 2)
    #expect(server.requests.map(\.body) == (1...4).map { body($0, points: 2) })
    #expect(await exporter.observe().spool.dropped == [.rejected: 6])
    let told = await events(exporter)
    guard told.count == 1, case .dropped(let points, let failure)? = told.first else {
      Issue.record("\(told)")
      return
    }
    #expect(points == 2 && failure.isForAge && failure.message.contains("out_of_order_time_window"))
  }

  @Test(arguments: [(413, DropReason.tooLarge), (401, .rejected), (500, .rejected), (400, .rejected)])
  func `counts what is refused by reason, across restarts`(status: Int, reason: DropReason) async throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedHTTPServer([.answer(status)])
    for run in 1...2 {
      let exporter = exporter(server, directory)
      _ = await exporter.deliver(batch(1, points: 5), within: .seconds(30))
      #expect(await exporter.observe().spool.dropped == [reason: 5 * run])
    }
  }

  @Test func `drops what is too old before it is sent`() async throws {
    let directory = try TemporaryDirectory()
    let away = ScriptedHTTPServer([.answer(503)])
    let first = exporter(away, directory)
    await first.enqueue(batch(1, points: 3))
    _ = await first.shutDown(within: .zero)
    let server = ScriptedHTTPServer([.answer(200)])
    let second = exporter(server, directory, wall: queueEpoch.advanced(by: .seconds(61)), ageLimit: .seconds(60))
    await second.enqueue(batch(2))
    _ = await second.flush(within: .seconds(30))
    #expect(await second.observe().exportedPoints == 1)
    #expect(server.requests.map(\.body) == [body(2)])
    #expect(await second.observe().spool.dropped == [.tooOld: 3])
    #expect(await second.observe().failedPoints == ["too_old": 3])
  }

  @Test func `goes round what the disk has changed`() async throws {
    let directory = try TemporaryDirectory()
    let away = ScriptedHTTPServer([.answer(503)])
    let first = exporter(away, directory)
    for value in 1...2 { await first.enqueue(batch(Int64(value), points: 3)) }
    _ = await first.shutDown(within: .zero)
    try SQLiteConnection(path: directory.path + "/spool.sqlite", access: .readWrite)
      .execute("UPDATE requests SET body = x'0a' WHERE id = 1")
    let server = ScriptedHTTPServer([.answer(200)])
    let second = exporter(server, directory)
    #expect(await second.flush(within: .seconds(30)).deliveredPoints == 3)
    #expect(server.requests.map(\.body) == [body(2, points: 3)])
    #expect(await second.observe().spool.dropped == [.corrupt: 3])
  }

  @Test func `works without its file, in memory, and says what to do`() async throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedHTTPServer([.answer(200)])
    let exporter = OTLPExporter(
      OTLPDestination(endpoint: server.url()), version: "1", spool: Spool(path: directory.path + "/missing/s.sqlite"))
    #expect(await exporter.deliver(batch(1), within: .seconds(30)).isComplete)
    let told = await events(exporter)
    guard told.count == 1, case .spoolFailed(let message)? = told.first else {
      Issue.record("\(told)")
      return
    }
    #expect(message.contains("/missing/s.sqlite") && message.contains("Make the state directory writable"))
  }
}
