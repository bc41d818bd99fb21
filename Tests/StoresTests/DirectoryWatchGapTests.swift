import Layouts
import Outbox
import Stores
import SystemCalls
import TestSupport
import Testing

/// What is counted where reports were lost, or nobody watched: what can be proved, and that something is missing.
@Suite(.serialized) struct DirectoryWatchGapTests {
  @Test func `a reading that was not taken is answered again`() async throws {
    let fixture = try WatchFixture()
    try await fixture.begin()
    try fixture.write("a", fixture.event())
    let first = try await fixture.sample(commit: false)
    try fixture.write("b", fixture.event())
    try fixture.deliver("a")
    let second = try await fixture.sample(commit: false)
    #expect(first.accounting?.movements?.lines == ["telegram enqueued 1"])
    #expect(second.accounting?.movements?.lines == ["telegram delivered 1", "telegram enqueued 2"])
    // The first was taken after all.
    fixture.commit(first)
    #expect(
      try await fixture.sample(commit: false).accounting?.movements?.lines == [
        "telegram delivered 1", "telegram enqueued 1",
      ])
    for number in 0..<100 {
      try fixture.write("c\(number)", fixture.event("slack"))
      try await fixture.sample(commit: false)
    }
    let last = try await fixture.sample()
    #expect(last.accounting?.movements?.lines == ["slack enqueued 100", "telegram delivered 1", "telegram enqueued 1"])
    #expect(last.accounting?.restart == nil)
    #expect(try await fixture.lines() == [])
  }

  @Test func `after a restart names are compared, and the gap is stated until the reading is taken`() async throws {
    let fixture = try WatchFixture()
    for (name, channel) in [
      ("stays", "a"), ("fails", "a"), ("dies", "b"), ("dies-later", "b"), ("delivered", "c"), ("gone", "c"),
      ("moves", "d"),
    ] { try fixture.write(name, fixture.event(channel, retries: 1)) }
    for name in ["back", "pruned", "dead"] { try fixture.write(name, fixture.event("e", retries: 5), to: "failed/") }
    try await fixture.begin()
    await fixture.store.close()
    try fixture.write("fails", fixture.event("a", retries: 4))
    try fixture.move("dies.json", "failed/dies.json")
    try fixture.write("dies-later", fixture.event("b", retries: 3))
    try fixture.move("dies-later.json", "failed/dies-later.json")
    // The application was killed between the mark and its removal.
    try fixture.move("delivered.json", "delivered.delivered")
    try fixture.deliver("gone")
    try fixture.move("failed/back.json", "back.json")
    try fixture.remove("failed/pruned.json")
    try fixture.write("new", fixture.event("f", retries: 2))
    try fixture.write("short", fixture.event("f"), to: "failed/")
    try fixture.write("never-seen", fixture.event("f"))
    try fixture.deliver("never-seen")
    try fixture.remove("moves.json")
    await fixture.restart()
    let expected = [
      "a retried 3", "b dead 2", "b retried 2", "c delivered 1", "c unseen 1", "d unseen 1", "e requeued 1", "f dead 1",
      "f enqueued 2",
    ]
    let reading = try #require(try await fixture.sample(commit: false).accounting)
    #expect(reading.movements?.lines == expected)
    #expect(reading.movements?.total.durations.count == 0)
    #expect(reading.restart?.contains("nobody watched") == true && reading.restart?.contains(fixture.queue) == true)
    try fixture.write("more", fixture.event("g"))
    let again = try #require(try await fixture.sample().accounting)
    #expect(again.movements?.lines == expected + ["g enqueued 1"])
    #expect(again.restart == reading.restart)
    let next = try #require(try await fixture.sample().accounting)
    #expect(next.movements?.lines == [] && next.restart == nil)
  }

  @Test func `what moves while a directory is read for the first time is counted once`() async throws {
    let gate = Gate()
    let fixture = try WatchFixture(now: gate.now)
    try fixture.write("goes", fixture.event("b"))
    try await fixture.begin()
    await fixture.store.close()
    for name in ["x", "y"] { try fixture.write(name, fixture.event("a")) }
    await fixture.restart()
    // One of the three files is being read, and all names are known.
    let isStill = try await gate.close(fixture, after: 1) {
      for name in ["x", "y"] {
        try fixture.write(name, fixture.event("a", retries: 1))
        try fixture.move("\(name).json", "failed/\(name).json")
      }
      try fixture.deliver("goes")
    }
    #expect(isStill)
    // The reading was not taken, and is answered again.
    #expect(try await fixture.lines() == ["a dead 2", "a enqueued 2", "b delivered 1"])
    #expect(fixture.depth == 0)
    try fixture.move("failed/x.json", "x.json")
    #expect(try await fixture.lines() == ["a requeued 1"])
  }

  @Test func `a mark of long ago is compared with what is there`() async throws {
    let fixture = try WatchFixture()
    try await fixture.begin()
    let old = fixture.mark
    try fixture.write("a", fixture.event())
    try await fixture.sample()
    try fixture.write("b", fixture.event())
    try fixture.deliver("a")
    try await fixture.sample()
    // Somebody restored the state directory from yesterday.
    let samples = await fixture.store.sample(SampleRequest(marks: ["claw": try #require(old)]))
    #expect(samples.first?.accounting?.movements?.lines == ["telegram enqueued 1"])
    #expect(samples.first?.accounting?.restart != nil)
    let again = await fixture.store.sample(SampleRequest(marks: ["claw": try #require(old)]))
    #expect(again.first?.accounting?.movements?.lines == ["telegram enqueued 1"])
  }

  @Test(arguments: ["", "x", "1 a b c files", "1 a 1 zz files\nlive 0", "2 a 1 0 files", "1 a 1 0 files\nlive x y\nz"])
  func `a mark that cannot be read begins anew, and says so`(position: String) async throws {
    let fixture = try WatchFixture()
    try fixture.write("a", fixture.event())
    for mark in [AccountingMark(.watch, position), AccountingMark(.history, "2026-06-01")] {
      let samples = await fixture.store.sample(SampleRequest(marks: ["claw": mark]))
      #expect(samples.first?.accounting?.movements == nil)
      #expect(samples.first?.accounting?.restart?.contains("counting begins anew") == true)
      let next = await fixture.store.sample(
        SampleRequest(marks: ["claw": try #require(samples.first?.accounting?.mark)]))
      #expect(next.first?.accounting?.movements == Movements())
    }
  }

  /// So many files that the kernel cannot keep what it has to report of them: each takes four reports.
  private func tooManyFiles() throws -> Int {
    let limit = try FileSystem.read("/proc/sys/fs/inotify/max_queued_events", atMost: 100).bytes.filter { $0 > 47 }
    return try #require(Int(String(decoding: limit, as: UTF8.self))) / 4 + 1_000
  }

  @Test func `what comes during the first reading is found although its report was lost`() async throws {
    let gate = Gate()
    let fixture = try WatchFixture(now: gate.now)
    try fixture.write("stays", fixture.event())
    try await fixture.begin()
    await fixture.restart()
    let files = try tooManyFiles()
    let isStill = try await gate.close(fixture, after: 1) {
      for number in 0..<files { try fixture.write("\(number)", fixture.event("slack")) }
      try fixture.write("last", fixture.event("telegram"))
    }
    #expect(isStill)
    let sample = try await fixture.sample()
    #expect(sample.snapshot?.depth == files + 2)
    #expect(sample.accounting?.movements?.lines == ["slack enqueued \(files)", "telegram enqueued 1"])
    // Nobody watched before, but nothing is missing since.
    #expect(sample.accounting?.restart?.contains("nobody watched") == true)
    #expect(sample.accounting?.restart?.contains("nothing was reported") == false)
    #expect(try await fixture.lines() == [])
  }

  @Test func `a dead event is written before it is taken from the queue, also while that is read first`() async throws {
    let gate = Gate()
    let fixture = try WatchFixture(now: gate.now)
    try fixture.write("dies", fixture.event())
    try await fixture.begin()
    await fixture.restart()
    let isStill = try await gate.close(fixture, after: 1) {
      try fixture.write("dies", fixture.event(retries: 5), to: "failed/")
    }
    #expect(isStill)
    try fixture.remove("dies.json")
    let sample = try await fixture.sample()
    #expect(sample.accounting?.movements?.total.dispositions == [.dead: 1])
    #expect(sample.snapshot?.depth == 0)
    #expect(try await fixture.lines() == [])
  }

  @Test func `reports that the kernel lost are made up for by comparing names, and it is said`() async throws {
    let gate = Gate()
    let fixture = try WatchFixture(now: gate.now)
    let files = try tooManyFiles()
    for name in ["stays", "goes", "dies", "fails"] { try fixture.write(name, fixture.event()) }
    try await fixture.begin()
    // Nothing is taken while the store stands still.
    let isStill = try await gate.close(fixture) {
      for number in 0..<files { try fixture.write("\(number)", fixture.event("slack")) }
      try fixture.deliver("goes")
      try fixture.move("dies.json", "failed/dies.json")
      try fixture.write("fails", fixture.event(retries: 2))
      try fixture.write("never-seen", fixture.event())
      try fixture.deliver("never-seen")
    }
    #expect(isStill)
    let sample = try await fixture.sample()
    #expect(
      sample.accounting?.movements?.lines
        == ["slack enqueued \(files)", "telegram dead 1", "telegram retried 2", "telegram unseen 1"])
    #expect(sample.accounting?.restart?.contains("fs.inotify.max_queued_events") == true)
    #expect(sample.snapshot?.depth == files + 2)
    // From here on it is exact again.
    try fixture.deliver("0")
    try fixture.write("new", fixture.event())
    let next = try await fixture.sample()
    #expect(next.accounting?.movements?.lines == ["slack delivered 1", "telegram enqueued 1"])
    #expect(next.accounting?.restart == nil)
  }

  private static let mostInstances =
    (try? FileSystem.read("/proc/sys/fs/inotify/max_user_instances", atMost: 100)).flatMap {
      Int(String(decoding: $0.bytes.filter { $0 > 47 }, as: UTF8.self))
    } ?? .max

  @Test(.enabled(if: mostInstances < 400, "fs.inotify.max_user_instances is beyond the limit of open files"))
  func `without an inotify instance names are compared at each sample, and it is said what to do`() async throws {
    let fixture = try WatchFixture()
    var held: [Inotify] = []
    // What other tests have let go of may come back a little later.
    for _ in 0..<20 {
      while let instance = try? Inotify() { held.append(instance) }
      try await Task.sleep(for: .milliseconds(20))
    }
    var reading = try await fixture.sample().accounting
    #expect(reading?.movements == nil)
    #expect(reading?.notice?.contains("fs.inotify.max_user_instances") == true)
    try fixture.write("a", fixture.event())
    try fixture.write("b", fixture.event())
    #expect(try await fixture.lines() == ["telegram enqueued 2"])
    try fixture.write("a", fixture.event(retries: 1))
    try fixture.move("b.json", "failed/b.json")
    reading = try await fixture.sample().accounting
    #expect(reading?.movements?.lines == ["telegram dead 1", "telegram retried 1"])
    #expect(reading?.notice != nil)
    try fixture.deliver("a")
    #expect(try await fixture.lines() == ["telegram unseen 1"])
    // There is one again: it is used from the next sample on, which begins another series.
    held = []
    reading = try await fixture.sample().accounting
    #expect(reading?.movements == nil && reading?.notice == nil)
    #expect(reading?.restart?.contains("reported again: counting begins anew") == true)
    try fixture.write("c", fixture.event())
    try fixture.deliver("c")
    reading = try await fixture.sample().accounting
    #expect(reading?.movements?.total.dispositions == [.delivered: 1] && reading?.restart == nil)
  }
}
