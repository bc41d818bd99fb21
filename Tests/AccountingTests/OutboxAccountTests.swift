import Accounting
import Outbox
import TestSupport
import Testing

@Suite struct `An outbox's account` {
  private static let start = Timestamp(nanoseconds: 1_800_000_000_000_000_000)
  private static let bounds = DeliveryBounds(objective: .seconds(60))

  private func account() -> OutboxAccount {
    var account = OutboxAccount(mark: AccountingMark(.ledger, "1"), objectiveAge: .seconds(60))
    account.open("email", start: Self.start, overdue: 0)
    return account
  }

  private func delivered(_ seconds: Double...) -> Movements.Counts {
    var counts = Movements.Counts(dispositions: [.delivered: seconds.count])
    for duration in seconds { counts.durations.record(duration, Self.bounds) }
    return counts
  }

  @Test func `counts a delivery at the objective itself as on time`() {
    var account = account()
    account.record(["email": delivered(0.1, 60, 60.001, 4_000)])
    account.note(overdue: [:])
    #expect(account.destinations["email"]?.onTime == 2)
    #expect(account.destinations["email"]?.late == 2)
  }

  @Test func `counts an event as late when its deadline passes, and not again when it leaves`() {
    var account = account()
    account.note(overdue: ["email": 3])
    #expect(account.destinations["email"]?.late == 3)
    account.record(["email": delivered(70)])
    account.record(["email": .init(dispositions: [.dead: 1])])
    account.note(overdue: ["email": 1])
    #expect(account.destinations["email"]?.late == 3)
    #expect(account.destinations["email"]?.onTime == 0)
  }

  @Test func `leaves out what had missed its deadline before the counting began`() {
    var account = OutboxAccount(mark: AccountingMark(.ledger, "1"), objectiveAge: .seconds(60))
    account.open("email", start: Self.start, overdue: 5)
    account.record(["email": delivered(100, 200)])
    account.note(overdue: ["email": 3])
    #expect(account.destinations["email"]?.late == 0)
    account.note(overdue: ["email": 4])
    #expect(account.destinations["email"]?.late == 1)
  }

  @Test func `counts a dead event as late at once, a discarded one not at all`() {
    var account = account()
    account.record(["email": .init(dispositions: [.dead: 2, .discarded: 7])])
    account.note(overdue: [:])
    #expect(account.destinations["email"]?.late == 2)
  }

  @Test func `does not take back what was overdue and then discarded, requeued or gone unseen`() {
    var account = account()
    account.note(overdue: ["email": 3])
    account.record(["email": .init(dispositions: [.discarded: 1], discardedLate: 1)])
    account.note(overdue: ["email": 2])
    #expect(account.destinations["email"]?.late == 3)
    account.record(["email": .init(dispositions: [.unseen: 1])])
    account.note(overdue: ["email": 1])
    #expect(account.destinations["email"]?.late == 3)
    // The next one that misses its deadline is not hidden by the one that is gone.
    account.note(overdue: ["email": 2])
    #expect(account.destinations["email"]?.late == 4)
    account.record(["email": .init(dispositions: [.dead: 1])])
    account.note(overdue: ["email": 1])
    account.record(["email": .init(requeued: 1, requeuedLate: 1)])
    account.note(overdue: ["email": 2])
    #expect(account.destinations["email"]?.late == 4)
  }

  @Test func `has no lateness without an objective`() {
    var account = OutboxAccount(mark: AccountingMark(.ledger, "1"), objectiveAge: nil)
    account.open("email", start: Self.start, overdue: 0)
    var counts = Movements.Counts(dispositions: [.delivered: 1, .dead: 1])
    counts.durations.record(1_000, DeliveryBounds())
    account.record(["email": counts])
    account.note(overdue: [:])
    #expect(account.destinations["email"]?.late == 0 && account.destinations["email"]?.onTime == 0)
    #expect(account.destinations["email"]?.totals == counts)
  }

  /// Events with lives of their own, sampled now and then: every event that missed its deadline counts once, whatever
  /// became of it, and every other one that was delivered counts as on time.
  @Test func `agrees with the lives of events`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var chance = SeededGenerator(seed: seed)
    for _ in 0..<200 {
      var account = account()
      var waiting: [Int] = []
      var (onTime, late) = (0, 0)
      var wasLate: [Bool] = []
      for now in stride(from: 0, through: 3_000, by: 15) {
        var counts = Movements.Counts()
        for _ in 0..<Int.random(in: 0...3, using: &chance) {
          waiting.append(now - Int.random(in: 0..<15, using: &chance))
          counts.enqueued += 1
        }
        for index in waiting.indices.reversed() {
          let age = now - waiting[index]
          switch Int.random(in: 0..<20, using: &chance) {
          case 0, 1, 2:
            counts.dispositions[.delivered, default: 0] += 1
            counts.durations.record(Double(age), Self.bounds)
            if age > 60 { late += 1 } else { onTime += 1 }
          case 3:
            counts.dispositions[.dead, default: 0] += 1
            late += 1
          case 4:
            counts.dispositions[.discarded, default: 0] += 1
            if age > 60 {
              counts.discardedLate += 1
              late += 1
            }
          default: continue
          }
          waiting.remove(at: index)
        }
        account.record(["email": counts])
        let overdue = waiting.count { now - $0 > 60 }
        account.note(overdue: ["email": overdue])
        wasLate.append(account.destinations["email"]?.late == late + overdue)
      }
      #expect(!wasLate.contains(false), "seed \(seed)")
      #expect(account.destinations["email"]?.onTime == onTime, "seed \(seed)")
    }
  }
}

@Suite struct `Delivery bounds` {
  @Test(arguments: [nil, Duration.seconds(45), .seconds(60), .milliseconds(1_234)])
  func `rise, and keep every bound that is sent`(_ objective: Duration?) {
    let bounds = DeliveryBounds(objective: objective)
    #expect(zip(bounds.kept, bounds.kept.dropFirst()).allSatisfy { $0 < $1 })
    #expect(zip(bounds.exported, bounds.exported.dropFirst()).allSatisfy { $0 < $1 })
    #expect(Set(bounds.exported).isSubset(of: bounds.kept))
    if let objective {
      #expect(bounds.exported.contains(objective.seconds))
      #expect(bounds.objective.map { bounds.kept[$0] } == objective.seconds)
    }
  }

  @Test func `put a duration that equals a bound below it`() {
    let bounds = DeliveryBounds()
    for (index, bound) in bounds.kept.enumerated() {
      #expect(bounds.bucket(of: bound) == index)
      #expect(bounds.bucket(of: bound.nextUp) == index + 1)
    }
  }

  @Test func `hold the numbers that people write`() {
    #expect(Set([0.01, 0.25, 1, 2.5, 60, 300, 3_600, 86_400]).isSubset(of: DeliveryBounds().kept))
  }
}
