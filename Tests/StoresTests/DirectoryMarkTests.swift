import Outbox
import Testing

@testable import Stores

/// What is kept of a directory between two exporters, and of readings until they are taken.
@Suite struct DirectoryMarkTests {
  private func files(_ count: Int) -> [FileName: DirectoryMark.File] {
    Dictionary(
      uniqueKeysWithValues: (0..<count).map { number in
        (
          FileName("\(number).json"),
          DirectoryMark.File(isDead: number % 3 == 0, attempts: number % 5, destination: "channel \(number % 7)\n")
        )
      })
  }

  @Test func `a mark that is written is read as it was`() {
    for count in [0, 1, 100] {
      let mark = DirectoryMark(session: "s", number: 7, files: files(count))
      #expect(mark.files?.count == count)
      #expect(DirectoryMark(mark.text) == mark)
    }
  }

  @Test func `any destination survives`() {
    let parts = [" ", "\n", "\r", "\r\n", "\\", "n", "\0", "\u{301}", "é", "live", "dead 1", "🦜", "a"]
    var generator = SplitMix(state: 42)
    for _ in 0..<1_000 {
      let text = (1...4).map { _ in parts.randomElement(using: &generator)! }.joined()
      let destination = text.allSatisfy { $0 == " " } ? "x" : String(text.drop { $0 == " " })
      let file = DirectoryMark.File(isDead: false, attempts: 1, destination: destination)
      let mark = DirectoryMark(session: "s", number: 1, files: [FileName("a"): file, FileName("b"): file])
      #expect(DirectoryMark(mark.text) == mark, "\(text.debugDescription)")
    }
  }

  @Test func `a mark holds no name and is bounded, and its sum tells whether anything changed`() {
    let most = DirectoryMark.mostFiles
    #expect(!DirectoryMark(session: "s", number: 1, files: files(9)).text.contains("json"))
    let full = DirectoryMark(session: "s", number: 1, files: files(most))
    #expect(full.files?.count == most && full.text.utf8.count < 15 * most)
    var many = files(most + 1)
    let sum = DirectoryMark(session: "s", number: 1, files: many)
    #expect(sum.files == nil && sum.text.utf8.count < 100)
    #expect(DirectoryMark(sum.text) == sum)
    many[FileName("1.json")]?.attempts += 1
    #expect(DirectoryMark(session: "s", number: 1, files: many).sum != sum.sum)
  }

  @Test func `with a sum alone an unchanged directory goes on, and a changed one begins anew`() {
    var account = DirectoryAccount(objective: nil)
    let event = DirectoryEvent(name: "a", modified: Timestamp(nanoseconds: 0), content: .malformed)
    account.begin(live: [FileName("a.json"): event], dead: [FileName("b.json"): event])
    var mark = DirectoryMark(session: "s", number: 1, files: account.files)
    mark.files = nil
    #expect(account.movements(since: mark, marked: []) == Movements())
    account.leave(FileName("a.json"), .delivered, now: Timestamp(nanoseconds: 0))
    #expect(account.movements(since: mark, marked: []) == nil)
  }

  @Test func `names that look the same are two`() {
    #expect(FileName("\u{E9}") != FileName("e\u{301}"))
    #expect(Set([FileName("\u{E9}"), FileName("e\u{301}"), FileName("\u{E9}")]).count == 2)
    // FNV-1a, as its authors' test vectors have it.
    #expect(FileName("").stableHash == 0xcbf2_9ce4_8422_2325)
    #expect(FileName("foobar").stableHash == 0x8594_4171_f739_67e8)
  }

  @Test func `readings that were not taken are kept in bounds, and those after a taken one add up`() {
    var history = UncommittedMovements()
    let one = Movements(["a": .init(enqueued: 1)])
    for number in 1...100 { history.append(one, gaps: number == 50 ? ["gap"] : []) }
    #expect(history.since(0)?.movements == Movements(["a": .init(enqueued: 100)]))
    #expect(history.since(0)?.gaps == ["gap"])
    // Put together: nobody can go on from between.
    #expect(history.since(10) == nil)
    #expect(history.since(90)?.movements == Movements(["a": .init(enqueued: 10)]))
    #expect(history.since(90)?.gaps == [])
    #expect(history.since(0) == nil && history.since(89) == nil)
    #expect(history.since(100)?.movements == Movements())
    history.append(one, gaps: [])
    history.begin()
    #expect(history.since(101)?.movements == Movements())
    history.replace(one, gaps: ["gap"])
    #expect(history.last == 102 && history.since(101)?.movements == one)
  }

  @Test func `of a new event no more attempts are counted than its file was written again`() {
    let now = Timestamp(nanoseconds: 1_780_315_200_000_000_000)
    func event(_ attempts: Int) -> DirectoryEvent {
      DirectoryEvent(name: "a", modified: now, content: .fields(DirectoryEventFields(attempts: attempts)))
    }
    let name = FileName("a.json")
    for (attempts, writes, expected) in [(0, 0, 0), (2, 2, 2), (3, 0, 0), (3, 1, 1), (1, 3, 1)] {
      var account = DirectoryAccount(objective: nil)
      account.arrive(name, now: now)
      for _ in 0..<writes { account.write(name) }
      account.learn(name, event(attempts))
      #expect(account.takeMovements().total.dispositions[.retried, default: 0] == expected)
      account.learn(name, event(attempts + 2))
      #expect(account.takeMovements().total.dispositions[.retried] == 2)
      account.learn(name, event(0))
      account.learn(name, event(1))
      #expect(account.takeMovements().total.dispositions[.retried] == 1)
    }
  }
}
