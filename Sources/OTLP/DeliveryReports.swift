package import Outbox
internal import SystemCalls

/// What became of the points of one push.
package struct PushReport: Sendable, Hashable {
  /// Points that the receiver took.
  package var deliveredPoints = 0
  /// Points that were lost: refused, invalid, too large, or without an answer until the end.
  package var droppedPoints = 0
  /// Points that stay in the spool and are sent after the next start.
  package var keptPoints = 0
  /// The last failure behind the lost points and those that were kept.
  package var failure: DeliveryFailure?

  /// A report of nothing.
  package init() {}

  /// True where every point arrived.
  package var isComplete: Bool { droppedPoints == 0 }
}

/// Something to tell the operator in one line. Repetitions are left out until something else happens.
package enum DeliveryEvent: Sendable, Hashable {
  /// The destination stopped taking data; requests are kept and tried again.
  case outageBegan(DeliveryFailure)
  /// The destination answers again. `kept` points are delivered or about to be, `lost` were dropped meanwhile.
  case outageEnded(lasted: Duration, kept: Int, lost: Int)
  /// Points that will not arrive.
  case dropped(points: Int, DeliveryFailure)
  /// The receiver took the request and refused so many of its points; 0 with a warning.
  case rejected(points: Int, message: String)
  /// A damaged spool was replaced.
  case spoolSetAside(String)
  /// Undelivered requests are not kept on the disk at the moment.
  case spoolFailed(String)
  /// They are again.
  case spoolWorks(String)
}

/// One finished export, for `otel.sdk.exporter.operation.duration`.
package struct ExportOperation: Sendable, Hashable {
  /// From the beginning of the first attempt to the end of the last, back-off included.
  package var duration: Duration
  /// The attribute `error.type`; nil for a success.
  package var errorType: String?
  /// The attribute `http.response.status_code` of the last attempt, where it was answered.
  package var status: Int?
}

/// What the `otel.sdk.exporter.*` metrics say about a destination (semantic conventions, "SDK metrics").
package struct ExportObservation: Sendable, Hashable {
  /// Points that the destination took, since the start.
  package var exportedPoints: UInt64 = 0
  /// Points that it did not get, since the start, by `error.type`. A point counts once, after the last attempt.
  package var failedPoints: [String: UInt64] = [:]
  /// Points that wait or are on their way.
  package var inflightPoints = 0
  /// Exports that ended since the last observation; at most the last 1000.
  package var operations: [ExportOperation] = []
  /// What waits and what was dropped.
  package var spool = SpoolObservation(depth: 0, age: .zero, dropped: [:], start: Timestamp(nanoseconds: 0))
}

/// Time and chance, as values that tests replace.
package struct DeliveryTiming: Sendable {
  /// Nanoseconds of a clock that never jumps.
  package var monotonic: @Sendable () -> Int64
  /// The wall-clock time.
  package var wall: @Sendable () -> Timestamp
  /// Waits; ends early when the task is cancelled.
  package var sleep: @Sendable (Duration) async -> Void
  /// A number in 0 ..< 1.
  package var random: @Sendable () -> Double

  /// Time and chance from the given sources.
  package init(
    monotonic: @escaping @Sendable () -> Int64, wall: @escaping @Sendable () -> Timestamp,
    sleep: @escaping @Sendable (Duration) async -> Void, random: @escaping @Sendable () -> Double
  ) {
    self.monotonic = monotonic
    self.wall = wall
    self.sleep = sleep
    self.random = random
  }

  /// The system's clocks and random numbers.
  package static let system = DeliveryTiming(
    monotonic: { SystemClock.monotonicNanoseconds() },
    wall: { Timestamp(nanoseconds: SystemClock.wallNanoseconds()) },
    sleep: { try? await Task.sleep(for: $0) },
    random: { Double.random(in: 0..<1) })
}
