import HTTPClient
import TestSupport

/// A backend that takes what the exporter sends, with what evaluates the alert rules on it.
final class IncidentWatch {
  let name: String
  let receiver: OTLPReceiver
  private let vmalert: ChildProcess?
  private let rules: TemporaryDirectory

  /// An alert, and how far it is: `OutboxWorkerDead critical bots/telegram`.
  struct Seen: Hashable, Comparable, CustomStringConvertible {
    let alert: String
    let isFiring: Bool

    var description: String { "\(alert) \(isFiring ? "firing" : "pending")" }
    static func < (left: Seen, right: Seen) -> Bool { left.description < right.description }
  }

  /// Prometheus, which evaluates the rules itself.
  static func prometheus(_ pace: IncidentPace) throws -> IncidentWatch {
    let rules = try generate(pace)
    let receiver = try OTLPReceiver.prometheus(
      configuration: "rule_files: [\"\(rules.path)/outbox.rules.yml\"]\n",
      arguments: ["--query.lookback-delta=\(pace.text(5))"])
    return IncidentWatch("Prometheus", receiver, nil, rules)
  }

  /// VictoriaMetrics, and vmalert beside it.
  static func victoriaMetrics(_ pace: IncidentPace) throws -> IncidentWatch {
    let rules = try generate(pace)
    let receiver = try OTLPReceiver.victoriaMetrics(arguments: ["-search.maxStalenessInterval=\(pace.text(5))"])
    let vmalert = try ChildProcess(
      "vmalert",
      [
        "-rule=\(rules.path)/outbox.rules.yml", "-datasource.url=\(receiver.base)", "-remoteWrite.url=\(receiver.base)",
        "-remoteWrite.flushInterval=100ms", "-notifier.blackhole", "-httpListenAddr=127.0.0.1:\(freePort())",
        // What came in within the last second or two cannot be seen yet.
        "-rule.evalDelay=2s",
      ], directory: rules.path)
    return IncidentWatch("VictoriaMetrics", receiver, vmalert, rules)
  }

  private init(_ name: String, _ receiver: OTLPReceiver, _ vmalert: ChildProcess?, _ rules: TemporaryDirectory) {
    (self.name, self.receiver, self.vmalert, self.rules) = (name, receiver, vmalert, rules)
  }

  private static func generate(_ pace: IncidentPace) throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    let result = try run(
      "python3", ["alerts/generate", "--output", directory.path, "--divide", "\(pace.divisor)"],
      directory: ProjectFiles.root)
    guard result.code == 0 else { throw StagedBackend.NotFilled(description: result.error) }
    return directory
  }

  /// The alerts that are pending or firing at this moment.
  func alerts() throws -> Set<Seen> { seen(try receiver.answer("ALERTS")) }

  /// The alerts that were pending or firing at any time since.
  func alerts(since time: Double) throws -> Set<Seen> {
    seen(try receiver.answer("count_over_time(ALERTS[\(Int((wallSeconds() - time) * 1000) + 1000)ms])"))
  }

  private func seen(_ answer: ParsedJSON) -> Set<Seen> {
    Set(
      (answer["data"]?["result"]?.elements ?? []).map { series in
        let labels = (series["metric"]?.members ?? [:]).compactMapValues(\.text)
        let place = [labels["outbox_name"], labels["outbox_destination"]].compactMap { $0 }.joined(separator: "/")
        let words = [
          labels["alertname"], labels["severity"], place, labels["outbox_verdict"], labels["outbox_stuck_reason"],
          labels["outbox_drop_reason"],
        ]
        return Seen(
          alert: words.compactMap { $0 }.joined(separator: " "), isFiring: labels["alertstate"] == "firing")
      })
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
