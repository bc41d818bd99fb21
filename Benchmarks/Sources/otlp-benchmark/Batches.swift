import Metrics
import Outbox

/// Figures as a cycle has them: `count` points of sums and gauges with four attributes each, in the order in which the
/// exporter sends them.
func numbers(_ count: Int) -> MetricBatch {
  let perMetric = 1000
  var metrics: [Metric] = []
  for number in 0..<((count + perMetric - 1) / perMetric) {
    let isSum = number % 2 == 0
    let points = (0..<min(perMetric, count - number * perMetric)).map { figure(at: $0, isSum: isSum) }
    metrics.append(Metric(instrument("outbox.depth.\(number)", isSum ? .upDownCounter : .gauge), points: points))
  }
  return batch(metrics)
}

private func figure(at index: Int, isSum: Bool) -> DataPoint {
  let states = ["ready", "scheduled", "claimed", "parked", "unknown"]
  let attributes = [
    Attribute("outbox.name", "orders"), Attribute("outbox.destination", "channel-\(index / 10)"),
    Attribute("outbox.state", states[index / 2 % 5]), Attribute("outbox.retry", .bool(index % 2 == 1)),
  ]
  let value: PointValue = isSum ? .int(Int64(index * 37)) : .double(Double(index) * 0.37)
  return DataPoint(
    attributes: attributes, start: isSum ? Timestamp(nanoseconds: 1_600_000_000_000_000_000) : nil,
    time: Timestamp(nanoseconds: 1_700_000_000_123_456_789), value: value)
}

/// `count` distributions with fifteen bounds and two attributes each.
func distributions(_ count: Int) -> MetricBatch {
  let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
  let points = (0..<count).map { index in
    var value = HistogramValue(bounds: bounds)
    for number in 0..<40 { value.record(Double(number * (index % 50)) * 0.01) }
    return DataPoint(
      attributes: [Attribute("outbox.name", "orders"), Attribute("outbox.destination", "channel-\(index)")],
      start: Timestamp(nanoseconds: 1_600_000_000_000_000_000),
      time: Timestamp(nanoseconds: 1_700_000_000_123_456_789), value: .histogram(value))
  }
  return batch([Metric(instrument("outbox.delivery.duration", .histogram, bounds: bounds), points: points)])
}

private func batch(_ metrics: [Metric]) -> MetricBatch {
  MetricBatch(
    resource: [
      Attribute("service.name", "outbox-exporter"),
      Attribute("service.instance.id", "4a1c6b1e-6a0f-5b3c-9d2e-0f1a2b3c4d5e"),
    ],
    scopeVersion: "0.1.0", metrics: metrics)
}

private func instrument(_ name: String, _ kind: InstrumentKind, bounds: [Double] = []) -> Instrument {
  Instrument(
    name: name, kind: kind, unit: "{event}", description: "Events that wait, by their state.", attributes: [],
    prometheusName: "", bounds: bounds)
}
