import Metrics
import Outbox
import TestSupport
import Testing

@testable import OTLP

private let enqueued = MetricCatalog.enqueued

private func point(_ total: Int64, from start: Int, to time: Int) -> DataPoint {
  DataPoint(
    attributes: [Attribute("outbox.name", "a")], start: queueEpoch.advanced(by: .seconds(start)),
    time: queueEpoch.advanced(by: .seconds(time)), value: .int(total))
}

private func batch(_ points: DataPoint..., temporality: AggregationTemporality = .cumulative) -> MetricBatch {
  var metric = Metric(enqueued, points: points)
  metric.temporality = temporality
  return MetricBatch(resource: [], scopeVersion: "1", metrics: [metric])
}

private func body(_ point: DataPoint, temporality: AggregationTemporality = .delta) -> [UInt8] {
  MetricEncoder.encode(batch(point, temporality: temporality)).requests[0].body
}

private func exporter(
  _ server: ScriptedHTTPServer, _ directory: TemporaryDirectory?, from seconds: Int = 0,
  _ temporality: TemporalityPreference = .delta
) -> OTLPExporter {
  OTLPExporter(
    OTLPDestination(endpoint: server.url(), timeout: .seconds(30), temporality: temporality), version: "1",
    spool: directory.map { Spool(path: $0.path + "/spool.sqlite") },
    timing: DeliveryTiming(
      monotonic: { 0 }, wall: { queueEpoch.advanced(by: .seconds(seconds)) }, sleep: { _ in }, random: { 1 }))
}

@Suite struct `Deltas for a destination` {
  @Test func `that is away wait in the spool, and the next run goes on from there`() async throws {
    let directory = try TemporaryDirectory()
    let away = ScriptedHTTPServer([.answer(503)])
    let first = exporter(away, directory)
    await first.enqueue(batch(point(0, from: 0, to: 0), point(5, from: 0, to: 15)))
    await first.enqueue(batch(point(7, from: 0, to: 30)))
    #expect(await first.shutDown(within: .zero).keptPoints == 2)

    let server = ScriptedHTTPServer([.answer(200)])
    // The next run reads on from the same total, which counts what moved meanwhile too.
    let second = exporter(server, directory, from: 100)
    await second.enqueue(batch(point(19, from: 0, to: 115)))
    #expect(await second.flush(within: .seconds(30)).isComplete)
    #expect(
      server.requests.map(\.body) == [
        body(point(5, from: 0, to: 15)), body(point(2, from: 15, to: 30)), body(point(12, from: 30, to: 115)),
      ])
  }

  @Test func `that refuses one are lost with it and counted, and the next does not repeat them`() async throws {
    let server = ScriptedHTTPServer([.answer(400), .answer(200)])
    let exporter = exporter(server, nil)
    for (total, time) in [(5, 15), (7, 30)] { await exporter.enqueue(batch(point(Int64(total), from: 0, to: time))) }
    _ = await exporter.flush(within: .seconds(30))
    #expect(server.requests.map(\.body) == [body(point(5, from: 0, to: 15)), body(point(2, from: 15, to: 30))])
    #expect(await exporter.observe().spool.dropped == [.rejected: 1])
  }

  @Test func `begin where the destination is told of the series for the first time`() async throws {
    let directory = try TemporaryDirectory()
    let server = ScriptedHTTPServer([.answer(200)])
    // Until now it was told totals, and what was told in deltas before that is long past.
    for (temporality, total, from) in [
      (TemporalityPreference.delta, 5, 0), (.cumulative, 500, 100), (.delta, 505, 200), (.delta, 506, 300),
    ] {
      let exporter = exporter(server, directory, from: from, temporality)
      await exporter.enqueue(batch(point(Int64(total), from: 0, to: from + 15)))
      _ = await exporter.shutDown(within: .seconds(30))
    }
    #expect(
      server.requests.map(\.body) == [
        body(point(5, from: 0, to: 15)), body(point(500, from: 0, to: 115), temporality: .cumulative),
        body(point(1, from: 215, to: 315)),
      ])
  }

  @Test func `and totals for its neighbour come from the same figures`() async throws {
    let servers = [ScriptedHTTPServer([.answer(200)]), ScriptedHTTPServer([.answer(200)])]
    let exporters = [exporter(servers[0], nil), exporter(servers[1], nil, from: 0, .lowmemory)]
    for (total, time) in [(5, 15), (7, 30)] {
      for exporter in exporters { await exporter.enqueue(batch(point(Int64(total), from: 0, to: time))) }
    }
    for exporter in exporters { #expect(await exporter.flush(within: .seconds(30)).isComplete) }
    #expect(servers[0].requests.map(\.body) == [body(point(5, from: 0, to: 15)), body(point(2, from: 15, to: 30))])
    // What is read from a store stays a total there.
    #expect(
      servers[1].requests.map(\.body) == [
        body(point(5, from: 0, to: 15), temporality: .cumulative),
        body(point(7, from: 0, to: 30), temporality: .cumulative),
      ])
  }
}
