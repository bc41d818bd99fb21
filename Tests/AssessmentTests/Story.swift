import Assessment
import Outbox

/// An event of a story that a test tells.
struct StoryEvent {
  var created: Double
  var state: EventState = .ready
  var isTried = false
  var destination = "d"
  /// Since when it is stuck.
  var stuckSince: Double?
}

/// Samples of an outbox whose events a test moves by hand, one each 15 seconds.
struct Story {
  static let epoch = 1_800_000_000.0

  var now = 0.0
  var events: [StoryEvent] = []
  var window = SampleWindow()
  var outbox = WatchedOutbox(
    name: "orders", layout: "praisonai", system: .sqlite, objective: Objective(age: .seconds(600), target: 0.99))
  /// What the clocks are set by.
  var clockError = 0.0

  /// Adds ready events that were written just now.
  mutating func write(_ count: Int, to destination: String = "d") {
    for _ in 0..<count { events.append(StoryEvent(created: now, destination: destination)) }
  }

  /// The oldest events leave.
  mutating func deliver(_ count: Int) { events.removeFirst(min(count, events.count)) }

  /// 15 seconds pass, and a sample is taken.
  mutating func sample() {
    now += 15
    append(.success(snapshot))
  }

  mutating func fail() {
    now += 15
    append(.failure(SampleFailure(.timeout, "no answer")))
  }

  private mutating func append(_ result: Result<Snapshot, SampleFailure>) {
    window.append(
      OutboxSample(
        outbox: outbox, startedAt: Timestamp(seconds: Self.epoch + now + clockError), duration: .milliseconds(2),
        result: result))
  }

  var assessment: OutboxAssessment { OutboxAssessment(window, of: outbox) }

  var snapshot: Snapshot {
    var snapshot = Snapshot(storeTime: Timestamp(seconds: Self.epoch + now))
    for name in Set(events.map(\.destination)).sorted() {
      for isTried in [false, true] {
        let mine = events.filter { $0.destination == name && $0.isTried == isTried }
        for state in EventState.waiting {
          let count = mine.count { $0.state == state }
          if count > 0 { snapshot.depths.append(.init(destination: name, state: state, retry: isTried, count: count)) }
        }
        let ages = mine.filter { $0.state == .ready || $0.state == .claimed || ($0.state == .scheduled && isTried) }
          .map { now - $0.created }.sorted()
        guard let oldest = ages.last else { continue }
        func rank(_ share: Double) -> Duration {
          .seconds(ages[Int((Double(ages.count) * share).rounded(.up)) - 1])
        }
        snapshot.ages.append(
          .init(
            destination: name, retry: isTried, oldest: .seconds(oldest), median: rank(0.5), p99: rank(0.99)))
      }
      let stuck = events.filter { $0.destination == name }.compactMap(\.stuckSince)
      if let first = stuck.min() {
        snapshot.stuck.append(
          .init(destination: name, reason: .leaseExpired, count: stuck.count, oldest: .seconds(now - first)))
      }
    }
    return snapshot
  }

  /// A worker that empties the queue each time, for so many samples.
  mutating func healthy(_ samples: Int) {
    for _ in 0..<samples {
      write(3)
      sample()
      deliver(events.count)
    }
  }
}
