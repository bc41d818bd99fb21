import Glibc

/// The operating system's clocks.
package enum SystemClock {
  /// Nanoseconds of wall-clock time since 1970; may jump when the clock is set.
  package static func wallNanoseconds() -> Int64 { nanoseconds(of: CLOCK_REALTIME) }

  /// Nanoseconds since an arbitrary start; never jumps. For durations and deadlines.
  package static func monotonicNanoseconds() -> Int64 { nanoseconds(of: CLOCK_MONOTONIC) }

  private static func nanoseconds(of clock: clockid_t) -> Int64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
