import TestSupport
import Testing

@testable import Assessment

@Suite struct `A line of moments` {
  @Test(arguments: 0..<20) func `brings back what was put in, as far as it was not forgotten`(round: Int) {
    let seed = UInt64.random(in: .min ... .max)
    var chance = SeededChance(seed: seed)
    func count(_ most: Int) -> Int { Bool.random(using: &chance) ? 0 : .random(in: 0...most, using: &chance) }
    func seconds() -> Double { [0, 0.002, 0.1, 3.25, 86_400, 1.8e9, 1e300].randomElement(using: &chance) ?? 0 }
    var line = MomentLine()
    var expected: [Moment] = []
    for step in 0..<200 {
      var moment = expected.last ?? Moment(time: 0)
      moment.time = Double(step) * 15
      if Bool.random(using: &chance) {
        (moment.ready, moment.due, moment.backingOff) = (count(.max), count(1_000_000), count(300))
        (moment.triedElsewhere, moment.parked, moment.stuck) = (count(127), count(128), count(20_000))
        (moment.departures, moment.returned) = (count(50), count(50))
        moment.attempted = .random(using: &chance)
        moment.oldestDue = [nil, seconds()].randomElement(using: &chance) ?? nil
        moment.oldestIsOneOfMany = Bool.random(using: &chance)
        moment.oldestTried = [nil, seconds()].randomElement(using: &chance) ?? nil
        (moment.age, moment.stuckAge) = (seconds(), seconds())
      } else if Bool.random(using: &chance) {
        // What waits grows older.
        moment.age += 15
        if Bool.random(using: &chance) { moment.stuckAge += 15 }
      }
      line.append(moment)
      expected.append(moment)
      if line.count > 60 || Int.random(in: 0..<20, using: &chance) == 0 {
        let forgotten = expected.removeFirst()
        line.removeFirst(at: forgotten.time, before: expected.first?.time)
      }
      let found = line.moments(at: expected.map(\.time))
      let isSame = found == expected
      #expect(isSame, "seed \(seed), step \(step)")
      #expect(line.count == expected.count, "seed \(seed), step \(step)")
    }
  }

  @Test func `takes due times that only rounding tells apart for the same, and lets none drift`() {
    var line = MomentLine()
    for step in 0..<100 {
      var moment = Moment(time: Double(step))
      moment.oldestDue = 1_800_000_000 + Double(step) * 0.000_4
      line.append(moment)
    }
    let due = line.moments(at: (0..<100).map(Double.init)).compactMap(\.oldestDue)
    for (step, time) in due.enumerated() { #expect(abs(time - 1_800_000_000 - Double(step) * 0.000_4) < 0.001) }
    #expect(Set(due).count < 50)
  }
}
