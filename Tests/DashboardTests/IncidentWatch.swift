import HTTPClient
import SystemCalls
import TestSupport

/// A backend that takes what the exporter sends, with what evaluates the alert rules on it.
final class IncidentWatch {
  let name: String
  let receiver: OTLPReceiver
  private let vmalert: ChildProcess?
  private let flushing: Task<Void, Never>?
  private let rules: TemporaryDirectory
  /// Where the evaluator says which alerts it has.
  private let evaluator: String

  /// An alert, and how far it is: `OutboxWorkerDead critical bots/telegram`.
  struct Seen: Hashable, Comparable, CustomStringConvertible {
    let alert: String
    let isFiring: Bool

    init(_ alert: String, isFiring: Bool) { (self.alert, self.isFiring) = (alert, isFiring) }

    init(_ labels: [String: String], isFiring: Bool) {
      let place = [labels["outbox_name"], labels["outbox_destination"]].compactMap { $0 }.joined(separator: "/")
      let words = [
        labels["alertname"], labels["severity"], place.isEmpty ? nil : place, labels["outbox_verdict"],
        labels["outbox_stuck_reason"], labels["outbox_drop_reason"],
      ]
      self.init(words.compactMap { $0 }.joined(separator: " "), isFiring: isFiring)
    }

    var description: String { "\(alert) \(isFiring ? "firing" : "pending")" }
    static func < (left: Seen, right: Seen) -> Bool { left.description < right.description }
  }

  /// Prometheus, which evaluates the rules itself once it is told to: then it takes nothing any more that is older than an hour.
  static func prometheus(_ pace: IncidentPace) throws -> IncidentWatch {
    let rules = try generate(pace)
    let receiver = try OTLPReceiver.prometheus(
      configuration: "rule_files: [\"\(rules.path)/\(evaluated)\"]\n",
      arguments: ["--query.lookback-delta=\(pace.text(5))", "--web.enable-lifecycle"])
    return IncidentWatch("Prometheus", receiver, nil, rules, evaluator: receiver.base)
  }

  private static let evaluated = "evaluated.yml"

  /// Begins to evaluate the rules, where that is not done anyhow.
  func evaluateRules() throws {
    guard vmalert == nil else { return }
    try FileSystem.move("\(rules.path)/outbox.rules.yml", to: "\(rules.path)/\(Self.evaluated)")
    let answer = try HTTPConnection(userAgent: "test").perform(
      HTTPRequest(.post, "\(evaluator)/-/reload", timeout: .seconds(60)))
    guard answer.status == 200 else { throw StagedBackend.NotFilled(description: "the rules: \(answer.status)") }
  }

  /// VictoriaMetrics, and vmalert beside it.
  static func victoriaMetrics(_ pace: IncidentPace) throws -> IncidentWatch {
    let rules = try generate(pace)
    let receiver = try OTLPReceiver.victoriaMetrics(arguments: ["-search.maxStalenessInterval=\(pace.text(5))"])
    let port = freePort()
    let vmalert = try ChildProcess(
      "vmalert",
      [
        "-rule=\(rules.path)/outbox.rules.yml", "-datasource.url=\(receiver.base)", "-remoteWrite.url=\(receiver.base)",
        "-remoteWrite.flushInterval=100ms", "-notifier.blackhole", "-httpListenAddr=127.0.0.1:\(port)",
        // What came in within the last second or two cannot be seen yet.
        "-rule.evalDelay=2s",
      ], directory: rules.path)
    return IncidentWatch(
      "VictoriaMetrics", receiver, vmalert, rules, evaluator: "http://127.0.0.1:\(port)", flushing: flush(receiver))
  }

  /// VictoriaMetrics shows what came in after up to four seconds, which are five minutes of the rehearsal, so that what its own
  /// rules have recorded looks stale to the next. It is told not to wait (docs, "Troubleshooting": `/internal/force_flush`).
  private static func flush(_ receiver: OTLPReceiver) -> Task<Void, Never> {
    let url = receiver.base + "/internal/force_flush"
    return Task.detached {
      while !Task.isCancelled {
        _ = try? HTTPConnection(userAgent: "test").perform(HTTPRequest(.get, url))
        try? await Task.sleep(for: .milliseconds(300))
      }
    }
  }

  private init(
    _ name: String, _ receiver: OTLPReceiver, _ vmalert: ChildProcess?, _ rules: TemporaryDirectory, evaluator: String,
    flushing: Task<Void, Never>? = nil
  ) {
    (self.name, self.receiver, self.vmalert, self.rules) = (name, receiver, vmalert, rules)
    (self.evaluator, self.flushing) = (evaluator, flushing)
  }

  deinit { flushing?.cancel() }

  private static func generate(_ pace: IncidentPace) throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    let result = try run(
      "python3", ["alerts/generate", "--output", directory.path, "--divide", "\(pace.divisor)"],
      directory: ProjectFiles.root)
    guard result.code == 0 else { throw StagedBackend.NotFilled(description: result.error) }
    return directory
  }

  /// The alerts that are pending or firing at this moment, as who evaluates them says.
  func alerts() throws -> Set<Seen> {
    let request = HTTPRequest(.get, "\(evaluator)/api/v1/alerts", timeout: .seconds(60))
    let answer = try HTTPConnection(userAgent: "test").perform(request)
    let alerts = try ParsedJSON(String(decoding: answer.body, as: UTF8.self))["data"]?["alerts"]?.elements ?? []
    return Set(
      alerts.compactMap { alert in
        let state = alert["state"]?.text
        guard state == "pending" || state == "firing" else { return nil }
        return Seen((alert["labels"]?.members ?? [:]).compactMapValues(\.text), isFiring: state == "firing")
      })
  }

  /// When each alert began to be pending, and when to fire, since a time. The times are those of the data that the rules were
  /// evaluated on, and not those of the evaluation.
  func begun(since time: Double, _ pace: IncidentPace) throws -> [(time: Double, alert: Seen)] {
    let range = "[\(Int((wallSeconds() - time) * 1000) + 1000)ms]"
    let samples = Dictionary(
      grouping: try receiver.query("ALERTS" + range).filter { $0.time >= time },
      by: { Seen($0.labels, isFiring: $0.labels["alertstate"] == "firing") })
    return samples.flatMap { alert, samples in
      let times = samples.map(\.time).sorted()
      let first = times.indices.filter { $0 == 0 || times[$0] - times[$0 - 1] > pace.seconds(3) }
      return first.map { (times[$0], alert) }
    }
  }

  /// When the oldest of the last good samples of these outboxes was taken; nil where one of them has none.
  func sampled(_ outboxes: [String]) throws -> Double? {
    guard !outboxes.isEmpty else { return wallSeconds() }
    let points = try receiver.query("outbox_sample_time_seconds{outbox_sample_kind=\"counts\"}")
    let times = outboxes.map { name in points.filter { $0.outbox == name }.map(\.value).max() }
    return times.contains(nil) ? nil : times.compactMap { $0 }.min()
  }

  /// The times of the good samples of an outbox since a time.
  func samples(of outbox: String, since time: Double) throws -> [Double] {
    let range = "[\(Int((wallSeconds() - time) * 1000) + 1000)ms]"
    return try receiver.query(
      "outbox_sample_time_seconds{outbox_sample_kind=\"counts\", outbox_name=\"\(outbox)\"}\(range)"
    )
    .map(\.value).sorted()
  }

  /// What the counters said at a time: `outbox/destination/kind`.
  func counted(at time: Double) throws -> [String: Double] {
    var counted: [String: Double] = [:]
    let query = "{__name__=~\"outbox_enqueued_total|outbox_deliveries_total\"} @ \(time)"
    for point in try receiver.query(query) {
      let kind = point.labels["outbox_disposition"] ?? "enqueued"
      counted["\(point.outbox)/\(point.labels["outbox_destination"] ?? "")/\(kind)"] = point.value
    }
    return counted
  }

  /// Begins to ask every query of every dashboard as of a time.
  func check(at time: Double, _ pace: IncidentPace) throws -> ChildProcess {
    try ChildProcess(
      "nice",
      [
        "-n", "10", pythonForTests ?? "", "dashboards/check.py", "--url", receiver.base, "--time", "\(time)",
        "--divide",
        "\(pace.divisor)", "--json",
      ], directory: ProjectFiles.root)
  }
}
