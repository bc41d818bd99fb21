import Assessment
import Outbox
import Reports

/// What `watch` sees of some outboxes, sampled every five seconds.
struct WatchStory {
  private(set) var history = WatchHistory()
  private var windows: [String: SampleWindow] = [:]
  private var step = 0

  /// One more round: a sample of each outbox.
  mutating func sample(_ results: [(String, Result<Snapshot, SampleFailure>)], movements: Movements? = nil) {
    let time = morning.advanced(by: .seconds(5 * step))
    step += 1
    var samples: [OutboxSample] = []
    var assessments: [String: OutboxAssessment] = [:]
    for (name, result) in results {
      var sample = ReportsTests.sample(
        name, limits: Limits(age: .init(warning: .seconds(300), critical: .seconds(900)), dead: .init(warning: 10)),
        result)
      sample.startedAt = time
      sample.accounting = movements.map { AccountingReading(mark: AccountingMark(.history, "1"), movements: $0) }
      windows[name, default: SampleWindow()].append(sample)
      assessments[name] = windows[name].map { OutboxAssessment($0, of: sample.outbox) }
      samples.append(sample)
    }
    history.take(samples, assessments: assessments, at: time)
  }

  /// The store's clock in the next round.
  var time: Timestamp { morning.advanced(by: .seconds(5 * step)) }

  /// Events that are ready, by destination: how many, and for how many seconds the oldest of them has waited.
  func waiting(_ destinations: [(String, count: Int, age: Int)], dead: Int = 0) -> Result<Snapshot, SampleFailure> {
    var snapshot = Snapshot(storeTime: time)
    for (name, count, age) in destinations {
      snapshot.depths.append(.init(destination: name, state: .ready, retry: false, count: count))
      snapshot.ages.append(
        .init(destination: name, retry: false, oldest: .seconds(age), median: .seconds(age), p99: .seconds(age)))
    }
    if dead > 0 { snapshot.dead = [.init(destination: "fax", count: dead, oldest: nil)] }
    return .success(snapshot)
  }

  /// Forty rounds of a night: a worker that died, a backlog that drains, a store that hangs, one that has nothing to do.
  static let night: WatchHistory = {
    var story = WatchStory()
    for round in 0..<40 {
      let age = max(1, 5 * (round - 12))
      story.sample([
        ("audit", .success(Snapshot(storeTime: story.time))),
        ("billing", story.waiting([("default", count: 4_000 - 90 * round, age: 60)])),
        (
          "orders",
          story.waiting(
            [("email", count: 20 + 2 * max(0, round - 12), age: age), ("sms", count: 3, age: age)], dead: 4)
        ),
        (
          "payments",
          round < 37
            ? story.waiting([("default", count: round, age: 2)])
            : .failure(
              SampleFailure(
                .timeout, "the store has not answered yet",
                hint: "a network file system or a server hangs; its answer is taken whenever it comes"))
        ),
      ])
    }
    return story.history
  }()
}
