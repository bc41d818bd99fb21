import Metrics
import Outbox
import Testing

@Suite struct `Self-metrics` {
  @Test func `count points by their outcome [173] [176] [179]`() {
    var describing = Describing()
    describing.exports = [activity(exported: 10)]
    let first = describing.cycle([])
    #expect(first.values(MetricCatalog.exported) == [.int(0), .int(10)])
    #expect(first.points(MetricCatalog.exported).map(\.time) == [Describing.epoch, describing.now])
    #expect(first.all.allSatisfy { !$0.series.description.contains("error.type") })

    let before = describing.now
    describing.exports = [activity(exported: 17, failed: ["rejected": 3], inflight: 4)]
    let second = describing.cycle([])
    #expect(
      second.values(MetricCatalog.exported, "error.type=rejected") == [.int(0), .int(3)])
    #expect(second.points(MetricCatalog.exported, "error.type=rejected").map(\.start) == [before, before])
    #expect(second.values(MetricCatalog.exported).contains(.int(17)))
    #expect(second.values(MetricCatalog.inflight) == [.int(4)])
    for point in second.points(MetricCatalog.exported) + second.points(MetricCatalog.inflight) {
      let attributes = Dictionary(uniqueKeysWithValues: point.attributes.map { ($0.key, $0.value) })
      #expect(attributes["otel.component.type"] == .string("otlp_http_metric_exporter"))
      #expect(attributes["otel.component.name"] == .string("otlp_http_metric_exporter/0"))
      #expect(attributes["server.address"] == .string("collector"))
      #expect(attributes["server.port"] == .int(4318))
    }
  }

  @Test func `hold one observation per export, by outcome [178]`() {
    var describing = Describing()
    describing.exports = [
      activity(
        exported: 1,
        operations: [
          .init(duration: .seconds(1), errorType: nil, httpStatus: 200),
          .init(duration: .seconds(3), errorType: nil, httpStatus: 200),
          .init(duration: .seconds(5), errorType: "503", httpStatus: 503),
        ])
    ]
    _ = describing.cycle([])
    // Operations come once; the distribution stays.
    describing.exports = [activity(exported: 1)]
    let metrics = describing.cycle([])
    let shown = metrics.points(MetricCatalog.operationDuration).map { point -> String in
      guard case .histogram(let histogram) = point.value else { return "none" }
      return "\(histogram.count) \(histogram.sum) \(histogram.bounds.count)"
    }
    #expect(shown == ["2 4.0 0", "1 5.0 0"])
    #expect(
      metrics.points(
        MetricCatalog.operationDuration, "error.type=503", "http.response.status_code=503"
      ).count == 1)
  }

  @Test func `about the spool go on where the last exporter stopped`() {
    var describing = Describing()
    let kept = Describing.epoch.advanced(by: .seconds(-3600))
    describing.exports = [activity(exported: 0)]
    describing.exports[0].spool = ExportActivity.Spool(
      depth: 3, age: .seconds(2.5), dropped: ["full": 40, "rejected": 0], start: kept)
    let first = describing.cycle([])
    #expect(first.values(MetricCatalog.spoolDepth) == [.int(3)])
    #expect(first.values(MetricCatalog.spoolAge) == [.double(2.5)])
    #expect(first.values(MetricCatalog.spoolDropped, "outbox.drop.reason=full") == [.int(40)])
    #expect(first.values(MetricCatalog.spoolDropped, "outbox.drop.reason=rejected") == [.int(0)])
    #expect(first.points(MetricCatalog.spoolDropped).map(\.start) == [kept, kept])
    for point in first.points(MetricCatalog.spoolDepth) + first.points(MetricCatalog.spoolAge) {
      #expect(point.attributes.map(\.key) == ["otel.component.name", "server.address", "server.port"])
    }
    let end = describing.describer.end(at: describing.now.advanced(by: .seconds(1)))
    #expect(first.all.map(\.series).filter { $0.metric.hasPrefix("outbox.spool") }.allSatisfy(end.ended.contains))
  }

  @Test func `about the spool begin once, before what they count, even where the clock was set back`() {
    var describing = Describing()
    for total in [5, 6] {
      describing.exports = [activity(exported: 0)]
      describing.exports[0].spool = ExportActivity.Spool(
        depth: 0, age: .zero, dropped: ["full": total], start: Describing.epoch.advanced(by: .seconds(86_400)))
      let points = describing.cycle([]).points(MetricCatalog.spoolDropped)
      #expect(points.map(\.start) == [Describing.epoch] && points.map(\.value) == [.int(Int64(total))])
    }
  }

  @Test func `an endpoint without a host has no empty address`() {
    var describing = Describing()
    describing.exports = [
      ExportActivity(
        component: "otlp_http_metric_exporter/0", serverAddress: "", serverPort: 0, exported: 1, failed: [:],
        inflight: 0, operations: [])
    ]
    #expect(describing.cycle([]).all.allSatisfy { !$0.series.description.contains("server.") })
  }
}
