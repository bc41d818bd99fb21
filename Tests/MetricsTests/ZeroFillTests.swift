import Metrics
import Outbox
import Testing

@Suite struct `Zero is a fact` {
  @Test func `a known destination has every state with and without retry, and every age`() {
    var describing = Describing()
    let metrics = describing.good(.ready(["email": 7]))
    for state in ["ready", "scheduled", "claimed", "parked", "unknown"] {
      for retry in ["false", "true"] {
        let expected: PointValue = state == "ready" && retry == "false" ? .int(7) : .int(0)
        #expect(
          metrics.values(
            MetricCatalog.depth, "outbox.name=orders", "outbox.destination=email", "outbox.state=\(state)",
            "outbox.retry=\(retry)") == [expected], "\(state) \(retry)")
      }
    }
    #expect(metrics.points(MetricCatalog.depth).count == 10)
    for stat in ["oldest", "p50", "p99"] {
      for retry in ["false", "true"] {
        #expect(
          metrics.values(
            MetricCatalog.eventAge, "outbox.destination=email", "outbox.stat=\(stat)", "outbox.retry=\(retry)")
            == [.double(0)])
      }
    }
    #expect(metrics.points(MetricCatalog.eventAge).count == 6)
    for reason in ["lease_expired", "attempts_exhausted", "unclaimable"] {
      #expect(
        metrics.values(MetricCatalog.stuck, "outbox.destination=email", "outbox.stuck.reason=\(reason)") == [.int(0)])
      #expect(metrics.values(MetricCatalog.stuckAge, "outbox.stuck.reason=\(reason)") == [.double(0)])
    }
    #expect(metrics.values(MetricCatalog.deadLetterDepth, "outbox.destination=email") == [.int(0)])
    #expect(metrics.values(MetricCatalog.deadLetterAge) == [.double(0)])
    #expect(metrics.values(MetricCatalog.implausible) == [.int(0)])
    #expect(metrics.values(MetricCatalog.sampleSkipped) == [.int(0)])
    #expect(metrics.values(MetricCatalog.sampleExact) == [.int(1)])
    #expect(metrics.points(MetricCatalog.replicaLag).isEmpty)
    #expect(metrics.points(MetricCatalog.objectiveAge).isEmpty)
  }

  @Test func `only the reasons that a layout knows have series`() {
    var describing = Describing()
    var outbox = orders
    outbox.stuckReasons = [.unclaimable]
    let metrics = describing.cycle([(outbox, .success(.empty))])
    #expect(metrics.points(MetricCatalog.stuck).count == 1)
    #expect(metrics.points(MetricCatalog.stuckAge, "outbox.stuck.reason=unclaimable").count == 1)
    #expect(metrics.points(MetricCatalog.stuckAge).count == 1)
  }

  @Test func `the figures of a sample arrive under their attributes`() {
    var describing = Describing(environment: "production")
    let snapshot = Snapshot(
      storeTime: Describing.epoch,
      depths: [
        .init(destination: "email", state: .claimed, retry: true, count: 3),
        .init(destination: "sms", state: .parked, retry: false, count: 5),
      ],
      ages: [
        .init(destination: "email", retry: true, oldest: .seconds(90), median: .seconds(20), p99: .milliseconds(88_500))
      ],
      stuck: [
        .init(destination: "email", reason: .leaseExpired, count: 2, oldest: .seconds(40)),
        .init(destination: "sms", reason: .leaseExpired, count: 1, oldest: .seconds(50)),
      ],
      dead: [
        .init(destination: "email", count: 4, oldest: .seconds(7200)),
        .init(destination: "sms", count: 1, oldest: .seconds(60)),
      ],
      implausible: 6, replicaLag: .milliseconds(1500), exact: false)
    var outbox = orders
    outbox.objective = Objective(age: .seconds(60), target: 0.999)
    let metrics = describing.cycle([(outbox, .success(snapshot))])
    let email = "outbox.destination=email"
    #expect(
      metrics.values(MetricCatalog.depth, email, "outbox.state=claimed", "outbox.retry=true") == [.int(3)])
    #expect(
      metrics.values(MetricCatalog.depth, "outbox.destination=sms", "outbox.state=parked", "outbox.retry=false")
        == [.int(5)])
    #expect(
      metrics.values(MetricCatalog.eventAge, email, "outbox.retry=true")
        == [.double(90), .double(20), .double(88.5)])
    #expect(
      metrics.values(MetricCatalog.eventAge, email, "outbox.retry=false") == [.double(0), .double(0), .double(0)])
    #expect(metrics.values(MetricCatalog.stuck, email, "outbox.stuck.reason=lease_expired") == [.int(2)])
    #expect(metrics.values(MetricCatalog.stuckAge, "outbox.stuck.reason=lease_expired") == [.double(50)])
    #expect(metrics.values(MetricCatalog.stuckAge, "outbox.stuck.reason=unclaimable") == [.double(0)])
    #expect(metrics.values(MetricCatalog.deadLetterDepth, email) == [.int(4)])
    #expect(metrics.values(MetricCatalog.deadLetterAge) == [.double(7200)])
    #expect(metrics.values(MetricCatalog.implausible) == [.int(6)])
    #expect(metrics.values(MetricCatalog.replicaLag) == [.double(1.5)])
    #expect(metrics.values(MetricCatalog.sampleExact) == [.int(0)])
    #expect(metrics.values(MetricCatalog.objectiveAge) == [.double(60)])
    #expect(metrics.values(MetricCatalog.objectiveTarget) == [.double(0.999)])
    #expect(metrics.values(MetricCatalog.up, "outbox.layout=praisonai", "db.system.name=sqlite") == [.int(1)])
    #expect(metrics.values(MetricCatalog.build, "version=1.2.3", "revision=abc") == [.int(1)])
    for kind in ["head", "counts"] {
      #expect(metrics.values(MetricCatalog.sampleInterval, "outbox.sample.kind=\(kind)") == [.double(15)])
      #expect(
        metrics.values(MetricCatalog.sampleTime, "outbox.sample.kind=\(kind)")
          == [.double(1_800_000_015.002)])
    }
    for (series, _) in metrics.all {
      #expect(series.attributes.contains("outbox.environment=production"), "\(series)")
      let isAboutOutbox = series.metric != "outbox.build"
      #expect(series.attributes.contains("outbox.name=orders") == isAboutOutbox, "\(series)")
    }
  }

  @Test func `an empty environment is none`() {
    var describing = Describing(environment: "")
    #expect(describing.good().all.allSatisfy { !$0.series.description.contains("outbox.environment") })
  }

  @Test func `a quantile that cannot be known is not sent, and never taken for zero`() {
    var describing = Describing()
    let unknown = Snapshot(
      storeTime: Describing.epoch,
      depths: [.init(destination: "email", state: .ready, retry: false, count: 2)],
      ages: [.init(destination: "email", retry: false, oldest: .seconds(9), median: nil, p99: .seconds(8))])
    let metrics = describing.good(unknown)
    #expect(
      metrics.values(MetricCatalog.eventAge, "outbox.retry=false", "outbox.destination=email")
        == [.double(9), .double(8)])
    #expect(metrics.points(MetricCatalog.eventAge, "outbox.stat=p50", "outbox.retry=false").isEmpty)
    #expect(metrics.points(MetricCatalog.eventAge, "outbox.stat=p50", "outbox.retry=true").count == 1)
    // A series that was never begun is not ended.
    let end = describing.describer.end(at: describing.now)
    #expect(end.points(MetricCatalog.eventAge, "outbox.stat=p50", "outbox.retry=false").isEmpty)
    #expect(end.points(MetricCatalog.eventAge, "outbox.stat=p50", "outbox.retry=true").count == 1)
  }

  @Test func `dead letters without a time have no age, and no zero in its place`() {
    var describing = Describing()
    let dead = Snapshot(storeTime: Describing.epoch, dead: [.init(destination: "email", count: 2, oldest: nil)])
    #expect(describing.good(dead).points(MetricCatalog.deadLetterAge).isEmpty)
    #expect(describing.describer.end(at: describing.now).points(MetricCatalog.deadLetterAge).isEmpty)
  }

  @Test func `a destination without a name is the default one`() {
    var describing = Describing()
    let metrics = describing.good(.ready(["": 3]))
    #expect(metrics.destinations == ["default"])
    #expect(
      metrics.values(MetricCatalog.depth, "outbox.state=ready", "outbox.retry=false") == [.int(3)])
  }
}
