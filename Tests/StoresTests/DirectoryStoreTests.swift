import Layouts
import Outbox
import Stores
import SystemCalls
import TestSupport
import Testing

/// A configured outbox over one directory, or over those that match a glob.
@Suite struct DirectoryStoreTests {
  typealias Fixture = DirectoryFixture

  private func store(_ path: String, timeLimit: Duration = .seconds(600)) -> DirectoryStore {
    DirectoryStore(
      OutboxDefinition(name: "claw", address: .files(path: path), layout: .openClawFiles), timeLimit: timeLimit,
      now: Fixture.clock)
  }

  @Test func `one directory is one outbox under the configured name`() async throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event())
    let store = store(fixture.queue)
    for _ in 0..<2 {
      let samples = await store.sample(eventIDs: true)
      #expect(samples.map(\.outbox.name) == ["claw"])
      #expect(samples.first?.outbox.system == .files)
      #expect(samples.first?.startedAt == Fixture.clock())
      #expect(samples.first?.snapshot?.depthLines == ["telegram ready first 1"])
      #expect(samples.first?.snapshot?.eventIDs?.oldest == ["e"])
      await store.close()
    }
  }

  @Test func `a glob makes an outbox of each directory that it matches`() async throws {
    let directory = try TemporaryDirectory()
    try directory.write(Fixture.event(), to: "one/delivery-queue/a.json")
    try directory.write(Fixture.event(), to: "two/delivery-queue/a.json")
    try directory.write(Fixture.event(), to: "two/delivery-queue/b.json")
    try directory.write("no directory", to: "three/delivery-queue")
    let store = store("\(directory.path)/*/delivery-queue")
    var samples = await store.sample(eventIDs: false)
    #expect(samples.map(\.outbox.name) == ["claw/one/delivery-queue", "claw/two/delivery-queue"])
    #expect(samples.map(\.snapshot?.depth) == [1, 2])
    // A queue that comes is watched from then on, one that was removed no more.
    try directory.write("{", to: "four/delivery-queue/a.json")
    _ = try run("rm", ["-r", "\(directory.path)/one"])
    samples = await store.sample(eventIDs: false)
    #expect(samples.map(\.outbox.name) == ["claw/four/delivery-queue", "claw/two/delivery-queue"])
    #expect(samples.map(\.snapshot?.depth) == [1, 2])
    // With the last one gone it is unknown what became of those that were there.
    _ = try run("rm", ["-r", "\(directory.path)/two", "\(directory.path)/four"])
    samples = await store.sample(eventIDs: false)
    #expect(samples.map(\.outbox.name) == ["claw/four/delivery-queue", "claw/two/delivery-queue"])
    #expect(samples.map(\.failure?.reason) == [.absent, .absent])
  }

  @Test func `a glob without a match is absent, not an empty queue`() async throws {
    let directory = try TemporaryDirectory()
    let samples = await store("\(directory.path)/*/delivery-queue").sample(eventIDs: false)
    #expect(samples.map(\.outbox.name) == ["claw"])
    #expect(samples.first?.failure?.reason == .absent)
  }

  @Test func `a glob through a directory that cannot be opened is a failure, not a missing match`() async throws {
    let directory = try TemporaryDirectory()
    _ = try run("ln", ["-s", "loop", "\(directory.path)/loop"])
    let samples = await store("\(directory.path)/loop/*").sample(eventIDs: false)
    #expect(samples.first?.failure?.reason == .other)
    #expect(samples.first?.failure?.message.contains("Too many levels of symbolic links") == true)
  }

  @Test func `out of time fails each directory that was not reached`() async throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event())
    let samples = await store(fixture.queue, timeLimit: .zero).sample(eventIDs: false)
    #expect(samples.first?.failure?.reason == .timeout)
  }
}
