import Assessment
import Metrics
import Outbox
import Testing

@Suite struct `A verdict's series` {
  /// Samples of an outbox in which nothing leaves one destination while another works, until that recovers.
  private struct Trend {
    var describing = Describing()
    var window = SampleWindow()
    private var deadSince: Timestamp?

    /// One cycle; events of `dead` wait since they were first there, `busy` ones are written and delivered each time.
    mutating func cycle(dead: Int, busy: Int = 0, isGood: Bool = true) -> [Metric] {
      describing.now = describing.now.advanced(by: .seconds(15))
      let now = describing.sampled
      var snapshot = Snapshot(storeTime: now)
      if dead > 0, deadSince == nil { deadSince = now }
      for (name, count, age) in [("dead", dead, now.since(deadSince ?? now)), ("busy", busy, .seconds(1))]
      where count > 0 {
        snapshot.depths.append(.init(destination: name, state: .ready, retry: false, count: count))
        snapshot.ages.append(.init(destination: name, retry: false, oldest: age, median: age, p99: age))
      }
      let sample = OutboxSample(
        outbox: orders, startedAt: now, duration: .milliseconds(3),
        result: isGood ? .success(snapshot) : .failure(SampleFailure(.timeout, "no answer")))
      window.append(sample)
      return describing.describer.describe(
        CycleObservation(
          time: describing.now, samples: [sample],
          assessments: ["orders": OutboxAssessment(window, of: orders)], interval: .seconds(15)))
    }
  }

  private func current(_ metrics: [Metric]) -> [String] {
    metrics.all.filter { $0.series.metric == "outbox.verdict" && $0.point.value == .int(1) }
      .map { $0.series.attributes.dropFirst().joined(separator: " ") }
  }

  @Test func `is 1 for one verdict and 0 for the others`() {
    var trend = Trend()
    let metrics = trend.cycle(dead: 0)
    #expect(metrics.points(MetricCatalog.verdict).count == 9)
    #expect(current(metrics) == ["outbox.verdict=unknown"])
    for _ in 0..<5 { _ = trend.cycle(dead: 0) }
    #expect(current(trend.cycle(dead: 0)) == ["outbox.verdict=idle"])
  }

  @Test func `a destination has one while it is neither ok nor idle, and it ends`() {
    var trend = Trend()
    for _ in 0..<12 { _ = trend.cycle(dead: 0, busy: 3) }
    var metrics: [Metric] = []
    for _ in 0..<24 { metrics = trend.cycle(dead: 4, busy: 3) }
    let stalled = "outbox.destination=dead outbox.verdict=stalled"
    #expect(current(metrics) == ["outbox.verdict=ok", stalled])

    // A failed sample says nothing about it: the series pauses.
    metrics = trend.cycle(dead: 4, busy: 3, isGood: false)
    #expect(current(metrics) == ["outbox.verdict=unknown"])
    #expect(metrics.ended.isEmpty)

    metrics = trend.cycle(dead: 0, busy: 3)
    #expect(current(metrics) == ["outbox.verdict=ok"])
    #expect(
      metrics.ended == [
        Series("outbox.verdict", ["outbox.name=orders", "outbox.destination=dead", "outbox.verdict=stalled"])
      ])
    #expect(trend.cycle(dead: 0, busy: 3).ended.isEmpty)
  }

  @Test func `the time to drain is there while the backlog shrinks, and ends`() {
    var trend = Trend()
    for step in 0..<12 {
      let metrics = trend.cycle(dead: 1_300 - step * 100)
      let isSent = step >= 6
      if isSent, step < 11 { #expect(metrics.values(MetricCatalog.drainTime).count == 1, "\(step)") }
      // 100 fewer at each sample: 300 at the last but one, 45 seconds.
      if step == 10 { #expect(metrics.values(MetricCatalog.drainTime) == [.double(45)]) }
    }
    let metrics = trend.cycle(dead: 0)
    #expect(metrics.values(MetricCatalog.drainTime) == [.noRecordedValue])
    #expect(trend.cycle(dead: 0).values(MetricCatalog.drainTime) == [])
  }

  @Test func `a clean stop ends all of them`() {
    var trend = Trend()
    for _ in 0..<12 { _ = trend.cycle(dead: 0, busy: 3) }
    var last: [Metric] = []
    for _ in 0..<24 { last = trend.cycle(dead: 4, busy: 3) }
    #expect(current(last).count == 2)
    let ended = trend.describing.describer.end(at: trend.describing.now.advanced(by: .seconds(1)))
    #expect(ended.valued.isEmpty)
    #expect(
      ended.ended.filter { $0.metric == "outbox.verdict" } == last.valued.filter { $0.metric == "outbox.verdict" })
  }
}
