package import Outbox

/// What became of the data points that were handed to one destination of telemetry, since the exporter started.
package struct ExportActivity: Sendable, Hashable {
  /// One finished export.
  package struct Operation: Sendable, Hashable {
    /// All attempts and waits included.
    package var duration: Duration
    /// The cause of the last attempt's failure; nil for a success.
    package var errorType: String?
    /// The HTTP status of the last attempt, if there was an answer.
    package var httpStatus: Int?

    /// A finished export.
    package init(duration: Duration, errorType: String?, httpStatus: Int?) {
      self.duration = duration
      self.errorType = errorType
      self.httpStatus = httpStatus
    }
  }

  /// What waits, and what will never arrive.
  package struct Spool: Sendable, Hashable {
    /// Requests that wait.
    package var depth: Int
    /// How long the oldest has waited; zero where none waits.
    package var age: Duration
    /// Data points that were dropped, for every reason that there is.
    package var dropped: [String: Int]
    /// Where the counts of dropped points begin; earlier than this exporter where they are kept between runs.
    package var start: Timestamp

    /// The state of a spool.
    package init(depth: Int, age: Duration, dropped: [String: Int], start: Timestamp) {
      self.depth = depth
      self.age = age
      self.dropped = dropped
      self.start = start
    }
  }

  /// Stable over restarts, e.g. `otlp_http_metric_exporter/0`.
  package var component: String
  /// The host that is pushed to; empty where the endpoint names none.
  package var serverAddress: String
  /// Its port.
  package var serverPort: Int
  /// Data points that arrived, since the start.
  package var exported: Int
  /// Data points that did not, by error type, since the start.
  package var failed: [String: Int]
  /// Data points whose export has not ended.
  package var inflight: Int
  /// The exports that ended since the last cycle.
  package var operations: [Operation]
  /// What waits and what was dropped; nil sends nothing about it.
  package var spool: Spool?

  /// An activity.
  package init(
    component: String, serverAddress: String, serverPort: Int, exported: Int, failed: [String: Int], inflight: Int,
    operations: [Operation], spool: Spool? = nil
  ) {
    self.component = component
    self.serverAddress = serverAddress
    self.serverPort = serverPort
    self.exported = exported
    self.failed = failed
    self.inflight = inflight
    self.operations = operations
    self.spool = spool
  }
}

/// What the exporter says about its own pushes: the standard self-metrics (OpenTelemetry semantic conventions,
/// `docs/otel/sdk-metrics.md`) and those of the spool.
struct ExportSeries {
  private typealias Key = MetricCatalog.Key

  private struct OperationKey: Hashable {
    var component: String
    var errorType: String?
    var httpStatus: Int?
  }

  private struct CountKey: Hashable {
    var component: String
    var errorType: String?
  }

  /// Whether distributions are counted in exponential buckets too.
  private let isExponential: Bool
  private var counts = CumulativeSeries<CountKey>()
  private var operations: [OperationKey: (start: Timestamp, durations: HistogramValue)] = [:]
  private var spoolStarts: [String: Timestamp] = [:]
  private var last: [ExportActivity] = []
  private var start: Timestamp?

  init(isExponential: Bool) { self.isExponential = isExponential }

  mutating func describe(
    _ activities: [ExportActivity], environment: String?, start: Timestamp, previous: Timestamp, time: Timestamp,
    into sink: inout PointSink
  ) {
    last = activities
    let inflightStart = self.start ?? start
    self.start = inflightStart
    for activity in activities {
      let base = attributes(activity, environment)
      let totals =
        [(nil, activity.exported)] + activity.failed.sorted { $0.key < $1.key }.map { (Optional($0.key), $0.value) }
      for (errorType, total) in totals {
        for point in counts.points(
          CountKey(component: activity.component, errorType: errorType), total: Int64(total),
          attributes: base + error(errorType), previous: previous, time: time)
        {
          sink.add(MetricCatalog.exported, point)
        }
      }
      sink.add(MetricCatalog.inflight, base, start: inflightStart, .int(Int64(activity.inflight)))
      if let spool = activity.spool {
        // A kept time can lie in the future: somebody may have set the clock back meanwhile.
        let start = spoolStarts[activity.component] ?? min(spool.start, previous)
        spoolStarts[activity.component] = start
        describe(spool, spoolAttributes(activity, environment), start: start, depthStart: inflightStart, into: &sink)
      }
      for operation in activity.operations {
        let key = OperationKey(
          component: activity.component, errorType: operation.errorType, httpStatus: operation.httpStatus)
        // The conventions advise no bounds: one bucket, for count and sum.
        operations[key, default: (previous, HistogramValue(bounds: [], isExponential: isExponential))].durations
          .record(operation.duration.seconds)
      }
      for (key, series) in operations.sorted(by: { order($0.key) < order($1.key) })
      where key.component == activity.component {
        sink.add(
          MetricCatalog.operationDuration,
          DataPoint(
            attributes: base + error(key.errorType) + status(key.httpStatus), start: series.start, time: time,
            value: .histogram(series.durations)))
      }
    }
  }

  func end(environment: String?, into sink: inout PointSink) {
    for activity in last {
      let base = attributes(activity, environment)
      let keys = counts.keys.filter { $0.component == activity.component }
      for key in keys.sorted(by: { $0.errorType ?? "" < $1.errorType ?? "" }) {
        sink.add(MetricCatalog.exported, base + error(key.errorType), .int(0))
      }
      sink.add(MetricCatalog.inflight, base, .int(0))
      if let spool = activity.spool {
        describe(spool, spoolAttributes(activity, environment), start: sink.time, depthStart: sink.time, into: &sink)
      }
      for (key, series) in operations.sorted(by: { order($0.key) < order($1.key) })
      where key.component == activity.component {
        sink.add(
          MetricCatalog.operationDuration, base + error(key.errorType) + status(key.httpStatus),
          .histogram(series.durations))
      }
    }
  }

  private func describe(
    _ spool: ExportActivity.Spool, _ attributes: [Attribute], start: Timestamp, depthStart: Timestamp,
    into sink: inout PointSink
  ) {
    sink.add(MetricCatalog.spoolDepth, attributes, start: depthStart, .int(Int64(spool.depth)))
    sink.add(MetricCatalog.spoolAge, attributes, .double(spool.age.seconds))
    for (reason, points) in spool.dropped.sorted(by: { $0.key < $1.key }) {
      sink.add(
        MetricCatalog.spoolDropped, attributes + [Attribute(Key.dropReason, reason)], start: start, .int(Int64(points)))
    }
  }

  // The component keeps endpoints with the same host and port apart.
  private func spoolAttributes(_ activity: ExportActivity, _ environment: String?) -> [Attribute] {
    attributes(activity, environment).filter { $0.key != Key.componentType }
  }

  private func attributes(_ activity: ExportActivity, _ environment: String?) -> [Attribute] {
    let type = activity.component.split(separator: "/").first.map(String.init) ?? activity.component
    let server =
      activity.serverAddress.isEmpty
      ? []
      : [
        Attribute(Key.serverAddress, activity.serverAddress),
        Attribute(Key.serverPort, .int(Int64(activity.serverPort))),
      ]
    return (environment.map { [Attribute(Key.environment, $0)] } ?? [])
      + [Attribute(Key.componentType, type), Attribute(Key.componentName, activity.component)] + server
  }

  private func error(_ type: String?) -> [Attribute] { type.map { [Attribute(Key.errorType, $0)] } ?? [] }

  private func status(_ code: Int?) -> [Attribute] { code.map { [Attribute(Key.httpStatus, .int(Int64($0)))] } ?? [] }

  private func order(_ key: OperationKey) -> String {
    "\(key.component) \(key.errorType ?? "") \(key.httpStatus ?? 0)"
  }
}
