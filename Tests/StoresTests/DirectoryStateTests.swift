import Layouts
import Outbox
import Stores
import SystemCalls
import TestSupport
import Testing

/// Which state each file is in, and what its times mean: every rule of the layout.
@Suite struct DirectoryStateTests {
  typealias Fixture = DirectoryFixture

  @Test func `every state is counted once, with its destination and whether it was tried`() throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event(enqueued: 10))
    try fixture.write("b.json", Fixture.event(channel: "slack", enqueued: 700, retries: 2, lastAttempt: 119))
    try fixture.write("c.json", Fixture.event(channel: "slack", enqueued: 800, retries: 2, lastAttempt: 120))
    try fixture.write(
      "d.json", Fixture.event(enqueued: 30, sendStarted: 20, recovery: "send_attempt_started"), writtenBefore: 20)
    try fixture.write("e.json", Fixture.event(enqueued: 30, recovery: "settling"))
    try fixture.write("f.json", "{")
    try fixture.write("failed/g.json", Fixture.event(channel: "slack", enqueued: 9_000, retries: 5, lastAttempt: 50))
    let snapshot = try fixture.sample()
    #expect(snapshot.storeTime == Fixture.clock())
    #expect(snapshot.inUse && snapshot.exact)
    #expect(
      snapshot.depthLines == [
        "default unknown first 1", "slack ready retry 1", "slack scheduled retry 1", "telegram ready first 1",
        "telegram claimed first 1", "telegram unknown first 1",
      ])
    let ages = snapshot.ages.map { "\($0.destination) \($0.retry) \($0.oldest.seconds)" }
    #expect(ages == ["slack true 800.0", "telegram false 30.0"])
    #expect(snapshot.stuck.isEmpty)
    #expect(snapshot.dead == [.init(destination: "slack", count: 1, oldest: .seconds(50))])
    #expect(snapshot.implausible == 0)
    #expect(snapshot.eventIDs == nil)
  }

  @Test(arguments: [(0, 5.0), (1, 25), (2, 120), (3, 600), (4, 600), (9, 600)])
  func `an event that was tried waits for its nominal back-off`(attempts: Int, wait: Double) throws {
    let fixture = try Fixture()
    try fixture.write("x.json", Fixture.event(enqueued: 9_000, retries: attempts, lastAttempt: wait - 0.001))
    #expect(try fixture.sample().depthLines == ["telegram scheduled retry 1"])
    try fixture.write("x.json", Fixture.event(enqueued: 9_000, retries: attempts, lastAttempt: wait), writtenBefore: 9)
    #expect(try fixture.sample().depthLines == ["telegram ready retry 1"])
  }

  @Test func `a back-off without a last attempt counts from the creation`() throws {
    let fixture = try Fixture()
    try fixture.write("x.json", Fixture.event(enqueued: 119, retries: 2))
    try fixture.write("y.json", Fixture.event(enqueued: 120, retries: 2))
    // The application takes a last attempt at 0 for none.
    try fixture.write("z.json", #"{"channel": "irc", "enqueuedAt": \#(Fixture.before(1)), "lastAttemptAt": 0}"#)
    let snapshot = try fixture.sample()
    #expect(
      snapshot.depthLines == ["irc ready first 1", "telegram ready retry 1", "telegram scheduled retry 1"])
    #expect(snapshot.implausible == 0)
  }

  @Test func `the session queue backs off one step less and names its channel in the route`() throws {
    let fixture = try Fixture()
    let route = #""route": {"channel": "signal", "to": "+49"}"#
    let context = #""deliveryContext": {"channel": "irc", "to": "x"}"#
    for (name, place) in [("a", route), ("b", context)] {
      try fixture.write(
        "\(name).json",
        #"{"enqueuedAt": \#(Fixture.before(90)), "retryCount": 1, "lastAttemptAt": \#(Fixture.before(5)), \#(place)}"#)
    }
    let snapshot = try fixture.makeReader(.openClawSessionFiles).sample(
      deadline: .now + .seconds(600), eventIDs: false)
    #expect(snapshot.depthLines == ["irc ready retry 1", "signal ready retry 1"])
  }

  @Test func `an event in flight is stuck once its lease is over, for its own reason`() throws {
    let fixture = try Fixture()
    let started = "send_attempt_started"
    let ambiguous = "unknown_after_send"
    try fixture.write("a.json", Fixture.event(enqueued: 600, sendStarted: 299, recovery: started), writtenBefore: 299)
    try fixture.write("b.json", Fixture.event(enqueued: 600, sendStarted: 310, recovery: started), writtenBefore: 310)
    try fixture.write("c.json", Fixture.event(enqueued: 900, sendStarted: 420, recovery: ambiguous), writtenBefore: 420)
    try fixture.write("d.json", Fixture.event(enqueued: 900, recovery: ambiguous), writtenBefore: 500)
    let snapshot = try fixture.sample()
    #expect(snapshot.depthLines == ["telegram claimed first 4"])
    #expect(snapshot.stuckLines == ["telegram lease_expired 1 10.0", "telegram unclaimable 2 200.0"])
    #expect(snapshot.ages.map(\.oldest) == [.seconds(900)])
  }

  @Test func `a second try that was just begun is not stuck by the times of the first`() throws {
    let fixture = try Fixture()
    let event = Fixture.event(
      enqueued: 9_000, retries: 1, lastAttempt: 4_000, sendStarted: 4_100, recovery: "send_attempt_started")
    try fixture.write("a.json", event, writtenBefore: 1)
    let snapshot = try fixture.sample()
    #expect(snapshot.depthLines == ["telegram claimed retry 1"])
    #expect(snapshot.stuck.isEmpty)
  }

  @Test func `an event out of attempts that nobody moved away is stuck once its back-off is over`() throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event(enqueued: 9_000, retries: 5, lastAttempt: 599))
    try fixture.write("b.json", Fixture.event(enqueued: 9_000, retries: 5, lastAttempt: 660))
    try fixture.write("c.json", Fixture.event(enqueued: 9_000, retries: 4, lastAttempt: 660))
    let snapshot = try fixture.sample()
    #expect(snapshot.stuckLines == ["telegram attempts_exhausted 1 60.0"])
    #expect(snapshot.depth(.scheduled) == 1 && snapshot.depth(.ready) == 2)
  }

  @Test(arguments: [
    "", "{", #"{"id": "x", "enqueuedAt": 17"#, "[]", "7", "null", "{} x", "{}\u{0}", "\u{FEFF}{}", "{'id': 1}",
  ])
  func `what is no JSON object is unknown, and has no age`(content: String) throws {
    let fixture = try Fixture()
    try fixture.write("x.json", content)
    let snapshot = try fixture.sample()
    #expect(snapshot.depthLines == ["default unknown first 1"])
    #expect(snapshot.ages.isEmpty && snapshot.implausible == 0)
  }

  @Test func `markers, half-written files and other names are no events`() throws {
    let fixture = try Fixture()
    for name in [
      "a.delivered", "b.json.4711.tmp", ".session-delivery-queue.1.tmp", "README", "c.json~", "failed/d.json.9.tmp",
    ] {
      try fixture.write(name, Fixture.event())
    }
    try FileSystem.makeDirectories("\(fixture.queue)/directory.json")
    let snapshot = try fixture.sample()
    #expect(snapshot == Snapshot(storeTime: Fixture.clock()))
  }

  @Test func `links and pipes are unknown and are not opened`() throws {
    let fixture = try Fixture()
    try fixture.directory.write(Fixture.event(), to: "elsewhere.json")
    _ = try run("ln", ["-s", "\(fixture.directory.path)/elsewhere.json", "\(fixture.queue)/a.json"])
    _ = try run("mkfifo", ["\(fixture.queue)/b.json"])
    #expect(try fixture.sample().depthLines == ["default unknown first 2"])
  }

  @Test func `a file above the limit is unknown, and the sample says that it is not exact`() throws {
    let fixture = try Fixture()
    let frame = #"{"enqueuedAt": \#(Fixture.before(60)), "payload": ""}"#
    let padding = String(repeating: "x", count: DirectoryReader.largestFile - frame.utf8.count)
    let event = frame.dropLast(2) + padding + "\"}"
    try fixture.write("a.json", String(event))
    var snapshot = try fixture.sample()
    #expect(snapshot.depthLines == ["default ready first 1"])
    #expect(snapshot.exact)
    try fixture.write("a.json", event + "\n")
    snapshot = try fixture.sample()
    #expect(snapshot.depthLines == ["default unknown first 1"])
    #expect(!snapshot.exact)
  }

  @Test func `a dead event dates from its last attempt, else from its file, else from its creation`() throws {
    let fixture = try Fixture()
    try fixture.write("failed/a.json", Fixture.event(channel: "a", retries: 5, lastAttempt: 50), writtenBefore: 10)
    // A permanent error on the first attempt: moved as it was, no lastError, no lastAttemptAt, retryCount 0.
    try fixture.write("failed/b.json", Fixture.event(channel: "b", enqueued: 900), writtenBefore: 800)
    // A file whose time was lost: unpacked or restored.
    try fixture.write("failed/c.json", Fixture.event(channel: "c", enqueued: 700), writtenBefore: Double(Fixture.noon))
    try fixture.write("failed/d.json", "{", writtenBefore: 30)
    let dead = try fixture.sample().dead
    #expect(
      dead == [
        .init(destination: "a", count: 1, oldest: .seconds(50)),
        .init(destination: "b", count: 1, oldest: .seconds(800)),
        .init(destination: "c", count: 1, oldest: .seconds(700)),
        .init(destination: "default", count: 1, oldest: .seconds(30)),
      ])
  }

  @Test func `no dead-letter directory means no dead letters`() throws {
    let fixture = try Fixture()
    _ = try run("rmdir", ["\(fixture.queue)/failed"])
    try fixture.write("a.json", Fixture.event())
    let snapshot = try fixture.sample()
    #expect(snapshot.dead.isEmpty && snapshot.depth == 1)
  }

  @Test func `older names of fields and ISO times are read`() throws {
    let fixture = try Fixture()
    let files = [
      // 90, 60 and 30.25 seconds before noon.
      #"{"createdAt": "2026-06-01T11:58:30Z", "attempt": 3, "channel": "a", "target": "t", "payload": {"text": "x"}}"#,
      #"{"createdAt": "2026-06-01T13:59:00+02:00", "channel": "b"}"#,
      #"{"enqueuedAt": "2026-06-01T11:59:29.750Z", "channel": "c"}"#,
      #"{"enqueuedAt": null, "createdAt": \#(Fixture.before(15)), "retryCount": "2", "channel": " d "}"#,
      #"{"createdAt": "now", "channel": "e"}"#,
      #"{"createdAt": "2461192.5", "channel": "f"}"#,
    ]
    for (index, file) in files.enumerated() { try fixture.write("\(index).json", file) }
    let snapshot = try fixture.sample()
    let ages = snapshot.ages.map { "\($0.destination) \($0.retry) \($0.oldest.seconds)" }
    #expect(ages == ["a true 90.0", "b false 60.0", "c false 30.25", "d false 15.0"])
    #expect(snapshot.depth(.scheduled) == 1 && snapshot.depth(.ready) == 5)
    #expect(snapshot.implausible == 2)
  }

  @Test func `impossible times are counted and never clipped`() throws {
    let fixture = try Fixture()
    let noon = Fixture.before(0)
    let impossible = [
      #"{"enqueuedAt": 0}"#, #"{"enqueuedAt": -5}"#, #"{"enqueuedAt": \#(noon / 1_000)}"#, #"{"id": "none"}"#,
      #"{"enqueuedAt": \#(noon + 1_001)}"#, #"{"enqueuedAt": 1e300}"#, #"{"enqueuedAt": 946684799999}"#,
      #"{"enqueuedAt": \#(noon), "retryCount": 9, "lastAttemptAt": \#(noon + 86_400_000)}"#,
    ]
    for (index, file) in impossible.enumerated() { try fixture.write("\(index).json", file) }
    try fixture.write("failed/a.json", #"{"enqueuedAt": \#(noon), "lastAttemptAt": 12}"#)
    try fixture.write("good.json", #"{"enqueuedAt": \#(Fixture.before(7)), "channel": "irc"}"#)
    try fixture.write("oldest.json", #"{"enqueuedAt": 946684800000, "channel": "old"}"#)
    let snapshot = try fixture.sample()
    #expect(snapshot.implausible == impossible.count + 1)
    #expect(snapshot.depth == impossible.count + 2)
    #expect(snapshot.ages.map(\.destination) == ["irc", "old"])
    #expect(snapshot.ages.first?.oldest == .seconds(7))
    #expect(snapshot.dead == [.init(destination: "default", count: 1, oldest: nil)])
  }

  @Test(arguments: [1, 2, 3, 99, 100, 101, 150])
  func `median and p99 are nearest ranks`(count: Int) throws {
    let fixture = try Fixture()
    for age in (1...count).shuffled() {
      try fixture.directory.write(Fixture.event(enqueued: Double(age)), to: "delivery-queue/\(age).json")
    }
    // The smallest age that at least so many of the events do not exceed, counted out.
    func rank(_ share: Double) -> Int { (1...count).first { Double($0) >= share * Double(count) - 1e-9 }! }
    let age = try fixture.sample().ages.first
    #expect(age?.oldest == .seconds(count))
    #expect(age?.median == .seconds(rank(0.5)))
    #expect(age?.p99 == .seconds(rank(0.99)))
  }

  @Test func `up to five events are named, and nothing personal leaves the files`() throws {
    let fixture = try Fixture()
    for age in 1...7 {
      try fixture.write("old-\(age).json", Fixture.event("old-\(age)", enqueued: Double(age)))
      try fixture.write("failed/dead-\(age).json", Fixture.event("dead-\(age)", lastAttempt: Double(age)))
    }
    try fixture.write("nameless.json", #"{"enqueuedAt": \#(Fixture.before(9)), "recoveryState": "unknown_after_send"}"#)
    let snapshot = try fixture.sample(eventIDs: true)
    #expect(snapshot.eventIDs?.oldest == ["nameless", "old-7", "old-6", "old-5", "old-4"])
    #expect(snapshot.eventIDs?.stuck == ["nameless"])
    #expect(snapshot.eventIDs?.newestDead == ["dead-1", "dead-2", "dead-3", "dead-4", "dead-5"])
    let everything = "\(snapshot)"
    for secret in ["+4915112345678", "account-of-somebody", "message itself", "agent:main", "chat not found", "inner"] {
      #expect(!everything.contains(secret))
    }
  }
}
