import Exporter
import Metrics
import Outbox
import Stores
import SystemCalls
import TestSupport
import Testing

@Suite struct `The cycle's counting` {
  /// A store with one outbox in which one event is enqueued between two samples.
  private actor CountingStore: OutboxStore {
    nonisolated let configured: [WatchedOutbox] = []
    private(set) var requests: [SampleRequest] = []
    var restart: String?

    func sample(_ request: SampleRequest) async -> [OutboxSample] {
      requests.append(request)
      let before = request.marks?["orders"].flatMap { Int($0.position) }
      var sample = OutboxSample.good("orders")
      sample.startedAt = Timestamp(nanoseconds: SystemClock.wallNanoseconds())
      sample.accounting = AccountingReading(
        mark: AccountingMark(.ledger, "\((before ?? 100) + 1)"),
        movements: before.map { _ in Movements(["email": .init(enqueued: 1)]) }, restart: restart)
      return [sample]
    }

    func close() async {}
  }

  private func cycle(_ store: CountingStore, _ movements: MovementKeeping) -> ExportCycle {
    ExportCycle(
      stores: [store], exporters: [], resource: [], environment: nil, destinationLimit: 100, interval: .seconds(15),
      build: .current, movements: movements, now: { Timestamp(nanoseconds: SystemClock.wallNanoseconds()) },
      clock: ManualTimer())
  }

  private func enqueued(_ cycle: ExportCycle) async -> PointValue? {
    await cycle.delivered().batches.flatMap(\.metrics).first { $0.instrument == MetricCatalog.enqueued }?.points.last?
      .value
  }

  @Test func `hands each sample the mark of the one before`() async {
    let store = CountingStore()
    let cycle = cycle(store, .inMemory)
    var values: [PointValue?] = []
    for _ in 0..<3 { values.append(await enqueued(cycle)) }
    #expect(await store.requests.map { $0.marks?["orders"]?.position } == [nil, "101", "102"])
    #expect(await store.requests.allSatisfy { $0.marks != nil })
    #expect(values == [.int(0), .int(1), .int(2)])
  }

  @Test func `asks for no movements in a run that ends at once`() async {
    let store = CountingStore()
    _ = await cycle(store, .none).run(eventIDs: true, patience: nil)
    #expect(await store.requests == [SampleRequest(eventIDs: true, marks: nil)])
  }

  @Test func `goes on where another run has ended`() async throws {
    let directory = try TemporaryDirectory()
    let store = CountingStore()
    for _ in 0..<3 {
      let cycle = cycle(store, .directory(directory.path))
      for _ in 0..<2 { _ = await cycle.run(eventIDs: false, patience: nil) }
      _ = await cycle.end()
      await cycle.close()
    }
    #expect(await store.requests.map { $0.marks?["orders"]?.position } == [nil, "101", "102", "103", "104", "105"])
    #expect(await store.requests.dropFirst().allSatisfy { $0.marks?["orders"]?.isDurable == true })
    #expect(await enqueued(cycle(store, .directory(directory.path))) == .int(6))
  }

  @Test func `lets nothing be thrown away that is not on the disk`() async throws {
    let directory = try TemporaryDirectory()
    let store = CountingStore()
    let cycle = cycle(store, .directory(directory.path + "/missing"))
    let notices = await cycle.run(eventIDs: false, patience: nil).notices
    #expect(notices.count == 1 && notices[0].contains("cannot be kept"))
    _ = await cycle.run(eventIDs: false, patience: nil)
    #expect(await store.requests.last?.marks?["orders"]?.isDurable == false)
  }
}
