package import Outbox
package import Stores
import SystemCalls

/// A store that is at work for a tenth of the time at most, however often it is asked: a slow sample is followed by a
/// rest of nine times its length, a minute at most, in which the last answer is given again.
package actor RestingStore: OutboxStore {
  private static let longestRest: Int64 = 60_000_000_000

  private let store: any OutboxStore
  private let uptime: @Sendable () -> Int64
  private var last: [OutboxSample] = []
  private var restEnd = Int64.min

  /// The outboxes of the store that rests.
  package nonisolated var configured: [WatchedOutbox] { store.configured }

  /// A store that rests.
  ///
  /// - Parameter uptime: nanoseconds of a clock that never jumps.
  package init(
    _ store: any OutboxStore, uptime: @escaping @Sendable () -> Int64 = { SystemClock.monotonicNanoseconds() }
  ) {
    self.store = store
    self.uptime = uptime
  }

  package func sample(_ request: SampleRequest) async -> [OutboxSample] {
    let start = uptime()
    guard start >= restEnd else { return last }
    last = await store.sample(request)
    let end = uptime()
    restEnd = end + min((end - start) * 9, Self.longestRest)
    return last
  }

  package func close() async { await store.close() }
}
