package import Outbox

/// Counters and distributions as one destination of telemetry wants them: what came since it was last told, instead of
/// all since the beginning (OTLP data model, "Temporality").
///
/// The figures themselves stay cumulative. What the destination was last told of each series is remembered here, and by
/// whoever keeps ``changes`` in one commit with the points, so that between two runs too nothing is told twice or never.
package struct DeltaSeries: Sendable {
  /// A series by its metric's name and its attributes. The number stands for the attributes: 64 bits are enough to tell
  /// the series of a metric apart, and cost less than their texts.
  private struct Key: Hashable {
    var metric: String
    var attributes: UInt64
  }

  private struct Told: Hashable {
    var start: Timestamp
    var time: Timestamp
    var value: PointValue
  }

  /// What began earlier was not told from its beginning: its first point only says where to go on from.
  private let began: Timestamp
  private var told: [Key: Told] = [:]
  /// Series that ended in the last batch. Should the process end with it, the next one goes on with them.
  private var ended: Set<Key> = []
  /// Series of which something else is known than what is kept.
  private var unkept: Set<Key> = []

  /// Series of a destination that was told nothing yet.
  package init(began: Timestamp) { self.began = began }

  /// A batch begins: what ended in the one before is forgotten.
  mutating func beginBatch() {
    for key in ended { told[key] = nil }
    unkept.formUnion(ended)
    ended = []
  }

  /// Replaces the cumulative points of a metric. A point that only says where a series begins is left out.
  mutating func replacePoints(of metric: inout Metric) {
    metric.temporality = .delta
    metric.points = metric.points.compactMap { point in
      let key = Key(metric: metric.instrument.name, attributes: Self.number(point.attributes))
      switch point.value {
      case .noRecordedValue, .endedDistribution:
        ended.insert(key)
        return point
      case .int, .double, .histogram, .exponentialHistogram:
        ended.remove(key)
        return point.start.flatMap { delta(point, since: $0, key) }
      }
    }
  }

  private mutating func delta(_ point: DataPoint, since start: Timestamp, _ key: Key) -> DataPoint? {
    let last = told[key]
    unkept.insert(key)
    guard point.time > last?.time ?? start else {
      // The beginning of a series that is not known yet.
      if last == nil { told[key] = Told(start: start, time: point.time, value: point.value) }
      return nil
    }
    told[key] = Told(start: start, time: point.time, value: point.value)
    var point = point
    guard let last else { return start >= began ? point : nil }
    if start == last.start, let rest = point.value.since(last.value) {
      point.start = last.time
      point.value = rest
    } else {
      // It began anew. No two points of a series may cover the same time.
      point.start = max(start, last.time)
    }
    return point
  }

  /// FNV-1a with 64 bits over keys and values (Fowler, Noll and Vo).
  private static func number(_ attributes: [Attribute]) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    func add(_ text: String) {
      for byte in text.utf8 { add(byte) }
      // No text in UTF-8 has this byte.
      add(0xff)
    }
    for attribute in attributes {
      add(attribute.key)
      switch attribute.value {
      case .string(let text): add(text)
      case .bool(let flag): add(flag ? "true" : "false")
      case .int(let number): add("\(number)")
      }
    }
    return hash
  }
}

// MARK: - Between two runs

extension DeltaSeries {
  /// What is to be kept since ``noteKept()`` was last called, by a name of each series; nil where it is to be forgotten.
  package var changes: [String: String?] {
    var changes: [String: String?] = [Self.beginning: "\(began.nanoseconds)"]
    for key in unkept {
      changes["\(key.metric) \(key.attributes)"] = .some(
        told[key].flatMap { told in
          told.value.keptText.map { "\(told.start.nanoseconds) \(told.time.nanoseconds) \($0)" }
        })
    }
    return changes
  }

  /// Takes note that ``changes`` are kept.
  package mutating func noteKept() { unkept = [] }

  /// What an earlier run has kept; nil where that is not what ``changes`` were.
  package init?(kept: [String: String]) {
    guard let began = kept[Self.beginning].flatMap({ Int64($0) }) else { return nil }
    self.init(began: Timestamp(nanoseconds: began))
    for (name, text) in kept where name != Self.beginning {
      let names = name.split(separator: " ")
      let words = text.split(separator: " ", maxSplits: 2)
      guard names.count == 2, words.count == 3, let attributes = UInt64(names[1]), let start = Int64(words[0]),
        let time = Int64(words[1]), let value = PointValue(keptText: words[2])
      else { return nil }
      told[Key(metric: String(names[0]), attributes: attributes)] = Told(
        start: Timestamp(nanoseconds: start), time: Timestamp(nanoseconds: time), value: value)
    }
  }

  /// No metric has this name.
  private static let beginning = "began"
}

extension PointValue {
  /// What was added since an earlier value of the same series; nil where it is another series, or went back.
  fileprivate func since(_ earlier: PointValue) -> PointValue? {
    switch (self, earlier) {
    case (.int(let value), .int(let earlier)) where value >= earlier: .int(value - earlier)
    case (.double(let value), .double(let earlier)) where value >= earlier: .double(value - earlier)
    case (.histogram(let value), .histogram(let earlier)): value.since(earlier).map { .histogram($0) }
    case (.exponentialHistogram(let value), .exponentialHistogram(let earlier)):
      value.since(earlier).map { .exponentialHistogram($0) }
    default: nil
    }
  }

  fileprivate var keptText: String? {
    switch self {
    case .int(let value): "i \(value)"
    case .double(let value): "d \(value)"
    case .histogram(let value):
      "h \(value.sum) \(value.isSumCounter) \(value.counts.map { "\($0)" }.joined(separator: ",")) "
        + value.bounds.map { "\($0)" }.joined(separator: ",")
    case .exponentialHistogram(let value): "x \(value.text)"
    case .noRecordedValue, .endedDistribution: nil
    }
  }

  fileprivate init?(keptText: Substring) {
    let words = keptText.split(separator: " ", maxSplits: 1)
    guard words.count == 2 else { return nil }
    switch words[0] {
    case "i":
      guard let value = Int64(words[1]) else { return nil }
      self = .int(value)
    case "d":
      guard let value = Double(words[1]) else { return nil }
      self = .double(value)
    case "h":
      guard let value = HistogramValue(keptText: words[1]) else { return nil }
      self = .histogram(value)
    case "x":
      guard let value = ExponentialHistogram(text: words[1]) else { return nil }
      self = .exponentialHistogram(value)
    default: return nil
    }
  }
}

extension HistogramValue {
  /// The measurements since an earlier moment of the same distribution; nil where it is not the same.
  fileprivate func since(_ earlier: HistogramValue) -> HistogramValue? {
    guard bounds == earlier.bounds, zip(counts, earlier.counts).allSatisfy({ $0 >= $1 }) else { return nil }
    var rest = self
    rest.counts = zip(counts, earlier.counts).map { $0 - $1 }
    // What rounding leaves of a sum is no measurement.
    rest.sum = rest.count == 0 ? 0 : sum - earlier.sum
    return rest
  }

  fileprivate init?(keptText: Substring) {
    let words = keptText.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 4, let sum = Double(words[0]) else { return nil }
    let bounds = words[3].split(separator: ",").compactMap { Double($0) }
    let counts = words[2].split(separator: ",").compactMap { UInt64($0) }
    guard counts.count == bounds.count + 1 else { return nil }
    self.init(bounds: bounds, counts: counts, sum: sum, isSumCounter: words[1] == "true")
  }
}
