import TestSupport
import Testing

@testable import Stores

/// The count of insertions that a database reports late, against simulated sessions that report as PostgreSQL's do. A seed
/// stands in what is printed where something differs.
struct LateInsertionsTests {
  @Test(arguments: (0..<40).map { _ in UInt64.random(in: 0...UInt64.max) })
  func `what came and left unseen is counted once it is sure, and never before`(seed: UInt64) {
    var database = SimulatedInsertions(seed: seed)
    // Counting begins amid traffic, whoever is in a transaction then.
    database.work(seconds: 120)
    database.beginCounting()
    database.work(seconds: 600)
    #expect(database.invented == 0, "seed \(seed)")
    database.rest(seconds: 300)
    // From here on everything is known.
    database.forget()
    for _ in 0..<3 {
      database.work(seconds: 300)
      #expect(database.invented == 0, "seed \(seed)")
      database.rest(seconds: 300)
      #expect(database.told == database.cameAndLeft, "seed \(seed)")
    }
  }

  @Test(arguments: (0..<40).map { _ in UInt64.random(in: 0...UInt64.max) })
  func `events that come back hide others only until it is sure that nothing is late`(seed: UInt64) {
    var database = SimulatedInsertions(seed: seed)
    database.beginCounting()
    database.rest(seconds: 300)
    database.requeues = 0.02
    database.work(seconds: 300)
    #expect(database.invented == 0, "seed \(seed)")
    database.rest(seconds: 300)
    // As many as came back may be taken for what came and left.
    #expect(database.cameAndLeft - database.told <= database.cameBack, "seed \(seed)")
    database.requeues = 0
    database.forget()
    database.work(seconds: 300)
    database.rest(seconds: 300)
    #expect(database.told == database.cameAndLeft, "seed \(seed)")
  }

  @Test func `a session that writes and then stays in a transaction for minutes is waited for`() {
    var late = LateInsertions(beginningAt: 0, .none)
    var told = 0
    for second in 1...400 {
      // Six rows are seen; the session is in its next transaction from then on.
      told += late.count(
        counted: second == 300 ? 6 : 0, seen: second == 2 ? 6 : 0, at: Int64(second) * 1_000_000,
        after: Int64(second - 1) * 1_000_000, .some(busy: (2..<300).contains(second) ? ["7"] : []))
      #expect(late.isHeldBack(at: Int64(second) * 1_000_000) == false)
    }
    #expect(told == 0 && late.balance == 0)
  }

  @Test func `a transaction from before the beginning is said to hold back what is counted`() {
    var late = LateInsertions(beginningAt: 0, .some(busy: ["7"]))
    var heldBack: [Int] = []
    for second in 1...400 {
      let time = Int64(second) * 1_000_000
      let told = late.count(
        counted: 1, seen: 0, at: time, after: time - 1_000_000,
        .some(busy: second < 200 ? ["7"] : []))
      if late.isHeldBack(at: time) { heldBack.append(second) }
      #expect(told == (second > 200 ? 1 : 0), "\(second)")
    }
    #expect(heldBack == Array(91..<200))
  }

  @Test func `the mark keeps what may be late`() throws {
    var mark = CountingMark(identity: "here", time: 5, since: 5, starts: [5])
    mark.late = LateInsertions(beginningAt: 2, .some(busy: ["7", "4"]))
    _ = mark.late.count(counted: 1, seen: 3, at: 4, after: 2, .some(busy: ["7", "5"]))
    _ = mark.late.count(counted: 1, seen: 4, at: 5, after: 4, .some(busy: ["7", "5"]))
    #expect(mark.late.seen == [.init(time: 4, count: 3), .init(time: 5, count: 4)])
    #expect(mark.late.busy == ["7": .min, "5": 2])
    #expect(mark.late.doubtfulSince == 2 && mark.late.balance == -7)
    #expect(CountingMark(text: mark.text) == mark)
  }
}

/// Sessions that insert and delete events, a database that counts insertions as late as they say, and looks at both.
private struct SimulatedInsertions {
  private struct Session {
    var pending = 0
    var pendingSince: Int64 = 0
    var lastReport: Int64 = 0
    var lastWork: Int64 = 0
    var transaction: (end: Int64, inserts: Int)?
    /// Its next transactions begin in the same message as this one ends.
    var isRestless = false
  }

  private(set) var late = LateInsertions()
  /// What was told to have come and left, and what did.
  private(set) var told = 0
  private(set) var cameAndLeft = 0
  /// How many more were told than had come and left, at any look.
  private(set) var invented = 0
  private(set) var cameBack = 0
  /// How often an event comes back, for each tick.
  var requeues = 0.0

  private var random: SeededGenerator
  private var sessions: [Session]
  private var time: Int64 = 1_000_000_000_000
  private var counted = 0
  /// Events that no look has seen, by when they leave.
  private var fresh: [Int64] = []
  private var back = 0
  private var isCounting = false
  private var lastLook: (time: Int64, counted: Int) = (0, 0)
  private let busyness: Double
  private let longOnes: Double
  private let leaving: Double
  private let interval: Int64
  private static let tick: Int64 = 100_000

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    sessions = Array(repeating: Session(), count: Int.random(in: 1...6, using: &random))
    busyness = [0.005, 0.05, 0.9].randomElement(using: &random)!
    longOnes = [0, 0.001, 0.02].randomElement(using: &random)!
    leaving = [0.1, 0.5, 1].randomElement(using: &random)!
    interval = [5, 10, 50, 150].randomElement(using: &random)! * Self.tick
    for index in sessions.indices { sessions[index].isRestless = Int.random(in: 0..<8, using: &random) == 0 }
  }

  mutating func beginCounting() {
    late = LateInsertions(beginningAt: time, writers)
    lastLook = (time, counted)
    // What is there already did not arrive.
    fresh = []
    isCounting = true
  }

  /// Counts from nothing from now on.
  mutating func forget() { (told, cameAndLeft, cameBack) = (0, 0, 0) }

  mutating func work(seconds: Int64) { run(seconds, busyness) }

  mutating func rest(seconds: Int64) { run(seconds, 0) }

  private mutating func run(_ seconds: Int64, _ busyness: Double) {
    let end = time + seconds * 1_000_000
    while time < end {
      time += Self.tick
      for index in sessions.indices { step(index, busyness) }
      if busyness > 0, Double.random(in: 0..<1, using: &random) < requeues { back += 1 }
      if isCounting, time % interval == 0 { look() }
    }
  }

  private mutating func step(_ index: Int, _ busyness: Double) {
    if let transaction = sessions[index].transaction {
      guard transaction.end <= time else { return }
      let goesOn = sessions[index].isRestless && busyness > 0
      sessions[index].transaction = goesOn ? (time + 3 * Self.tick, Int.random(in: 0...2, using: &random)) : nil
      commit(transaction.inserts, of: index, isOver: !goesOn)
    } else if Double.random(in: 0..<1, using: &random) < busyness {
      let inserts = Int.random(in: 1...5, using: &random)
      if Double.random(in: 0..<1, using: &random) < longOnes {
        let length = Int64.random(in: 1...200, using: &random) * 1_000_000
        sessions[index].transaction = (time + length, inserts)
      } else {
        commit(inserts, of: index)
      }
    } else if sessions[index].pending > 0, time - sessions[index].lastWork >= 10_000_000 {
      report(index)
    }
  }

  private mutating func commit(_ inserts: Int, of index: Int, isOver: Bool = true) {
    for _ in 0..<inserts {
      let leaves = Double.random(in: 0..<1, using: &random) < leaving
      fresh.append(leaves ? time + Int64.random(in: 0...2_000_000, using: &random) : .max)
    }
    sessions[index].pending += inserts
    sessions[index].lastWork = time
    if sessions[index].pendingSince == 0 { sessions[index].pendingSince = time }
    guard isOver else { return }
    let isForced = time - sessions[index].pendingSince > 60_000_000
    // Another one may be reporting of the same table.
    if isForced || time - sessions[index].lastReport >= 1_000_000 && Double.random(in: 0..<1, using: &random) < 0.9 {
      report(index)
    }
  }

  private mutating func report(_ index: Int) {
    counted += sessions[index].pending
    sessions[index].pending = 0
    sessions[index].pendingSince = 0
    sessions[index].lastReport = time
  }

  private var writers: LateInsertions.Writers {
    .some(busy: Set(sessions.indices.filter { sessions[$0].transaction != nil }.map(String.init)))
  }

  private mutating func look() {
    let arrivals = fresh.count { $0 > time }
    cameAndLeft += fresh.count - arrivals
    fresh = []
    told += late.count(
      counted: counted - lastLook.counted, seen: arrivals + back, at: time, after: lastLook.time, writers)
    cameBack += back
    back = 0
    lastLook = (time, counted)
    invented = max(invented, told - cameAndLeft)
  }
}
