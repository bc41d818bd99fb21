import HTTPClient
import TestSupport

/// A real backend that holds the series of several stages, each ending at a time of its own.
final class StagedBackend {
  /// The root of its HTTP interface.
  let base: String
  /// When each stage ends, in Unix seconds.
  let ends: [String: Int]
  /// What the simulation itself counts at the end of each stage.
  let truth: [String: ParsedJSON]
  private let process: ChildProcess?
  private let receiver: OTLPReceiver?
  private let directory: TemporaryDirectory

  private static let program = "\(ProjectFiles.root)/Tests/DashboardTests/synthetic.py"

  /// On full hours, so that every stage has the same steps. `apart` is longer than a silent exporter is remembered.
  private static func ends(of stages: [String], hoursApart apart: Int) -> [String: Int] {
    let last = Int(wallSeconds()) / 3600 * 3600
    return Dictionary(uniqueKeysWithValues: stages.enumerated().map { ($1, last - $0 * apart * 3600) })
  }

  struct NotFilled: Error, CustomStringConvertible {
    let description: String
  }

  /// VictoriaMetrics, filled through its import.
  static func victoriaMetrics(_ stages: [String]) throws -> StagedBackend {
    let receiver = try OTLPReceiver.victoriaMetrics()
    let directory = try TemporaryDirectory()
    // It knows the values of a label by the day.
    let ends = ends(of: stages, hoursApart: 48)
    try write(stages, ends, ["--format", "victoriametrics", "--import", receiver.base], into: directory)
    _ = try receiver.get("/internal/force_flush")
    return try StagedBackend(base: receiver.base, ends: ends, directory: directory, process: nil, receiver: receiver)
  }

  /// Prometheus, filled with blocks that promtool makes.
  static func prometheus(_ stages: [String]) throws -> StagedBackend {
    let directory = try TemporaryDirectory()
    let ends = ends(of: stages, hoursApart: 12)
    let series = try write(stages, ends, ["--format", "openmetrics"], into: directory)
    try directory.write(series, to: "series.txt")
    let blocks = try run(
      "promtool", ["tsdb", "create-blocks-from", "openmetrics", "series.txt", "data"], directory: directory.path)
    guard blocks.code == 0 else { throw NotFilled(description: blocks.error) }
    try directory.write("global: {scrape_interval: 1h}\n", to: "prometheus.yml")
    let port = freePort()
    let process = try ChildProcess(
      "prometheus",
      [
        "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:\(port)",
        "--storage.tsdb.retention.time=60d",
      ], directory: directory.path)
    let base = "http://127.0.0.1:\(port)"
    guard eventually({ !process.isRunning || status(base + "/-/ready") == 200 }), process.isRunning else {
      throw NotFilled(description: process.standardError)
    }
    return try StagedBackend(base: base, ends: ends, directory: directory, process: process, receiver: nil)
  }

  private init(
    base: String, ends: [String: Int], directory: TemporaryDirectory, process: ChildProcess?, receiver: OTLPReceiver?
  ) throws {
    self.base = base
    self.ends = ends
    self.directory = directory
    self.process = process
    self.receiver = receiver
    truth = try ParsedJSON(contents(of: "\(directory.path)/truth.json") ?? "").members
  }

  @discardableResult
  private static func write(
    _ stages: [String], _ ends: [String: Int], _ arguments: [String], into directory: TemporaryDirectory
  ) throws -> String {
    let chosen = stages.flatMap { ["--stage", "\($0)@\(ends[$0] ?? 0)"] }
    let result = try run(
      pythonForTests ?? "",
      [program, "--interval", "60", "--length", "5400", "--truth", "\(directory.path)/truth.json"] + chosen + arguments)
    guard result.code == 0 else { throw NotFilled(description: result.error) }
    return result.output
  }

  private static func status(_ url: String) -> Int? {
    try? HTTPConnection(userAgent: "test").perform(HTTPRequest(.get, url, timeout: .seconds(5))).status
  }

  /// What `dashboards/check.py` finds at the end of a stage, or some minutes before it.
  func check(_ stage: String, minutesBefore before: Int = 0) throws -> DashboardCheck {
    let time = (ends[stage] ?? 0) - 60 * before
    let result = try run(
      pythonForTests ?? "", ["dashboards/check.py", "--url", base, "--time", "\(time)", "--json"],
      directory: ProjectFiles.root)
    return try DashboardCheck(code: result.code, output: result.output, error: result.error)
  }
}

/// What every query of every panel, variable and annotation returned.
struct DashboardCheck {
  struct Entry {
    /// `dashboard/panel/query`; a panel's number, or the name of an annotation.
    let query: String
    /// `all` or `each`.
    let mode: String
    let error: String?
    let points: Int
    let finite: Int
    /// The value of every series at the end.
    let last: [String: Double]
  }

  let code: Int32
  let entries: [Entry]
  /// The values of every variable, as `dashboard/variable`.
  let variables: [String: [String]]

  init(code: Int32, output: String, error: String) throws {
    self.code = code
    var entries: [Entry] = []
    var variables: [String: [String]] = [:]
    for line in output.split(separator: "\n") {
      let json = try ParsedJSON(String(line))
      let dashboard = String((json["dashboard"]?.text ?? "").dropFirst("outbox-".count))
      if let variable = json["variable"]?.text {
        variables["\(dashboard)/\(variable)"] = json["values"]?.elements.compactMap(\.text)
        continue
      }
      let panel = json["panel"]?.text ?? ""
      entries.append(
        Entry(
          query: "\(dashboard)/\(panel == "0" ? json["title"]?.text ?? "" : panel)/\(json["query"]?.text ?? "")",
          mode: json["mode"]?.text ?? "", error: json["error"]?.text,
          points: Int(json["points"]?.text ?? "0") ?? 0, finite: Int(json["finite"]?.text ?? "0") ?? 0,
          last: (json["last"]?.members ?? [:]).compactMapValues { $0.text.flatMap { Double($0) } }))
    }
    if entries.isEmpty { throw StagedBackend.NotFilled(description: error) }
    self.entries = entries
    self.variables = variables
  }

  /// The queries that failed.
  var failures: [String] { entries.compactMap { entry in entry.error.map { "\(entry.query): \($0)" } } }

  /// The queries without data.
  var empty: Set<String> { Set(entries.filter { $0.error == nil && $0.finite == 0 }.map(\.query)) }

  /// The queries that were answered with what is no number, which Grafana shows as it is: NaN.
  var notNumbers: Set<String> { Set(entries.filter { $0.finite < $0.points }.map(\.query)) }

  /// The series of a query at the end, with All chosen.
  func last(_ query: String) -> [String: Double] {
    entries.first { $0.query == query && $0.mode == "all" }?.last ?? [:]
  }

  /// The one number of a query; nil where there is none.
  func number(_ query: String) -> Double? { last(query).count == 1 ? last(query).values.first : nil }
}
