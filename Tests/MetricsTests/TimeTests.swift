import Metrics
import Outbox
import Testing

@Suite struct `Samples over time` {
  @Test func `a failed sample says so and pauses the other series without ending them [145]`() {
    var describing = Describing()
    var outbox = orders
    outbox.objective = Objective(age: .seconds(60), target: 0.99)
    _ = describing.cycle([(outbox, .success(.ready(["email": 1])))])
    let metrics = describing.cycle([(outbox, .failure(SampleFailure(.lockTimeout, "locked")))])
    #expect(metrics.ended.isEmpty)
    #expect(metrics.values(MetricCatalog.up) == [.int(0)])
    #expect(metrics.values(MetricCatalog.sampleFailures, "error.type=lock_timeout") == [.int(0), .int(1)])
    #expect(
      Set(metrics.map(\.instrument.name)) == [
        "outbox.up", "outbox.sample.failures", "outbox.sample.interval", "outbox.sample.duration",
        "outbox.sample.skipped", "outbox.objective.age", "outbox.objective.target", "outbox.build",
      ])
  }

  @Test func `a store that never answered has no depth, not even zero`() {
    var describing = Describing()
    #expect(describing.bad(.unreachable).points(MetricCatalog.depth).isEmpty)
    let metrics = describing.good()
    #expect(metrics.destinations == ["default"])
    #expect(metrics.values(MetricCatalog.up) == [.int(1)])
  }

  @Test(arguments: SampleFailure.Reason.allCases)
  func `every reason is counted under its own name`(reason: SampleFailure.Reason) {
    let names = [
      "unreachable", "authentication", "permission", "row_security", "timeout", "lock_timeout", "schema", "corrupt",
      "absent", "_OTHER",
    ]
    var describing = Describing()
    let metrics = describing.bad(reason)
    #expect(
      names.filter { !metrics.points(MetricCatalog.sampleFailures, "error.type=\($0)").isEmpty } == [reason.rawValue])
  }

  @Test func `a counter that appears begins with 0 at the previous sample's time, in the same request`() {
    var describing = Describing()
    _ = describing.good()
    let previous = describing.sampled
    let points = describing.bad(.timeout).points(MetricCatalog.sampleFailures)
    #expect(points.map(\.value) == [.int(0), .int(1)])
    #expect(points.map(\.time) == [previous, describing.sampled])
    #expect(points.map(\.start) == [previous, previous])

    // A second reason later has a start of its own, and the first keeps its.
    let before = describing.sampled
    let later = describing.bad(.schema)
    let schema = later.points(MetricCatalog.sampleFailures, "error.type=schema")
    #expect(schema.map(\.value) == [.int(0), .int(1)])
    #expect(schema.map(\.start) == [before, before])
    let timeout = later.points(MetricCatalog.sampleFailures, "error.type=timeout")
    #expect(timeout.map(\.value) == [.int(1)])
    #expect(timeout.map(\.start) == [previous])
  }

  @Test func `the first failure of all begins at the exporter's start`() {
    var describing = Describing()
    let points = describing.bad().points(MetricCatalog.sampleFailures)
    #expect(points.map(\.time) == [Describing.epoch, describing.sampled])
    #expect(points.map(\.start) == [Describing.epoch, Describing.epoch])
  }

  @Test func `sums and histograms keep their start, gauges have none`() {
    var describing = Describing()
    describing.exports = [activity(exported: 3, failed: ["503": 1], inflight: 2)]
    var starts: [Series: Timestamp] = [:]
    for step in 0..<6 {
      describing.skipped = step
      let metrics = step == 3 ? describing.bad() : describing.good(.ready(["email": step + 1]))
      for metric in metrics {
        for point in metric.points {
          guard metric.instrument.kind != .gauge else {
            #expect(point.start == nil, "\(metric.instrument.name)")
            continue
          }
          let series = Series(metric, point)
          #expect(point.start != nil, "\(series)")
          #expect(point.start.map { $0 <= point.time } == true, "\(series)")
          #expect(starts.updateValue(point.start ?? point.time, forKey: series) ?? point.start == point.start)
        }
      }
    }
  }

  @Test func `skipped cycles count for the outboxes that were there`() {
    var describing = Describing()
    let late = WatchedOutbox(name: "late", layout: "praisonai", system: .sqlite)
    _ = describing.good()
    describing.skipped = 5
    #expect(describing.good().values(MetricCatalog.sampleSkipped) == [.int(5)])
    describing.skipped = 6
    let metrics = describing.cycle([(orders, .success(.empty)), (late, .success(.empty))])
    #expect(metrics.values(MetricCatalog.sampleSkipped, "outbox.name=orders") == [.int(6)])
    #expect(metrics.values(MetricCatalog.sampleSkipped, "outbox.name=late") == [.int(0), .int(1)])
  }

  @Test func `times rise though the wall clock is set back [150]`() {
    var describing = Describing()
    var last: [Series: Timestamp] = [:]
    for pause in [15, -3600, 15, 15, 0, -1, 7200, 15] {
      for (series, point) in describing.good(after: .seconds(pause)).all {
        if let before = last[series] {
          #expect(milliseconds(point.time) > milliseconds(before), "\(series)")
        }
        last[series] = point.time
      }
    }
  }

  @Test func `every point of a sample has the time at which the sample began, not that of the cycle [149]`() {
    var describing = Describing()
    for (_, point) in describing.good(.ready(["email": 1])).all
    where point.attributes.contains(Attribute("outbox.name", "orders")) && point.value != .noRecordedValue {
      #expect(point.time == describing.sampled && describing.sampled != describing.now)
    }
  }

  @Test func `an outbox that is missing in a cycle is neither sent nor ended`() {
    var describing = Describing()
    _ = describing.good(.ready(["email": 1]))
    let metrics = describing.cycle([])
    #expect(metrics.map(\.instrument.name) == ["outbox.build"])
    #expect(metrics.ended.isEmpty)
    #expect(describing.good(.ready(["email": 2])).ended.isEmpty)
  }

  @Test func `a vanished outbox ends, all its series and only once [146]`() {
    var describing = Describing()
    let other = WatchedOutbox(name: "other", layout: "praisonai", system: .sqlite)
    let first = describing.cycle([(orders, .success(.ready(["email": 1]))), (other, .success(.empty))])
    let alive = first.valued.filter { $0.attributes.contains("outbox.name=orders") }
    let metrics = describing.cycle([(other, .success(.empty))], vanished: ["orders"])
    #expect(metrics.ended == alive)
    #expect(metrics.valued.allSatisfy { !$0.attributes.contains("outbox.name=orders") })
    let silent = describing.cycle([(other, .success(.empty))], vanished: ["orders"])
    #expect(silent.all.allSatisfy { !$0.series.attributes.contains("outbox.name=orders") })
  }

  @Test func `an outbox that comes back begins anew after its end [146]`() {
    var describing = Describing()
    _ = describing.bad(.timeout)
    let end = describing.cycle([], vanished: ["orders"])
    let ended = end.all.filter { $0.point.value == .noRecordedValue }.map(\.point.time).max()
    let points = describing.bad(.timeout).points(MetricCatalog.sampleFailures)
    #expect(points.map(\.value) == [.int(0), .int(1)])
    for point in points { #expect(ended.map { milliseconds($0) < milliseconds(point.time) } == true) }
  }

  @Test func `an outbox that only moved to another store does not end`() {
    var describing = Describing()
    _ = describing.good()
    let metrics = describing.cycle([(orders, .success(.empty))], vanished: ["orders"])
    #expect(metrics.ended.isEmpty)
    #expect(describing.good().ended.isEmpty)
  }

  @Test func `nothing is ended that was not begun`() {
    var describing = Describing()
    #expect(describing.describer.end(at: describing.now).isEmpty)
    _ = describing.good()
    #expect(!describing.describer.end(at: describing.now).isEmpty)
    #expect(describing.describer.end(at: describing.now).isEmpty)
  }

  @Test func `histograms of samples hold every sample, failed ones too`() {
    var describing = Describing()
    _ = describing.good()
    let values = describing.bad().values(MetricCatalog.sampleDuration, "outbox.sample.kind=counts")
    guard case .histogram(let histogram) = values.first else {
      Issue.record("no histogram")
      return
    }
    #expect(histogram.count == 2)
    #expect(abs(histogram.sum - 0.006) < 1e-12)
    // 3 ms lies in (0.0025, 0.005].
    #expect(histogram.bounds[2] == 0.005 && histogram.counts[2] == 2)
    #expect(histogram.counts.count == histogram.bounds.count + 1)
  }

  @Test func `a measurement equal to a bound falls below it [160]`() {
    var histogram = HistogramValue(bounds: [1, 2])
    for value in [1, 1.5, 2, 2.0001, 0] { histogram.record(value) }
    #expect(histogram.counts == [2, 2, 1])
    #expect(histogram.sum == 6.5001)
  }

  @Test func `a sum that may fall is none [168]`() {
    var histogram = HistogramValue(bounds: [1])
    #expect(histogram.isSumCounter && histogram.sum == 0)
    for value in [-1.0, 5] { histogram.record(value) }
    #expect(!histogram.isSumCounter && histogram.counts == [1, 1])
  }
}

func milliseconds(_ time: Timestamp) -> Int64 { time.nanoseconds / 1_000_000 }

func activity(
  exported: Int, failed: [String: Int] = [:], inflight: Int = 0, operations: [ExportActivity.Operation] = [],
  index: Int = 0
) -> ExportActivity {
  ExportActivity(
    component: "otlp_http_metric_exporter/\(index)", serverAddress: "collector", serverPort: 4318, exported: exported,
    failed: failed, inflight: inflight, operations: operations)
}
