import Layouts
import Outbox
import Stores
import Synchronization
import SystemCalls
import TestSupport
import Testing

/// What a directory does while it is read, and what happens where it cannot be.
@Suite struct DirectoryReaderTests {
  typealias Fixture = DirectoryFixture

  @Test func `a queue that was not made yet is empty, not absent`() throws {
    let fixture = try Fixture(makesQueue: false)
    #expect(try fixture.sample() == Snapshot(storeTime: Fixture.clock(), missingPath: fixture.queue))
    try FileSystem.makeDirectories(fixture.queue)
    #expect(try fixture.sample() == Snapshot(storeTime: Fixture.clock()))
  }

  @Test func `a mistyped path is absent`() throws {
    let fixture = try Fixture()
    let path = "\(fixture.directory.path)/typo/delivery-queue"
    let reader = DirectoryReader(
      path: path, queue: Layout.openClawFiles.directory!, createdLazily: true, now: Fixture.clock)
    let found = failure { try reader.sample(deadline: .now + .seconds(600), eventIDs: false) }
    #expect(found?.reason == .absent)
    #expect(found?.message == "\(path): no such directory")
  }

  @Test func `a missing queue is absent where its application makes it at once`() throws {
    let fixture = try Fixture(makesQueue: false)
    var eager = Layout.openClawFiles
    eager.createdLazily = false
    let reader = fixture.makeReader(eager)
    #expect(failure { try reader.sample(deadline: .now + .seconds(600), eventIDs: false) }?.reason == .absent)
  }

  @Test func `a file in the place of a directory is a wrong layout`() throws {
    let fixture = try Fixture(makesQueue: false)
    try fixture.directory.write("x", to: "delivery-queue")
    #expect(failure { try fixture.sample() }?.reason == .schema)
    _ = try run("rm", [fixture.queue])
    try fixture.directory.write("x", to: "delivery-queue/failed")
    #expect(failure { try fixture.sample() }?.reason == .schema)
  }

  @Test(arguments: [
    "", "delivery-queue", "delivery-queue/failed", "delivery-queue/a.json", "delivery-queue/failed/b.json",
  ])
  func `what may not be read is a failure, never an empty queue`(barred: String) throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event())
    try fixture.write("failed/b.json", Fixture.event())
    _ = try run("chmod", ["-R", "a+rX", fixture.directory.path])
    #expect(try withoutFilePrivileges { try fixture.sample() }.depth == 1)
    _ = try run("chmod", ["000", "\(fixture.directory.path)/\(barred)"])
    let fresh = fixture.makeReader()
    let found = withoutFilePrivileges {
      failure { try fresh.sample(deadline: .now + .seconds(600), eventIDs: false) }
    }
    _ = try run("chmod", ["700", "\(fixture.directory.path)/\(barred)"])
    #expect(found?.reason == .permission)
    #expect(found?.message.hasSuffix("Permission denied") == true)
  }

  @Test func `an unchanged file is not read again`() throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event(channel: "aaa"))
    try fixture.write("failed/b.json", Fixture.event(channel: "bbb"))
    #expect(try fixture.sample().depthLines == ["aaa ready first 1"])
    // Written over in place, same size, the old time put back: nothing that can be seen without reading it.
    try fixture.write("a.json", Fixture.event(channel: "zzz"))
    #expect(try fixture.sample().depthLines == ["aaa ready first 1"])
    try fixture.touch("a.json", before: 3_599)
    #expect(try fixture.sample().depthLines == ["zzz ready first 1"])
    #expect(try fixture.sample().dead.map(\.destination) == ["bbb"])
  }

  @Test func `a file that replaces another of the same size and time is read`() throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event(channel: "aaa"))
    _ = try fixture.sample()
    try fixture.write("a.json.7.tmp", Fixture.event(channel: "zzz"))
    _ = try run("mv", ["\(fixture.queue)/a.json.7.tmp", "\(fixture.queue)/a.json"])
    #expect(try fixture.sample().depthLines == ["zzz ready first 1"])
  }

  @Test func `a file of this moment is read again, since its time may not change with it`() throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event(channel: "aaa"), writtenBefore: 1)
    _ = try fixture.sample()
    try fixture.write("a.json", Fixture.event(channel: "zzz"), writtenBefore: 1)
    #expect(try fixture.sample().depthLines == ["zzz ready first 1"])
  }

  @Test func `a change of state needs no change of the file`() throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event(retries: 1, lastAttempt: 20))
    try fixture.write("b.json", Fixture.event(recovery: "unknown_after_send"), writtenBefore: 290)
    let seconds = ManualClock()
    let reader = fixture.makeReader(clock: {
      Timestamp(nanoseconds: (Int64(Fixture.noon) + seconds.value) * 1_000_000_000)
    })
    func sample() throws -> Snapshot { try reader.sample(deadline: .now + .seconds(600), eventIDs: false) }
    #expect(try sample().depth(.scheduled) == 1)
    #expect(try sample().stuck.isEmpty)
    seconds.value = 10
    let later = try sample()
    #expect(later.depth(.ready) == 1 && later.depth(.scheduled) == 0)
    #expect(later.stuckLines == ["telegram unclaimable 1 0.0"])
    #expect(later.ages.map(\.oldest) == [.seconds(70), .seconds(70)])
  }

  @Test func `an event that was written while the directory was read is not one from the future`() throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event(enqueued: -0.5))
    let seconds = ManualClock()
    let reader = fixture.makeReader(clock: {
      defer { seconds.value += 1 }
      return Timestamp(nanoseconds: (Int64(Fixture.noon) + seconds.value) * 1_000_000_000)
    })
    let snapshot = try reader.sample(deadline: .now + .seconds(600), eventIDs: false)
    #expect(snapshot.implausible == 0 && snapshot.ages.count == 1)
  }

  @Test func `out of time is a failure, and what was read is not read again`() throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event(channel: "aaa"))
    _ = try fixture.sample()
    let found = failure { try fixture.reader.sample(deadline: .now - .seconds(1), eventIDs: false) }
    #expect(found?.reason == .timeout)
    try fixture.write("a.json", Fixture.event(channel: "zzz"))
    #expect(try fixture.sample().depthLines == ["aaa ready first 1"])
  }

  @Test func `an event that is in both directories, as while it is put back, is counted once and alive`() throws {
    let fixture = try Fixture()
    try fixture.write("a.json", Fixture.event())
    try fixture.write("failed/a.json", Fixture.event())
    let snapshot = try fixture.sample()
    #expect(snapshot.depth == 1 && snapshot.deadCount == 0)
  }

  @Test(.enabled(if: programOnPath("python3") != nil, "python3 is not on PATH"))
  func `while events fail and die, each of them is counted once`() throws {
    let fixture = try Fixture()
    for index in 0..<300 {
      try fixture.directory.write(Fixture.event("\(index)"), to: "delivery-queue/\(index).json")
    }
    // As OpenClaw does: rewritten through a temporary file at each failure, in the end renamed into failed/.
    let writer = try ChildProcess(
      "python3",
      [
        "-c",
        """
        import json, os, sys
        queue = sys.argv[1]
        for retry in range(1, 4):
          for index in range(300):
            path = f"{queue}/{index}.json"
            event = json.load(open(path))
            event["retryCount"] = retry
            with open(f"{path}.9.tmp", "w") as file: json.dump(event, file)
            os.rename(f"{path}.9.tmp", path)
        for index in range(300): os.rename(f"{queue}/{index}.json", f"{queue}/failed/{index}.json")
        """, fixture.queue,
      ])
    var samples = 0
    repeat {
      let snapshot = try fixture.sample()
      #expect(snapshot.depth + snapshot.deadCount == 300)
      #expect(snapshot.depth(.unknown) == 0)
      samples += 1
    } while writer.isRunning
    #expect(writer.wait() == 0, "\(writer.standardError)")
    #expect(samples > 1)
    let last = try fixture.sample()
    #expect(last.depth == 0 && last.deadCount == 300)
  }

  @Test(.enabled(if: programOnPath("python3") != nil, "python3 is not on PATH"))
  func `while events come and go, no sample fails and those that stay are counted`() throws {
    let fixture = try Fixture()
    for index in 0..<50 {
      try fixture.directory.write(
        #"{"channel": "stays", "enqueuedAt": 1600000000000}"#, to: "delivery-queue/stays-\(index).json")
    }
    let writer = try ChildProcess(
      "python3",
      [
        "-c",
        """
        import os, sys, time
        queue = sys.argv[1]
        for index in range(3000):
          path = f"{queue}/{index}.json"
          with open(f"{path}.9.tmp", "w") as file:
            file.write('{"channel": "passes", ')
            file.flush()
            file.write('"enqueuedAt": %d, "retryCount": 0}' % (time.time() * 1000))
          os.rename(f"{path}.9.tmp", path)
          if index >= 20:
            gone = f"{queue}/{index - 20}"
            os.rename(f"{gone}.json", f"{gone}.delivered")
            os.unlink(f"{gone}.delivered")
        """, fixture.queue,
      ])
    let reader = fixture.makeReader(clock: { Timestamp(nanoseconds: SystemClock.wallNanoseconds()) })
    func sample() throws -> Snapshot { try reader.sample(deadline: .now + .seconds(600), eventIDs: false) }
    repeat {
      let snapshot = try sample()
      #expect(snapshot.depths.first { $0.destination == "stays" }?.count == 50)
      #expect(snapshot.depth(.unknown) == 0 && snapshot.implausible == 0 && snapshot.deadCount == 0)
    } while writer.isRunning
    #expect(writer.wait() == 0, "\(writer.standardError)")
    #expect(try sample().depthLines == ["passes ready first 20", "stays ready first 50"])
  }
}

/// Seconds that a test moves by hand.
private final class ManualClock: Sendable {
  private let seconds = Mutex<Int64>(0)
  var value: Int64 {
    get { seconds.withLock { $0 } }
    set { seconds.withLock { $0 = newValue } }
  }
}
