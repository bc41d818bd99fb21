import Metrics
import Outbox
import TestSupport
import Testing

@testable import OTLP

private let now = Timestamp(nanoseconds: 1_795_224_000_123_456_789)

private func gauge(_ points: [DataPoint], name: String = "outbox.up") -> Metric {
  Metric(
    Instrument(name: name, kind: .gauge, unit: "", description: "", attributes: [], prometheusName: ""), points: points)
}

private func batch(_ metrics: Metric..., resource: [Attribute] = []) -> MetricBatch {
  MetricBatch(resource: resource, scopeVersion: "0", metrics: metrics)
}

private func point(_ value: PointValue, _ attributes: Attribute...) -> DataPoint {
  DataPoint(attributes: attributes, time: now, value: value)
}

@Suite(.enabled(if: IndependentDecoder.python != nil, Comment(rawValue: IndependentDecoder.reason)))
struct `Encoded metrics, read by an independent decoder` {
  @Test func `every kind of point arrives as it is [5] [143] [144] [158] [159]`() throws {
    let batch = batchWithEveryKindOfPoint(at: now)
    let encoded = MetricEncoder.encode(batch)
    let request = try #require(encoded.requests.first)
    #expect(encoded.requests.count == 1)
    #expect(request.pointCount == 11)
    #expect(try IndependentDecoder.describe(request.body) == IndependentDecoder.expectation(batch))
  }

  @Test(arguments: [OTLPEncoding.protobuf, .json])
  func `deltas and exponential buckets arrive as they are, zeros counted apart [143] [167] [169]`(
    encoding: OTLPEncoding
  ) throws {
    var batch = batchOfWishes(at: now)
    var negative = ExponentialHistogram(scale: -3)
    for value in [-1e30, 0, 2, 1e30] { negative.record(value) }
    batch.metrics[2].points[1].value = .exponentialHistogram(negative)
    let encoded = MetricEncoder.encode(batch, as: encoding)
    #expect(encoded.requests.count == 1 && encoded.requests[0].pointCount == 10)
    #expect(
      try IndependentDecoder.describe(encoded.requests[0].body, isJSON: encoding == .json)
        == IndependentDecoder.expectation(batch))
  }

  @Test func `a metric without points leaves no trace [16]`() throws {
    let encoded = MetricEncoder.encode(
      batch(gauge([], name: "a"), gauge([point(.int(1))], name: "b"), gauge([], name: "c")))
    let lines = try IndependentDecoder.describe(encoded.requests[0].body)
    #expect(lines.filter { $0.hasPrefix("metric") } == ["metric b []  | gauge"])
  }

  @Test func `NUL, which C strings cannot hold, becomes a replacement character`() throws {
    let encoded = MetricEncoder.encode(batch(gauge([point(.int(1), Attribute("k", "a\0b\0"))])))
    let lines = try IndependentDecoder.describe(encoded.requests[0].body)
    #expect(lines.last?.hasPrefix("point k=string:a\u{fffd}b\u{fffd} |") == true)
  }

  @Test(arguments: [4095, 4096, 4097, 1 << 20])
  func `a long text is cut at 4096 bytes, never inside a character [154]`(length: Int) throws {
    // Two-byte characters after one byte: byte 4096 is in the middle of one.
    let text = String(("x" + String(repeating: "é", count: length)).prefix(length))
    let encoded = MetricEncoder.encode(batch(gauge([point(.int(1), Attribute("k", text))])))
    let line = try #require(try IndependentDecoder.describe(encoded.requests[0].body).last)
    let value = line.dropFirst("point k=string:".count).prefix { $0 != " " }
    #expect(value == "x" + String(repeating: "é", count: min(length - 1, 2047)))
    #expect(value.utf8.count <= 4096)
  }

  @Test func `a text that grows by the replacement of NUL is cut too`() throws {
    let text = String(repeating: "\0", count: 3000)
    let encoded = MetricEncoder.encode(batch(gauge([point(.int(1), Attribute("k", text))])))
    let line = try #require(try IndependentDecoder.describe(encoded.requests[0].body).last)
    let value = line.dropFirst("point k=string:".count).prefix { $0 != " " }
    #expect(value == String(repeating: "\u{fffd}", count: 4096 / 3))
  }

  @Test func `the sum of a distribution is left out where it may fall, and is zero where nothing was measured [168]`()
    throws
  {
    let instrument = Instrument(
      name: "h", kind: .histogram, unit: "s", description: "", attributes: [], prometheusName: "")
    var negative = HistogramValue(bounds: [1])
    for value in [-1.0, 5] { negative.record(value) }
    let values = [negative, HistogramValue(bounds: [1])]
    let metric = Metric(instrument, points: values.map { point(.histogram($0)) })
    let lines = try IndependentDecoder.describe(MetricEncoder.encode(batch(metric)).requests[0].body).suffix(2)
    #expect(
      lines.map { $0.split(separator: "|")[2] } == [
        " histogram count=2 sum=none counts=1,1 bounds=3ff0000000000000 ",
        " histogram count=0 sum=0 counts=0,0 bounds=3ff0000000000000 ",
      ])
  }

  @Test func `attributes that are empty are left out, and their neighbours stay [151]`() throws {
    let points = [
      point(.int(1), Attribute("a", "1"), Attribute("b", ""), Attribute("c", "3")),
      point(.int(2), Attribute("a", "1"), Attribute("c", "3"), Attribute("", "x")),
      point(.int(3)),
      point(.int(4), Attribute("c", "3"), Attribute("a", "1")),
    ]
    let lines = try IndependentDecoder.describe(MetricEncoder.encode(batch(gauge(points))).requests[0].body)
    #expect(
      lines.suffix(4).map { $0.prefix { $0 != "|" } } == [
        "point a=string:1 c=string:3 ", "point a=string:1 c=string:3 ", "point  ", "point c=string:3 a=string:1 ",
      ])
  }
}

struct `Points that no receiver would take` {
  private static let sound = HistogramValue(bounds: [1, 2])

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func `a number that is not finite is left out and counted [147]`(value: Double) {
    let encoded = MetricEncoder.encode(batch(gauge([point(.double(value)), point(.double(1))])))
    #expect(encoded.invalidPointCount == 1)
    #expect(encoded.requests.map(\.pointCount) == [1])
  }

  @Test func `a value of the wrong type, a broken histogram and an impossible time are left out`() {
    var negativeTime = point(.int(1))
    negativeTime.time = Timestamp(nanoseconds: -1)
    var late = point(.int(1))
    late.start = now.advanced(by: .seconds(1))
    #expect(
      MetricEncoder.encode(batch(gauge([point(.histogram(Self.sound)), negativeTime, late]))).invalidPointCount == 3)

    let instrument = Instrument(
      name: "h", kind: .histogram, unit: "s", description: "", attributes: [], prometheusName: "")
    var tooFew = Self.sound
    tooFew.counts = [1]
    var falling = Self.sound
    falling.bounds = [2, 1]
    var infinite = Self.sound
    infinite.sum = .infinity
    let points = [tooFew, falling, infinite].map { point(.histogram($0)) } + [point(.int(1))]
    let encoded = MetricEncoder.encode(batch(Metric(instrument, points: points)))
    #expect(encoded.invalidPointCount == 4)
    #expect(encoded.requests.isEmpty)
  }

  @Test func `a batch without points makes no request`() {
    #expect(MetricEncoder.encode(batch()).requests.isEmpty)
    #expect(MetricEncoder.encode(batch(gauge([]))).requests.isEmpty)
  }
}

struct `Requests below a limit` {
  private static func many(_ count: Int) -> MetricBatch {
    let metrics = (0..<7).map { number in
      gauge(
        (0..<count).map { index in
          point(
            .double(Double(index)), Attribute("outbox.name", "orders"),
            Attribute("outbox.destination", String(repeating: "d", count: index % 97) + "\(index)"))
        }, name: "outbox.metric.\(number)")
    }
    return MetricBatch(resource: [Attribute("service.name", "x")], scopeVersion: "1", metrics: metrics)
  }

  @Test(
    .enabled(if: IndependentDecoder.python != nil, Comment(rawValue: IndependentDecoder.reason)),
    arguments: [700, 1000, 5000, 20_000])
  func `a batch is split into whole requests with all points in order`(limit: Int) throws {
    let batch = Self.many(60)
    let encoded = MetricEncoder.encode(batch, limit: limit)
    #expect(encoded.requests.count > 1)
    #expect(encoded.tooLargePointCount == 0)
    let expected = IndependentDecoder.expectation(batch)
    var points: [String] = []
    var metricOfPoints: [String] = []
    for request in encoded.requests {
      #expect(request.body.count <= limit)
      let lines = try IndependentDecoder.describe(request.body)
      #expect(Array(lines.prefix(2)) == Array(expected.prefix(2)), "every request has the resource and the scope")
      #expect(lines.filter { $0.hasPrefix("point") }.count == request.pointCount)
      var metric = ""
      for line in lines.dropFirst(2) {
        if line.hasPrefix("metric") {
          #expect(!metricOfPoints.isEmpty || metric.isEmpty)
          metric = line
        } else {
          points.append(line)
          metricOfPoints.append(metric)
        }
      }
    }
    #expect(points == expected.filter { $0.hasPrefix("point") })
    #expect(
      metricOfPoints
        == batch.metrics.flatMap { metric in
          metric.points.map { _ in "metric \(metric.instrument.name) []  | gauge" }
        })
  }

  @Test func `a request of exactly the limit is sent whole, and one byte less splits it [17]`() {
    let batch = Self.many(40)
    let whole = MetricEncoder.encode(batch, limit: .max)
    let size = whole.requests[0].body.count
    #expect(MetricEncoder.encode(batch, limit: size) == whole)
    #expect(MetricEncoder.encode(batch, limit: size - 1).requests.map(\.pointCount) == [279, 1])
  }

  @Test func `a point that is too large alone is counted and not sent, and the others are`() {
    let large = point(.int(1), Attribute("k", String(repeating: "x", count: 4000)))
    let batch = batch(
      gauge([point(.int(1)), large, point(.int(2))], name: "a"), gauge([large], name: "b"),
      gauge([point(.int(3))], name: "c"))
    let encoded = MetricEncoder.encode(batch, limit: 1000)
    #expect(encoded.tooLargePointCount == 2)
    #expect(encoded.requests.reduce(0) { $0 + $1.pointCount } == 3)
    #expect(encoded.requests.allSatisfy { $0.body.count <= 1000 })
  }

  @Test func `a batch of forty thousand points stays below 4 MiB a request`() {
    let points = (0..<40_000).map { index in
      point(
        .int(Int64(index)), Attribute("outbox.name", "orders"), Attribute("outbox.state", "ready"),
        Attribute("outbox.destination", "topic-\(index)"))
    }
    let encoded = MetricEncoder.encode(batch(gauge(points)))
    #expect(encoded.requests.count == 2)
    #expect(encoded.requests.allSatisfy { $0.body.count < 4 << 20 })
    #expect(encoded.requests.reduce(0) { $0 + $1.pointCount } == 40_000)
  }
}
