import Outbox

/// Turns growing totals into the data points of counters, each with the start time of its accumulation.
///
/// A counter series that appears begins with 0 at the previous time, in the same request, so that a backend sees the
/// first increase too (OTLP data model, "Resets and Gaps").
struct CumulativeSeries<Key: Hashable & Sendable> {
  private var starts: [Key: Timestamp] = [:]

  /// The points of one series at one time.
  mutating func points(
    _ key: Key, total: Int64, attributes: [Attribute], previous: Timestamp, time: Timestamp
  ) -> [DataPoint] {
    if let start = starts[key] {
      return [DataPoint(attributes: attributes, start: start, time: time, value: .int(total))]
    }
    starts[key] = previous
    let point = DataPoint(attributes: attributes, start: previous, time: time, value: .int(total))
    guard total != 0 else { return [point] }
    return [DataPoint(attributes: attributes, start: previous, time: previous, value: .int(0)), point]
  }

  /// The series that have begun.
  var keys: [Key] { Array(starts.keys) }
}
