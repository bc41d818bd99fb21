import Accounting
import Arguments
import Configuration
import Outbox
import Reports
import SQLiteClient
import StateDirectory
import SystemCalls

/// Prints what moved over the last days, from what the sidecar has kept.
struct ReportCommand: Subcommand {
  static let command = Command(
    "report", "Prints what was enqueued, delivered, retried and dead-lettered, and how long deliveries took.",
    discussion: """
      The sidecar counts what moves and keeps it in its state directory: by five minutes for two days, by the hour for \
      five weeks, by the day for 400 days. No outbox is asked; the sidecar may be running.

        outbox-exporter report --state-dir /var/lib/outbox-exporter --since 7d
        outbox-exporter report --since 24h --by destination
        outbox-exporter report --since 30d --format json
      """,
    groups: [
      OptionGroup([
        CommandOption("--since", "duration", "How far back to look, e.g. 24h or 7d. Default: 7d."),
        CommandOption(
          "--by", "what", choices: Grouping.allCases.map(\.rawValue),
          "What gets a line of its own: outbox or destination. Default: outbox."),
        CommandOption("--outbox", "name", "Only the outbox with this name."),
        CommandOption(
          "--state-dir", "dir",
          "The sidecar's state directory. Without it OUTBOX_STATE_DIR, else state_dir of the configuration file."),
        CommandOption("--config", "file", "A configuration file to read state_dir from."),
        CommandOption(
          "--format", "format", choices: ReportFormat.allCases.map(\.rawValue),
          "text for people, json for programs. Default: text."),
      ])
    ])

  private let since: String
  private let by: Grouping
  private let outbox: String?
  private let stateDir: String?
  private let config: String?
  private let format: ReportFormat

  init(_ arguments: Arguments) {
    since = arguments["--since"] ?? "7d"
    by = arguments["--by"].flatMap(Grouping.init) ?? .outbox
    outbox = arguments["--outbox"]
    stateDir = arguments["--state-dir"]
    config = arguments["--config"]
    format = arguments["--format"].flatMap(ReportFormat.init) ?? .text
  }

  /// What gets a line of its own.
  private enum Grouping: String, CaseIterable {
    case outbox
    case destination
  }

  /// How the report is printed.
  private enum ReportFormat: String, CaseIterable {
    case text
    case json
  }

  func run() throws {
    guard let length = DurationText.parse(since), length > .zero else {
      printError("outbox-exporter: --since \(since) is no duration; \(DurationText.hint)")
      throw ExitStatus.usage
    }
    let now = Timestamp(nanoseconds: SystemClock.wallNanoseconds())
    let directory = try directory()
    var history: MovementHistory
    do throws(SQLiteError) {
      history = try MovementHistory(directory: directory, since: now.advanced(by: .zero - length), until: now)
    } catch {
      let hint =
        error.kind == .cannotOpen
        ? "a sidecar keeps its counters there when it runs with this --state-dir; check the path, and that you may read it"
        : "check that the directory is a sidecar's state directory"
      printError("outbox-exporter: nothing could be read from \(AccountKeeper.path(in: directory)): \(error); \(hint)")
      throw ExitStatus.configuration
    }
    if let outbox {
      guard history.methods[outbox] != nil || history.entries.contains(where: { $0.outbox == outbox }) else {
        let known = history.methods.keys.sorted().joined(separator: ", ")
        printError("outbox-exporter: no outbox \(outbox) was counted; there is \(known.isEmpty ? "none" : known)")
        throw ExitStatus.usage
      }
      history.entries.removeAll { $0.outbox != outbox }
      history.restarts.removeAll { $0.outbox != outbox }
      history.methods = history.methods.filter { $0.key == outbox }
    }
    let report = MovementReport(history, byDestination: by == .destination)
    switch format {
    case .text: printOutput(report.text)
    case .json: printOutput(report.json.text + "\n")
    }
  }

  private func directory() throws -> String {
    if let stateDir, !stateDir.isEmpty { return stateDir }
    if config == nil, let named = ThisProcess.environment["OUTBOX_STATE_DIR"], !named.isEmpty { return named }
    if config != nil || ThisProcess.environment["OUTBOX_CONFIG"]?.isEmpty == false {
      var options = CommandLineOptions()
      options.config = config
      if let named = try ExporterConfiguration.loaded(options).stateDirectory { return named }
    }
    printError(
      "outbox-exporter: whose report? Name the sidecar's state directory with --state-dir or OUTBOX_STATE_DIR; without "
        + "one it keeps nothing between runs")
    throw ExitStatus.usage
  }
}
