import Accounting
import Metrics
import Outbox
import Testing

@Suite struct `The movements` {
  private static let promised = WatchedOutbox(
    name: "orders", layout: "praisonai", system: .sqlite, objective: Objective(age: .seconds(45), target: 0.99))
  private var describing = Describing()

  /// One cycle with a reading of the ledger; nil movements begin the counting.
  private mutating func cycle(
    _ movements: Movements?, _ snapshot: Snapshot = .empty, method: AccountingMethod = .ledger,
    outbox: WatchedOutbox = orders
  ) -> [Metric] {
    describing.cycle(
      [(outbox, .success(snapshot))],
      accounting: AccountingReading(mark: AccountingMark(method, "\(describing.now)"), movements: movements))
  }

  private static func moved(_ destination: String, _ counts: Movements.Counts) -> Movements {
    Movements([destination: counts])
  }

  @Test mutating func `begin with zero and only with what the method sees`() {
    let metrics = cycle(nil, .ready(["email": 2]), method: .statistics)
    #expect(
      metrics.values(MetricCatalog.enqueued, "outbox.destination=email", "outbox.accounting=statistics") == [.int(0)])
    #expect(metrics.points(MetricCatalog.requeued).isEmpty)
    #expect(metrics.values(MetricCatalog.deliveries, "outbox.disposition=unseen") == [.int(0)])
    #expect(metrics.points(MetricCatalog.deliveries, "outbox.disposition=delivered").isEmpty)
    #expect(metrics.points(MetricCatalog.deliveryDuration).isEmpty)
    #expect(metrics.points(MetricCatalog.objectiveEvents).isEmpty)
  }

  @Test mutating func `add up, from one start time`() {
    _ = cycle(nil, .ready(["email": 2]))
    let start = describing.sampled
    var counts = Movements.Counts(enqueued: 3, requeued: 1, dispositions: [.delivered: 2, .retried: 5])
    for seconds in [0.3, 45] { counts.durations.record(seconds, DeliveryBounds()) }
    _ = cycle(Self.moved("email", counts), .ready(["email": 4]))
    let metrics = cycle(Self.moved("email", counts), .ready(["email": 6]))
    let expected: [(Instrument, String, Int64)] = [
      (MetricCatalog.enqueued, "outbox.destination=email", 6), (MetricCatalog.requeued, "outbox.destination=email", 2),
      (MetricCatalog.deliveries, "outbox.disposition=delivered", 4),
      (MetricCatalog.deliveries, "outbox.disposition=retried", 10),
      (MetricCatalog.deliveries, "outbox.disposition=dead", 0),
    ]
    for (instrument, attribute, total) in expected {
      let points = metrics.points(instrument, attribute)
      #expect(points.map(\.value) == [.int(total)])
      #expect(points.map(\.start) == [start])
    }
    guard case .histogram(let durations)? = metrics.values(MetricCatalog.deliveryDuration).first else {
      Issue.record("no histogram")
      return
    }
    #expect(durations.count == 4)
    #expect(durations.sum == 90.6)
    #expect(durations.counts[durations.bounds.firstIndex(of: 0.5) ?? 0] == 2)
    #expect(durations.counts[durations.bounds.firstIndex(of: 60) ?? 0] == 2)
  }

  @Test mutating func `put the objective among the bounds, and count by it`() {
    _ = cycle(nil, outbox: Self.promised)
    var counts = Movements.Counts(dispositions: [.delivered: 3, .dead: 1])
    for seconds in [1.0, 45, 46] { counts.durations.record(seconds, DeliveryBounds(objective: .seconds(45))) }
    let metrics = cycle(Self.moved("email", counts), outbox: Self.promised)
    #expect(
      metrics.values(MetricCatalog.objectiveEvents, "outbox.destination=email", "outbox.slo.result=on_time").last
        == .int(2))
    #expect(
      metrics.values(MetricCatalog.objectiveEvents, "outbox.destination=email", "outbox.slo.result=late").last
        == .int(2))
    guard
      case .histogram(let durations)? = metrics.values(MetricCatalog.deliveryDuration, "outbox.destination=email").last
    else {
      Issue.record("no histogram")
      return
    }
    #expect(durations.bounds.contains(45))
    #expect(durations.counts[..<(durations.bounds.firstIndex(of: 45)! + 1)].reduce(0, +) == 2)
  }

  @Test mutating func `of a destination that appears begin with zero at the sample before`() {
    _ = cycle(nil, .ready(["email": 1]))
    let before = describing.sampled
    let metrics = cycle(Self.moved("sms", .init(enqueued: 4, dispositions: [.delivered: 4])), .ready(["email": 1]))
    let points = metrics.points(MetricCatalog.enqueued, "outbox.destination=sms")
    #expect(points.map(\.value) == [.int(0), .int(4)])
    #expect(points.map(\.time) == [before, describing.sampled])
    #expect(points.map(\.start) == [before, before])
    // It has depth series too, though nothing of it waits.
    #expect(metrics.destinations == ["email", "sms"])
  }

  @Test mutating func `pause while the outbox cannot be sampled`() {
    _ = cycle(nil)
    let metrics = describing.bad()
    #expect(metrics.points(MetricCatalog.enqueued).isEmpty)
  }

  @Test mutating func `begin anew where the counting does [141]`() throws {
    _ = cycle(nil, .ready(["email": 1]))
    _ = cycle(Self.moved("email", .init(enqueued: 9)), .ready(["email": 10]))
    let before = describing.sampled
    let metrics = cycle(nil, .ready(["email": 10]))
    let points = metrics.points(MetricCatalog.enqueued, "outbox.destination=email")
    #expect(points.map(\.value) == [.int(0)])
    let start = try #require(points[0].start)
    #expect(start > before && start == points[0].time)
    // What comes then counts from there.
    let next = cycle(Self.moved("email", .init(enqueued: 2)), .ready(["email": 12]))
      .points(MetricCatalog.enqueued, "outbox.destination=email")
    #expect(next.map(\.value) == [.int(2)] && next.map(\.start) == [start])
  }

  @Test mutating func `end where another method takes over`() {
    _ = cycle(nil, .ready(["email": 1]))
    let metrics = cycle(nil, .ready(["email": 1]), method: .history)
    let ended = metrics.ended.filter { $0.attributes.contains("outbox.accounting=ledger") }
    #expect(
      Set(ended.map(\.metric)) == [
        "outbox.enqueued", "outbox.requeued", "outbox.deliveries", "outbox.delivery.duration",
      ])
    #expect(metrics.values(MetricCatalog.enqueued, "outbox.accounting=history") == [.int(0)])
  }

  @Test mutating func `go on after a restart without a jump [139]`() {
    _ = cycle(nil, .ready(["email": 1]))
    let start = describing.sampled
    _ = cycle(Self.moved("email", .init(enqueued: 9)), .ready(["email": 10]))
    let accounts = describing.describer.accounts
    let now = describing.now
    describing = Describing()
    describing.now = now
    describing.describer.restore(accounts)
    let metrics = cycle(Self.moved("email", .init(enqueued: 1)), .ready(["email": 11]))
    let points = metrics.points(MetricCatalog.enqueued, "outbox.destination=email")
    #expect(points.map(\.value) == [.int(10)])
    #expect(points.map(\.start) == [start])
  }

  @Test mutating func `begin with zero after a restart that remembers nothing, so that nothing counts twice [140]`() {
    _ = cycle(nil, .ready(["email": 1]))
    _ = cycle(Self.moved("email", .init(enqueued: 9)), .ready(["email": 10]))
    let last = describing.sampled
    describing = Describing(start: describing.now.advanced(by: .seconds(1)))
    // What waits was counted by the run before.
    let metrics = cycle(nil, .ready(["email": 10]))
    let points = metrics.points(MetricCatalog.enqueued, "outbox.destination=email")
    #expect(points.map(\.value) == [.int(0)])
    #expect(points.allSatisfy { $0.start.map { $0 > last && $0 == points[0].time } == true })
  }

  @Test mutating func `begin anew where the objective is another one`() {
    _ = cycle(nil, .ready(["email": 1]))
    _ = cycle(Self.moved("email", .init(enqueued: 9)), .ready(["email": 10]))
    let metrics = cycle(Self.moved("email", .init(enqueued: 1)), .ready(["email": 11]), outbox: Self.promised)
    #expect(metrics.values(MetricCatalog.enqueued, "outbox.destination=email") == [.int(0)])
  }

  @Test mutating func `end with the outbox, each distribution with its own bounds`() {
    _ = cycle(nil, .ready(["email": 1]), outbox: Self.promised)
    let metrics = describing.describer.end(at: describing.now.advanced(by: .seconds(1)))
    #expect(metrics.points(MetricCatalog.enqueued).map(\.value) == [.noRecordedValue])
    #expect(
      metrics.points(MetricCatalog.deliveryDuration).map(\.value)
        == [.endedDistribution(bounds: DeliveryBounds(objective: .seconds(45)).exported)])
  }

  @Test mutating func `of destinations beyond the bound never fall`() {
    describing = Describing(limit: 1)
    _ = cycle(nil, .ready(["email": 5]))
    _ = cycle(Self.moved("sms", .init(enqueued: 4)), .ready(["email": 5, "sms": 4]))
    let metrics = cycle(
      Movements(["fax": .init(enqueued: 2), "sms": .init(enqueued: 1)]), .ready(["email": 5, "fax": 2]))
    let points = metrics.points(MetricCatalog.enqueued, "outbox.destination=_other")
    #expect(points.map(\.value) == [.int(7)])
    #expect(points.allSatisfy { $0.attributes.contains(Attribute("otel.metric.overflow", .bool(true))) })
    #expect(describing.describer.recorded["orders"]?["_other"]?.enqueued == 3)
  }

  @Test mutating func `count what is late once, whatever name its destination comes under`() {
    func waiting(_ ready: [String: Int], overdue: [String: Int]) -> Snapshot {
      var snapshot = Snapshot.ready(ready)
      snapshot.overdue = overdue
      return snapshot
    }
    func late(_ metrics: [Metric], _ destination: String) -> ArraySlice<PointValue> {
      metrics.values(MetricCatalog.objectiveEvents, "outbox.slo.result=late", "outbox.destination=\(destination)")
        .suffix(1)
    }
    describing = Describing(limit: 1)
    _ = cycle(nil, waiting(["email": 1], overdue: [:]), outbox: Self.promised)
    var metrics = cycle(
      Self.moved("sms", .init(enqueued: 3)), waiting(["email": 1, "sms": 3], overdue: ["sms": 2]),
      outbox: Self.promised)
    #expect(late(metrics, "_other") == [.int(2)])
    // Once there is room for it, sms has a series of its own; none of its events is late a second time.
    describing.now = describing.now.advanced(by: .seconds(3600))
    metrics = cycle(
      Movements(["sms": .init(enqueued: 1), "fax": .init(enqueued: 1)]),
      waiting(["sms": 4, "fax": 1], overdue: ["sms": 3, "fax": 1]), outbox: Self.promised)
    #expect(late(metrics, "sms") == [.int(1)])
    #expect(late(metrics, "_other") == [.int(3)])
    var left = Movements.Counts(dispositions: [.delivered: 3])
    for _ in 0..<3 { left.durations.record(100, DeliveryBounds(objective: .seconds(45))) }
    metrics = cycle(
      Self.moved("sms", left), waiting(["sms": 1, "fax": 1], overdue: ["sms": 1, "fax": 1]), outbox: Self.promised)
    #expect(late(metrics, "sms") == [.int(2)])
    #expect(late(metrics, "_other") == [.int(3)])
  }
}
