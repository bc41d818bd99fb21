import Layouts
import Outbox
import Stores
import SystemCalls
import TestSupport
import Testing

/// What each operation on a queue directory is counted as.
@Suite(.serialized) struct DirectoryWatchTests {
  private static func descriptors() throws -> Int {
    let found = try run("sh", ["-c", "ls -l /proc/\(ThisProcess.id)/fd | grep -c anon_inode:inotify"])
    return Int(found.output.filter(\.isNumber)) ?? 0
  }

  @Test func `nothing is watched where nobody asks, and not any more once nobody asks again`() async throws {
    let fixture = try WatchFixture()
    let before = try Self.descriptors()
    var sample = try #require(await fixture.store.sample(SampleRequest()).first)
    #expect(sample.accounting == nil && sample.snapshot != nil)
    #expect(try Self.descriptors() == before)
    try await fixture.begin()
    #expect(try Self.descriptors() == before + 1)
    sample = try #require(await fixture.store.sample(SampleRequest()).first)
    #expect(sample.accounting == nil)
    #expect(try await happens { try Self.descriptors() == before })
    try await fixture.begin()
    await fixture.store.close()
    #expect(try await happens { try Self.descriptors() == before })
  }

  @Test func `a store that is dropped leaves no thread and no descriptor behind`() async throws {
    let before = try Self.descriptors()
    do {
      let fixture = try WatchFixture()
      try await fixture.begin()
      #expect(try Self.descriptors() == before + 1)
    }
    #expect(try await happens { try Self.descriptors() == before })
  }

  @Test func `counting begins with the first reading, whatever is there`() async throws {
    let fixture = try WatchFixture()
    try fixture.write("a", fixture.event())
    try fixture.write("b", fixture.event(), to: "failed/")
    let first = try await fixture.sample()
    #expect(first.accounting?.movements == nil)
    #expect(first.accounting?.mark.method == .watch)
    #expect(first.accounting?.restart == nil && first.accounting?.notice == nil)
    #expect(first.snapshot?.depth == 1 && first.snapshot?.deadCount == 1)
    #expect(try await fixture.lines() == [])
  }

  @Test func `every way of coming and going is told from the others`() async throws {
    let fixture = try WatchFixture()
    try await fixture.begin()
    try fixture.write("a", fixture.event())
    #expect(try await fixture.lines() == ["telegram enqueued 1"])
    try fixture.write("a", fixture.event(retries: 1))
    #expect(try await fixture.lines() == ["telegram retried 1"])
    // Two attempts of which only the second could be read are two.
    try fixture.write("a", fixture.event(retries: 3))
    #expect(try await fixture.lines() == ["telegram retried 2"])
    // Written again without an attempt: a hand-over was noted.
    try fixture.write("a", fixture.event(retries: 3) + "\n")
    #expect(try await fixture.lines() == [])
    try fixture.move("a.json", "failed/a.json")
    #expect(try await fixture.lines() == ["telegram dead 1"])
    try fixture.move("failed/a.json", "a.json")
    #expect(try await fixture.lines() == ["telegram requeued 1"])
    try fixture.write("a", fixture.event(retries: 0))
    try fixture.write("a", fixture.event(retries: 1))
    try fixture.deliver("a")
    let delivered = try #require(try await fixture.sample().accounting?.movements)
    #expect(delivered.total.dispositions[.delivered] == 1 && delivered.total.depthChange == -1)
    // The same name again, as of an event whose id is made from its content, is a new event.
    try fixture.write("a", fixture.event("slack"))
    #expect(try await fixture.lines() == ["slack enqueued 1"])
    try fixture.remove("a.json")
    #expect(try await fixture.lines() == ["slack discarded 1"])
    try fixture.write("b", fixture.event(retries: 5))
    try fixture.move("b.json", "failed/b.json")
    // It brought its attempts along.
    #expect(try await fixture.lines() == ["telegram dead 1", "telegram enqueued 1"])
    try fixture.remove("failed/b.json")
    #expect(try await fixture.lines() == [])
  }

  @Test func `other ways to write mean the same`() async throws {
    let fixture = try WatchFixture()
    try await fixture.begin()
    // In place.
    try fixture.directory.write(fixture.event(), to: "delivery-queue/a.json")
    #expect(try await fixture.lines() == ["telegram enqueued 1"])
    try fixture.directory.write(fixture.event(retries: 1), to: "delivery-queue/a.json")
    #expect(try await fixture.lines() == ["telegram retried 1"])
    // Dead-lettered by a copy, put back by another.
    try fixture.write("a", fixture.event(retries: 1), to: "failed/")
    try fixture.remove("a.json")
    #expect(try await fixture.lines() == ["telegram dead 1"])
    try fixture.write("a", fixture.event())
    try fixture.remove("failed/a.json")
    #expect(try await fixture.lines() == ["telegram requeued 1"])
    // Put back by a copy, of which the first stays with the dead.
    try fixture.write("a", fixture.event(), to: "failed/")
    try fixture.remove("a.json")
    try fixture.write("a", fixture.event())
    #expect(try await fixture.lines() == ["telegram dead 1", "telegram requeued 1"])
    try fixture.remove("a.json")
    var sample = try await fixture.sample()
    #expect(sample.accounting?.movements?.lines == ["telegram discarded 1"] && sample.snapshot?.deadCount == 1)
    try fixture.move("failed/a.json", "a.json")
    #expect(try await fixture.lines() == ["telegram requeued 1"])
    // Marked by a file of its own.
    try fixture.directory.write("", to: "delivery-queue/a.delivered")
    try fixture.remove("a.json")
    try fixture.remove("a.delivered")
    #expect(try await fixture.lines() == ["telegram delivered 1"])
    // Made elsewhere and moved to here, and moved away again.
    try fixture.directory.write(fixture.event(), to: "elsewhere")
    try fixture.move("../elsewhere", "b.json")
    #expect(try await fixture.lines() == ["telegram enqueued 1"])
    try fixture.move("b.json", "b.json.kept")
    #expect(try await fixture.lines() == ["telegram unseen 1"])
    try fixture.move("b.json.kept", "b.json")
    try fixture.move("b.json", "c.json")
    #expect(try await fixture.lines() == ["telegram enqueued 1"])
    try fixture.move("c.json", "../elsewhere")
    #expect(try await fixture.lines() == ["telegram unseen 1"])
    // Dead before anybody saw it wait.
    try fixture.write("d", fixture.event("slack"), to: "failed/")
    #expect(try await fixture.lines() == ["slack dead 1", "slack enqueued 1"])
    // Directories and links are what they are.
    try FileSystem.makeDirectories("\(fixture.queue)/e.json")
    _ = try run("ln", ["-s", "nowhere", "\(fixture.queue)/f.json"])
    sample = try await fixture.sample()
    #expect(sample.accounting?.movements?.lines == ["default enqueued 1"] && sample.snapshot?.depth(.unknown) == 1)
  }

  @Test func `what the removal of a file means is the layout's`() async throws {
    for (removal, expected) in [
      (Disposition.unseen, "telegram unseen 1"), (.discarded, "telegram discarded 1"),
      (.delivered, "telegram delivered 1"),
    ] {
      var layout = Layout.openClawFiles
      layout.directory?.removal = removal
      let fixture = try WatchFixture(layout)
      try await fixture.begin()
      try fixture.write("a", fixture.event())
      try await fixture.sample()
      try fixture.remove("a.json")
      let movements = try #require(try await fixture.sample().accounting?.movements)
      #expect(movements.lines == [expected])
      #expect(movements.total.durations.count == (removal == .delivered ? 1 : 0))
    }
    #expect(Layout.openClawFiles.directory?.removal == .unseen)
  }

  @Test func `a delivery took from its creation to the moment its file was seen to go`() async throws {
    let noon = DirectoryFixture.noon
    let clock = MovingClock(seconds: noon)
    let fixture = try WatchFixture(objective: Objective(age: .seconds(60), target: 0.99), now: clock.now)
    try await fixture.begin()
    for (name, before) in [("a", 0), ("b", 50), ("c", 3_600)] {
      try fixture.write(name, fixture.event(created: Int64(noon - before) * 1_000))
    }
    try fixture.write("d", #"{"channel": "telegram"}"#)
    try await fixture.sample()
    clock.advance(seconds: 10)
    for name in ["a", "b", "c", "d"] { try fixture.deliver(name) }
    let movements = try #require(try await fixture.sample().accounting?.movements)
    #expect(movements.total.dispositions[.delivered] == 4)
    let bounds = DeliveryBounds(objective: .seconds(60))
    var expected = DurationTally()
    for seconds in [10.0, 60, 3_610] { expected.record(seconds, bounds) }
    #expect(movements.total.durations == expected)
  }

  @Test func `an event that is discarded or put back after its deadline is late`() async throws {
    let noon = DirectoryFixture.noon
    let clock = MovingClock(seconds: noon)
    let fixture = try WatchFixture(objective: Objective(age: .seconds(60), target: 0.99), now: clock.now)
    try await fixture.begin()
    for (name, before) in [("a", 0), ("b", 100), ("c", 0), ("d", 100)] {
      try fixture.write(name, fixture.event(created: Int64(noon - before) * 1_000))
    }
    for name in ["c", "d"] { try fixture.move("\(name).json", "failed/\(name).json") }
    try await fixture.sample()
    for name in ["a", "b"] { try fixture.remove("\(name).json") }
    for name in ["c", "d"] { try fixture.move("failed/\(name).json", "\(name).json") }
    let counts = try #require(try await fixture.sample().accounting?.movements).total
    #expect(counts.dispositions[.discarded] == 2 && counts.discardedLate == 1)
    #expect(counts.requeued == 2 && counts.requeuedLate == 1)
  }

  @Test func `a file is read when it comes, so that it is known once it is gone`() async throws {
    let fixture = try WatchFixture()
    try await fixture.begin()
    var number = 0
    // How soon it is read is the scheduler's; that it is read without a sample is what counts.
    let isKnown = try await happens {
      number += 1
      try fixture.write("\(number)", fixture.event())
      try await Task.sleep(for: .milliseconds(number * 5))
      try fixture.deliver("\(number)")
      return try await fixture.lines() == ["telegram delivered 1", "telegram enqueued 1"]
    }
    #expect(isKnown)
  }

  @Test func `an event that nobody could read is counted, under no name and without a duration`() async throws {
    let gate = Gate()
    let fixture = try WatchFixture(now: gate.now)
    try await fixture.begin()
    let isStill = try await gate.close(fixture) {
      try fixture.write("a", fixture.event(retries: 2))
      try fixture.deliver("a")
    }
    #expect(isStill)
    let movements = try #require(try await fixture.sample().accounting?.movements)
    #expect(movements.lines == ["default delivered 1", "default enqueued 1"])
    #expect(movements.total.durations.count == 0)
  }

  @Test func `destinations are bounded between two readings`() async throws {
    let fixture = try WatchFixture()
    try await fixture.begin()
    for number in 0..<1_100 { try fixture.write("\(number)", fixture.event("channel-\(number)")) }
    let movements = try #require(try await fixture.sample().accounting?.movements)
    #expect(movements.destinations.count == 1_001)
    #expect(movements.destinations["_other"]?.enqueued == 100)
    #expect(movements.total.enqueued == 1_100)
  }

  @Test func `a name is a name, whatever stands in it`() async throws {
    let fixture = try WatchFixture()
    try await fixture.begin()
    let names = [
      "a b", "new\nline", "quote'\"`$(x)", "\u{E9}", "e\u{301}", "\u{202E}right", "-rf", "%s%n", "..", "", "a.json",
      "a.delivered", String(repeating: "n", count: 236), "🦜", "\r\n", "a.json.1.tmp",
    ]
    for name in names { try fixture.write(name, fixture.event("x\r\n\u{301}\\n\u{1}")) }
    // Names that are no text cannot be read by a sample either.
    _ = try run("sh", ["-c", "printf x > \"$(printf '\(fixture.queue)/a\\377.json')\""])
    var sample = try await fixture.sample()
    #expect(sample.snapshot?.depth == names.count)
    #expect(sample.accounting?.movements?.total.enqueued == names.count)
    #expect(sample.accounting?.movements?.destinations.count == 1)
    #expect(sample.accounting?.restart == nil)
    await fixture.restart()
    sample = try await fixture.sample()
    #expect(sample.accounting?.movements?.lines == [])
    for name in names { try fixture.deliver(name) }
    sample = try await fixture.sample()
    #expect(sample.snapshot?.depth == 0)
    #expect(sample.accounting?.movements?.total.dispositions == [.delivered: names.count])
  }
}
