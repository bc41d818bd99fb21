import HTTPClient
import TestSupport

/// What was counted a week before the incident: nothing can be lived through for so long.
struct IncidentPast {
  let outbox: String
  let destination: String
  /// Arrivals in a second.
  let rate: Double
  /// From half an hour and more before the same time of last week, for as long as the incident can last, in minutes of it.
  static let (before, length) = (40.0, 800.0)

  /// Writes it to a backend that has nothing yet.
  func write(to watch: IncidentWatch, _ pace: IncidentPace) throws {
    let start = wallSeconds() - pace.seconds(7 * 24 * 60 + Self.before)
    let step = pace.seconds(0.75)
    let points = stride(from: 0, to: pace.seconds(Self.length), by: step).map { after in
      (time: start + after, value: after * rate)
    }
    let (path, type, text) =
      watch.name == "Prometheus"
      ? ("", "application/json", otlp(points, since: start))
      : ("/api/v1/import/prometheus", "text/plain", lines(points))
    let url = path.isEmpty ? watch.receiver.endpoint : watch.receiver.base + path
    let answer = try HTTPConnection(userAgent: "test").perform(
      HTTPRequest(.post, url, headers: [HTTPHeader("content-type", type)], body: Array(text.utf8)))
    guard (200...204).contains(answer.status) else {
      throw StagedBackend.NotFilled(description: "\(watch.name): \(String(decoding: answer.body, as: UTF8.self))")
    }
  }

  private var labels: [(key: String, value: String)] {
    [
      ("outbox.environment", "production"), ("outbox.name", outbox), ("outbox.destination", destination),
      ("outbox.accounting", "ledger"),
    ]
  }

  private func lines(_ points: [(time: Double, value: Double)]) -> String {
    let text = labels.map { "\($0.key.replacing(".", with: "_"))=\"\($0.value)\"" }.joined(separator: ",")
    return points.map { "outbox_enqueued_total{\(text)} \($0.value) \(Int($0.time * 1000))\n" }.joined()
  }

  private func otlp(_ points: [(time: Double, value: Double)], since start: Double) -> String {
    let text = labels.map { "{\"key\":\"\($0.key)\",\"value\":{\"stringValue\":\"\($0.value)\"}}" }
      .joined(separator: ",")
    let values = points.map { point in
      "{\"attributes\":[\(text)],\"startTimeUnixNano\":\"\(Int(start * 1e9))\","
        + "\"timeUnixNano\":\"\(Int(point.time * 1e9))\",\"asDouble\":\(point.value)}"
    }.joined(separator: ",")
    return """
      {"resourceMetrics":[{"resource":{},"scopeMetrics":[{"metrics":[{"name":"outbox.enqueued","unit":"{event}",
      "sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[\(values)]}}]}]}]}
      """
  }
}

/// A Collector beside the two backends, which takes what it is sent and does nothing with it.
final class IncidentCollector {
  let endpoint: String
  private let directory: TemporaryDirectory
  private var process: ChildProcess?

  init() throws {
    let port = freePort()
    endpoint = "http://127.0.0.1:\(port)/v1/metrics"
    directory = try TemporaryDirectory()
    try directory.write(
      """
      receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:\(port)"}}}}
      exporters: {debug: {}}
      service: {telemetry: {metrics: {level: none}}, pipelines: {metrics: {receivers: [otlp], exporters: [debug]}}}
      """, to: "config.yaml")
    try start()
  }

  func start() throws {
    let started = try ChildProcess("otelcol", ["--config", "config.yaml"], directory: directory.path)
    process = started
    guard eventually({ !started.isRunning || started.standardError.contains("Everything is ready") }), started.isRunning
    else { throw StagedBackend.NotFilled(description: started.standardError) }
  }

  func stop() {
    process?.signal(15)
    process?.wait()
  }
}
