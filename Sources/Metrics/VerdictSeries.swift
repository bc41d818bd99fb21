import Assessment
import Outbox

/// The series of what an outbox's trend says.
struct VerdictSeries {
  private typealias Key = MetricCatalog.Key

  private struct DestinationVerdict: Hashable {
    var destination: String
    var verdict: Verdict
  }

  private var hasBegun = false
  private var hasDrainTime = false
  private var destinations: Set<DestinationVerdict> = []

  /// Adds the points of one assessment.
  ///
  /// - Parameters:
  ///   - isMeasured: false after a failed sample, which says nothing about destinations; their series pause.
  ///   - name: the name that a destination is sent under.
  mutating func describe(
    _ assessment: OutboxAssessment, base: [Attribute], isMeasured: Bool, name: (String) -> String,
    into sink: inout PointSink
  ) {
    hasBegun = true
    for verdict in Verdict.allCases {
      sink.add(
        MetricCatalog.verdict, base + [Attribute(Key.verdict, verdict.rawValue)],
        .int(verdict == assessment.verdict ? 1 : 0))
    }
    guard isMeasured else { return }
    let now = Set(
      assessment.destinations.map { DestinationVerdict(destination: name($0.name), verdict: $0.verdict) })
    end(destinations.subtracting(now), base: base, into: &sink)
    for entry in Self.sorted(now) { add(entry, base: base, into: &sink) }
    destinations = now
    if let range = assessment.drainTime {
      sink.add(MetricCatalog.drainTime, base, .double(range.expected.seconds))
      hasDrainTime = true
    } else {
      endDrainTime(base: base, into: &sink)
    }
  }

  /// Ends every series.
  mutating func end(base: [Attribute], into sink: inout PointSink) {
    guard hasBegun else { return }
    for verdict in Verdict.allCases {
      sink.add(MetricCatalog.verdict, base + [Attribute(Key.verdict, verdict.rawValue)], .noRecordedValue)
    }
    end(destinations, base: base, into: &sink)
    endDrainTime(base: base, into: &sink)
    self = VerdictSeries()
  }

  private mutating func endDrainTime(base: [Attribute], into sink: inout PointSink) {
    if hasDrainTime { sink.add(MetricCatalog.drainTime, base, .noRecordedValue) }
    hasDrainTime = false
  }

  private func end(_ entries: Set<DestinationVerdict>, base: [Attribute], into sink: inout PointSink) {
    let isEnding = sink.isEnding
    sink.isEnding = true
    for entry in Self.sorted(entries) { add(entry, base: base, into: &sink) }
    sink.isEnding = isEnding
  }

  private func add(_ entry: DestinationVerdict, base: [Attribute], into sink: inout PointSink) {
    let isOther = entry.destination == DestinationRoster.other
    sink.add(
      MetricCatalog.verdict,
      base + [Attribute(Key.destination, entry.destination)] + (isOther ? [Attribute(Key.overflow, .bool(true))] : [])
        + [Attribute(Key.verdict, entry.verdict.rawValue)], .int(1))
  }

  private static func sorted(_ entries: Set<DestinationVerdict>) -> [DestinationVerdict] {
    entries.sorted { ($0.destination, $0.verdict) < ($1.destination, $1.verdict) }
  }
}
