import Metrics
import Outbox
import Testing

/// What is sent in cycles that read only the first events.
@Suite struct `Looks at the head` {
  private let intervals = SampleIntervals(head: .seconds(15), counts: .seconds(60))

  private func head(_ ages: [QueueHead.Age], isComplete: Bool) -> QueueHead {
    QueueHead(
      storeTime: Describing.epoch, ages: ages, isComplete: isComplete, stuckAges: [.leaseExpired: .seconds(7)],
      replicaLag: .seconds(2))
  }

  @Test func `counts pause, and the ages that are known are sent`() {
    var describing = Describing()
    _ = describing.cycle([(orders, .success(.ready(["email": 3, "sms": 2])))])
    let metrics = describing.look(
      orders, head([.init(destination: "email", retry: false, oldest: .seconds(42))], isComplete: false),
      intervals: intervals)
    #expect(metrics.ended.isEmpty)
    for paused in [
      MetricCatalog.depth, MetricCatalog.deadLetterDepth, MetricCatalog.stuck, MetricCatalog.sampleExact,
      MetricCatalog.implausible,
    ] { #expect(metrics.points(paused).isEmpty, "\(paused.name)") }
    #expect(metrics.values(MetricCatalog.eventAge) == [.double(42)])
    #expect(
      metrics.values(
        MetricCatalog.eventAge, "outbox.destination=email", "outbox.stat=oldest", "outbox.retry=false") == [.double(42)]
    )
    #expect(metrics.values(MetricCatalog.stuckAge, "outbox.stuck.reason=lease_expired") == [.double(7)])
    #expect(metrics.values(MetricCatalog.stuckAge).count == 1)
    #expect(metrics.values(MetricCatalog.replicaLag) == [.double(2)])
    #expect(metrics.values(MetricCatalog.up) == [.int(1)])
    #expect(metrics.values(MetricCatalog.sampleInterval, "outbox.sample.kind=head") == [.double(15)])
    #expect(metrics.values(MetricCatalog.sampleInterval, "outbox.sample.kind=counts") == [.double(60)])
  }

  @Test func `where all of the head is known, absent is zero`() {
    var describing = Describing()
    _ = describing.cycle([(orders, .success(.ready(["email": 3, "sms": 2])))])
    let metrics = describing.look(
      orders, head([.init(destination: "email", retry: true, oldest: .seconds(5))], isComplete: true),
      intervals: intervals)
    #expect(metrics.values(MetricCatalog.eventAge, "outbox.destination=email", "outbox.retry=true") == [.double(5)])
    #expect(metrics.values(MetricCatalog.eventAge, "outbox.destination=email", "outbox.retry=false") == [.double(0)])
    #expect(metrics.values(MetricCatalog.eventAge, "outbox.destination=sms") == [.double(0), .double(0)])
    #expect(metrics.values(MetricCatalog.eventAge, "outbox.stat=p99").isEmpty)
  }

  @Test func `the times of both kinds tell how old each is`() {
    var describing = Describing()
    let first = describing.cycle([(orders, .success(.ready(["email": 3])))])
    let counted = first.values(MetricCatalog.sampleTime, "outbox.sample.kind=counts")
    let metrics = describing.look(orders, head([], isComplete: true), intervals: intervals)
    #expect(metrics.values(MetricCatalog.sampleTime, "outbox.sample.kind=counts") == counted)
    #expect(
      metrics.values(MetricCatalog.sampleTime, "outbox.sample.kind=head")
        == [.double(Describing.epoch.seconds + 30)])
    // A look that shows nothing but that the store answers is none of the head.
    let blind = describing.look(orders, QueueHead(storeTime: Describing.epoch), intervals: intervals)
    #expect(
      blind.values(MetricCatalog.sampleTime, "outbox.sample.kind=head") == [.double(Describing.epoch.seconds + 30)])
  }

  @Test func `destinations that share a name wait for a count`() {
    var describing = Describing(limit: 1)
    _ = describing.cycle([(orders, .success(.ready(["email": 3, "sms": 2, "fax": 1])))])
    let ages = ["email", "sms"].map { QueueHead.Age(destination: $0, retry: false, oldest: .seconds(9)) }
    let some = describing.look(orders, head(ages, isComplete: false), intervals: intervals)
    #expect(some.points(MetricCatalog.eventAge, "outbox.destination=_other").isEmpty)
    let all = describing.look(orders, head(ages, isComplete: true), intervals: intervals)
    #expect(
      all.values(MetricCatalog.eventAge, "outbox.destination=_other", "outbox.retry=false", "outbox.stat=oldest")
        == [.double(9)])
  }

  @Test func `durations are kept apart, and a clean stop ends both`() {
    var describing = Describing()
    let first = describing.cycle([(orders, .success(.ready(["email": 3])))])
    func count(_ metrics: [Metric], _ kind: String) -> [UInt64] {
      metrics.values(MetricCatalog.sampleDuration, "outbox.sample.kind=\(kind)").compactMap {
        if case .histogram(let value) = $0 { value.counts.reduce(0, +) } else { nil }
      }
    }
    #expect(count(first, "head") == [0] && count(first, "counts") == [1])
    let second = describing.look(orders, head([], isComplete: true), intervals: intervals)
    #expect(count(second, "head") == [1] && count(second, "counts") == [1])
    let begun = first.valued.union(second.valued)
    #expect(begun.subtracting(describing.describer.end(at: describing.now.advanced(by: .seconds(1))).ended).isEmpty)
  }
}
