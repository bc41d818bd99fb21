import Assessment
import Outbox
import Testing

@Suite struct `A judgement` {
  private static let time = Timestamp(nanoseconds: 0)

  private func judge(_ limits: Limits, _ result: Result<Snapshot, SampleFailure>) -> Judgement {
    Judgement(
      OutboxSample(
        outbox: WatchedOutbox(name: "o", layout: "l", system: .sqlite, limits: limits), startedAt: Self.time,
        duration: .zero, result: result))
  }

  private func snapshot(ready: Int = 0, age: Int? = nil, stuck: Int = 0, dead: Int = 0) -> Snapshot {
    Snapshot(
      storeTime: Self.time,
      depths: [.init(destination: "d", state: .ready, retry: false, count: ready)],
      ages: age.map {
        [.init(destination: "d", retry: false, oldest: .seconds($0), median: nil, p99: nil)]
      } ?? [],
      stuck: [.init(destination: "d", reason: .leaseExpired, count: stuck, oldest: .zero)],
      dead: [.init(destination: "d", count: dead, oldest: nil)])
  }

  // warning at 2, critical at 4, each of them missing in turn
  @Test(
    arguments: [
      (2, 4, [.ok, .ok, .warning, .warning, .critical, .critical]),
      (2, nil, [.ok, .ok, .warning, .warning, .warning, .warning]),
      (nil, 4, [.ok, .ok, .ok, .ok, .critical, .critical]),
      (nil, nil, [.ok, .ok, .ok, .ok, .ok, .ok]),
      (4, 2, [.ok, .ok, .critical, .critical, .critical, .critical]),
      (0, nil, [.warning, .warning, .warning, .warning, .warning, .warning]),
    ] as [(Int?, Int?, [Health])])
  func `reaches a limit at the limit`(warning: Int?, critical: Int?, expected: [Health]) {
    let pair = Limits.Pair(warning: warning, critical: critical)
    let ages = Limits.Pair<Duration>(warning: warning.map { .seconds($0) }, critical: critical.map { .seconds($0) })
    for (value, health) in expected.enumerated() {
      #expect(judge(Limits(ready: pair), .success(snapshot(ready: value))).health == health, "ready \(value)")
      #expect(judge(Limits(stuck: pair), .success(snapshot(stuck: value))).health == health, "stuck \(value)")
      #expect(judge(Limits(dead: pair), .success(snapshot(dead: value))).health == health, "dead \(value)")
      #expect(judge(Limits(age: ages), .success(snapshot(age: value))).health == health, "age \(value)")
    }
  }

  @Test func `a hair below a limit has not reached it`() {
    let limits = Limits(age: .init(warning: .seconds(60)))
    let age = Snapshot.Age(
      destination: "d", retry: false, oldest: .seconds(60) - .nanoseconds(1), median: nil, p99: nil)
    #expect(judge(limits, .success(Snapshot(storeTime: Self.time, ages: [age]))).health == .ok)
  }

  @Test func `events that nobody limits are fine`() {
    let judgement = judge(Limits(), .success(snapshot(ready: 9_999, age: 9_999, stuck: 9_999, dead: 9_999)))
    #expect(judgement.health == .ok)
    #expect(judgement.findings.isEmpty)
  }

  @Test func `nothing that waits has no age to be limited`() {
    let limits = Limits(age: .init(warning: .zero, critical: .zero))
    #expect(judge(limits, .success(snapshot())).health == .ok)
  }

  @Test(arguments: SampleFailure.Reason.allCases)
  func `an outbox that could not be read is unknown, with or without limits`(reason: SampleFailure.Reason) {
    for limits in [Limits(), Limits(ready: .init(warning: 0, critical: 0))] {
      let judgement = judge(limits, .failure(SampleFailure(reason, "cannot open o.db", hint: "check the path")))
      #expect(judgement.health == .unknown)
      #expect(
        judgement.findings == [.init(health: .unknown, sentence: "not sampled: cannot open o.db")])
    }
  }

  @Test(arguments: [
    (1, "the oldest event waits 1m, limit 0ms", "1 event is"),
    (2, "the oldest event waits 2m, limit 0ms", "2 events are"),
  ]) func `speaks in sentences`(count: Int, age: String, events: String) {
    let limits = Limits(
      age: .init(warning: .zero), ready: .init(warning: 1), stuck: .init(warning: 1), dead: .init(warning: 1))
    let judgement = judge(limits, .success(snapshot(ready: count, age: count * 60, stuck: count, dead: count)))
    #expect(
      judgement.findings.map(\.sentence) == [
        age, "\(events) ready, limit 1", "\(events) stuck (lease_expired), limit 1", "\(events) dead, limit 1",
      ])
  }

  @Test func `names only the reasons for which events are stuck`() {
    var some = snapshot()
    some.stuck = [
      .init(destination: "d", reason: .unclaimable, count: 2, oldest: .zero),
      .init(destination: "d", reason: .leaseExpired, count: 0, oldest: .zero),
      .init(destination: "e", reason: .attemptsExhausted, count: 1, oldest: .zero),
      .init(destination: "e", reason: .unclaimable, count: 1, oldest: .zero),
    ]
    let judgement = judge(Limits(stuck: .init(critical: 1)), .success(some))
    #expect(
      judgement.findings.map(\.sentence) == ["4 events are stuck (attempts_exhausted, unclaimable), limit 1"])
  }

  @Test func `tells the worst first, and is as bad as that`() {
    let limits = Limits(
      age: .init(warning: .seconds(1)), ready: .init(critical: 1), stuck: .init(warning: 1), dead: .init(critical: 1))
    let judgement = judge(limits, .success(snapshot(ready: 1, age: 1, stuck: 1, dead: 1)))
    #expect(judgement.health == .critical)
    #expect(judgement.findings.map(\.health) == [.critical, .critical, .warning, .warning])
    #expect(
      judgement.findings.map { $0.sentence.split(separator: " ").first } == ["1", "1", "the", "1"])
    // A limit that is reached twice is told once, at its worst.
    let both = judge(Limits(dead: .init(warning: 1, critical: 3)), .success(snapshot(dead: 3)))
    #expect(both.findings == [.init(health: .critical, sentence: "3 events are dead, limit 3")])
  }
}

@Suite struct `The order of health` {
  @Test func `of several is the worst: CRITICAL, UNKNOWN, WARNING, OK`() {
    let order: [Health] = [.ok, .warning, .unknown, .critical]
    for (index, worse) in order.enumerated() {
      for better in order[...index] {
        #expect(Health.worst([better, worse]) == worse)
        #expect(Health.worst([worse, better]) == worse)
      }
    }
    #expect(Health.worst([]) == .ok)
    #expect(Health.allCases.map(\.rawValue) == ["OK", "WARNING", "CRITICAL", "UNKNOWN"])
  }
}
