import Metrics
import Outbox

/// Names a series: the metric with its attributes, in their order.
struct Series: Hashable, Comparable, CustomStringConvertible {
  var metric: String
  var attributes: [String]

  init(_ metric: String, _ attributes: [String]) {
    self.metric = metric
    self.attributes = attributes
  }

  init(_ metric: Metric, _ point: DataPoint) {
    self.metric = metric.instrument.name
    self.attributes = point.attributes.map { "\($0.key)=\($0.value.shown)" }
  }

  var description: String { "\(metric){\(attributes.joined(separator: ","))}" }

  static func < (left: Series, right: Series) -> Bool { left.description < right.description }
}

extension AttributeValue {
  var shown: String {
    switch self {
    case .string(let text): text
    case .bool(let value): "\(value)"
    case .int(let value): "\(value)"
    }
  }
}

extension [Metric] {
  /// All points with the name of their series.
  var all: [(series: Series, point: DataPoint)] {
    flatMap { metric in metric.points.map { (Series(metric, $0), $0) } }
  }

  /// The points of one metric that carry all these attributes, written as `key=value`.
  func points(_ metric: Instrument, _ attributes: String...) -> [DataPoint] {
    all.filter { entry in
      entry.series.metric == metric.name && attributes.allSatisfy(entry.series.attributes.contains)
    }.map(\.point)
  }

  /// The values of the points of one metric that carry all these attributes.
  func values(_ metric: Instrument, _ attributes: String...) -> [PointValue] {
    all.filter { entry in
      entry.series.metric == metric.name && attributes.allSatisfy(entry.series.attributes.contains)
    }.map(\.point.value)
  }

  /// The series that end here.
  var ended: Set<Series> { Set(all.filter { $0.point.isEnd }.map(\.series)) }

  /// The series that have a value here.
  var valued: Set<Series> { Set(all.filter { !$0.point.isEnd }.map(\.series)) }

  /// The destinations of the depth points that have a value.
  var destinations: [String] {
    let names = points(MetricCatalog.depth).filter { $0.value != .noRecordedValue }.compactMap { point in
      point.attributes.first { $0.key == "outbox.destination" }?.value.shown
    }
    return Set(names).sorted()
  }
}

extension DataPoint {
  /// True where the series ends here.
  var isEnd: Bool {
    switch value {
    case .noRecordedValue, .endedDistribution: true
    case .int, .double, .histogram, .exponentialHistogram: false
    }
  }
}

let orders = WatchedOutbox(name: "orders", layout: "praisonai", system: .sqlite)

/// A describer with one outbox and a clock that a test moves.
struct Describing {
  static let epoch = Timestamp(nanoseconds: 1_800_000_000_000_000_000)

  var describer: MetricDescriber
  var now = Self.epoch
  var skipped = 0
  var exports: [ExportActivity] = []
  /// Whether each cycle was the same when it was described outbox by outbox.
  private(set) var isSameInParts = true

  init(
    limit: Int = 100, environment: String? = nil, isExponential: Bool = false, start: Timestamp = Self.epoch
  ) {
    now = start
    describer = MetricDescriber(
      environment: environment, destinationLimit: limit, isExponential: isExponential, version: "1.2.3",
      revision: "abc", start: start)
  }

  /// One cycle in which only the head of the outbox is read.
  mutating func look(_ outbox: WatchedOutbox, _ head: QueueHead, intervals: SampleIntervals) -> [Metric] {
    now = now.advanced(by: .seconds(15))
    let sample = OutboxSample(
      outbox: outbox, startedAt: now, duration: .milliseconds(1), figures: .success(.head(head)), intervals: intervals)
    return describer.describe(CycleObservation(time: now, samples: [sample], interval: .seconds(15)))
  }

  /// One cycle, 15 s after the one before.
  mutating func cycle(
    _ results: [(WatchedOutbox, Result<Snapshot, SampleFailure>)], vanished: [String] = [],
    after pause: Duration = .seconds(15), accounting: AccountingReading? = nil
  ) -> [Metric] {
    now = now.advanced(by: pause)
    let samples = results.map { outbox, result in
      OutboxSample(
        outbox: outbox, startedAt: now.advanced(by: .milliseconds(2)), duration: .milliseconds(3), result: result,
        accounting: accounting)
    }
    let observation = CycleObservation(
      time: now, samples: samples, vanished: vanished, interval: .seconds(15), skippedCycles: skipped,
      exports: exports)
    let parts = inParts(observation)
    let whole = describer.describe(observation)
    isSameInParts = isSameInParts && whole == parts
    return whole
  }

  /// What the next cycle describes, outbox by outbox.
  private func inParts(_ observation: CycleObservation) -> [Metric] {
    var describer = describer
    var points: [Instrument: [DataPoint]] = [:]
    var next: Int? = 0
    while let first = next {
      let part = describer.describe(observation, from: first, limit: 1)
      for metric in part.metrics { points[metric.instrument, default: []] += metric.points }
      next = part.next
    }
    return MetricCatalog.all.compactMap { instrument in points[instrument].map { Metric(instrument, points: $0) } }
  }

  /// A cycle in which the only outbox has the snapshot.
  mutating func good(_ snapshot: Snapshot = .empty, after pause: Duration = .seconds(15)) -> [Metric] {
    cycle([(orders, .success(snapshot))], after: pause)
  }

  /// A cycle in which the only outbox cannot be sampled.
  mutating func bad(
    _ reason: SampleFailure.Reason = .timeout, after pause: Duration = .seconds(15)
  ) -> [Metric] {
    cycle([(orders, .failure(SampleFailure(reason, "no answer")))], after: pause)
  }

  /// The time of the sample in the last cycle.
  var sampled: Timestamp { now.advanced(by: .milliseconds(2)) }
}

extension Snapshot {
  static let empty = Snapshot(storeTime: Describing.epoch)

  /// Ready events by destination.
  static func ready(_ counts: [String: Int]) -> Snapshot {
    Snapshot(
      storeTime: Describing.epoch,
      depths: counts.map { Depth(destination: $0.key, state: .ready, retry: false, count: $0.value) })
  }
}

/// A generator whose seed is printed where a property fails (SplitMix64, Steele and others 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
