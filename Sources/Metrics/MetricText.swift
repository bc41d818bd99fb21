extension MetricBatch {
  /// The points as lines for people, for `OTEL_METRICS_EXPORTER=console`: name, attributes, value.
  package var text: String {
    metrics.flatMap { metric in
      metric.points.map { point in
        let attributes = point.attributes.map { "\($0.key)=\($0.value.text)" }.joined(separator: ",")
        return "\(metric.instrument.name){\(attributes)} \(point.value.text)\n"
      }
    }.joined()
  }
}

extension AttributeValue {
  fileprivate var text: String {
    switch self {
    case .string(let text): text
    case .bool(let value): "\(value)"
    case .int(let value): "\(value)"
    }
  }
}

extension PointValue {
  fileprivate var text: String {
    switch self {
    case .int(let value): "\(value)"
    case .double(let value): "\(value)"
    case .histogram(let value): "count=\(value.count) sum=\(value.sum)"
    case .exponentialHistogram(let value): "count=\(value.count) sum=\(value.sum)"
    case .noRecordedValue, .endedDistribution: "(ended)"
    }
  }
}
