internal import Metrics
internal import Outbox

/// Metric values to OTLP's JSON: the mapping of protobuf with keys in lowerCamelCase, enums as numbers and integers of 64
/// bits as texts (OTLP specification, "JSON Protobuf Encoding").
struct JSONMetricEncoder {
  private let prefix: [UInt8]
  private let limit: Int
  private var body: [UInt8]
  private var encoded = EncodedBatch()
  private var pointCount = 0
  private var metric: (head: [UInt8], tail: [UInt8]) = ([], [])
  private var metricPointCount = 0

  // What closes a request behind its last metric.
  private static let suffix = Array(
    "],\"schemaUrl\":\(text(OTLPSchema.url))}],\"schemaUrl\":\(text(OTLPSchema.url))}]}".utf8)

  /// Encodes a batch into as few requests as the limit allows.
  static func encode(_ batch: MetricBatch, limit: Int) -> EncodedBatch {
    var encoder = JSONMetricEncoder(batch, limit: limit)
    for metric in batch.metrics { encoder.add(metric) }
    encoder.endRequest()
    return encoder.encoded
  }

  private init(_ batch: MetricBatch, limit: Int) {
    let scope = "{\"name\":\(Self.text(OTLPSchema.scopeName)),\"version\":\(Self.text(batch.scopeVersion))}"
    prefix = Array(
      ("{\"resourceMetrics\":[{\"resource\":{\(Self.attributes(batch.resource))},\"scopeMetrics\":[{\"scope\":\(scope),"
        + "\"metrics\":[").utf8)
    self.limit = limit
    body = prefix
  }

  private mutating func add(_ metric: Metric) {
    let instrument = metric.instrument
    let temporality = ",\"aggregationTemporality\":\(metric.temporality.number)"
    let (kind, properties) =
      switch instrument.kind {
      case .gauge: ("gauge", "")
      case .counter: ("sum", "\(temporality),\"isMonotonic\":true")
      case .upDownCounter: ("sum", temporality)
      case .histogram: (metric.isExponential ? "exponentialHistogram" : "histogram", temporality)
      }
    var head = "{\"name\":\(Self.text(instrument.name))"
    if !instrument.description.isEmpty { head += ",\"description\":\(Self.text(instrument.description))" }
    if !instrument.unit.isEmpty { head += ",\"unit\":\(Self.text(instrument.unit))" }
    head += ",\"\(kind)\":{\"dataPoints\":["
    self.metric = (Array(head.utf8), Array("]\(properties)}}".utf8))
    metricPointCount = 0
    for point in metric.points {
      guard point.isValid(in: metric) else {
        encoded.invalidPointCount += 1
        continue
      }
      add(Array(Self.point(point, of: metric).utf8))
    }
    endMetric()
  }

  private mutating func add(_ point: [UInt8]) {
    if size(with: point) > limit, pointCount > 0 {
      endMetric()
      endRequest()
    }
    guard size(with: point) <= limit else {
      encoded.tooLargePointCount += 1
      return
    }
    if metricPointCount > 0 {
      body.append(UInt8(ascii: ","))
    } else {
      if pointCount > 0 { body.append(UInt8(ascii: ",")) }
      body += metric.head
    }
    body += point
    metricPointCount += 1
    pointCount += 1
  }

  /// The size of the request if it ended with this point.
  private func size(with point: [UInt8]) -> Int {
    body.count + (metricPointCount > 0 ? 0 : metric.head.count) + 1 + point.count + metric.tail.count
      + Self.suffix.count
  }

  private mutating func endMetric() {
    if metricPointCount > 0 { body += metric.tail }
    metricPointCount = 0
  }

  private mutating func endRequest() {
    if pointCount > 0 { encoded.requests.append(EncodedRequest(body: body + Self.suffix, pointCount: pointCount)) }
    body = prefix
    pointCount = 0
  }

  private static func point(_ point: DataPoint, of metric: Metric) -> String {
    var fields = attributes(point.attributes)
    if let start = point.start, start.nanoseconds != 0 { fields += ",\"startTimeUnixNano\":\"\(start.nanoseconds)\"" }
    fields += ",\"timeUnixNano\":\"\(point.time.nanoseconds)\""
    var isEnd = false
    switch point.value {
    case .int(let value): fields += ",\"asInt\":\"\(value)\""
    case .double(let value): fields += ",\"asDouble\":\(value)"
    case .histogram(let value): fields += distribution(value)
    case .exponentialHistogram(let value): fields += distribution(value)
    case .endedDistribution(let bounds):
      isEnd = true
      fields += distribution(HistogramValue(bounds: bounds))
    case .noRecordedValue:
      isEnd = true
      if metric.isExponential {
        fields += distribution(ExponentialHistogram(scale: 0))
      } else if metric.instrument.kind == .histogram {
        fields += distribution(HistogramValue(bounds: metric.instrument.bounds))
      }
    }
    if isEnd { fields += ",\"flags\":\(OTLPSchema.noRecordedValue)" }
    return "{\(fields)}"
  }

  private static func distribution(_ value: HistogramValue) -> String {
    let counts = value.counts.map { "\"\($0)\"" }.joined(separator: ",")
    let bounds = value.bounds.map { "\($0)" }.joined(separator: ",")
    return ",\"count\":\"\(value.count)\"" + (value.isSumCounter ? ",\"sum\":\(value.sum)" : "")
      + ",\"bucketCounts\":[\(counts)],\"explicitBounds\":[\(bounds)]"
  }

  private static func distribution(_ value: ExponentialHistogram) -> String {
    var fields = ",\"count\":\"\(value.count)\"" + (value.isSumCounter ? ",\"sum\":\(value.sum)" : "")
    fields += ",\"scale\":\(value.scale),\"zeroCount\":\"\(value.zeroCount)\""
    for (name, buckets) in [("positive", value.positive), ("negative", value.negative)] where !buckets.counts.isEmpty {
      let counts = buckets.counts.map { "\"\($0)\"" }.joined(separator: ",")
      fields += ",\"\(name)\":{\"offset\":\(buckets.offset),\"bucketCounts\":[\(counts)]}"
    }
    return fields
  }

  private static func attributes(_ attributes: [Attribute]) -> String {
    let list = attributes.filter { !$0.key.isEmpty && $0.value != .string("") }.map { attribute in
      let value =
        switch attribute.value {
        case .string(let text): "\"stringValue\":\(Self.text(text, limit: OTLPSchema.attributeValueLimit))"
        case .bool(let flag): "\"boolValue\":\(flag)"
        case .int(let number): "\"intValue\":\"\(number)\""
        }
      return "{\"key\":\(text(attribute.key)),\"value\":{\(value)}}"
    }
    return "\"attributes\":[\(list.joined(separator: ","))]"
  }

  /// A text in quotation marks, cut at a scalar boundary at or before the limit. U+0000 becomes U+FFFD, as in protobuf.
  private static func text(_ text: String, limit: Int = .max) -> String {
    var quoted = "\""
    var size = 0
    for scalar in text.unicodeScalars {
      let scalar = scalar.value == 0 ? "\u{fffd}" : scalar
      size += UTF8.width(scalar)
      if size > limit { break }
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where scalar.value < 0x20:
        quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
