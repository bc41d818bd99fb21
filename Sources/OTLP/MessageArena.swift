internal import COpenTelemetryProto
internal import CProtobufC
internal import Metrics
internal import Outbox

private typealias Request = Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceRequest
private typealias ResourceMetrics = Opentelemetry__Proto__Metrics__V1__ResourceMetrics
private typealias ScopeMetrics = Opentelemetry__Proto__Metrics__V1__ScopeMetrics
private typealias Resource = Opentelemetry__Proto__Resource__V1__Resource
private typealias Scope = Opentelemetry__Proto__Common__V1__InstrumentationScope
private typealias KeyValue = Opentelemetry__Proto__Common__V1__KeyValue
private typealias AnyValue = Opentelemetry__Proto__Common__V1__AnyValue
private typealias MetricMessage = Opentelemetry__Proto__Metrics__V1__Metric
private typealias Gauge = Opentelemetry__Proto__Metrics__V1__Gauge
private typealias Sum = Opentelemetry__Proto__Metrics__V1__Sum
private typealias Histogram = Opentelemetry__Proto__Metrics__V1__Histogram
private typealias NumberDataPoint = Opentelemetry__Proto__Metrics__V1__NumberDataPoint
private typealias HistogramDataPoint = Opentelemetry__Proto__Metrics__V1__HistogramDataPoint

/// Memory for the messages of one request: handed out in order, freed at once.
///
/// The unsafe code of this target is in this file: protobuf-c packs a tree of C structs, and building that tree with an
/// allocation per struct would cost more than packing it.
@safe struct MessageArena: ~Copyable {
  private static let chunkSize = 64 << 10
  private var chunks: [UnsafeMutableRawPointer]
  private var next: UnsafeMutableRawPointer?
  private var left = 0

  init() {
    unsafe chunks = []
  }

  deinit {
    unsafe chunks.forEach { unsafe $0.deallocate() }
  }

  /// Room for a value, aligned for every type that is stored here.
  fileprivate mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer {
    let size = (size + 15) & ~15
    if size > left {
      // A value larger than a chunk gets one of its own size.
      let chunkSize = max(size, Self.chunkSize)
      let chunk = UnsafeMutableRawPointer.allocate(byteCount: chunkSize, alignment: 16)
      unsafe chunks.append(chunk)
      unsafe next = chunk
      left = chunkSize
    }
    let place = unsafe next!
    unsafe next = place + size
    left -= size
    return unsafe place
  }

  fileprivate mutating func room<Value>(for type: Value.Type, count: Int = 1) -> UnsafeMutablePointer<Value> {
    unsafe allocate(MemoryLayout<Value>.stride * count).bindMemory(to: type, capacity: count)
  }

  /// A message in its initial state.
  fileprivate mutating func message<Message>(
    _ initialize: (UnsafeMutablePointer<Message>?) -> Void
  ) -> UnsafeMutablePointer<Message> {
    let message = unsafe room(for: Message.self)
    unsafe initialize(message)
    return unsafe message
  }

  /// A list with one element.
  fileprivate mutating func list<Element>(
    of element: UnsafeMutablePointer<Element>
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Element>?> {
    let list = unsafe room(for: UnsafeMutablePointer<Element>?.self)
    unsafe list.initialize(to: element)
    return unsafe list
  }

  fileprivate mutating func array<Number: BitwiseCopyable>(_ numbers: [Number]) -> UnsafeMutablePointer<Number>? {
    guard !numbers.isEmpty else { return nil }
    let copy = unsafe room(for: Number.self, count: numbers.count)
    unsafe copy.initialize(from: numbers, count: numbers.count)
    return unsafe copy
  }

  /// A C string, cut at a scalar boundary at or before the limit. U+0000, which a C string cannot hold, becomes U+FFFD.
  fileprivate mutating func text(_ text: String, limit: Int = .max) -> UnsafeMutablePointer<CChar> {
    var text = text
    return text.withUTF8 { bytes in
      var count = bytes.count
      if count > limit {
        count = limit
        while count > 0, unsafe bytes[count] & 0xc0 == 0x80 { count -= 1 }
      }
      if unsafe bytes[..<count].contains(0) {
        let replaced = unsafe String(decoding: bytes[..<count], as: UTF8.self)
          .unicodeScalars.map { $0 == "\0" ? "\u{fffd}" : String($0) }.joined()
        return unsafe self.text(replaced, limit: limit)
      }
      let copy = unsafe allocate(count + 1)
      if count > 0 { unsafe copy.copyMemory(from: bytes.baseAddress!, byteCount: count) }
      unsafe copy.storeBytes(of: 0, toByteOffset: count, as: CChar.self)
      return unsafe copy.bindMemory(to: CChar.self, capacity: count + 1)
    }
  }
}

/// One export request under construction: resource and scope, closed metrics, and the metric that points are added to.
@safe struct RequestTree: ~Copyable {
  @safe private struct Entry {
    var attribute: Attribute
    var message: UnsafeMutablePointer<KeyValue>
    /// What the message adds to a point.
    var size: Int
  }

  private var arena = MessageArena()
  private var size = RequestSize()
  private var request: UnsafeMutablePointer<Request>
  private var scopeMetrics: UnsafeMutablePointer<ScopeMetrics>
  private var metric: UnsafeMutablePointer<MetricMessage>?
  private var points: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
  private var metricPointCount = 0
  private var bounds: [Double] = []
  // Points share most of their attributes with others near them: at each place of the list, the last eight different ones
  // are kept, and the one that was found last is looked at first.
  private static let keptEntries = 8
  private var kept: [(entries: [Entry], found: Int, oldest: Int)] = []

  /// Data points in the closed metrics and in the open one.
  private(set) var pointCount = 0

  /// A request without metrics, which may hold so many.
  init(resource: [Attribute], scopeVersion: String, metricCapacity: Int) {
    unsafe request = arena.message(opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__init)
    unsafe scopeMetrics = arena.message(opentelemetry__proto__metrics__v1__scope_metrics__init)
    open(resource: resource, scopeVersion: scopeVersion, metricCapacity: metricCapacity)
  }

  private mutating func open(resource attributes: [Attribute], scopeVersion: String, metricCapacity: Int) {
    let resource = unsafe arena.message(opentelemetry__proto__resource__v1__resource__init)
    let (list, count, _) = unsafe keyValues(attributes)
    unsafe resource.pointee.attributes = list
    unsafe resource.pointee.n_attributes = count
    let scope = unsafe arena.message(opentelemetry__proto__common__v1__instrumentation_scope__init)
    unsafe scope.pointee.name = arena.text(OTLPSchema.scopeName)
    unsafe scope.pointee.version = arena.text(scopeVersion)
    unsafe scopeMetrics.pointee.scope = scope
    unsafe scopeMetrics.pointee.schema_url = arena.text(OTLPSchema.url)
    unsafe scopeMetrics.pointee.metrics = arena.room(
      for: UnsafeMutablePointer<MetricMessage>?.self, count: metricCapacity)
    let resourceMetrics = unsafe arena.message(opentelemetry__proto__metrics__v1__resource_metrics__init)
    unsafe resourceMetrics.pointee.resource = resource
    unsafe resourceMetrics.pointee.schema_url = arena.text(OTLPSchema.url)
    size = unsafe RequestSize(
      resourceMetrics: packedSize(resourceMetrics), scopeMetrics: packedSize(scopeMetrics))
    unsafe resourceMetrics.pointee.scope_metrics = arena.list(of: scopeMetrics)
    unsafe resourceMetrics.pointee.n_scope_metrics = 1
    unsafe request.pointee.resource_metrics = arena.list(of: resourceMetrics)
    unsafe request.pointee.n_resource_metrics = 1
  }

  /// Opens a metric, which may take so many points.
  mutating func openMetric(_ instrument: Instrument, pointCapacity: Int) {
    bounds = instrument.bounds
    let metric = unsafe arena.message(opentelemetry__proto__metrics__v1__metric__init)
    unsafe metric.pointee.name = arena.text(instrument.name)
    unsafe metric.pointee.description = arena.text(instrument.description)
    unsafe metric.pointee.unit = arena.text(instrument.unit)
    let metricSize = unsafe packedSize(metric)
    let points = unsafe arena.room(for: UnsafeMutableRawPointer?.self, count: pointCapacity)
    let dataSize: Int
    let cumulative =
      OPENTELEMETRY__PROTO__METRICS__V1__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE
    switch instrument.kind {
    case .gauge:
      let gauge = unsafe arena.message(opentelemetry__proto__metrics__v1__gauge__init)
      dataSize = unsafe packedSize(gauge)
      unsafe gauge.pointee.data_points = UnsafeMutableRawPointer(points).assumingMemoryBound(
        to: UnsafeMutablePointer<NumberDataPoint>?.self)
      unsafe metric.pointee.gauge = gauge
      unsafe metric.pointee.data_case = OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_GAUGE
    case .counter, .upDownCounter:
      let sum = unsafe arena.message(opentelemetry__proto__metrics__v1__sum__init)
      unsafe sum.pointee.aggregation_temporality = cumulative
      unsafe sum.pointee.is_monotonic = instrument.kind == .counter ? 1 : 0
      dataSize = unsafe packedSize(sum)
      unsafe sum.pointee.data_points = UnsafeMutableRawPointer(points).assumingMemoryBound(
        to: UnsafeMutablePointer<NumberDataPoint>?.self)
      unsafe metric.pointee.sum = sum
      unsafe metric.pointee.data_case = OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_SUM
    case .histogram:
      let histogram = unsafe arena.message(opentelemetry__proto__metrics__v1__histogram__init)
      unsafe histogram.pointee.aggregation_temporality = cumulative
      dataSize = unsafe packedSize(histogram)
      unsafe histogram.pointee.data_points = UnsafeMutableRawPointer(points).assumingMemoryBound(
        to: UnsafeMutablePointer<HistogramDataPoint>?.self)
      unsafe metric.pointee.histogram = histogram
      unsafe metric.pointee.data_case = OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_HISTOGRAM
    }
    unsafe self.metric = metric
    unsafe self.points = points
    metricPointCount = 0
    size.openMetric(metric: metricSize, data: dataSize)
  }

  /// Adds a point to the open metric unless the request would become larger than the limit.
  mutating func add(_ point: DataPoint, isHistogram: Bool, limit: Int) -> Bool {
    let message: UnsafeMutableRawPointer
    let pointSize: Int
    if isHistogram {
      unsafe (message, pointSize) = histogramPoint(point)
    } else {
      unsafe (message, pointSize) = numberPoint(point)
    }
    guard size.total(withPoint: pointSize) <= limit else { return false }
    size.addPoint(pointSize)
    unsafe points![metricPointCount] = message
    metricPointCount += 1
    pointCount += 1
    return true
  }

  /// Closes the open metric; one without points leaves no trace.
  mutating func closeMetric() {
    size.closeMetric()
    guard let metric = unsafe metric, metricPointCount > 0 else { return }
    switch unsafe metric.pointee.data_case {
    case OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_GAUGE:
      unsafe metric.pointee.gauge.pointee.n_data_points = metricPointCount
    case OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_SUM:
      unsafe metric.pointee.sum.pointee.n_data_points = metricPointCount
    default:
      unsafe metric.pointee.histogram.pointee.n_data_points = metricPointCount
    }
    unsafe scopeMetrics.pointee.metrics[scopeMetrics.pointee.n_metrics] = metric
    unsafe scopeMetrics.pointee.n_metrics += 1
    unsafe self.metric = nil
  }

  /// The encoded request, with its open metric closed.
  mutating func pack() -> EncodedRequest {
    closeMetric()
    // Known since the points were added; protobuf-c would have to visit every message of the tree to say the same.
    let count = size.total
    unsafe assert(count == packedSize(request), "the size was computed as \(count), and is \(packedSize(request))")
    let body = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
      written =
        unsafe buffer.baseAddress.map {
          unsafe protobuf_c_message_pack(UnsafeRawPointer(request).assumingMemoryBound(to: ProtobufCMessage.self), $0)
        } ?? 0
    }
    return EncodedRequest(body: body, pointCount: pointCount)
  }

  private mutating func numberPoint(_ point: DataPoint) -> (UnsafeMutableRawPointer, Int) {
    let message = unsafe arena.message(opentelemetry__proto__metrics__v1__number_data_point__init)
    var ownSize = RequestSize.times(start: point.start?.nanoseconds ?? 0)
    unsafe message.pointee.start_time_unix_nano = UInt64(point.start?.nanoseconds ?? 0)
    unsafe message.pointee.time_unix_nano = UInt64(point.time.nanoseconds)
    switch point.value {
    case .int(let value):
      ownSize += RequestSize.eightBytes
      unsafe message.pointee.as_int = value
      unsafe message.pointee.value_case = OPENTELEMETRY__PROTO__METRICS__V1__NUMBER_DATA_POINT__VALUE_AS_INT
    case .double(let value):
      ownSize += RequestSize.eightBytes
      unsafe message.pointee.as_double = value
      unsafe message.pointee.value_case = OPENTELEMETRY__PROTO__METRICS__V1__NUMBER_DATA_POINT__VALUE_AS_DOUBLE
    case .noRecordedValue, .histogram, .endedDistribution:
      ownSize += RequestSize.flags
      unsafe message.pointee.flags = OTLPSchema.noRecordedValue
    }
    let (list, count, size) = unsafe keyValues(point.attributes)
    unsafe message.pointee.attributes = list
    unsafe message.pointee.n_attributes = count
    return (UnsafeMutableRawPointer(message), ownSize + size)
  }

  private mutating func histogramPoint(_ point: DataPoint) -> (UnsafeMutableRawPointer, Int) {
    let message = unsafe arena.message(opentelemetry__proto__metrics__v1__histogram_data_point__init)
    unsafe message.pointee.start_time_unix_nano = UInt64(point.start?.nanoseconds ?? 0)
    unsafe message.pointee.time_unix_nano = UInt64(point.time.nanoseconds)
    var ownSize = RequestSize.times(start: point.start?.nanoseconds ?? 0)
    let value: HistogramValue
    if case .histogram(let recorded) = point.value {
      value = recorded
    } else {
      // Prometheus and VictoriaMetrics end the buckets that the point names, and the sum only where it has one.
      if case .endedDistribution(let own) = point.value { bounds = own }
      value = HistogramValue(bounds: bounds)
      ownSize += RequestSize.flags
      unsafe message.pointee.flags = OTLPSchema.noRecordedValue
    }
    let measurements = value.count
    if measurements != 0 { ownSize += RequestSize.eightBytes }
    ownSize += RequestSize.numbers(value.counts.count) + RequestSize.numbers(value.bounds.count)
    unsafe message.pointee.count = measurements
    unsafe message.pointee.bucket_counts = arena.array(value.counts)
    unsafe message.pointee.n_bucket_counts = value.counts.count
    unsafe message.pointee.explicit_bounds = arena.array(value.bounds)
    unsafe message.pointee.n_explicit_bounds = value.bounds.count
    if value.isSumCounter {
      ownSize += RequestSize.eightBytes
      unsafe message.pointee.sum = value.sum
      unsafe message.pointee.sum_presence_case =
        OPENTELEMETRY__PROTO__METRICS__V1__HISTOGRAM_DATA_POINT__SUM_PRESENCE_SUM
    }
    let (list, count, size) = unsafe keyValues(point.attributes)
    unsafe message.pointee.attributes = list
    unsafe message.pointee.n_attributes = count
    return (UnsafeMutableRawPointer(message), ownSize + size)
  }

  /// The attributes without empty texts, their number, and what they add to the message that holds them.
  private mutating func keyValues(
    _ attributes: [Attribute]
  ) -> (UnsafeMutablePointer<UnsafeMutablePointer<KeyValue>?>?, Int, Int) {
    guard !attributes.isEmpty else { return (nil, 0, 0) }
    let list = unsafe arena.room(for: UnsafeMutablePointer<KeyValue>?.self, count: attributes.count)
    var count = 0
    var size = 0
    for attribute in attributes {
      guard let (message, entrySize) = unsafe entry(attribute, at: count) else { continue }
      unsafe list[count] = message
      count += 1
      size += entrySize
    }
    return unsafe (list, count, size)
  }

  /// The message of an attribute at a place of a list, and what it adds; nil where it is empty and left out.
  private mutating func entry(_ attribute: Attribute, at place: Int) -> (UnsafeMutablePointer<KeyValue>, Int)? {
    if place < kept.count {
      let found = kept[place].found
      if kept[place].entries[found].attribute == attribute {
        return unsafe (kept[place].entries[found].message, kept[place].entries[found].size)
      }
      for index in kept[place].entries.indices where kept[place].entries[index].attribute == attribute {
        kept[place].found = index
        return unsafe (kept[place].entries[index].message, kept[place].entries[index].size)
      }
    }
    guard !attribute.key.isEmpty, attribute.value != .string("") else { return nil }
    let entry = newEntry(attribute)
    if place == kept.count {
      kept.append(([entry], 0, 0))
    } else if kept[place].entries.count < Self.keptEntries {
      kept[place].found = kept[place].entries.count
      kept[place].entries.append(entry)
    } else {
      let oldest = kept[place].oldest
      kept[place].entries[oldest] = entry
      kept[place].found = oldest
      kept[place].oldest = (oldest + 1) % Self.keptEntries
    }
    return unsafe (entry.message, entry.size)
  }

  private mutating func newEntry(_ attribute: Attribute) -> Entry {
    let value = unsafe arena.message(opentelemetry__proto__common__v1__any_value__init)
    switch attribute.value {
    case .string(let text):
      unsafe value.pointee.string_value = arena.text(text, limit: OTLPSchema.attributeValueLimit)
      unsafe value.pointee.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE
    case .bool(let flag):
      unsafe value.pointee.bool_value = flag ? 1 : 0
      unsafe value.pointee.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE
    case .int(let number):
      unsafe value.pointee.int_value = number
      unsafe value.pointee.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE
    }
    let message = unsafe arena.message(opentelemetry__proto__common__v1__key_value__init)
    unsafe message.pointee.key = arena.text(attribute.key)
    unsafe message.pointee.value = value
    return unsafe Entry(
      attribute: attribute, message: message, size: RequestSize.enclosed(packedSize(message)))
  }
}

/// The bytes that a message takes when it is packed.
private func packedSize<Message>(_ message: UnsafeMutablePointer<Message>) -> Int {
  unsafe protobuf_c_message_get_packed_size(
    UnsafeRawPointer(message).assumingMemoryBound(to: ProtobufCMessage.self))
}
