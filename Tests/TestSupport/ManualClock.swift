import Synchronization

/// A clock that moves only when it is told to.
package final class ManualClock: Sendable {
  private let time = Atomic<Int64>(1_000_000_000)

  /// A clock at one second.
  package init() {}

  /// Nanoseconds since the clock's start.
  package var nanoseconds: Int64 { time.load(ordering: .sequentiallyConsistent) }

  /// Lets time pass.
  package func advance(seconds: Int64) {
    time.add(seconds * 1_000_000_000, ordering: .sequentiallyConsistent)
  }
}
