import HTTPClient
import Metrics
import Outbox
import TestSupport
import Testing

@testable import OTLP

private let now = Timestamp(nanoseconds: 1_544_712_660_300_000_000)

private func text(_ batch: MetricBatch, limit: Int = .max) -> [String] {
  MetricEncoder.encode(batch, as: .json, limit: limit).requests.map { String(decoding: $0.body, as: UTF8.self) }
}

private func batch(_ name: String, _ kind: InstrumentKind, _ points: DataPoint..., bounds: [Double] = []) -> MetricBatch
{
  let instrument = Instrument(
    name: name, kind: kind, unit: "1", description: "I`m a \(kind)", attributes: [], prometheusName: "", bounds: bounds)
  return MetricBatch(
    resource: [Attribute("service.name", "my.service")], scopeVersion: "1.0.0",
    metrics: [Metric(instrument, points: points)])
}

private func point(_ value: PointValue, _ attributes: Attribute...) -> DataPoint {
  DataPoint(attributes: attributes, start: now, time: now, value: value)
}

struct `Metrics in JSON` {
  @Test func `have the shape of the specification's example [170] [171]`() throws {
    let attribute = Attribute("my.counter.attr", "some value")
    let encoded = text(batch("my.counter", .counter, point(.double(5), attribute), point(.int(.min))))
    // opentelemetry-proto, examples/metrics.json, with integers of 64 bits as the mapping of protobuf has them.
    let expected = #"""
      {"resourceMetrics": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
        "scopeMetrics": [{
          "scope": {"name": "outbox-exporter", "version": "1.0.0"},
          "metrics": [{
            "name": "my.counter", "unit": "1", "description": "I`m a counter",
            "sum": {
              "aggregationTemporality": 2, "isMonotonic": true,
              "dataPoints": [
                {"asDouble": 5.0, "startTimeUnixNano": "1544712660300000000", "timeUnixNano": "1544712660300000000",
                 "attributes": [{"key": "my.counter.attr", "value": {"stringValue": "some value"}}]},
                {"asInt": "-9223372036854775808", "startTimeUnixNano": "1544712660300000000",
                 "timeUnixNano": "1544712660300000000", "attributes": []}]}}],
          "schemaUrl": "https://opentelemetry.io/schemas/1.44.0"}],
        "schemaUrl": "https://opentelemetry.io/schemas/1.44.0"}]}
      """#
    #expect(try encoded.map { try ParsedJSON($0) } == [ParsedJSON(expected)])

    var value = HistogramValue(bounds: [1])
    for number in [0.5, 2.5] { value.record(number) }
    let histogram = try ParsedJSON(text(batch("my.histogram", .histogram, point(.histogram(value))))[0])
    let metric = histogram["resourceMetrics"]?.elements[0]["scopeMetrics"]?.elements[0]["metrics"]?.elements[0]
    #expect(
      metric?["histogram"]
        == (try ParsedJSON(
          #"""
          {"aggregationTemporality": 2, "dataPoints": [
            {"startTimeUnixNano": "1544712660300000000", "timeUnixNano": "1544712660300000000", "count": "2", "sum": 3.0,
             "bucketCounts": ["1", "1"], "explicitBounds": [1.0], "attributes": []}]}
          """#)))
  }

  @Test(.enabled(if: IndependentDecoder.python != nil, Comment(rawValue: IndependentDecoder.reason)))
  func `are read by an independent decoder as what they are [170]`() throws {
    var batch = batchWithEveryKindOfPoint(at: now)
    batch.metrics[0].points[0].attributes.append(Attribute("k", "\" \\ \t \u{1} \u{7f} é 🏔"))
    batch.metrics[1].points[0].value = .double(.leastNonzeroMagnitude)
    let encoded = MetricEncoder.encode(batch, as: .json)
    #expect(encoded.requests.count == 1 && encoded.requests[0].pointCount == 11)
    #expect(
      try IndependentDecoder.describe(encoded.requests[0].body, isJSON: true) == IndependentDecoder.expectation(batch))
  }

  @Test func `say NUL and what is too long as protobuf does`() throws {
    let long = "x" + String(repeating: "é", count: 3000)
    let encoded = text(batch("m", .gauge, point(.int(1), Attribute("a", "b\0"), Attribute("c", long))))[0]
    #expect(encoded.contains("\"b\u{fffd}\"") && encoded.contains("\"x" + String(repeating: "é", count: 2047) + "\""))
  }

  @Test func `hold the points that protobuf holds, split below the limit`() throws {
    var batch = batchWithEveryKindOfPoint(at: now)
    batch.metrics[1].points[1].value = .double(.nan)
    batch.metrics[3].points[0].attributes.append(Attribute("k", String(repeating: "x", count: 3000)))
    let encoded = MetricEncoder.encode(batch, as: .json, limit: 1200)
    #expect(encoded.invalidPointCount == 1 && encoded.tooLargePointCount == 1)
    #expect(encoded.requests.count > 1 && encoded.requests.allSatisfy { $0.body.count <= 1200 })
    #expect(encoded.requests.reduce(0) { $0 + $1.pointCount } == 9)
    var names: [String] = []
    for request in encoded.requests {
      let metrics = try ParsedJSON(String(decoding: request.body, as: UTF8.self))["resourceMetrics"]?.elements[0][
        "scopeMetrics"]?.elements[0]["metrics"]?.elements
      var points = 0
      for metric in metrics ?? [] {
        names.append(metric["name"]?.text ?? "")
        for kind in ["gauge", "sum", "histogram"] { points += metric[kind]?["dataPoints"]?.elements.count ?? 0 }
      }
      #expect(points == request.pointCount)
    }
    #expect(names.reduce(into: []) { if $0.last != $1 { $0.append($1) } } == batch.metrics.map(\.instrument.name))
    let whole = MetricEncoder.encode(batch, as: .json, limit: .max).requests[0].body.count
    #expect(MetricEncoder.encode(batch, as: .json, limit: whole).requests.count == 1)
    #expect(MetricEncoder.encode(batch, as: .json, limit: whole - 1).requests.count == 2)
  }
}

struct `A push of JSON` {
  private func verdict(_ status: Int, _ body: String) -> DeliveryVerdict {
    let type = HTTPHeader("content-type", "application/json; charset=utf-8")
    return DeliveryVerdict(
      HTTPResponse(status: status, headers: [type], body: Array(body.utf8)), endpoint: "http://c/v1/metrics", now: now)
  }

  @Test(arguments: [OTLPDestination.Compression.none, .gzip])
  func `says what it is, also when it comes out of the spool [4]`(compression: OTLPDestination.Compression) async throws
  {
    let directory = try TemporaryDirectory()
    let spool = Spool(path: directory.path + "/spool.sqlite")
    let away = ScriptedHTTPServer([.answer(503)])
    let first = OTLPExporter(
      OTLPDestination(endpoint: away.url(), transport: .httpJSON, compression: compression), version: "1", spool: spool,
      timing: TestTime().timing)
    await first.enqueue(oneBatch())
    #expect(await first.shutDown(within: .zero).keptPoints == 1)

    // The next process is told to send protobuf; what waits is still JSON.
    let server = ScriptedHTTPServer([.answer(200)])
    let second = OTLPExporter(
      OTLPDestination(endpoint: server.url()), version: "1", spool: spool, timing: TestTime().timing)
    #expect(await second.deliver(oneBatch(), within: .seconds(30)).isComplete)
    #expect(server.requests.map { $0.values("content-type") } == [["application/json"], ["application/x-protobuf"]])
    #expect(server.requests[0].values("content-encoding") == (compression == .gzip ? ["gzip"] : []))
    let json = MetricEncoder.encode(oneBatch(), as: .json).requests[0].body
    #expect(server.requests[0].body == (compression == .gzip ? gzip(json) : json))
    #expect(server.requests[1].body == MetricEncoder.encode(oneBatch()).requests[0].body)
  }

  @Test(arguments: [
    (#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"no"}}"#, 3, "no"),
    (#"{"partialSuccess":{"rejectedDataPoints":3,"unknown":[{}]},"more":1}"#, 3, ""),
    (#"{"partialSuccess":{}}"#, 0, ""), (#"{"partialSuccess":null}"#, 0, ""), ("{}", 0, ""), ("[3]", 0, ""),
    (#"{"partial_success":{"rejected_data_points":3}}"#, 0, ""), ("{", 0, ""), ("", 0, ""), ("null", 0, ""),
    (#"{"partialSuccess":{"errorMessage":"slow \u00e9"}}"#, 0, "slow é"),
    (#"{"partialSuccess":{"rejectedDataPoints":[7]}}"#, 0, ""), (#"{"partialSuccess":"x"}"#, 0, ""),
    (String(repeating: "[", count: 100_000), 0, ""), ("{}\0", 0, ""),
  ])
  func `is a success of which points may be refused [172] [27]`(body: String, rejected: Int, message: String) {
    #expect(verdict(200, body) == .delivered(rejected: Int64(rejected), message: message))
  }

  @Test(arguments: [
    (#"{"code":3,"message":"bad\nthing","details":[]}"#, "it answered 400: bad thing"),
    (#"{"error":"x"}"#, #"it answered 400: {"error":"x"}"#), ("", "it answered 400"),
  ])
  func `that fails shows what a Status says, or the beginning of the text [46]`(body: String, message: String) {
    guard case .drop(let failure) = verdict(400, body) else {
      Issue.record("not dropped")
      return
    }
    #expect(failure.message == message)
  }
}
