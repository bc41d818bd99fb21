import ArgumentParser
import Configuration
import Outbox

/// The flags of `run`. What they mean stands in ``ConfigurationCatalog/flags``; their values are checked together with
/// those of the environment and the file, so that every mistake is reported at once.
struct RunOptions: ParsableArguments {
  @Flag(help: help("--once")) var once = false
  @Option(help: help("--window", "DURATION")) var window: String?
  @OptionGroup(title: "What is watched") var source: SourceOptions
  @Option(help: help("--environment", "NAME")) var environment: String?
  @Option(help: help("--state-dir", "DIR"), completion: .directory) var stateDir: String?
  @Option(help: help("--liveness-file", "FILE"), completion: .file()) var livenessFile: String?
  @Option(help: help("--interval", "DURATION")) var interval: String?
  @Option(help: help("--endpoint", "URL")) var endpoint: String?
  @Option(help: help("--exit-after-failed-cycles", "N")) var exitAfterFailedCycles: String?
  @Option(help: help("--log-level", "LEVEL")) var logLevel: String?
  @Option(help: help("--format", "FORMAT")) var format: OutputFormat?
  @Flag(name: .customLong("no-ids"), help: help("--no-ids")) var noIDs = false
  @Flag(help: help("--quiet")) var quiet = false
  @Flag(name: .customLong("no-push"), help: help("--no-push")) var noPush = false
  @Flag(name: .customLong("require-push"), help: help("--require-push")) var requirePush = false
  @Flag(name: .customLong("print-config"), help: help("--print-config")) var printConfig = false

  func validate() throws {
    if quiet, format == .nagios {
      throw ValidationError("--quiet and --format nagios exclude each other: a monitoring system needs its line")
    }
  }

  /// The flags as the configuration takes them.
  var commandLine: CommandLineOptions {
    var options = source.commandLine
    options.once = once
    options.window = window
    options.noPush = noPush
    options.requirePush = requirePush
    let reporting = [("--format", format != nil), ("--no-ids", noIDs), ("--quiet", quiet)]
    options.reporting = reporting.filter(\.1).map(\.0)
    options.environment = environment
    options.stateDirectory = stateDir
    options.livenessFile = livenessFile
    options.interval = interval
    options.endpoint = endpoint
    options.exitAfterFailedCycles = exitAfterFailedCycles
    options.logLevel = logLevel
    return options
  }
}

/// The flags that say which outboxes are meant, for every subcommand that reads some.
struct SourceOptions: ParsableArguments {
  @Option(help: help("--config", "FILE"), completion: .file()) var config: String?
  @Option(help: help("--dsn", "DSN")) var dsn: String?
  @Option(help: help("--layout", "NAME")) var layout: String?
  @Option(help: help("--name", "NAME")) var name: String?

  /// The flags as the configuration takes them; the others are not set.
  var commandLine: CommandLineOptions {
    var options = CommandLineOptions()
    options.config = config
    options.dsn = dsn.map { Secret($0) }
    options.layout = layout
    options.name = name
    return options
  }
}

/// What `--once` prints.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  /// For people.
  case text
  /// For programs.
  case json
  /// For monitoring systems that run plugins.
  case nagios
}

private func help(_ flag: String, _ value: String? = nil) -> ArgumentHelp {
  let key = ConfigurationCatalog.flag(flag)
  let standard = key.standard.map { " Default: \($0)." } ?? ""
  return ArgumentHelp(
    "\(key.meaning.filter { $0 != "`" })\(standard.filter { $0 != "`" })", valueName: value?.lowercased())
}
