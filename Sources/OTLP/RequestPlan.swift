internal import Metrics
internal import Outbox

/// How a batch is cut into requests, measured to the byte, and the requests themselves.
///
/// A batch is measured first and then written once, into room of just its size: a message stands behind its length, and
/// nothing is copied from one message into another. protobuf-c, which reads what servers answer, would need a tree of C
/// structs of the same figures. What it makes of such a tree is what stands here, byte for byte (`Tests/OTLPTests`,
/// `Benchmarks/otlp`).
struct RequestPlan {
  /// Points of one metric that stand side by side in a request.
  private struct Section {
    var metric: Int
    var points: Range<Int>
    /// Where the sizes of the metric's points begin.
    var firstSize: Int
    /// The size of the points with their tags and lengths.
    var size = 0
  }

  private struct Request {
    var sections: [Section] = []
    /// The size of the scope with its metrics.
    var scopeSize = 0
    var pointCount = 0
    var size = 0
  }

  private let head: RequestHead
  private let limit: Int
  private var metrics: [Metric]
  // Of each point of each metric; 0 where it is left out.
  private var sizes: [UInt32] = []
  private var requests: [Request] = []
  private var current = Request()
  private var size: RequestSize

  /// Points that no receiver would take.
  private(set) var invalidPointCount = 0
  /// Points that are larger than the limit all alone.
  private(set) var tooLargePointCount = 0

  /// Measures a batch.
  init(_ batch: MetricBatch, limit: Int) {
    head = RequestHead(resource: batch.resource, scopeVersion: batch.scopeVersion)
    self.limit = limit
    metrics = batch.metrics
    size = head.size
    sizes.reserveCapacity(batch.pointCount)
    for index in metrics.indices { measure(index) }
    endRequest()
  }

  /// The requests, in order.
  func encoded() -> [EncodedRequest] {
    requests.map { request in
      let body = [UInt8](capacity: request.size) { bytes in
        head.writeResource(scopeSize: request.scopeSize, to: &bytes)
        for section in request.sections { write(section, to: &bytes) }
        head.writeEnd(to: &bytes)
      }
      assert(body.count == request.size, "the size was computed as \(request.size), and is \(body.count)")
      return EncodedRequest(body: body, pointCount: request.pointCount)
    }
  }

  // MARK: - Measuring

  private mutating func measure(_ index: Int) {
    let metric = metrics[index]
    let shell = MetricShell(metric)
    size.openMetric(metric: shell.headSize, data: shell.tailSize)
    var section = Section(metric: index, points: 0..<0, firstSize: sizes.count)
    for position in metric.points.indices {
      guard metric.points[position].isValid(in: metric) else {
        invalidPointCount += 1
        sizes.append(0)
        continue
      }
      let pointSize = PointMessage.size(metric.points[position], in: metric) ?? sizeMadeSound(index, position)
      if size.total(withPoint: pointSize) > limit {
        // In a request of its own it may have room.
        close(&section, before: position)
        if current.pointCount > 0 {
          endRequest()
          size.openMetric(metric: shell.headSize, data: shell.tailSize)
        }
        guard size.total(withPoint: pointSize) <= limit else {
          tooLargePointCount += 1
          sizes.append(0)
          continue
        }
      }
      size.addPoint(pointSize)
      sizes.append(UInt32(pointSize))
      current.pointCount += 1
    }
    close(&section, before: metric.points.count)
  }

  /// The size of a point with a text that could not be sent, which is made sound.
  private mutating func sizeMadeSound(_ metric: Int, _ position: Int) -> Int {
    metrics[metric].points[position].attributes = metrics[metric].points[position].attributes.map(\.sound)
    return PointMessage.size(metrics[metric].points[position], in: metrics[metric]) ?? 0
  }

  private mutating func close(_ section: inout Section, before end: Int) {
    section.points = section.points.upperBound..<end
    section.size = size.openPoints
    if section.size > 0 { current.sections.append(section) }
    size.closeMetric()
  }

  private mutating func endRequest() {
    if current.pointCount > 0 {
      current.size = size.total
      current.scopeSize = size.closedScope
      requests.append(current)
    }
    current = Request()
    size = head.size
  }

  // MARK: - Writing

  private func write(_ section: Section, to bytes: inout OutputSpan<UInt8>) {
    let metric = metrics[section.metric]
    let shell = MetricShell(metric)
    shell.writeHead(pointsSize: section.size, to: &bytes)
    for position in section.points {
      let size = sizes[section.firstSize + position]
      guard size > 0 else { continue }
      bytes.appendHeader(1, count: Int(size))
      PointMessage.write(metric.points[position], in: metric, to: &bytes)
    }
    shell.writeTail(to: &bytes)
  }
}

/// What every request says of who is speaking, around its metrics.
struct RequestHead {
  private let resource: [Attribute]
  private let scopeName = OTLPSchema.scopeName
  private let scopeVersion: String
  private let resourceSize: Int
  private let scopeSize: Int
  private static let schemaSize = WireFormat.textSize(OTLPSchema.url)

  init(resource: [Attribute], scopeVersion: String) {
    self.resource = PointMessage.attributesSize(resource) == nil ? resource.map(\.sound) : resource
    self.scopeVersion = scopeVersion.sound()
    resourceSize = PointMessage.attributesSize(self.resource) ?? 0
    scopeSize = WireFormat.textSize(scopeName) + WireFormat.textSize(self.scopeVersion)
  }

  /// The size of a request without metrics.
  var size: RequestSize {
    RequestSize(
      resourceMetrics: WireFormat.enclosed(resourceSize) + Self.schemaSize,
      scopeMetrics: WireFormat.enclosed(scopeSize) + Self.schemaSize)
  }

  /// Writes what stands before the first metric.
  func writeResource(scopeSize scopeMetrics: Int, to bytes: inout OutputSpan<UInt8>) {
    let content = WireFormat.enclosed(resourceSize) + WireFormat.enclosed(scopeMetrics) + Self.schemaSize
    bytes.appendHeader(1, count: content)
    bytes.appendHeader(1, count: resourceSize)
    PointMessage.write(resource, field: 1, to: &bytes)
    bytes.appendHeader(2, count: scopeMetrics)
    bytes.appendHeader(1, count: scopeSize)
    bytes.appendField(1, scopeName)
    bytes.appendField(2, scopeVersion)
  }

  /// Writes what stands behind the last metric: the schemas of scope and resource.
  func writeEnd(to bytes: inout OutputSpan<UInt8>) {
    bytes.appendField(3, OTLPSchema.url)
    bytes.appendField(3, OTLPSchema.url)
  }
}

/// What a metric says of itself, around its points.
struct MetricShell {
  private let name: String
  private let description: String
  private let unit: String
  /// The field of the metric in which its data stands.
  private let data: UInt8
  private let temporality: UInt64
  private let isMonotonic: UInt64

  init(_ metric: Metric) {
    let instrument = metric.instrument
    (name, description, unit) = (instrument.name.sound(), instrument.description.sound(), instrument.unit.sound())
    temporality = instrument.kind == .gauge ? 0 : metric.temporality.number
    isMonotonic = instrument.kind == .counter ? 1 : 0
    data =
      switch instrument.kind {
      case .gauge: 5
      case .counter, .upDownCounter: 7
      case .histogram: metric.isExponential ? 10 : 9
      }
  }

  var headSize: Int { WireFormat.textSize(name) + WireFormat.textSize(description) + WireFormat.textSize(unit) }

  var tailSize: Int { WireFormat.fieldSize(varint: temporality) + WireFormat.fieldSize(varint: isMonotonic) }

  func writeHead(pointsSize: Int, to bytes: inout OutputSpan<UInt8>) {
    bytes.appendHeader(2, count: headSize + WireFormat.enclosed(pointsSize + tailSize))
    bytes.appendField(1, name)
    bytes.appendField(2, description)
    bytes.appendField(3, unit)
    bytes.appendHeader(data, count: pointsSize + tailSize)
  }

  func writeTail(to bytes: inout OutputSpan<UInt8>) {
    bytes.appendField(2, varint: temporality)
    bytes.appendField(3, varint: isMonotonic)
  }
}

extension AggregationTemporality {
  /// The number in metrics.proto.
  var number: UInt64 { self == .delta ? 1 : 2 }
}
