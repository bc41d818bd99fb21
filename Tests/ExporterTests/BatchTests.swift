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
