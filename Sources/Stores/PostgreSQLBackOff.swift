import Outbox

/// How long a database that could not be reached is left alone.
///
/// A server that refuses, or is starting, is not helped by being asked all the time; and every refused password is a
/// line in its log.
struct PostgreSQLBackOff {
  private let longest: Duration
  private let spread: @Sendable () -> Double
  private var failures = 0
  private var endsAt: Int64?

  /// - Parameters:
  ///   - longest: what the wait doubles up to, from one second on.
  ///   - spread: the share of the wait that is kept, so that many exporters do not come back at the same moment.
  init(longest: Duration, spread: @escaping @Sendable () -> Double) {
    self.longest = longest
    self.spread = spread
  }

  /// True while the database is to be left alone.
  func isWaiting(at monotonicNanoseconds: Int64) -> Bool {
    endsAt.map { monotonicNanoseconds < $0 } ?? false
  }

  /// Notes another failure.
  mutating func fail(at monotonicNanoseconds: Int64) {
    let wait = min(Duration.seconds(1 << min(failures, 20)), longest)
    failures += 1
    endsAt = monotonicNanoseconds + Int64(Double(wait.wholeNanoseconds) * spread())
  }

  /// Notes that the database answered.
  mutating func succeed() {
    failures = 0
    endsAt = nil
  }
}
