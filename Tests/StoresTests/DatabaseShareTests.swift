import Outbox
import Stores
import TestSupport
import Testing

/// The rhythm of the counts, on a clock of the test's own: no database is asked.
struct DatabaseShareTests {
  private func share(_ percent: Double = 1, every interval: Duration = .seconds(15)) -> DatabaseShare {
    DatabaseShare(SampleBudget(share: percent / 100, interval: interval))
  }

  @Test func `what is cheap is counted in every cycle`() {
    var share = share()
    for cycle in 0..<100 {
      share.divide(among: ["a", "b"])
      let now = Double(cycle) * 15
      for name in ["a", "b"] {
        #expect(share.next(name, at: now, hasHead: true) == .counts)
        share.note(.counts, of: name, cost: 0.06, at: now)
      }
      #expect(share.intervals("a", hasHead: true) == SampleIntervals(head: .seconds(15), counts: .seconds(15)))
    }
  }

  @Test func `a dear queue leaves the cheap ones their rhythm`() {
    #expect(DatabaseShare.fair([0.001, 0.002, 0.5], 0.01).map { ($0 * 1e4).rounded() } == [10, 20, 70])
    #expect(DatabaseShare.fair([0.5, 0.001, 0.5], 0.01).map { ($0 * 1e4).rounded() } == [45, 10, 45])
    #expect(DatabaseShare.fair([0.001, 0.002], 0.01) == [0.001, 0.002])
    var share = share()
    share.note(.counts, of: "cheap", cost: 0.01, at: 0)
    share.note(.counts, of: "dear", cost: 0.9, at: 0)
    share.divide(among: ["cheap", "dear"])
    #expect(share.next("cheap", at: 15, hasHead: true) == .counts)
    #expect(share.next("dear", at: 15, hasHead: true) == .head)
    #expect(share.next("dear", at: 15, hasHead: false) == .clock)
    #expect(share.intervals("cheap", hasHead: true).counts == .seconds(15))
    // 0.95 % less what the other one takes, for 0.9 s: every 101.9 s, in whole cycles.
    #expect(share.intervals("dear", hasHead: true) == SampleIntervals(head: .seconds(15), counts: .seconds(105)))
  }

  @Test func `what is done besides the readings is taken off what they have, and given back in four minutes`() {
    var share = share()
    share.note(.counts, of: "a", cost: 0.9, at: 0)
    share.divide(among: ["a"])
    // 0.9 s of 0.95 %.
    #expect(share.intervals("a", hasHead: false).counts == .seconds(105))
    share.note(aside: 0.96)
    share.divide(among: ["a"])
    // 0.96 s in 240 s are 0.4 %: 0.9 s of 0.55 %.
    #expect(share.intervals("a", hasHead: false).counts == .seconds(165))
    // However much it was, half of the share is for the readings: 0.9 s of 0.475 %.
    share.note(aside: 2.4)
    share.divide(among: ["a"])
    #expect(share.intervals("a", hasHead: false).counts == .seconds(195))
    for _ in 0..<200 { share.divide(among: ["a"]) }
    #expect(share.intervals("a", hasHead: false).counts == .seconds(105))
  }

  @Test func `no rhythm is slower than four minutes, and what would have to be is estimated`() {
    var share = share()
    share.note(.counts, of: "a", cost: 2.2, at: 0)
    share.divide(among: ["a"])
    #expect(share.next("a", at: 225, hasHead: true) == .head)
    #expect(share.next("a", at: 240, hasHead: true) == .counts)
    #expect(share.intervals("a", hasHead: true).counts == .seconds(240))
    share.note(.counts, of: "a", cost: 5, at: 240)
    share.divide(among: ["a"])
    #expect(share.next("a", at: 255, hasHead: true) == .estimate)
    share.note(.estimate, of: "a", cost: 0.2, at: 255)
    #expect(share.intervals("a", hasHead: true).counts == .seconds(45))
    #expect(share.next("a", at: 270, hasHead: true) == .head)
    // 2.72 s had not been saved for the second count: the next one comes when 5 + 2.72 s and what estimates cost are saved. The
    // first estimate came too early to be paid for from their half.
    var (estimates, seconds) = (1, 30)
    while share.next("a", at: 240 + Double(seconds), hasHead: true) != .counts, seconds < 3000 {
      if share.next("a", at: 240 + Double(seconds), hasHead: true) == .estimate {
        share.note(.estimate, of: "a", cost: 0.2, at: 240 + Double(seconds))
        estimates += 1
      }
      seconds += 15
    }
    #expect(share.next("a", at: 240 + Double(seconds), hasHead: true) == .counts)
    let worth = Double(seconds) * 0.0095 - (7.72 + Double(estimates) * 0.2)
    #expect(abs(worth) < 0.4, "\(estimates) estimates in \(seconds) s")
    // Half of the share was for them: 0.2 s of 0.475 % are 42.1 s, three cycles.
    #expect(abs(estimates - seconds / 45) <= 1, "\(estimates) estimates in \(seconds) s")
  }

  @Test func `a backlog that grows keeps the share too, and is counted again once it is gone`() {
    var share = share(every: .seconds(1))
    // 20,000 events come every second for four minutes, and go after an hour.
    func events(_ now: Double) -> Int { now < 240 ? Int(now) * 20_000 : now < 3_840 ? 4_800_000 : 10 }
    var worked = 0.0
    var counted: [Double] = []
    var (known, excess) = (0.0, 0.0)
    for second in 0..<6_000 {
      let now = Double(second)
      share.divide(among: ["a"])
      let depth = share.next("a", at: now, hasHead: true)
      let spent: Double =
        switch depth {
        case .counts: 0.000_5 + 0.000_001_5 * Double(events(now))
        case .estimate: 0.03
        case .head: 0.000_5
        case .clock: 0
        }
      let isWhole = depth == .counts || depth == .estimate
      share.note(depth, of: "a", cost: spent, events: isWhole ? events(now) : nil, at: now)
      worked += spent
      if depth == .counts { counted.append(now) }
      if isWhole {
        #expect(now - known <= 240)
        known = now
      }
      // Two counts show that it grows.
      if now >= 10, worked > 0.01 * now { excess = max(excess, worked / now) }
    }
    #expect(excess == 0)
    #expect(counted.contains { $0 >= 3_840 && $0 < 4_080 }, "\(counted)")
    #expect(share.intervals("a", hasHead: true).counts == .seconds(1))
  }

  @Test func `first counts are put off once they have cost what four minutes bring, and the smallest comes first`() {
    var share = share()
    let names = ["dear", "dearer", "cheap", "other", "never read"]
    share.divide(among: names)
    #expect(share.next("dear", at: 0, hasHead: true) == .counts)
    share.note(.counts, of: "dear", cost: 2, events: 1_000_000, at: 0)
    #expect(share.next("dearer", at: 0, hasHead: true) == .counts)
    share.note(.counts, of: "dearer", cost: 2, at: 0)
    // 4 s of the 2.4 s that 1 % of four minutes are.
    for (name, events) in [("cheap", 10), ("other", 1_000)] {
      #expect(share.next(name, at: 0, hasHead: true) == .estimate)
      #expect(share.estimateSize(name) < 1)
      share.note(.estimate, of: name, cost: 0.01, events: events, at: 0)
    }
    var begun: [String: Int] = [:]
    for cycle in 1...100 {
      share.divide(among: names)
      for name in ["other", "cheap"] where share.next(name, at: Double(cycle) * 15, hasHead: true) == .counts {
        if begun[name] == nil { begun[name] = cycle }
        share.note(.counts, of: name, cost: 0.001, events: 10, at: Double(cycle) * 15)
      }
    }
    // 1.6 s at 0.475 % are 337 s. Once the smaller one has been counted the other one may, in the next cycle.
    #expect(begun == ["cheap": 23, "other": 24], "\(begun)")
  }

  @Test func `what fails is paid for like what comes to its end`() {
    var share = share()
    share.divide(among: ["a"])
    share.note(.counts, of: "a", cost: 5, at: 0)
    share.note(.estimate, of: "a", cost: 5, at: 0)
    share.divide(among: ["a"])
    #expect(share.next("a", at: 15, hasHead: true) == .head)
    #expect(share.next("a", at: 240, hasHead: true) == .estimate)
    // Half of 0.95 % of four minutes are 1.14 s, and a whole one took 5 s.
    #expect((share.estimateSize("a") * 1000).rounded() == 228)
    #expect(share.next("a", at: 1035, hasHead: true) == .estimate)
    #expect(share.next("a", at: 1065, hasHead: true) == .counts)
  }

  @Test func `what is interrupted for hours is counted soon after it answers`() {
    var share = share()
    share.note(.counts, of: "a", cost: 0.001, at: 0)
    share.note(interrupted: .counts, of: "a", after: 10, at: 15)
    var now = 15.0
    func read(_ seconds: Double, isAway: Bool) -> Double? {
      for _ in 0..<Int(seconds / 15) {
        now += 15
        share.divide(among: ["a"])
        switch (share.next("a", at: now, hasHead: false), isAway) {
        case (.counts, false): return now
        case (.counts, true): share.note(interrupted: .counts, of: "a", after: 10, at: now)
        case (.estimate, true): share.note(interrupted: .estimate, of: "a", after: 10, at: now)
        case (.estimate, false): share.note(.estimate, of: "a", cost: 0.001, at: now)
        default: break
        }
      }
      return nil
    }
    #expect(read(6 * 3600, isAway: true) == nil)
    let away = now
    // 10 s of 0.95 % are 1,053 s.
    let counted = read(2 * 3600, isAway: false)
    #expect(counted.map { $0 - away <= 1_080 } == true, "\(String(describing: counted)) after \(away)")
  }

  @Test func `what cannot be estimated is counted again after a burst`() {
    var share = share()
    share.note(.counts, of: "view", cost: 0.01, events: 1_000, at: 0)
    share.note(.counts, of: "view", cost: 0.3, events: 100_000, at: 15)
    var counted: [Double] = []
    for cycle in 2..<400 {
      let now = Double(cycle) * 15
      share.divide(among: ["view"])
      switch share.next("view", at: now, hasHead: false) {
      case .counts:
        share.note(.counts, of: "view", cost: 0.3, events: 100_000, at: now)
        counted.append(now)
      case .estimate: share.note(.estimate, of: "view", cost: 0.001, hasFailed: true, at: now)
      default: break
      }
    }
    #expect(counted.count > 50, "\(counted)")
  }

  @Test func `a failure that is cheap does not cost a dear queue what it has saved`() {
    var share = share()
    share.note(.counts, of: "a", cost: 2, at: 0)
    share.divide(among: ["a"])
    share.note(.counts, of: "a", cost: 0.005, hasFailed: true, at: 225)
    share.divide(among: ["a"])
    #expect(share.next("a", at: 240, hasHead: true) == .counts)
    #expect(share.intervals("a", hasHead: true).counts == .seconds(225))
  }

  @Test func `what is interrupted is put off once, and costs what it did before`() {
    var share = share()
    share.note(.counts, of: "a", cost: 0.1, at: 0)
    share.note(interrupted: .counts, of: "a", after: 4.65, at: 15)
    share.divide(among: ["a"])
    // 4.75 s of 0.95 %.
    #expect(share.next("a", at: 15 + 495, hasHead: true) == .estimate)
    #expect(share.next("a", at: 15 + 510, hasHead: true) == .counts)
    share.note(.counts, of: "a", cost: 0.1, at: 15 + 510)
    share.divide(among: ["a"])
    #expect(share.intervals("a", hasHead: true).counts == .seconds(15))
  }

  @Test func `with all of the time nothing is ever put off`() {
    var share = share(100)
    share.note(.counts, of: "a", cost: 1000, at: 0)
    share.divide(among: ["a"])
    #expect(share.next("a", at: 0.1, hasHead: true) == .counts)
  }

  @Test(arguments: 0..<10) func `the share is kept whatever the readings cost`(round: Int) {
    let seed = UInt64.random(in: .min ... .max)
    var chance = SeededChance(seed: seed)
    let interval = Double.random(in: 0.5...60, using: &chance)
    let percent = Double.random(in: 0.1...20, using: &chance)
    let names = (0..<Int.random(in: 1...12, using: &chance)).map { "q\($0)" }
    let costs = names.map { _ in Double.random(in: -4...0.7, using: &chance) }.map(Self.tenToThe)
    var share = DatabaseShare(SampleBudget(share: percent / 100, interval: .seconds(interval)))
    // Up to a third of the share goes to what is no reading.
    let aside = percent / 100 * interval * 7 * .random(in: 0...0.33, using: &chance)
    var (worked, first) = (0.0, 0.0)
    var counted: [String: Double] = [:]
    var begun: Set<String> = []
    let cycles = 2_000
    for cycle in 0..<cycles {
      let now = Double(cycle) * interval
      share.divide(among: names)
      if cycle % 7 == 3 {
        share.note(aside: aside)
        worked += aside
      }
      for (name, cost) in zip(names, costs) {
        let depth = share.next(name, at: now, hasHead: true)
        var spent: Double =
          switch depth {
          case .counts: cost * .random(in: 0.8...1.2, using: &chance)
          case .estimate: min(cost, 0.05) * share.estimateSize(name)
          case .head: 0.000_3
          case .clock: 0
          }
        // Some end before they are done: as many of the dear ones as of the cheap ones.
        let hasFailed = depth != .head && .random(in: 0..<10, using: &chance) == 0
        let isSudden = hasFailed && begun.contains(name) && Bool.random(using: &chance)
        if isSudden { spent *= .random(in: 0...1, using: &chance) }
        share.note(depth, of: name, cost: spent, hasFailed: hasFailed, at: now)
        // The first count is what tells the cost.
        if depth == .counts, begun.insert(name).inserted { first += spent } else { worked += spent }
        let rhythm = share.intervals(name, hasHead: true).counts.seconds
        #expect(rhythm <= max(240, interval) + 0.001, "seed \(seed)")
        if depth == .counts || depth == .estimate {
          if let last = counted[name] {
            #expect(now - last <= max(240, interval * 1.06) + 0.001, "seed \(seed): \(name) after \(now - last)")
          }
          counted[name] = now
        }
      }
      // What is saved in four minutes, the last of them dearer than expected, and what has been paid for since.
      let advance = percent / 100 * max(240, interval) + 5.01 * 1.2
      #expect(first <= advance + percent / 100 * now, "seed \(seed): \(first) after \(now)")
    }
    // Counts cost up to a fifth more than they are said to, and a run may end with one for which is not saved yet.
    let total = Double(cycles) * interval
    let limit = percent / 100 + (costs.max() ?? 0) * 0.2 / total
    #expect(worked / total <= limit, "seed \(seed): \(worked / total * 100) % of \(percent) %")
    // Half of the share pays for first counts.
    #expect(begun.count == names.count || first + 6 > percent / 100 * 0.475 * total, "seed \(seed)")
  }

  private static func tenToThe(_ power: Double) -> Double {
    // A hundredth of a power at a time: there is no libm here.
    (0..<Int(abs(power) * 100)).reduce(1.0) { value, _ in power < 0 ? value / 1.023293 : value * 1.023293 }
  }
}
