/// A point in time as nanoseconds since 1970-01-01T00:00:00Z.
///
/// OTLP carries exactly this (`time_unix_nano`), so nothing is lost between a sample and the wire.
package struct Timestamp: Sendable, Hashable, Comparable {
  /// Nanoseconds since the Unix epoch; negative before it.
  package var nanoseconds: Int64

  /// A timestamp from nanoseconds since the Unix epoch.
  package init(nanoseconds: Int64) {
    self.nanoseconds = nanoseconds
  }

  /// A timestamp from seconds since the Unix epoch, as databases give it. Values no clock can show are clamped.
  package init(seconds: Double) {
    // The fraction apart from the whole: together they have more digits than a Double.
    let whole = seconds.rounded(.down)
    let clamped = seconds > 0 ? Int64.max : seconds < 0 ? Int64.min : 0
    let (product, overflow) = (Int64(exactly: whole) ?? clamped).multipliedReportingOverflow(by: 1_000_000_000)
    let fraction = seconds.isFinite ? Int64(((seconds - whole) * 1e9).rounded()) : 0
    let (sum, overflowing) = product.addingReportingOverflow(fraction)
    nanoseconds = overflow || overflowing ? clamped : sum
  }

  /// Seconds since the Unix epoch.
  package var seconds: Double {
    let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    return Double(whole) + Double(rest) / 1e9
  }

  /// The time from the other timestamp to this one; negative where the other is later.
  package func since(_ other: Timestamp) -> Duration {
    let (difference, overflow) = nanoseconds.subtractingReportingOverflow(other.nanoseconds)
    return .nanoseconds(overflow ? (nanoseconds > other.nanoseconds ? Int64.max : Int64.min) : difference)
  }

  /// This timestamp moved by a duration.
  package func advanced(by duration: Duration) -> Timestamp {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.wholeNanoseconds)
    return Timestamp(nanoseconds: overflow ? (duration < .zero ? .min : .max) : sum)
  }

  package static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Duration {
  /// The duration in seconds, the unit of every time that is exported.
  package var seconds: Double {
    let (whole, attoseconds) = components
    return Double(whole) + Double(attoseconds) / 1e18
  }

  /// Whole nanoseconds, clamped to what 64 bits hold (292 years).
  package var wholeNanoseconds: Int64 {
    let (whole, attoseconds) = components
    let (product, overflow) = whole.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return whole < 0 ? .min : .max }
    let (sum, overflowing) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflowing ? (whole < 0 ? .min : .max) : sum
  }
}
