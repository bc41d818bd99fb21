import Accounting
import Outbox
import StateDirectory
import TestSupport
import Testing

/// What `report` says of a state directory, against sums that the test makes of the movements themselves.
@Suite struct `The report of a state directory` {
  /// One movement of the past.
  private struct Moved {
    var time: Timestamp
    var outbox: String
    var destination: String
    var enqueued: Int
    var delivered: [Double]
    var retried: Int
    var dead: Int
  }

  private static let methods: [String: AccountingMethod] = [
    "bulk": .statistics, "mail/eu": .history, "orders": .ledger,
  ]
  private static let day = 86_400.0

  private let command: ExporterCommand
  private let now = Timestamp(seconds: wallSeconds())
  private let all: [Moved]
  private let seed = UInt64.random(in: 0...99_999)

  /// Movements of 430 days, kept one after the other as they came.
  init() throws {
    command = try ExporterCommand()
    try command.home.write("", to: "state/made")
    var random = SeededGenerator(seed: seed)
    let now = now
    let ages =
      (0..<200).map { _ in Double.random(in: 0..<2 * Self.day, using: &random) }
      + (0..<200).map { _ in Double.random(in: 0..<40 * Self.day, using: &random) }
      + (0..<200).map { _ in Double.random(in: 0..<430 * Self.day, using: &random) }
    all = ages.sorted(by: >).map { age in
      let outbox = Self.methods.keys.sorted().randomElement(using: &random) ?? ""
      let seesDeliveries = Self.methods[outbox] != .statistics
      return Moved(
        time: now.advanced(by: .seconds(-age)), outbox: outbox,
        destination: ["email", "sms", "push", "fax"].randomElement(using: &random) ?? "",
        enqueued: Int.random(in: 0...900, using: &random),
        delivered: (0..<(seesDeliveries ? Int.random(in: 0...9, using: &random) : 0)).map { _ in
          Double.random(in: 0.004...0.9, using: &random) * [1, 10, 1_000].randomElement(using: &random)!
        },
        retried: seesDeliveries ? Int.random(in: 0...3, using: &random) : 0, dead: Int.random(in: 0...1, using: &random)
      )
    }
    let accounts = Self.methods.mapValues { OutboxAccount(mark: AccountingMark($0, "1"), objectiveAge: nil) }
    let (file, _) = try AccountFile.open(AccountKeeper.path(in: command.path("state")), now: now)
    for moved in all {
      var counts = Movements.Counts(
        enqueued: moved.enqueued,
        dispositions: [.delivered: moved.delivered.count, .retried: moved.retried, .dead: moved.dead])
      for seconds in moved.delivered { counts.durations.record(seconds, DeliveryBounds()) }
      try file.save(accounts, movements: [moved.outbox: [moved.destination: counts]], restarts: [:], at: moved.time)
    }
    try file.save(accounts, movements: [:], restarts: [:], at: now)
  }

  @Test func `equals what moved, by outbox and by destination, rolled up and pruned`() throws {
    for (since, days) in [("3h", 0.125), ("7d", 7), ("90d", 90), ("500d", 500)] { try expect(since, days) }
  }

  private func expect(_ since: String, _ days: Double) throws {
    let outcome = try command.run(
      ["report", "--state-dir", command.path("state"), "--since", since, "--by", "destination", "--format", "json"])
    #expect(outcome.code == 0, "\(outcome.error)")
    let report = try ParsedJSON(outcome.output)
    let begin = try #require(report["since"]?.text.flatMap(seconds))
    let asked = now.seconds - days * Self.day
    // On a busy machine the rows take a while to be written.
    let latest = wallSeconds() - days * Self.day
    // Five minutes for two days, an hour for five weeks, then a day.
    let width = days < 2 ? 300.0 : days < 35 ? 3_600 : Self.day
    #expect(begin <= latest && begin > asked - width, "seed \(seed)")
    // A day that is cut by the four hundredth goes with it, or stays.
    let kept = all.filter { $0.time.seconds >= begin && $0.time.seconds > now.seconds - 401 * Self.day }
    let mayBeGone = kept.filter { $0.time.seconds < now.seconds - 400 * Self.day }
    for (outbox, method) in Self.methods {
      let found = try #require(report["outboxes"]?.elements.first { $0["outbox"]?.text == outbox })
      #expect(found["accounting"]?.text == method.rawValue)
      expect(found, kept.filter { $0.outbox == outbox }, mayBeGone.filter { $0.outbox == outbox }, method)
      for entry in found["destinations"]?.elements ?? [] {
        func isThere(_ moved: Moved) -> Bool {
          moved.outbox == outbox && moved.destination == entry["destination"]?.text
        }
        expect(entry, kept.filter(isThere), mayBeGone.filter(isThere), method)
      }
    }
    guard mayBeGone.isEmpty else { return }
    let failures = Dictionary(grouping: kept) { "\($0.outbox) \($0.destination)" }
      .mapValues { $0.reduce(0) { $0 + $1.retried + $1.dead } }.filter { $0.value > 0 }
    let worst = failures.sorted { (-$0.value, $0.key) < (-$1.value, $1.key) }.prefix(5).map { "\($0.key) \($0.value)" }
    let named = (report["most_failures"]?.elements ?? []).map {
      "\($0["outbox"]?.text ?? "") \($0["destination"]?.text ?? "") \($0["failures"]?.text ?? "")"
    }
    #expect(named == worst, "seed \(seed)")
    try expectTable(since, kept)
  }

  /// Compares an outbox, or one of its destinations.
  private func expect(_ found: ParsedJSON, _ kept: [Moved], _ mayBeGone: [Moved], _ method: AccountingMethod) {
    func check(_ name: String, _ count: (Moved) -> Int) {
      let most = kept.reduce(0) { $0 + count($1) }
      let number = found[name]?.text.flatMap { Int($0) } ?? -1
      #expect((most - mayBeGone.reduce(0) { $0 + count($1) }...most).contains(number), "\(name), seed \(seed)")
    }
    check("enqueued") { $0.enqueued }
    check("dead") { $0.dead }
    let times = found["delivery_seconds"]
    guard method != .statistics else {
      for value in [found["delivered"], found["retried"], found["failure_ratio"], times?["median"]] {
        #expect(value == .null)
      }
      return
    }
    check("delivered") { $0.delivered.count }
    check("retried") { $0.retried }
    guard mayBeGone.isEmpty else { return }
    let durations = kept.flatMap(\.delivered).sorted()
    let failures = kept.reduce(0) { $0 + $1.retried + $1.dead }
    let ratio = found["failure_ratio"]?.text.flatMap { Double($0) }
    if failures + durations.count == 0 {
      #expect(ratio == nil)
    } else {
      #expect(abs((ratio ?? -1) - Double(failures) / Double(failures + durations.count)) < 1e-6, "seed \(seed)")
    }
    guard !durations.isEmpty else { return }
    for (name, share) in [("median", 0.5), ("p99", 0.99)] {
      let exact = durations[max(0, Int((share * Double(durations.count)).rounded(.up)) - 1)]
      let told = times?[name]?.text.flatMap { Double($0) } ?? -1
      #expect(abs(told - exact) <= exact / 8 + 0.001, "\(name): \(told) of \(exact), seed \(seed)")
    }
  }

  /// The table for people has the same figures.
  private func expectTable(_ since: String, _ kept: [Moved]) throws {
    let text = try command.run(["report", "--state-dir", command.path("state"), "--since", since]).output
    for outbox in Self.methods.keys where Self.methods[outbox] != .statistics {
      let own = kept.filter { $0.outbox == outbox }
      let line = text.split(separator: "\n").first { $0.hasPrefix(outbox + " ") } ?? ""
      let words = line.split(separator: " ").map { $0.replacing(",", with: "") }
      let delivered = own.reduce(0) { $0 + $1.delivered.count }
      let failures = own.reduce(0) { $0 + $1.retried + $1.dead }
      let sums = [own.reduce(0) { $0 + $1.enqueued }, delivered, own.reduce(0) { $0 + $1.retried }, failures]
      #expect(words.count > 5 && words[1..<4].compactMap { Int($0) } == Array(sums[0..<3]), "\(text)")
      guard words.count > 5, delivered + failures > 0 else { continue }
      #expect(Int(words[4]) == failures - sums[2], "\(text)")
      let share = Double(words[5]) ?? -1
      #expect(abs(share - 100 * Double(failures) / Double(delivered + failures)) <= 0.051, "\(text)")
    }
  }

  /// Unix seconds of `2027-01-08T12:00:00Z`.
  private func seconds(_ text: String) -> Double? {
    let numbers = text.split { !$0.isNumber }.compactMap { Int($0) }
    guard numbers.count >= 6 else { return nil }
    // Days since 1970, of years that begin in March.
    let (year, month) = (numbers[1] > 2 ? numbers[0] : numbers[0] - 1, (numbers[1] + 9) % 12)
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + numbers[2] - 1 - 719_468
    return Double(days * 86_400 + numbers[3] * 3_600 + numbers[4] * 60 + numbers[5])
  }
}
