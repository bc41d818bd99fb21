internal import Metrics
internal import Outbox

/// One export request under construction: resource and scope, closed metrics, and the metric that points are added to.
///
/// It writes the bytes at once. protobuf-c, which reads what servers answer, would need a tree of C structs of the same
/// figures first. What it makes of such a tree is what stands here, byte for byte (`Tests/OTLPTests`, `Benchmarks/otlp`).
struct RequestWriter {
  private struct Entry {
    var attribute: Attribute
    /// The message with its length.
    var bytes: [UInt8]
  }

  private var size: RequestSize
  private let resource: [UInt8]
  private let scope: [UInt8]
  private var metrics: [UInt8] = []
  private var metric: (head: [UInt8], data: UInt8, tail: [UInt8]) = ([], 0, [])
  private var points: [UInt8] = []
  private var point: [UInt8] = []
  private var bounds: [Double] = []
  private var isExponential = false
  // Points share most of their attributes with others near them: at each place of the list, the last eight different ones
  // are kept, and the one that was found last is looked at first.
  private static let keptEntries = 8
  private var kept: [(entries: [Entry], found: Int, oldest: Int)] = []

  /// Data points in the closed metrics and in the open one.
  private(set) var pointCount = 0

  private static let schemaURL: [UInt8] = {
    var bytes: [UInt8] = []
    bytes.appendField(3, OTLPSchema.url)
    return bytes
  }()

  /// A request without metrics.
  init(resource attributes: [Attribute], scopeVersion: String) {
    var list: [UInt8] = []
    for attribute in attributes where !attribute.isEmpty { list.appendField(1, Self.keyValue(attribute)) }
    var resource: [UInt8] = []
    resource.appendField(1, list)
    var scope: [UInt8] = []
    scope.appendField(1, OTLPSchema.scopeName)
    scope.appendField(2, scopeVersion)
    var scopeField: [UInt8] = []
    scopeField.appendField(1, scope)
    self.resource = resource
    self.scope = scopeField
    size = RequestSize(
      resourceMetrics: resource.count + Self.schemaURL.count, scopeMetrics: scopeField.count + Self.schemaURL.count)
  }

  /// Opens a metric.
  mutating func openMetric(_ opened: Metric) {
    let instrument = opened.instrument
    bounds = instrument.bounds
    isExponential = opened.isExponential
    var head: [UInt8] = []
    head.appendField(1, instrument.name)
    head.appendField(2, instrument.description)
    head.appendField(3, instrument.unit)
    var tail: [UInt8] = []
    switch instrument.kind {
    case .gauge: metric = (head, 5, tail)
    case .counter, .upDownCounter:
      tail.appendField(2, varint: opened.temporality.number)
      tail.appendField(3, varint: instrument.kind == .counter ? 1 : 0)
      metric = (head, 7, tail)
    case .histogram:
      tail.appendField(2, varint: opened.temporality.number)
      metric = (head, isExponential ? 10 : 9, tail)
    }
    points.removeAll(keepingCapacity: true)
    size.openMetric(metric: head.count, data: tail.count)
  }

  /// Adds a point to the open metric unless the request would become larger than the limit.
  mutating func add(_ added: DataPoint, limit: Int) -> Bool {
    point.removeAll(keepingCapacity: true)
    switch metric.data {
    case 9: writeHistogramPoint(added)
    case 10: writeExponentialPoint(added)
    default: writeNumberPoint(added)
    }
    guard size.total(withPoint: point.count) <= limit else { return false }
    size.addPoint(point.count)
    points.appendField(1, point)
    pointCount += 1
    return true
  }

  /// Closes the open metric; one without points leaves no trace.
  mutating func closeMetric() {
    size.closeMetric()
    guard !points.isEmpty else { return }
    let data = points.count + metric.tail.count
    metrics.appendHeader(2, count: metric.head.count + RequestSize.enclosed(data))
    metrics.append(contentsOf: metric.head)
    metrics.appendHeader(metric.data, count: data)
    metrics.append(contentsOf: points)
    metrics.append(contentsOf: metric.tail)
    points.removeAll(keepingCapacity: true)
  }

  /// The encoded request, with its open metric closed.
  mutating func finish() -> EncodedRequest {
    closeMetric()
    let scopeMetrics = scope.count + metrics.count + Self.schemaURL.count
    var body: [UInt8] = []
    body.reserveCapacity(size.total)
    body.appendHeader(1, count: resource.count + RequestSize.enclosed(scopeMetrics) + Self.schemaURL.count)
    body.append(contentsOf: resource)
    body.appendHeader(2, count: scopeMetrics)
    body.append(contentsOf: scope)
    body.append(contentsOf: metrics)
    body.append(contentsOf: Self.schemaURL)
    body.append(contentsOf: Self.schemaURL)
    assert(body.count == size.total, "the size was computed as \(size.total), and is \(body.count)")
    return EncodedRequest(body: body, pointCount: pointCount)
  }

  // MARK: - Points

  private mutating func writeTimes(_ added: DataPoint) {
    if let start = added.start?.nanoseconds, start != 0 { point.appendField(2, bits: UInt64(start)) }
    point.appendField(3, bits: UInt64(added.time.nanoseconds))
  }

  private mutating func writeNumberPoint(_ added: DataPoint) {
    writeTimes(added)
    var flags: UInt64 = 0
    switch added.value {
    case .int(let value): point.appendField(6, bits: UInt64(bitPattern: value))
    case .double(let value): point.appendField(4, bits: value.bitPattern)
    case .noRecordedValue, .histogram, .exponentialHistogram, .endedDistribution: flags = OTLPSchema.noRecordedValue
    }
    writeAttributes(added.attributes, field: 7)
    point.appendField(8, varint: flags)
  }

  private mutating func writeHistogramPoint(_ added: DataPoint) {
    writeTimes(added)
    let value: HistogramValue
    var flags: UInt64 = 0
    if case .histogram(let recorded) = added.value {
      value = recorded
    } else {
      // Prometheus and VictoriaMetrics end the buckets that the point names, and the sum only where it has one.
      if case .endedDistribution(let own) = added.value { bounds = own }
      value = HistogramValue(bounds: bounds)
      flags = OTLPSchema.noRecordedValue
    }
    let count = value.count
    if count != 0 { point.appendField(4, bits: count) }
    if value.isSumCounter { point.appendField(5, bits: value.sum.bitPattern) }
    point.appendField(6, packed: value.counts)
    point.appendField(7, packed: value.bounds.lazy.map(\.bitPattern))
    writeAttributes(added.attributes, field: 9)
    point.appendField(10, varint: flags)
  }

  private mutating func writeExponentialPoint(_ added: DataPoint) {
    writeAttributes(added.attributes, field: 1)
    writeTimes(added)
    var flags: UInt64 = 0
    if case .exponentialHistogram(let value) = added.value {
      let count = value.count
      if count != 0 { point.appendField(4, bits: count) }
      if value.isSumCounter { point.appendField(5, bits: value.sum.bitPattern) }
      point.appendField(6, zigZag: value.scale)
      if value.zeroCount != 0 { point.appendField(7, bits: value.zeroCount) }
      for (field, buckets) in [(UInt8(8), value.positive), (9, value.negative)] where !buckets.counts.isEmpty {
        point.appendField(field, Self.buckets(buckets))
      }
    } else {
      point.appendField(5, bits: 0)
      flags = OTLPSchema.noRecordedValue
    }
    point.appendField(10, varint: flags)
  }

  private static func buckets(_ buckets: ExponentialHistogram.Buckets) -> [UInt8] {
    var counts: [UInt8] = []
    for count in buckets.counts { counts.appendVarint(count) }
    var message: [UInt8] = []
    message.appendField(1, zigZag: buckets.offset)
    message.appendField(2, counts)
    return message
  }

  // MARK: - Attributes

  private mutating func writeAttributes(_ attributes: [Attribute], field: UInt8) {
    var place = 0
    for attribute in attributes where !attribute.isEmpty {
      let index = entry(attribute, at: place)
      point.append(field << 3 | [UInt8].WireType.bytes.rawValue)
      point.append(contentsOf: kept[place].entries[index].bytes)
      place += 1
    }
  }

  /// Where an attribute is kept that stands at a place of a list.
  private mutating func entry(_ attribute: Attribute, at place: Int) -> Int {
    if place < kept.count {
      let found = kept[place].found
      if kept[place].entries[found].attribute == attribute { return found }
      for index in kept[place].entries.indices where kept[place].entries[index].attribute == attribute {
        kept[place].found = index
        return index
      }
    } else {
      kept.append(([], 0, 0))
    }
    let message = Self.keyValue(attribute)
    var bytes: [UInt8] = []
    bytes.appendVarint(UInt64(message.count))
    let entry = Entry(attribute: attribute, bytes: bytes + message)
    if kept[place].entries.count < Self.keptEntries {
      kept[place].found = kept[place].entries.count
      kept[place].entries.append(entry)
    } else {
      let oldest = kept[place].oldest
      kept[place].entries[oldest] = entry
      kept[place].found = oldest
      kept[place].oldest = (oldest + 1) % Self.keptEntries
    }
    return kept[place].found
  }

  private static func keyValue(_ attribute: Attribute) -> [UInt8] {
    var value: [UInt8] = []
    switch attribute.value {
    // Of a choice the chosen one is written even where it is the default.
    case .string(let text): value.appendField(1, [UInt8].text(text, limit: OTLPSchema.attributeValueLimit))
    case .bool(let flag): value += [2 << 3, flag ? 1 : 0]
    case .int(let number):
      value.append(3 << 3)
      value.appendVarint(UInt64(bitPattern: number))
    }
    var message: [UInt8] = []
    message.appendField(1, attribute.key)
    message.appendField(2, value)
    return message
  }
}

extension Attribute {
  /// Whether it is left out.
  fileprivate var isEmpty: Bool { key.isEmpty || value == .string("") }
}

extension AggregationTemporality {
  /// The number in metrics.proto.
  var number: UInt64 { self == .delta ? 1 : 2 }
}
