import Outbox
import Testing

@testable import Assessment
@testable import assessment_benchmark

/// The bounds on what left and what came back, against queues whose every event is known.
@Suite struct `Two samples of due events` {
  private func events(_ created: [(due: Double, isTried: Bool)], at now: Double) -> DueEvents {
    var snapshot = Snapshot(storeTime: Timestamp(seconds: Story.epoch + now))
    for isTried in [false, true] {
      let ages = created.filter { $0.isTried == isTried }.map { now - $0.due }.sorted()
      guard let oldest = ages.last else { continue }
      snapshot.depths.append(.init(destination: "d", state: .ready, retry: isTried, count: ages.count))
      snapshot.ages.append(
        .init(
          destination: "d", retry: isTried, oldest: .seconds(oldest),
          median: .seconds(ages[(ages.count + 1) / 2 - 1]), p99: .seconds(ages[(ages.count * 99 + 99) / 100 - 1])))
    }
    return DueEvents(snapshot, destination: "d")
  }

  @Test func `never claim more departures and returns than there were`() {
    for seed in UInt64(0)..<400 {
      var chance = Chance(seed: seed)
      var before = (0..<chance.between(0, 60)).map { _ in
        (due: chance.between(-600, 0.0), isTried: chance.happens(0.3))
      }
      let first = events(before, at: 0)
      let count = before.count
      let left = chance.between(0, count)
      for _ in 0..<left { before.remove(at: chance.between(0, before.count - 1)) }
      // A failed attempt moves an event from one group to the other.
      for index in before.indices where chance.happens(0.2) { before[index].isTried = true }
      let back = chance.happens(0.5) ? chance.between(0, 20) : 0
      for _ in 0..<back { before.append((due: chance.between(-900, -1.0), isTried: chance.happens(0.5))) }
      for _ in 0..<chance.between(0, 20) { before.append((due: chance.between(0.5, 14), isTried: chance.happens(0.2))) }
      let second = events(before, at: 15)
      if back == 0 { #expect(first.departures(until: second) <= left, "seed \(seed)") }
      #expect(first.returned(until: second, dueBefore: Story.epoch) <= back, "seed \(seed)")
    }
  }

  @Test func `show that the oldest ones left, though as many came`() {
    let first = events((0..<100).map { (due: Double($0) - 200, isTried: false) }, at: 0)
    let second = events((10..<110).map { (due: $0 < 100 ? Double($0) - 200 : 5, isTried: false) }, at: 15)
    #expect(first.departures(until: second) >= 1)
    #expect(first.departures(until: first) == 0)
  }

  @Test func `show returned events behind an older one`() {
    let old = [(due: -5_000.0, isTried: true)]
    let first = events(old, at: 0)
    let second = events(old + (0..<40).map { (due: -1_000 + Double($0), isTried: false) }, at: 15)
    #expect(first.returned(until: second, dueBefore: Story.epoch - 60) >= 20)
    #expect(second.returned(until: first, dueBefore: Story.epoch - 60) == 0)
    #expect(second.departures(until: first) == 40)
  }
}
