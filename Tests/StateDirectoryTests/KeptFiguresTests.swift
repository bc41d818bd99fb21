import Outbox
import StateDirectory
import Testing

@Suite struct `Kept figures` {
  private let time = Timestamp(nanoseconds: 1_800_000_000_123_456_789)

  @Test func `are those that the trend needs, whatever a destination is called`() {
    var snapshot = Snapshot(storeTime: time, implausible: 3)
    for (index, name) in ["default", "", " two  words ", "a\nb\\n\r\nc", "\\", "ünï\u{301}", "\u{0}"].enumerated() {
      for state in EventState.waiting {
        snapshot.depths.append(.init(destination: name, state: state, retry: index % 2 == 0, count: index))
      }
      snapshot.ages.append(
        .init(
          destination: name, retry: true, oldest: .nanoseconds(index), median: index > 2 ? .seconds(7) : nil,
          p99: index > 3 ? .seconds(-1) : nil))
      for reason in StuckReason.allCases {
        snapshot.stuck.append(.init(destination: name, reason: reason, count: 9, oldest: .milliseconds(1)))
      }
    }
    #expect(KeptFigures.snapshot(KeptFigures.text(snapshot)) == snapshot)
  }

  @Test func `name no event, and nothing that is only shown`() {
    var snapshot = Snapshot(storeTime: time)
    snapshot.eventIDs = .init(oldest: ["secret-id"])
    snapshot.dead = [.init(destination: "secret-dead", count: 1, oldest: nil)]
    snapshot.missingPath = "/secret-path"
    #expect(KeptFigures.text(snapshot) == "t 1800000000123456789 0\n")
  }

  @Test(arguments: [
    "", "d ready 0 1 a\n", "t 1\n", "t x 0\n", "t 1 0\nd ready 0 a\n", "t 1 0\nd gone 0 1 a\n",
    "t 1 0\nd ready 0 x a\n",
    "t 1 0\na 0 1 - \n", "t 1 0\na 0 x - - a\n", "t 1 0\ns bored 1 1 a\n", "t 1 0\nz\n",
    "t 1 0\nd ready 0 99999999999999999999 a\n",
  ])
  func `that are damaged are none`(text: String) {
    #expect(KeptFigures.snapshot(text) == nil)
  }
}
