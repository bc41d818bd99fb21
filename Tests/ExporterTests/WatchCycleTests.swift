import Assessment
import Exporter
import Outbox
import Stores
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The cycle of watch` {
  @Test func `lets a slow store rest nine times as long as it worked, a minute at most`() async {
    let uptime = Mutex<Int64>(0)
    func wait(_ seconds: Int64) { uptime.withLock { $0 += seconds * 1_000_000_000 } }
    let lengths: [Int64] = [0, 2, 30, 0]
    let store = ScriptedStore { call in
      uptime.withLock { $0 += lengths[call - 1] * 1_000_000_000 }
      return [.good("orders", ready: call)]
    }
    let resting = RestingStore(store, uptime: { uptime.withLock { $0 } })
    func ready() async -> [Int] {
      await resting.sample(SampleRequest()).map { $0.snapshot?.depth(.ready) ?? -1 }
    }
    // The first sample takes no time, so the next one may follow at once; it takes two seconds.
    #expect(await ready() == [1])
    #expect(await ready() == [2])
    wait(17)
    #expect(await ready() == [2])
    wait(1)
    // Thirty seconds of work are followed by a minute, not by four and a half.
    #expect(await ready() == [3])
    wait(59)
    #expect(await ready() == [3])
    wait(1)
    #expect(await ready() == [4])
    #expect(await store.calls == 4)
  }

  @Test func `shows the other stores while one hangs, and asks for no movements`() async {
    let gate = Gate()
    let hung = ScriptedStore(configured: [WatchedOutbox(name: "hung", layout: "praisonai", system: .sqlite)]) { _ in
      await gate.wait()
      return [.good("hung", ready: 1)]
    }
    let cycle = WatchCycle(
      stores: [hung, ScriptedStore("orders")], interval: .milliseconds(20), now: { OutboxSample.time })
    let first = await cycle.run()
    #expect(first.samples.map(\.outbox.name) == ["hung", "orders"])
    #expect(first.samples.map { $0.failure?.reason } == [.timeout, nil])
    #expect(first.assessments["orders"]?.sentence == "1 of the 5 samples that a trend needs")
    // The same sample again is no second one.
    #expect(await cycle.run().assessments["orders"]?.sentence == "1 of the 5 samples that a trend needs")
    await gate.open()
    var late: [OutboxSample] = []
    while late.first?.snapshot == nil { late = await cycle.run().samples }
    #expect(late.first?.snapshot?.depth(.ready) == 1)
    await cycle.close()
  }
}
