import Accounting
import Outbox
import Reports
import TestSupport
import Testing

@Suite struct `The report of movements` {
  private static let noon = Timestamp(nanoseconds: 1_800_014_400_000_000_000)

  private static func entry(
    _ outbox: String, _ destination: String, _ method: AccountingMethod = .ledger, enqueued: Int,
    _ dispositions: [Disposition: Int], durations: [Double: Int] = [:]
  ) -> MovementHistory.Entry {
    .init(
      outbox: outbox, destination: destination,
      summary: MovementSummary(
        method: method, counts: .init(enqueued: enqueued, dispositions: dispositions), durations: durations))
  }

  private static func history(_ entries: [MovementHistory.Entry], restarts: [MovementHistory.Restart] = [])
    -> MovementHistory
  {
    MovementHistory(
      since: noon.advanced(by: .seconds(-7 * 86_400)), until: noon, entries: entries, restarts: restarts,
      methods: Dictionary(entries.map { ($0.outbox, $0.summary.method) }) { $1 })
  }

  private static let busy = history(
    [
      entry(
        "mail", "default", .statistics, enqueued: 4_321, [.unseen: 4_300, .dead: 2]),
      entry(
        "orders", "email", enqueued: 1_204, [.delivered: 1_180, .retried: 31, .dead: 4, .discarded: 3],
        durations: [0.5: 600, 1: 400, 60: 180]),
      entry("orders", "sms", enqueued: 10, [.delivered: 2, .retried: 7, .dead: 1], durations: [1: 2]),
      entry("orders", "push", enqueued: 1, [.delivered: 1], durations: [1: 1]),
    ],
    restarts: [
      .init(outbox: "orders", time: noon.advanced(by: .seconds(-7_200)), reason: "counting began"),
      .init(outbox: "mail", time: noon.advanced(by: .seconds(-3_600)), reason: "its statistics were reset"),
    ])

  @Test func `has a line for each outbox, and names the worst destinations`() {
    #expect(
      MovementReport(Self.busy, byDestination: false).text == """
        From 2027-01-08 12:00 UTC to 2027-01-15 12:00 UTC

        outbox  enqueued  delivered  retried  dead  failed  median  p99
        mail       4,321          –        –     2       –       –    –
        orders     1,215      1,183       38     5   3.5 %   499ms  59s

        mail: counted by statistics; also 4,300 left unseen
        orders: counted by ledger; also 3 discarded
        –: the method cannot see it; README, "Accounting" says what each one sees.
        statistics: upper figures, of work that was rolled back too; README says where they are lower ones.

        Most failures:
          orders  email  35 failed, 2.9 % of its attempts, 4 dead
          orders  sms  8 failed, 80.0 % of its attempts, 1 dead
          mail  default  2 failed, 2 dead

        orders: counting began at 2027-01-15 10:00 UTC; what moved before is not known

        Counted anew, or with a gap, at these moments; what moved around them may be missing:
          2027-01-15 11:00 UTC  mail: its statistics were reset

        """)
  }

  @Test func `has a line for each destination, most failures first`() {
    let lines = MovementReport(Self.busy, byDestination: true).text.split(separator: "\n")
    #expect(lines[1].hasPrefix("outbox  destination  enqueued"))
    #expect(lines[2...5].map { $0.split(separator: " ")[1] } == ["email", "sms", "default", "push"])
    #expect(!lines.contains("Most failures:"))
  }

  @Test func `says of how many deliveries the times are known`() throws {
    let report = MovementReport(
      Self.history([
        Self.entry("files", "default", .watch, enqueued: 310, [.delivered: 310], durations: [0.001: 12, 0.5: 8]),
        Self.entry("mail", "default", enqueued: 2, [.delivered: 2, .released: 1]),
        Self.entry("orders", "default", enqueued: 2, [.delivered: 2], durations: [1: 2]),
      ]), byDestination: false)
    #expect(report.text.contains("\nfiles: counted by watch; times known of 20 of 310 deliveries\n"))
    #expect(report.text.contains("\nmail: counted by ledger; also 1 released; times known of none of 2 deliveries\n"))
    #expect(report.text.contains("\norders: counted by ledger\n"))
    let outboxes = try #require(try ParsedJSON(report.json.text)["outboxes"]).elements
    #expect(outboxes.map { $0["delivery_seconds"]?["measured"] } == [.number("20"), .number("0"), .number("2")])
  }

  @Test func `names the method in the table where an outbox was counted by several`() {
    let history = Self.history([
      Self.entry("mail", "default", .statistics, enqueued: 7, [.unseen: 3]),
      Self.entry("orders", "email", .statistics, enqueued: 5, [.unseen: 1]),
      Self.entry("orders", "email", enqueued: 4, [.delivered: 2], durations: [1: 2]),
    ])
    for byDestination in [false, true] {
      let lines = MovementReport(history, byDestination: byDestination).text.split(separator: "\n")
      #expect(lines[1].contains("counted by  enqueued"))
      let methods = lines[2...4].map { $0.split(separator: " ").prefix(byDestination ? 3 : 2).joined(separator: " ") }
      #expect(
        methods
          == (byDestination
            ? ["mail default statistics", "orders email statistics", "orders email ledger"]
            : ["mail statistics", "orders statistics", "orders ledger"]))
    }
    #expect(!MovementReport(Self.busy, byDestination: false).text.contains("counted by  "))
  }

  @Test func `says so where nothing was counted, or nothing moved`() {
    var history = Self.history([])
    #expect(MovementReport(history, byDestination: false).text.contains("Nothing has been counted yet"))
    history.methods = ["orders": .ledger]
    #expect(MovementReport(history, byDestination: true).text.contains("Nothing has moved."))
    #expect(MovementReport(history, byDestination: false).text.contains("orders         0          0"))
  }

  @Test func `is JSON with null for what cannot be seen`() throws {
    let json = try ParsedJSON(MovementReport(Self.busy, byDestination: true).json.text)
    let mail = try #require(json["outboxes"]?.elements.first)
    #expect(mail["accounting"] == .string("statistics"))
    #expect(mail["delivered"] == .null && mail["failure_ratio"] == .null && mail["requeued"] == .null)
    #expect(mail["unseen"] == .number("4300"))
    #expect(mail["delivery_seconds"]?["measured"] == .null)
    let orders = try #require(json["outboxes"]?.elements.last)
    #expect(orders["delivered"] == .number("1183"))
    #expect(orders["released"] == .number("0"))
    #expect(orders["destinations"]?.elements[1]["destination"] == .string("sms"))
    #expect(json["most_failures"]?.elements[1]["failure_ratio"] == .number("0.8"))
    #expect(json["restarts"]?.elements[1]["reason"] == .string("its statistics were reset"))
  }

  /// Durations drawn at random, counted by the bounds, and asked for by their rank among the true ones.
  @Test func `finds a quantile within a tenth`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var chance = SeededGenerator(seed: seed)
    let bounds = DeliveryBounds()
    for _ in 0..<200 {
      var durations: [Double: Int] = [:]
      var all: [Double] = []
      let spread = Double.random(in: 1...12, using: &chance)
      for _ in 0..<Int.random(in: 1...400, using: &chance) {
        var seconds = 0.002
        for _ in 0..<Int.random(in: 0...12, using: &chance) { seconds *= Double.random(in: 1...spread, using: &chance) }
        seconds = min(seconds, 9e6)
        all.append(seconds)
        durations[bounds.kept[bounds.bucket(of: seconds)], default: 0] += 1
      }
      let summary = MovementSummary(method: .ledger, counts: .init(), durations: durations)
      for share in [0.5, 0.99] {
        let rank = Int((share * Double(all.count)).rounded(.up))
        let truth = all.sorted()[rank - 1]
        let found = summary.duration(ofShare: share)?.seconds ?? 0
        #expect(abs(found - truth) <= truth * 0.0906, "seed \(seed): \(found) instead of \(truth)")
      }
    }
  }
}
