package import Outbox
package import Stores

/// Samples all stores at once, and lets none wait for another.
///
/// A store that has not answered in time keeps running and is not sampled again meanwhile; its figures come in the
/// round in which it answers.
package actor SampleRound {
  /// What a round brought.
  package struct Result: Sendable {
    /// The samples of the stores that have answered, in the order of the stores.
    package var samples: [OutboxSample] = []
    /// Outboxes that their store does not hold any more.
    package var vanished: [String] = []
    /// How many stores are still at work.
    package var unanswered = 0
  }

  private let stores: [any OutboxStore]
  private var running: Set<Int> = []
  private var finished: [Int: [OutboxSample]] = [:]
  private var names: [Int: Set<String>] = [:]
  private var waiter: CheckedContinuation<Void, Never>?

  /// A round over the stores.
  package init(stores: [any OutboxStore]) {
    self.stores = stores
  }

  /// Samples every store that is not still at work.
  ///
  /// - Parameters:
  ///   - eventIDs: whether to name a few events worth looking at.
  ///   - patience: how long to wait for the slowest store; nil waits for all, each within its own deadline.
  package func sample(eventIDs: Bool, patience: Duration?) async -> Result {
    for index in stores.indices where !running.contains(index) && finished[index] == nil {
      running.insert(index)
      let store = stores[index]
      Task {
        let samples = await store.sample(eventIDs: eventIDs)
        finish(index, samples)
      }
    }
    await waitForAll(patience)
    var result = Result()
    for index in stores.indices {
      guard let samples = finished.removeValue(forKey: index) else {
        result.unanswered += 1
        continue
      }
      let present = Set(samples.map(\.outbox.name))
      result.samples += samples
      result.vanished += (names[index] ?? []).subtracting(present).sorted()
      names[index] = present
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
    if running.isEmpty { wake() }
  }

  private func wake() {
    waiter?.resume()
    waiter = nil
  }

  private func waitForAll(_ patience: Duration?) async {
    guard !running.isEmpty else { return }
    let alarm = patience.map { patience in
      Task {
        guard (try? await Task.sleep(for: patience)) != nil else { return }
        wake()
      }
    }
    await withCheckedContinuation { waiter = $0 }
    alarm?.cancel()
  }
}
