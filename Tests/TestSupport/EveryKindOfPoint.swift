package import Metrics
package import Outbox

/// A batch with every instrument and every kind of value, among them those that encoders lose: zero, the extremes of 64
/// bits, attributes of every type and texts beyond ASCII. Names and units are those of metrics that the exporter sends,
/// or made up where it sends none of a kind.
///
/// - Parameters:
///   - time: of every point.
///   - instance: `service.instance.id`, to tell the series of one test from those of another.
///   - name: what `outbox.name` says on every point.
package func batchWithEveryKindOfPoint(at time: Timestamp, instance: String = "i-1", name: String = "orders")
  -> MetricBatch
{
  let start = time.advanced(by: .seconds(-60))
  func attributes(_ more: Attribute...) -> [Attribute] { [Attribute("outbox.name", name)] + more }
  func instrument(_ name: String, _ kind: InstrumentKind, _ unit: String, prometheus: String) -> Instrument {
    Instrument(
      name: name, kind: kind, unit: unit, description: "What \(name) counts.", attributes: [],
      prometheusName: prometheus)
  }
  var durations = HistogramValue(bounds: [0.25, 1, 5])
  for seconds in [0.25, 0.5, 7, 7.5, 100] { durations.record(seconds) }
  return MetricBatch(
    resource: [
      Attribute("service.name", "outbox-exporter"), Attribute("service.instance.id", instance),
      Attribute("service.namespace", ""), Attribute("deployment.environment.name", "prüfstand"),
    ],
    scopeVersion: "0.1.0",
    metrics: [
      Metric(
        instrument("outbox.depth", .upDownCounter, "{event}", prometheus: "outbox_depth"),
        points: [
          DataPoint(
            attributes: attributes(
              Attribute("outbox.state", "ready"), Attribute("outbox.retry", .bool(false)),
              Attribute("outbox.destination", "Zürich 🏔")),
            start: start, time: time, value: .int(0)),
          DataPoint(
            attributes: attributes(Attribute("outbox.state", "parked"), Attribute("outbox.retry", .bool(true))),
            start: start, time: time, value: .int(-7)),
        ]),
      Metric(
        instrument("outbox.event.age", .gauge, "s", prometheus: "outbox_event_age_seconds"),
        points: [
          DataPoint(attributes: attributes(Attribute("outbox.stat", "oldest")), time: time, value: .double(0)),
          DataPoint(attributes: attributes(Attribute("outbox.stat", "p50")), time: time, value: .double(1.0 / 3)),
          DataPoint(attributes: attributes(Attribute("outbox.stat", "p99")), time: time, value: .double(1.5e300)),
        ]),
      Metric(
        instrument("outbox.up", .gauge, "", prometheus: "outbox_up"),
        points: [DataPoint(attributes: attributes(), time: time, value: .int(1))]),
      Metric(
        instrument("outbox.enqueued", .counter, "{event}", prometheus: "outbox_enqueued_total"),
        points: [
          DataPoint(
            attributes: attributes(Attribute("outbox.shard", .int(-3))), start: start, time: time,
            value: .int(9_007_199_254_740_993)),
          DataPoint(
            attributes: attributes(Attribute("outbox.shard", .int(.max))), start: start, time: time,
            value: .int(0)),
        ]),
      Metric(
        instrument("outbox.delivery.duration", .histogram, "s", prometheus: "outbox_delivery_duration_seconds"),
        points: [
          DataPoint(attributes: attributes(), start: start, time: time, value: .histogram(durations)),
          DataPoint(
            attributes: attributes(Attribute("outbox.destination", "idle")), start: start, time: time,
            value: .histogram(HistogramValue(bounds: [0.25, 1, 5]))),
        ]),
      Metric(
        instrument("outbox.dlq.depth", .upDownCounter, "{event}", prometheus: "outbox_dlq_depth"),
        points: [DataPoint(attributes: attributes(), start: start, time: time, value: .noRecordedValue)]),
    ])
}

/// A batch with the points that destinations get who ask for deltas or for exponential buckets.
///
/// - Parameter time: of every point.
package func batchOfWishes(at time: Timestamp) -> MetricBatch {
  let start = time.advanced(by: .seconds(-60))
  func instrument(_ name: String, _ kind: InstrumentKind, _ unit: String, prometheus: String) -> Instrument {
    Instrument(
      name: name, kind: kind, unit: unit, description: "What \(name) counts.", attributes: [],
      prometheusName: prometheus)
  }
  func point(_ destination: String, _ value: PointValue) -> DataPoint {
    DataPoint(
      attributes: [Attribute("outbox.name", "orders"), Attribute("outbox.destination", destination)], start: start,
      time: time, value: value)
  }
  func exponential(_ values: [Double]) -> PointValue {
    var histogram = ExponentialHistogram()
    for value in values { histogram.record(value) }
    histogram.downscale(to: ExponentialHistogram.sentScale)
    return .exponentialHistogram(histogram)
  }
  var durations = HistogramValue(bounds: [0.25, 1, 5])
  for seconds in [0.25, 0.5, 7] { durations.record(seconds) }
  var counter = Metric(
    instrument("outbox.enqueued", .counter, "{event}", prometheus: "outbox_enqueued_total"),
    points: [point("a", .int(3)), point("b", .int(0))])
  counter.temporality = .delta
  var explicit = Metric(
    instrument("outbox.sample.duration", .histogram, "s", prometheus: "outbox_sample_duration_seconds"),
    points: [point("a", .histogram(durations))])
  explicit.temporality = .delta
  var buckets = Metric(
    instrument("outbox.delivery.duration", .histogram, "s", prometheus: "outbox_delivery_duration_seconds"),
    points: [
      point("wide", exponential([0, 0, 0.001, 0.25, 0.5, 1, 4, 7.5, 100, 86_400])), point("one", exponential([0.3])),
      point("none", exponential([])), point("ended", .noRecordedValue),
    ])
  buckets.isExponential = true
  var deltas = buckets
  deltas.instrument = instrument("otel.sdk.exporter.operation.duration", .histogram, "s", prometheus: "x")
  deltas.temporality = .delta
  deltas.points.removeLast()
  return MetricBatch(
    resource: [
      Attribute("service.name", "outbox-exporter"), Attribute("service.instance.id", "i-1"),
      Attribute("deployment.environment.name", "prüfstand"),
    ],
    scopeVersion: "0.1.0", metrics: [counter, explicit, buckets, deltas])
}
