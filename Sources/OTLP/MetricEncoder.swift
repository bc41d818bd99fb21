package import Metrics
internal import Outbox

/// What every request says about itself.
package enum OTLPSchema {
  /// The instrumentation scope of every metric.
  package static let scopeName = "outbox-exporter"
  /// The version of the semantic conventions that names and attributes follow.
  package static let url = "https://opentelemetry.io/schemas/1.44.0"
  /// Bytes of an attribute's text that are sent; longer texts are cut at a character's boundary.
  package static let attributeValueLimit = 4096
  /// The largest request that is sent, in bytes before compression: 4 MiB, the limit of the Collector's gRPC receiver
  /// and the smallest among receivers, with 1 % to spare.
  package static let requestLimit = (4 << 20) / 100 * 99
  /// The flag of a point that ends its series (metrics.proto, DataPointFlags).
  static let noRecordedValue: UInt64 = 1
}

/// An encoded ExportMetricsServiceRequest, complete in itself.
package struct EncodedRequest: Sendable, Hashable {
  /// The bytes, protobuf or JSON.
  package let body: [UInt8]
  /// The data points in it, at least one.
  package let pointCount: Int
}

/// A batch as requests, in the order in which they have to arrive.
package struct EncodedBatch: Sendable, Hashable {
  /// The requests; none where no point is left.
  package var requests: [EncodedRequest] = []
  /// Points that no receiver would take: not finite, of the wrong type for their instrument, with a time before 1970 or
  /// a start after the end. Such a point makes Prometheus refuse the whole request.
  package var invalidPointCount = 0
  /// Points that are larger than the limit all alone.
  package var tooLargePointCount = 0
}

/// How messages are written (`OTEL_EXPORTER_OTLP_PROTOCOL`).
package enum OTLPEncoding: String, Sendable, Hashable {
  /// Protobuf's wire format.
  case protobuf
  /// OTLP's JSON.
  case json

  /// The media type of requests, without parameters: Prometheus and Mimir compare the whole header.
  var mediaType: String { self == .json ? "application/json" : "application/x-protobuf" }
}

/// Metric values to OTLP bytes.
package enum MetricEncoder {
  /// Encodes a batch into as few requests as the limit allows. Every request has the resource and the scope.
  ///
  /// Attributes with an empty text are left out: Prometheus would make a job named "/name" of an empty
  /// `service.namespace`.
  ///
  /// - Parameters:
  ///   - encoding: protobuf or JSON.
  ///   - limit: the largest request in bytes, before compression.
  package static func encode(
    _ batch: MetricBatch, as encoding: OTLPEncoding = .protobuf, limit: Int = OTLPSchema.requestLimit
  ) -> EncodedBatch {
    if encoding == .json { return JSONMetricEncoder.encode(batch, limit: limit) }
    let plan = RequestPlan(batch, limit: limit)
    return EncodedBatch(
      requests: plan.encoded(), invalidPointCount: plan.invalidPointCount, tooLargePointCount: plan.tooLargePointCount)
  }
}

extension DataPoint {
  /// False where no receiver would take the point.
  func isValid(in metric: Metric) -> Bool {
    guard time.nanoseconds > 0 else { return false }
    if let start, start.nanoseconds < 0 || start > time { return false }
    let isHistogram = metric.instrument.kind == .histogram
    switch value {
    case .int: return !isHistogram
    case .double(let value): return !isHistogram && value.isFinite
    case .noRecordedValue: return true
    case .endedDistribution: return isHistogram && !metric.isExponential
    case .histogram(let value):
      return isHistogram && !metric.isExponential && value.sum.isFinite
        && value.counts.count == value.bounds.count + 1 && value.bounds.isRising
    case .exponentialHistogram(let value): return metric.isExponential && value.sum.isFinite
    }
  }
}

extension [Double] {
  /// Finite, and each greater than the one before it.
  fileprivate var isRising: Bool {
    var last = -Double.infinity
    for bound in self {
      guard bound > last, bound < .infinity else { return false }
      last = bound
    }
    return true
  }
}
