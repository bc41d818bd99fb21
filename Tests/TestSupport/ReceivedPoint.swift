package import Metrics
import Outbox

/// A data point as a receiver saw it, or as it should see it.
package struct ReceivedPoint: Hashable, CustomStringConvertible {
  /// The metric's name.
  package var metric: String
  /// `gauge [s] What it means.`, with the temporality and whether it is monotonic.
  package var kind: String
  /// The attributes, `key=Type(value)`, in order.
  package var attributes: String
  /// Nanoseconds since 1970; 0 where there is none.
  package var start: Int64
  /// Nanoseconds since 1970.
  package var time: Int64
  /// The value, numbers rounded to six decimals: the Collector shows no more.
  package var value: String

  package var description: String { "\(metric){\(attributes)} \(value) \(start)..\(time) \(kind)" }

  /// The points that a batch should arrive as.
  package static func expected(_ batch: MetricBatch) -> [ReceivedPoint] {
    batch.metrics.flatMap { metric in
      metric.points.map { point in
        ReceivedPoint(
          metric: metric.instrument.name, kind: kind(metric), attributes: text(point.attributes),
          start: point.start?.nanoseconds ?? 0, time: point.time.nanoseconds, value: text(point.value))
      }
    }
  }

  private static func kind(_ metric: Metric) -> String {
    let instrument = metric.instrument
    let temporality = metric.temporality == .delta ? "delta" : "cumulative"
    let type =
      switch instrument.kind {
      case .gauge: "Gauge"
      case .upDownCounter: "Sum \(temporality)"
      case .counter: "Sum monotonic \(temporality)"
      case .histogram: (metric.isExponential ? "ExponentialHistogram " : "Histogram ") + temporality
      }
    return "\(type) [\(instrument.unit)] \(instrument.description)"
  }

  private static func text(_ attributes: [Attribute]) -> String {
    attributes.compactMap { attribute in
      switch attribute.value {
      case .string(""): nil
      case .string(let text): "\(attribute.key)=Str(\(text))"
      case .bool(let flag): "\(attribute.key)=Bool(\(flag))"
      case .int(let number): "\(attribute.key)=Int(\(number))"
      }
    }.joined(separator: " ")
  }

  private static func text(_ value: PointValue) -> String {
    switch value {
    case .int(let number): String(number)
    case .double(let number): rounded(number)
    case .noRecordedValue, .endedDistribution: "none"
    case .histogram(let histogram):
      "count \(histogram.counts.reduce(0, +)) sum \(rounded(histogram.sum)) "
        + "bounds \(histogram.bounds.map(rounded).joined(separator: " ")) "
        + "buckets \(histogram.counts.map(String.init).joined(separator: " "))"
    // Receivers show neither the flag of one that ended nor anything else of one that is empty.
    case .exponentialHistogram(let histogram) where histogram.count == 0: "none"
    case .exponentialHistogram(let histogram):
      "count \(histogram.count) sum \(rounded(histogram.sum)) zeros \(histogram.zeroCount) buckets "
        + histogram.positive.counts.map(String.init).joined(separator: " ")
    }
  }

  static func rounded(_ number: Double) -> String {
    // Beyond this a double has no six decimals. rotel prints 0.0 as 0.
    let text = abs(number) < 1e9 ? String((number * 1e6).rounded() / 1e6) : String(number)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}
