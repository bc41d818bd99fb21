import Demo
import Layouts
import Outbox
import Reports
import SQLiteClient
import Stores
import Synchronization
import TestSupport
import Testing

@Suite struct `Demo` {
  @Test func `the story is over within a minute and shows every kind of trouble`() {
    #expect(DemoScenario.seconds < 60)
    #expect((0..<DemoScenario.seconds).allSatisfy { DemoScenario.phase(at: $0) != nil })
    #expect(DemoScenario.phase(at: DemoScenario.seconds) == nil)
    #expect(DemoScenario.phases.contains { $0.capacity == nil })
    #expect(DemoScenario.phases.contains { $0.brokenChannel != nil })
    // The dead worker has to stay dead for longer than a lease, or nothing is ever stuck.
    #expect(DemoScenario.phases.contains { $0.capacity == nil && Double($0.seconds) > DemoOutbox.lease })
  }

  @Test func `the exporter sees the trouble that the story tells`() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/outbox.sqlite"
    let clock = Mutex(1_800_000_000.0)
    let store = SQLiteStore(
      OutboxDefinition(name: "demo", address: .sqlite(path: path), layout: DemoOutbox.layout),
      now: { clock.withLock { Timestamp(seconds: $0) } })
    var outbox = try DemoOutbox(path: path)
    var worst: [String: Snapshot] = [:]
    var view = DemoView()
    var last: Snapshot?
    for second in 0..<DemoScenario.seconds {
      let phase = try #require(DemoScenario.phase(at: second))
      for _ in 0..<4 {
        try outbox.live(phase, at: clock.withLock { $0 }, for: 0.25)
        clock.withLock { $0 += 0.25 }
      }
      let sample = try #require(await store.sample(eventIDs: false).first)
      let snapshot = try #require(sample.snapshot)
      view.see(sample)
      let picture = view.picture(sample, second: second, style: TextStyle(isColoured: false), pushes: "")
      #expect(picture.allSatisfy { $0.count <= 80 } && picture.count < 24, "\(picture)")
      let line = view.line(sample, second: second)
      #expect(line.count <= 80 && line.count == DemoView.header.count, "\(line)")
      #expect(snapshot.implausible == 0)
      if snapshot.depth >= worst[phase.title]?.depth ?? 0 { worst[phase.title] = snapshot }
      last = snapshot
    }
    #expect(worst["healthy"]?.depth(.ready) == 0)
    #expect((worst["slow worker"]?.depth(.ready) ?? 0) > 20)
    #expect((worst["dead worker"]?.stuckCount ?? 0) > 0)
    #expect((worst["channel down"]?.depth(.scheduled) ?? 0) > 0)
    #expect((last?.deadCount ?? 0) > 0)
    #expect(last?.depth(.ready) == 0)
    #expect(last?.stuckCount == 0)
  }
}
