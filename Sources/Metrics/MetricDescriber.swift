package import Accounting
package import Assessment
package import Outbox

/// What one cycle saw.
package struct CycleObservation: Sendable {
  /// The exporter's wall clock at the start of the cycle.
  package var time: Timestamp
  /// One sample per outbox whose store has answered.
  package var samples: [OutboxSample]
  /// What the trend of each outbox says, by its name; none where nobody keeps one.
  package var assessments: [String: OutboxAssessment]
  /// Names of outboxes that are not watched any more, such as a file that a glob does not match any longer.
  package var vanished: [String]
  /// The rhythm in force.
  package var interval: Duration
  /// Cycles that were skipped since the exporter started.
  package var skippedCycles: Int
  /// Cycles that went on without an outbox since the exporter started, because its last sample was still running.
  package var missedCycles: [String: Int]
  /// What became of earlier exports, one entry per destination of telemetry.
  package var exports: [ExportActivity]

  /// A cycle's observations.
  package init(
    time: Timestamp, samples: [OutboxSample], assessments: [String: OutboxAssessment] = [:], vanished: [String] = [],
    interval: Duration, skippedCycles: Int = 0, missedCycles: [String: Int] = [:], exports: [ExportActivity] = []
  ) {
    self.time = time
    self.samples = samples
    self.assessments = assessments
    self.vanished = vanished
    self.interval = interval
    self.skippedCycles = skippedCycles
    self.missedCycles = missedCycles
    self.exports = exports
  }
}

/// The metric descriptions of an exporter's life: samples in, data points out.
///
/// It remembers what it has sent, because a series that was begun must be continued or ended, and times must rise.
package struct MetricDescriber: Sendable {
  private typealias Key = MetricCatalog.Key

  private let environment: String?
  private let destinationLimit: Int
  private let isExponential: Bool
  private let build: [Attribute]
  private let start: Timestamp
  // No earlier than any point that was sent: what is sent next comes after it.
  private var previousTime: Timestamp
  private var previousSkipped = 0
  private var hasBegun = false
  private var order: [String] = []
  private var outboxes: [String: OutboxSeries] = [:]
  private var exports: ExportSeries
  /// What earlier runs have counted of outboxes that were not sampled yet.
  private var kept: [String: OutboxAccount] = [:]
  /// What the last part of a cycle has seen move, by outbox and by the destinations' names on their series.
  package private(set) var recorded: [String: [String: Movements.Counts]] = [:]
  /// Why the counters of outboxes began anew in the last part of a cycle although their readings went on, by outbox.
  package private(set) var restarts: [String: String] = [:]

  /// A describer that has sent nothing yet.
  ///
  /// - Parameters:
  ///   - environment: `outbox.environment` on every point; nil where none is configured.
  ///   - destinationLimit: how many destinations of an outbox get a series of their own.
  ///   - isExponential: whether distributions are counted in exponential buckets too, for those destinations of telemetry
  ///     that want them.
  ///   - start: when the exporter started; counters begin here.
  package init(
    environment: String?, destinationLimit: Int, isExponential: Bool = false, version: String, revision: String,
    start: Timestamp
  ) {
    // Backends treat an empty attribute as an absent one, or worse.
    let environment = environment == "" ? nil : environment
    self.environment = environment
    self.destinationLimit = destinationLimit
    self.isExponential = isExponential
    self.exports = ExportSeries(isExponential: isExponential)
    self.build =
      (environment.map { [Attribute(Key.environment, $0)] } ?? [])
      + [Attribute(Key.version, version), Attribute(Key.revision, revision)]
    self.start = start
    self.previousTime = start
  }

  /// The metrics of one cycle, in the order of the catalogue.
  package mutating func describe(_ cycle: CycleObservation) -> [Metric] {
    describe(cycle, from: 0, limit: .max).metrics
  }

  /// The metrics of a part of one cycle, in the order of the catalogue: the points of hundreds of outboxes take many times
  /// the memory that everything else does.
  ///
  /// - Parameters:
  ///   - first: where in the cycle's samples the part begins: 0, and then where the last part ended.
  ///   - limit: the part ends with the outbox that reaches this number of points.
  /// - Returns: the metrics, and where the next part begins; nil where this was the last.
  package mutating func describe(
    _ cycle: CycleObservation, from first: Int, limit: Int
  ) -> (metrics: [Metric], next: Int?) {
    var sink = PointSink()
    hasBegun = true
    recorded = [:]
    restarts = [:]
    for (index, sample) in cycle.samples.enumerated().dropFirst(first) {
      if sink.count >= limit { return (sink.metrics, index) }
      let name = sample.outbox.name
      let missed = cycle.missedCycles[name] ?? 0
      if outboxes[name] == nil {
        order.append(name)
        outboxes[name] = OutboxSeries(
          sample.outbox, environment: environment, destinationLimit: destinationLimit, isExponential: isExponential,
          start: previousTime, skippedBefore: Int64(previousSkipped + missed), account: kept.removeValue(forKey: name))
      }
      outboxes[name]?.describe(
        sample, cycle.assessments[name], interval: cycle.interval, skipped: Int64(cycle.skippedCycles + missed),
        into: &sink)
      if let moved = outboxes[name]?.recorded, !moved.isEmpty { recorded[name] = moved }
      if sample.accounting != nil { restarts[name] = outboxes[name]?.restart }
    }
    let present = Set(cycle.samples.map(\.outbox.name))
    var ended: Timestamp?
    for name in cycle.vanished where !present.contains(name) {
      outboxes[name]?.end(at: cycle.time, into: &sink)
      ended = max(ended ?? sink.time, sink.time)
      outboxes[name] = nil
    }
    order.removeAll { outboxes[$0] == nil }
    for name in cycle.vanished where outboxes[name] == nil { kept[name] = nil }

    let time = max(cycle.time, previousTime.advanced(by: .milliseconds(1)))
    sink.time = time
    sink.add(MetricCatalog.build, build, .int(1))
    exports.describe(
      cycle.exports, environment: environment, start: start, previous: previousTime, time: time, into: &sink)
    // An outbox that comes back begins later than it ended, or two points of one series would share a time.
    previousTime = max(time, ended?.advanced(by: .milliseconds(1)) ?? time)
    previousSkipped = cycle.skippedCycles
    return (sink.metrics, nil)
  }

  /// Goes on from what earlier runs have counted of the outboxes' movements, by outbox. Called before the first cycle.
  package mutating func restore(_ accounts: [String: OutboxAccount]) { kept = accounts }

  /// What was counted of each outbox's movements, by its name.
  package var accounts: [String: OutboxAccount] {
    kept.merging(outboxes.compactMapValues(\.account)) { _, counted in counted }
  }

  /// The points that end every series, for a clean stop; nothing where none was begun. What is described afterwards
  /// begins anew.
  package mutating func end(at time: Timestamp) -> [Metric] {
    guard hasBegun else { return [] }
    var sink = PointSink()
    var latest = time
    for name in order {
      outboxes[name]?.end(at: time, into: &sink)
      latest = max(latest, sink.time)
    }
    sink.isEnding = true
    sink.time = max(time, previousTime.advanced(by: .milliseconds(1)))
    sink.add(MetricCatalog.build, build, .int(1))
    exports.end(environment: environment, into: &sink)
    previousTime = max(sink.time, latest).advanced(by: .milliseconds(1))
    exports = ExportSeries(isExponential: isExponential)
    kept = accounts
    outboxes = [:]
    order = []
    hasBegun = false
    return sink.metrics
  }
}

/// Collects points by instrument.
struct PointSink {
  private var points: [String: [DataPoint]] = [:]
  /// How many points there are.
  private(set) var count = 0
  /// The time of the points that are added next.
  var time = Timestamp(nanoseconds: 0)
  /// Whether the points that are added next end their series: their values are then left out.
  var isEnding = false

  /// - Parameter start: where the accumulation of a sum began; nil for gauges.
  mutating func add(
    _ instrument: Instrument, _ attributes: [Attribute], start: Timestamp? = nil, _ value: PointValue
  ) {
    add(
      instrument,
      DataPoint(attributes: attributes, start: start, time: time, value: isEnding ? .noRecordedValue : value))
  }

  mutating func add(_ instrument: Instrument, _ point: DataPoint) {
    points[instrument.name, default: []].append(point)
    count += 1
  }

  var metrics: [Metric] {
    MetricCatalog.all.compactMap { instrument in
      points[instrument.name].map { Metric(instrument, points: $0) }
    }
  }
}
