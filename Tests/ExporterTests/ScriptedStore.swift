import Exporter
import Metrics
import Outbox
import Stores
import Synchronization

/// A store that answers as a test tells it to.
actor ScriptedStore: OutboxStore {
  nonisolated let configured: [WatchedOutbox]
  nonisolated let longestSample: Duration?
  private let script: @Sendable (Int) async -> [OutboxSample]
  /// How often it was asked.
  private(set) var calls = 0
  /// How often its connection was ended.
  private(set) var closings = 0

  /// - Parameter script: the answer to a call, which are counted from 1.
  init(
    configured: [WatchedOutbox] = [], longestSample: Duration? = nil,
    _ script: @escaping @Sendable (Int) async -> [OutboxSample]
  ) {
    self.configured = configured
    self.longestSample = longestSample
    self.script = script
  }

  /// A store with one outbox that is always empty.
  init(_ name: String) {
    self.init { _ in [.good(name)] }
  }

  func sample(_ request: SampleRequest) async -> [OutboxSample] {
    calls += 1
    return await script(calls)
  }

  func close() async { closings += 1 }
}

/// Something that others wait for until it is opened.
actor Gate {
  private var isOpen = false
  private var waiters: [CheckedContinuation<Void, Never>] = []
  /// How many wait.
  var waiting: Int { waiters.count }

  func wait() async {
    guard !isOpen else { return }
    await withCheckedContinuation { waiters.append($0) }
  }

  func open() {
    isOpen = true
    for waiter in waiters { waiter.resume() }
    waiters = []
  }
}

extension ExportCycle {
  /// Runs a cycle of which nothing is delivered.
  func run(eventIDs: Bool, patience: Duration?) async -> Outcome {
    await run(eventIDs: eventIDs, patience: patience) { _ in }
  }

  /// What a cycle delivers, all its batches together.
  func delivered() async -> (outcome: Outcome, batches: [MetricBatch]) {
    let batches = Mutex<[MetricBatch]>([])
    let outcome = await run(eventIDs: false, patience: nil) { batch in batches.withLock { $0.append(batch) } }
    return (outcome, batches.withLock { $0 })
  }
}

extension OutboxSample {
  static let time = Timestamp(nanoseconds: 1_800_000_000_000_000_000)

  static func good(_ name: String, ready: Int = 0) -> OutboxSample {
    OutboxSample(
      outbox: WatchedOutbox(name: name, layout: "praisonai", system: .sqlite), startedAt: time, duration: .zero,
      result: .success(
        Snapshot(
          storeTime: time,
          depths: ready == 0 ? [] : [.init(destination: "email", state: .ready, retry: false, count: ready)])))
  }

  static func bad(_ name: String) -> OutboxSample {
    OutboxSample(
      outbox: WatchedOutbox(name: name, layout: "praisonai", system: .sqlite), startedAt: time, duration: .zero,
      result: .failure(SampleFailure(.unreachable, "nobody answers")))
  }
}
