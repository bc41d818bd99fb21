import Layouts
import Outbox
import Stores
import SystemCalls
import TestSupport
import Testing

/// Directories that come, go and are several.
@Suite(.serialized) struct DirectoryWatchPlaceTests {
  @Test func `a queue that is made later is watched from its making`() async throws {
    let fixture = try WatchFixture(makesQueue: false)
    let first = try await fixture.sample()
    #expect(first.snapshot?.inUse == false && first.accounting?.movements == nil)
    #expect(try await fixture.lines() == [])
    // Nothing but a sample shows when the new directory is watched, and a delivery before that is not seen.
    try FileSystem.makeDirectories("\(fixture.queue)/failed")
    try fixture.write("a", fixture.event())
    let second = try await fixture.sample()
    #expect(second.snapshot?.depth == 1 && second.accounting?.movements?.lines == ["telegram enqueued 1"])
    #expect(second.accounting?.restart?.contains("made or replaced") == true)
    try fixture.deliver("a")
    let third = try await fixture.sample()
    #expect(third.accounting?.movements?.lines == ["telegram delivered 1"] && third.accounting?.restart == nil)
  }

  @Test func `a queue that is made between two samples is watched without one`() async throws {
    var isSeen = false
    // How soon it is watched is the scheduler's.
    for attempt in 1...20 where !isSeen {
      let fixture = try WatchFixture(makesQueue: false)
      try await fixture.begin()
      try FileSystem.makeDirectories("\(fixture.queue)/failed")
      try await Task.sleep(for: .milliseconds(attempt * 10))
      try fixture.write("a", fixture.event())
      try await Task.sleep(for: .milliseconds(attempt * 10))
      try fixture.deliver("a")
      isSeen = try await fixture.lines() == ["telegram delivered 1", "telegram enqueued 1"]
    }
    #expect(isSeen)
  }

  @Test func `a directory of the dead that is made later is watched too`() async throws {
    let fixture = try WatchFixture(makesQueue: false)
    try FileSystem.makeDirectories(fixture.queue)
    for name in ["a", "b"] { try fixture.write(name, fixture.event()) }
    try await fixture.begin()
    try FileSystem.makeDirectories("\(fixture.queue)/failed")
    try fixture.move("a.json", "failed/a.json")
    #expect(try await fixture.lines() == ["telegram dead 1"])
    try fixture.move("b.json", "failed/b.json")
    try fixture.move("failed/a.json", "a.json")
    #expect(try await fixture.lines() == ["telegram dead 1", "telegram requeued 1"])
  }

  @Test func `a directory that is removed and made again is compared and watched again`() async throws {
    let fixture = try WatchFixture()
    for name in ["a", "b"] { try fixture.write(name, fixture.event()) }
    try await fixture.begin()
    _ = try run("rm", ["-r", fixture.queue])
    let absent = try await fixture.sample()
    #expect(absent.failure?.reason == .absent && absent.accounting == nil)
    try FileSystem.makeDirectories("\(fixture.queue)/failed")
    try fixture.write("b", fixture.event())
    try fixture.write("c", fixture.event())
    let back = try await fixture.sample()
    // The removal of each file was seen, or the new file stands for the old one of its name.
    #expect(
      [["telegram discarded 2", "telegram enqueued 2"], ["telegram discarded 1", "telegram enqueued 1"]]
        .contains(back.accounting?.movements?.lines))
    #expect(back.accounting?.restart?.contains("made or replaced") == true)
    try fixture.deliver("c")
    #expect(try await fixture.lines() == ["telegram delivered 1"])
  }

  @Test func `a directory that is moved away and replaced is compared by name`() async throws {
    let fixture = try WatchFixture()
    for name in ["a", "b"] { try fixture.write(name, fixture.event()) }
    try await fixture.begin()
    try FileSystem.move(fixture.queue, to: "\(fixture.directory.path)/old")
    try FileSystem.makeDirectories("\(fixture.queue)/failed")
    try fixture.write("b", fixture.event())
    try fixture.write("c", fixture.event())
    // What happens to the old one is nobody's business any more.
    try FileSystem.remove("\(fixture.directory.path)/old/b.json")
    let sample = try await fixture.sample()
    #expect(sample.snapshot?.depth == 2)
    #expect(sample.accounting?.movements?.total.depthChange == 0)
    #expect(sample.accounting?.movements?.total.dispositions[.delivered] == nil)
    #expect(sample.accounting?.restart != nil)
    try fixture.deliver("c")
    #expect(try await fixture.lines() == ["telegram delivered 1"])
  }

  @Test func `a sample that fails loses nothing of what was seen`() async throws {
    let fixture = try WatchFixture()
    try await fixture.begin()
    try fixture.write("a", fixture.event())
    try fixture.deliver("a")
    try FileSystem.move("\(fixture.queue)/failed", to: "\(fixture.queue)/kept")
    try fixture.directory.write("no directory", to: "delivery-queue/failed")
    let failed = try await fixture.sample()
    #expect(failed.failure?.reason == .schema && failed.accounting == nil)
    try fixture.write("b", fixture.event())
    try fixture.remove("failed")
    try FileSystem.move("\(fixture.queue)/kept", to: "\(fixture.queue)/failed")
    let sample = try await fixture.sample()
    #expect(sample.accounting?.movements?.total.enqueued == 2)
    #expect(sample.accounting?.movements?.total.dispositions == [.delivered: 1])
  }

  @Test func `each directory of a glob is counted by itself`() async throws {
    let directory = try TemporaryDirectory()
    let fixture = try WatchFixture()
    for name in ["one", "two"] { try FileSystem.makeDirectories("\(directory.path)/\(name)/queue/failed") }
    let store = DirectoryStore(
      OutboxDefinition(
        name: "claw", address: .files(path: "\(directory.path)/*/queue"), layout: WatchFixture.discarding),
      timeLimit: .seconds(600), now: { Timestamp(nanoseconds: SystemClock.wallNanoseconds()) })
    var marks: [String: AccountingMark] = [:]
    func sample() async -> [String: [String]] {
      var lines: [String: [String]] = [:]
      for sample in await store.sample(SampleRequest(marks: marks)) {
        marks[sample.outbox.name] = sample.accounting?.mark
        lines[sample.outbox.name] = sample.accounting?.movements?.lines
      }
      return lines
    }
    #expect(await sample() == [:])
    try directory.write(fixture.event(), to: "one/queue/a.json")
    try directory.write(fixture.event("slack"), to: "two/queue/b.json")
    #expect(
      await sample() == ["claw/one/queue": ["telegram enqueued 1"], "claw/two/queue": ["slack enqueued 1"]])
    // From one to the other: it left the one, nobody knows how, and came to the other.
    try FileSystem.move("\(directory.path)/one/queue/a.json", to: "\(directory.path)/two/queue/a.json")
    #expect(
      await sample() == ["claw/one/queue": ["telegram unseen 1"], "claw/two/queue": ["telegram enqueued 1"]])
    // One that comes begins; one that goes is forgotten; a link to another is that other.
    try FileSystem.makeDirectories("\(directory.path)/three/queue")
    _ = try run("rm", ["-r", "\(directory.path)/one"])
    _ = try run("ln", ["-s", "two", "\(directory.path)/four"])
    #expect(await sample() == ["claw/two/queue": []])
    #expect(marks.keys.sorted() == ["claw/four/queue", "claw/one/queue", "claw/three/queue", "claw/two/queue"])
    try FileSystem.remove("\(directory.path)/two/queue/a.json")
    try directory.write(fixture.event(), to: "three/queue/c.json")
    #expect(
      await sample() == [
        "claw/four/queue": ["telegram discarded 1"], "claw/three/queue": ["telegram enqueued 1"],
        "claw/two/queue": ["telegram discarded 1"],
      ])
  }
}
