import Exporter
import Outbox
import StateDirectory
import Stores
import TestSupport
import Testing

@Suite struct `What readings have cost` {
  /// Answers with three outboxes: one that is put off, one that has just been counted for the first time, one that is cheap.
  private actor PricedStore: OutboxStore {
    nonisolated let configured = ["put off", "dear", "cheap"].map { OutboxSample.good($0, ready: 0).outbox }
    private(set) var requests: [SampleRequest] = []

    func sample(_ request: SampleRequest) async -> [OutboxSample] {
      requests.append(request)
      return zip(configured, [0.1, 0.2, 0.1]).map { outbox, seconds in
        var sample = OutboxSample.good(outbox.name, ready: 0)
        let rhythm = Duration.seconds(outbox.name == "put off" ? 60 : 15)
        sample.intervals = SampleIntervals(head: .seconds(15), counts: rhythm)
        sample.costs = [ReadingCost(isEstimate: false, seconds: seconds, time: OutboxSample.time)]
        return sample
      }
    }

    func close() async {}
  }

  @Test func `is known after a restart, where not all may be read at any time`() async throws {
    let directory = try TemporaryDirectory()
    let store = PricedStore()
    for _ in 0..<2 {
      let memory = SampleMemory(directory: directory.path, rhythm: .sidecar(interval: .seconds(15))) { _ in "here" }
      let cycle = ExportCycle(
        stores: [store], exporters: [], resource: [], environment: nil, destinationLimit: 100, interval: .seconds(15),
        budget: SampleBudget(share: 0.01, interval: .seconds(15)), build: .current, memory: memory,
        now: { OutboxSample.time }, clock: ManualTimer())
      _ = await cycle.run(eventIDs: false, patience: nil)
      _ = await cycle.run(eventIDs: false, patience: nil)
    }
    let costs = await store.requests.map { $0.costs.mapValues { $0.map(\.seconds) } }
    // Only the first cycle of a run brings them along. 1 % of 15 s are 0.15 s.
    #expect(costs == [[:], [:], ["put off": [0.1], "dear": [0.2]], [:]])
  }
}
