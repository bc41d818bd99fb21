import Assessment
import Outbox
import Testing

@Suite struct `Known dead letters` {
  private static let day = Timestamp(seconds: 1_800_057_600)

  private func known(_ dead: Int, of destination: String? = nil, days: Int = 0) -> Acknowledgement {
    Acknowledgement(
      dead: dead, destination: destination, reason: "ticket 4711", until: "2027-01-15",
      end: Self.day.advanced(by: .seconds(days * 86_400)))
  }

  private func account(
    _ dead: [(String, Int)], _ known: [Acknowledgement], after: Duration = .seconds(-1)
  ) -> DeadLetterAccount {
    let snapshot = Snapshot(
      storeTime: Self.day, dead: dead.map { .init(destination: $0, count: $1, oldest: nil) })
    return DeadLetterAccount(snapshot, known, at: Self.day.advanced(by: after))
  }

  @Test(arguments: [(0, 0, 0), (16, 0, 16), (17, 0, 17), (18, 1, 17), (117, 100, 17)])
  func `leave those beyond them`(dead: Int, unknown: Int, covered: Int) {
    let account = account([("a", dead / 2), ("b", dead - dead / 2)], [known(17)])
    #expect(account.unknown == unknown && account.covered == covered)
  }

  @Test func `of a destination cover that alone, and those of the outbox what is left`() {
    let dead = [("a", 10), ("b", 5)]
    #expect(account(dead, [known(3, of: "a")]).unknown == 12)
    #expect(account(dead, [known(30, of: "a")]).unknown == 5)
    #expect(account(dead, [known(30, of: "c")]).unknown == 15)
    #expect(account(dead, [known(3, of: "a"), known(4, of: "a")]).unknown == 8)
    let both = account(dead, [known(6), known(8, of: "a")])
    #expect(both.entries.map(\.covered) == [6, 8] && both.unknown == 1)
    let all = account(dead, [known(9), known(9, of: "a")])
    #expect(all.entries.map(\.covered) == [6, 9] && all.unknown == 0)
  }

  @Test func `count again once their last day is over`() {
    let dead = [("a", 20)]
    #expect(account(dead, [known(17)], after: .nanoseconds(-1)).unknown == 3)
    let expired = account(dead, [known(17), known(2, days: 1)], after: .zero)
    #expect(expired.unknown == 18 && expired.entries.map(\.isExpired) == [true, false])
    #expect(
      expired.entries.map(\.sentence) == [
        "the acknowledgement of 17 dead events has expired on 2027-01-15, they count again: ticket 4711",
        "2 dead events acknowledged until 2027-01-15: ticket 4711",
      ])
    #expect(
      account([("a", 1)], [known(4, of: "a")]).entries[0].sentence
        == "1 of 4 dead events of a acknowledged until 2027-01-15: ticket 4711")
  }

  @Test func `do not hide new ones from the limit`() {
    func judgement(dead: Int, known: [Acknowledgement], time: Duration = .seconds(-1)) -> Judgement {
      let outbox = WatchedOutbox(
        name: "o", layout: "l", system: .sqlite, limits: Limits(dead: .init(warning: 1, critical: 4)),
        acknowledgements: known)
      let snapshot = Snapshot(storeTime: Self.day, dead: [.init(destination: "a", count: dead, oldest: nil)])
      return Judgement(
        OutboxSample(
          outbox: outbox, startedAt: Self.day.advanced(by: time), duration: .zero, result: .success(snapshot)))
    }
    #expect(judgement(dead: 17, known: []).health == .critical)
    #expect(judgement(dead: 17, known: [known(17)]).health == .ok)
    let more = judgement(dead: 18, known: [known(17)])
    #expect(more.health == .warning)
    #expect(more.findings.map(\.sentence) == ["1 event is dead beyond 17 acknowledged, limit 1"])
    #expect(judgement(dead: 21, known: [known(17)]).health == .critical)
    let expired = judgement(dead: 17, known: [known(17)], time: .zero)
    #expect(expired.health == .critical && expired.findings.map(\.sentence) == ["17 events are dead, limit 4"])
  }
}
