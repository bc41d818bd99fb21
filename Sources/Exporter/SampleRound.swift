package import Outbox
package import Stores

/// Samples all stores at once, and lets none wait for another.
///
/// A store that has not answered in time is a failed sample of each of its outboxes: unknown is not silence. It keeps
/// running and is not sampled again meanwhile; later rounds do not wait for it, and its figures come in the round that
/// finds them.
package actor SampleRound {
  /// What a round brought.
  package struct Result: Sendable {
    /// The samples in the order of the stores; failed ones of those that have not answered.
    package var samples: [OutboxSample] = []
    /// Outboxes that their store does not hold any more.
    package var vanished: [String] = []
    /// How many stores are still at work.
    package var unanswered = 0
    /// How many rounds so far came while the store of an outbox was still at work, by the outbox's name.
    package var missed: [String: Int] = [:]
  }

  private let stores: [any OutboxStore]
  private var running: Set<Int> = []
  private var finished: [Int: [OutboxSample]] = [:]
  private var known: [Int: [WatchedOutbox]] = [:]
  private var missed: [Int: Int] = [:]
  private let clock: any Clock<Duration>
  private let executor: (any TaskExecutor)?
  private let now: @Sendable () -> Timestamp
  private var awaited: Set<Int> = []
  private var waiter: CheckedContinuation<Void, Never>?
  private var number = 0

  /// A round over the stores.
  ///
  /// - Parameters:
  ///   - clock: measures the patience.
  ///   - executor: what the waiting takes place on; nil for the cooperative pool.
  ///   - now: the wall clock, which stamps the samples of stores that do not answer.
  package init(
    stores: [any OutboxStore], clock: any Clock<Duration> = ContinuousClock(), executor: (any TaskExecutor)? = nil,
    now: @escaping @Sendable () -> Timestamp
  ) {
    self.stores = stores
    self.clock = clock
    self.executor = executor
    self.now = now
  }

  /// Samples every store that is not still at work.
  ///
  /// - Parameters:
  ///   - request: what each of them is asked for.
  ///   - patience: how long to wait for the slowest store that this round asks; nil waits for all stores, each within
  ///     its own deadline.
  package func sample(_ request: SampleRequest, patience: Duration?) async -> Result {
    number += 1
    awaited = patience == nil ? running : []
    for index in running { missed[index, default: 0] += 1 }
    for index in stores.indices where !running.contains(index) && finished[index] == nil {
      running.insert(index)
      awaited.insert(index)
      let store = stores[index]
      Task(executorPreference: executor) {
        let samples = await store.sample(request)
        await self.finish(index, samples)
      }
    }
    let startedAt = now()
    await waitForAll(patience)
    var result = Result()
    for index in stores.indices {
      guard let samples = finished.removeValue(forKey: index) else {
        result.unanswered += 1
        // Remembered, so that the configured name ends where the store turns out to hold several outboxes.
        let outboxes = known[index] ?? stores[index].configured
        known[index] = outboxes
        result.samples += outboxes.map { outbox in
          OutboxSample(
            outbox: outbox, startedAt: startedAt, duration: max(.zero, now().since(startedAt)),
            result: .failure(
              SampleFailure(
                .timeout, "the store has not answered yet",
                hint: "a network file system or a server hangs; its answer is taken whenever it comes")))
        }
        continue
      }
      let present = Set(samples.map(\.outbox.name))
      result.samples += samples
      result.vanished += Set((known[index] ?? []).map(\.name)).subtracting(present).sorted()
      known[index] = samples.map(\.outbox)
      for name in present { result.missed[name] = missed[index] }
    }
    return result
  }

  /// Ends the connections of all stores that are not at work.
  package func close() async {
    for index in stores.indices where !running.contains(index) { await stores[index].close() }
  }

  private func finish(_ index: Int, _ samples: [OutboxSample]) {
    running.remove(index)
    finished[index] = samples
    awaited.remove(index)
    if awaited.isEmpty { wake(number) }
  }

  // The alarm of a round that is over must not end the next one.
  private func wake(_ round: Int) {
    guard round == number else { return }
    waiter?.resume()
    waiter = nil
  }

  private func waitForAll(_ patience: Duration?) async {
    guard !awaited.isEmpty else { return }
    let round = number
    let clock = clock
    // A clock has a thread of its own, which a health check notices.
    let needsNoAlarm = awaited.allSatisfy { index in
      stores[index].longestSample.map { $0 <= patience ?? .zero } ?? false
    }
    let alarm = (needsNoAlarm ? nil : patience).map { patience in
      Task(executorPreference: executor) {
        guard (try? await clock.sleep(for: patience)) != nil else { return }
        await self.wake(round)
      }
    }
    await withCheckedContinuation { waiter = $0 }
    alarm?.cancel()
  }
}
