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
    for knowsBeginnings in [true, false] {
      var late = LateInsertions(beginningAt: 0, .none)
      var told = 0
      for second in 1...400 {
        // Six rows are seen; the session is in its next transaction from then on.
        let open: [String: Int64?] = ["3/7": knowsBeginnings ? 1_500_000 : nil]
        told += late.count(
          counted: second == 300 ? 6 : 0, seen: second == 2 ? 6 : 0, at: Int64(second) * 1_000_000,
          after: Int64(second - 1) * 1_000_000, .some(transactions: (2..<300).contains(second) ? open : [:]))
        #expect(late.isHeldBack(at: Int64(second) * 1_000_000) == false)
      }
      #expect(told == 0 && late.balance == 0)
    }
  }

  @Test func `a transaction from before the beginning is said to hold back what is counted`() {
    var late = LateInsertions(beginningAt: 0, .some(transactions: ["3/7": nil]))
    var heldBack: [Int] = []
    for second in 1...400 {
      let time = Int64(second) * 1_000_000
      let told = late.count(
        counted: 1, seen: 0, at: time, after: time - 1_000_000,
        .some(transactions: second < 200 ? ["3/7": nil] : [:]))
      if late.isHeldBack(at: time) { heldBack.append(second) }
      #expect(told == (second > 200 ? 1 : 0), "\(second)")
    }
    #expect(heldBack == Array(91..<200))
  }

  @Test func `the mark keeps what may be late`() throws {
    var mark = CountingMark(identity: "here", time: 5, since: 5, starts: [5])
    mark.late = LateInsertions(beginningAt: 2, .some(transactions: ["3/7": nil, "4/1 b": 1]))
    _ = mark.late.count(counted: 1, seen: 3, at: 4, after: 2, .some(transactions: ["3/7": nil, "5/5": nil]))
    _ = mark.late.count(counted: 1, seen: 4, at: 5, after: 4, .some(transactions: ["3/7": nil, "5/5": nil]))
    #expect(mark.late.seen == [.init(time: 4, count: 3), .init(time: 5, count: 4)])
    #expect(mark.late.transactions == ["3/7": .min, "5/5": 2])
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
    var transaction: (name: String, began: Int64, end: Int64, inserts: Int)?
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
  private var transactions = 0
  private var isCounting = false
  private var lastLook: (time: Int64, counted: Int) = (0, 0)
  private let busyness: Double
  private let longOnes: Double
  private let leaving: Double
  private let interval: Int64
  private let knowsBeginnings: Bool
  private static let tick: Int64 = 100_000

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    sessions = Array(repeating: Session(), count: Int.random(in: 1...6, using: &random))
    busyness = [0.005, 0.05, 0.9].randomElement(using: &random)!
    longOnes = [0, 0.001, 0.02].randomElement(using: &random)!
    leaving = [0.1, 0.5, 1].randomElement(using: &random)!
    interval = [5, 10, 50, 150].randomElement(using: &random)! * Self.tick
    knowsBeginnings = Bool.random(using: &random)
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
      sessions[index].transaction = nil
      commit(transaction.inserts, of: index)
    } else if Double.random(in: 0..<1, using: &random) < busyness {
      let inserts = Int.random(in: 1...5, using: &random)
      if Double.random(in: 0..<1, using: &random) < longOnes {
        transactions += 1
        let length = Int64.random(in: 1...200, using: &random) * 1_000_000
        sessions[index].transaction = ("\(index)/\(transactions)", time, time + length, inserts)
      } else {
        commit(inserts, of: index)
      }
    } else if sessions[index].pending > 0, time - sessions[index].lastWork >= 10_000_000 {
      report(index)
    }
  }

  private mutating func commit(_ inserts: Int, of index: Int) {
    for _ in 0..<inserts {
      let leaves = Double.random(in: 0..<1, using: &random) < leaving
      fresh.append(leaves ? time + Int64.random(in: 0...2_000_000, using: &random) : .max)
    }
    sessions[index].pending += inserts
    sessions[index].lastWork = time
    if sessions[index].pendingSince == 0 { sessions[index].pendingSince = time }
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
    .some(
      transactions: sessions.reduce(into: [:]) { open, session in
        if let transaction = session.transaction {
          open[transaction.name] = .some(knowsBeginnings ? transaction.began : nil)
        }
      })
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
