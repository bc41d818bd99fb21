internal import Glibc
internal import Synchronization

/// Ends an exchange from outside: the calling thread of ``HTTPConnection/perform(_:)`` is blocked meanwhile.
package final class HTTPDeadline: Sendable {
  private let end = Atomic<Int64>(.max)

  /// Why an exchange ended that had no answer by then, for people.
  package static let explanation = "the time for the whole push was over"

  /// No deadline yet.
  package init() {}

  /// From this time on, in nanoseconds of the monotonic clock, nothing goes on; noticed within a second.
  package func set(monotonicNanoseconds: Int64) { end.store(monotonicNanoseconds, ordering: .relaxed) }

  /// True once the deadline has passed.
  package var hasPassed: Bool {
    let end = end.load(ordering: .relaxed)
    guard end != .max else { return false }
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec) >= end
  }
}
