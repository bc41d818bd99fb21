import Exporter
import Metrics
import Outbox
import Testing

@Suite struct `A batch without accumulations` {
  @Test func `keeps gauges and up-down counters only`() {
    let points = [DataPoint(attributes: [], time: OutboxSample.time, value: .int(1))]
    let batch = MetricBatch(
      resource: [Attribute("service.name", "test")], scopeVersion: "1",
      metrics: MetricCatalog.all.map { Metric($0, points: points) })
    let kept = batch.withoutAccumulations
    #expect(
      kept.metrics.map(\.instrument.name) == [
        "outbox.depth", "outbox.event.age", "outbox.stuck", "outbox.stuck.age", "outbox.dlq.depth", "outbox.dlq.age",
        "outbox.objective.age", "outbox.objective.target", "outbox.verdict", "outbox.drain.time", "outbox.up",
        "outbox.sample.time", "outbox.sample.interval",
        "outbox.sample.exact", "outbox.events.implausible", "outbox.replica.lag", "outbox.spool.depth",
        "outbox.spool.age", "outbox.build", "otel.sdk.exporter.metric_data_point.inflight",
      ])
    #expect(kept.resource == batch.resource)
  }
}

@Suite struct `What a cycle delivers` {
  private func cycle(_ names: [String], batchLimit: Int?) -> ExportCycle {
    ExportCycle(
      stores: [ScriptedStore { _ in names.map { .good($0, ready: 3) } }], exporters: [], resource: [],
      environment: nil, destinationLimit: 100, interval: .seconds(15), build: .current, batchLimit: batchLimit,
      now: { OutboxSample.time }, clock: ManualTimer())
  }

  @Test func `is in batches that end with an outbox`() async {
    let names = (0..<7).map { "box\($0)" }
    let (whole, all) = await cycle(names, batchLimit: .max).delivered()
    #expect(all.count == 1 && whole.pointCount == all[0].pointCount)
    // One of them is of the build.
    let ofOne = await cycle(["box0"], batchLimit: .max).delivered().outcome.pointCount - 1
    let (parts, batches) = await cycle(names, batchLimit: 2 * ofOne + 1).delivered()
    #expect(parts.pointCount == whole.pointCount)
    let outboxes = batches.map { batch in
      batch.metrics.filter { $0.instrument == MetricCatalog.up }.flatMap(\.points).map { $0.attributes[0].value }
    }
    #expect(outboxes == [names[0..<3], names[3..<6], names[6...]].map { $0.map { .string($0) } })
    #expect(batches.map(\.pointCount).reduce(0, +) == whole.pointCount)
  }

  @Test func `is nothing where nobody is told`() async {
    let (outcome, batches) = await cycle(["orders"], batchLimit: nil).delivered()
    #expect(outcome.samples.count == 1 && outcome.pointCount == 0 && batches.isEmpty)
  }
}
