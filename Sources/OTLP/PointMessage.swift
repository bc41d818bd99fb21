internal import Metrics
internal import Outbox

/// A data point as a message of protobuf: what it measures, and its bytes. One stands beside the other for each kind of
/// point, since the second has to be as long as the first says.
enum PointMessage {
  /// The size of a point without tag and length; nil where a text of it has to be made sound first.
  static func size(_ point: DataPoint, in metric: Metric) -> Int? {
    guard var size = attributesSize(point.attributes) else { return nil }
    size += WireFormat.eightByteField + (startBits(point) == nil ? 0 : WireFormat.eightByteField)
    switch point.value {
    case .int, .double: return size + WireFormat.eightByteField
    case .histogram(let value): return size + contentSize(value)
    case .exponentialHistogram(let value): return size + contentSize(value)
    case .endedDistribution(let bounds):
      return size + contentSize(HistogramValue(bounds: bounds)) + endSize
    case .noRecordedValue:
      if metric.isExponential { return size + WireFormat.eightByteField + endSize }
      guard metric.instrument.kind == .histogram else { return size + endSize }
      // Prometheus and VictoriaMetrics end the buckets that the point names, and the sum only where it has one.
      return size + contentSize(HistogramValue(bounds: metric.instrument.bounds)) + endSize
    }
  }

  /// Writes a point whose size is known.
  static func write(_ point: DataPoint, in metric: Metric, to bytes: inout OutputSpan<UInt8>) {
    switch point.value {
    case .int(let value): writeNumber(6, UInt64(bitPattern: value), point, to: &bytes)
    case .double(let value): writeNumber(4, value.bitPattern, point, to: &bytes)
    case .histogram(let value): write(value, point, to: &bytes)
    case .exponentialHistogram(let value): write(value, point, to: &bytes)
    case .endedDistribution(let bounds):
      write(HistogramValue(bounds: bounds), point, to: &bytes)
      bytes.appendField(10, varint: OTLPSchema.noRecordedValue)
    case .noRecordedValue where metric.isExponential:
      write(point.attributes, field: 1, to: &bytes)
      writeTimes(point, to: &bytes)
      bytes.appendField(5, bits: 0)
      bytes.appendField(10, varint: OTLPSchema.noRecordedValue)
    case .noRecordedValue where metric.instrument.kind == .histogram:
      write(HistogramValue(bounds: metric.instrument.bounds), point, to: &bytes)
      bytes.appendField(10, varint: OTLPSchema.noRecordedValue)
    case .noRecordedValue:
      writeTimes(point, to: &bytes)
      write(point.attributes, field: 7, to: &bytes)
      bytes.appendField(8, varint: OTLPSchema.noRecordedValue)
    }
  }

  private static let endSize = WireFormat.fieldSize(varint: OTLPSchema.noRecordedValue)

  // MARK: - What every point has

  private static func startBits(_ point: DataPoint) -> UInt64? {
    guard let start = point.start?.nanoseconds, start != 0 else { return nil }
    return UInt64(start)
  }

  private static func writeTimes(_ point: DataPoint, to bytes: inout OutputSpan<UInt8>) {
    if let start = startBits(point) { bytes.appendField(2, bits: start) }
    bytes.appendField(3, bits: UInt64(point.time.nanoseconds))
  }

  private static func writeNumber(
    _ field: UInt8, _ bits: UInt64, _ point: DataPoint, to bytes: inout OutputSpan<UInt8>
  ) {
    writeTimes(point, to: &bytes)
    bytes.appendField(field, bits: bits)
    write(point.attributes, field: 7, to: &bytes)
  }

  // MARK: - Distributions

  private static func contentSize(_ value: HistogramValue) -> Int {
    (value.counts.contains { $0 > 0 } ? WireFormat.eightByteField : 0)
      + (value.isSumCounter ? WireFormat.eightByteField : 0) + WireFormat.packedSize(value.counts.count)
      + WireFormat.packedSize(value.bounds.count)
  }

  private static func write(_ value: HistogramValue, _ point: DataPoint, to bytes: inout OutputSpan<UInt8>) {
    writeTimes(point, to: &bytes)
    let count = value.count
    if count != 0 { bytes.appendField(4, bits: count) }
    if value.isSumCounter { bytes.appendField(5, bits: value.sum.bitPattern) }
    bytes.appendField(6, packed: value.counts)
    bytes.appendField(7, packed: value.bounds)
    write(point.attributes, field: 9, to: &bytes)
  }

  private static func contentSize(_ value: ExponentialHistogram) -> Int {
    var size = (value.count == 0 ? 0 : WireFormat.eightByteField) + (value.isSumCounter ? WireFormat.eightByteField : 0)
    size += WireFormat.fieldSize(varint: WireFormat.zigZag(value.scale))
    size += value.zeroCount == 0 ? 0 : WireFormat.eightByteField
    for buckets in [value.positive, value.negative] where !buckets.counts.isEmpty {
      size += WireFormat.enclosed(bucketsSize(buckets))
    }
    return size
  }

  private static func write(_ value: ExponentialHistogram, _ point: DataPoint, to bytes: inout OutputSpan<UInt8>) {
    write(point.attributes, field: 1, to: &bytes)
    writeTimes(point, to: &bytes)
    let count = value.count
    if count != 0 { bytes.appendField(4, bits: count) }
    if value.isSumCounter { bytes.appendField(5, bits: value.sum.bitPattern) }
    bytes.appendField(6, varint: WireFormat.zigZag(value.scale))
    if value.zeroCount != 0 { bytes.appendField(7, bits: value.zeroCount) }
    for (field, buckets) in [(UInt8(8), value.positive), (9, value.negative)] where !buckets.counts.isEmpty {
      bytes.appendHeader(field, count: bucketsSize(buckets))
      bytes.appendField(1, varint: WireFormat.zigZag(buckets.offset))
      bytes.appendHeader(2, count: countsSize(buckets))
      for count in buckets.counts { bytes.appendVarint(count) }
    }
  }

  private static func bucketsSize(_ buckets: ExponentialHistogram.Buckets) -> Int {
    WireFormat.fieldSize(varint: WireFormat.zigZag(buckets.offset)) + WireFormat.enclosed(countsSize(buckets))
  }

  private static func countsSize(_ buckets: ExponentialHistogram.Buckets) -> Int {
    buckets.counts.reduce(0) { $0 + WireFormat.size(varint: $1) }
  }

  // MARK: - Attributes

  /// The size of a list of attributes; nil where a text of it has to be made sound first.
  static func attributesSize(_ attributes: [Attribute]) -> Int? {
    var size = 0
    for attribute in attributes where !attribute.isEmpty {
      guard attribute.isSound else { return nil }
      size += WireFormat.enclosed(attribute.size)
    }
    return size
  }

  /// Writes a list of attributes as a repeated field.
  static func write(_ attributes: [Attribute], field: UInt8, to bytes: inout OutputSpan<UInt8>) {
    for attribute in attributes where !attribute.isEmpty {
      bytes.appendHeader(field, count: attribute.size)
      bytes.appendField(1, attribute.key)
      bytes.appendHeader(2, count: attribute.valueSize)
      // Of a choice the chosen one is written even where it is the default.
      switch attribute.value {
      case .string(let text): bytes.appendField(1, text)
      case .bool(let flag):
        bytes.append(WireFormat.tag(2, .varint))
        bytes.append(flag ? 1 : 0)
      case .int(let number):
        bytes.append(WireFormat.tag(3, .varint))
        bytes.appendVarint(UInt64(bitPattern: number))
      }
    }
  }
}

extension Attribute {
  /// Whether it is left out.
  fileprivate var isEmpty: Bool {
    if case .string(let text) = value, text.isEmpty { return true }
    return key.isEmpty
  }

  fileprivate var isSound: Bool {
    if case .string(let text) = value, !text.isSound(limit: OTLPSchema.attributeValueLimit) { return false }
    return key.isSound()
  }

  fileprivate var size: Int { WireFormat.textSize(key) + WireFormat.enclosed(valueSize) }

  fileprivate var valueSize: Int {
    switch value {
    case .string(let text): WireFormat.textSize(text)
    case .bool: 2
    case .int(let number): 1 + WireFormat.size(varint: UInt64(bitPattern: number))
    }
  }

  /// The attribute with its texts as they can be sent.
  var sound: Attribute {
    var attribute = Attribute(key.sound(), value)
    if case .string(let text) = value {
      attribute.value = .string(text.sound(limit: OTLPSchema.attributeValueLimit))
    }
    return attribute
  }
}
