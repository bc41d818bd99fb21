import Arguments
import Configuration
import Outbox

/// The flags of `run`. What they mean stands in ``ConfigurationCatalog/flags``; their values are checked together with
/// those of the environment and the file, so that every mistake is reported at once.
enum RunOptions {
  static let groups = [
    SourceOptions.group,
    OptionGroup([
      .flag("--once"), .option("--window", "duration"), .option("--environment", "name"), .option("--state-dir", "dir"),
      .option("--liveness-file", "file"), .option("--interval", "duration"), .option("--database-share", "share"),
      .option("--endpoint", "url"),
      .option("--exit-after-failed-cycles", "n"), .option("--log-level", "level"),
      .option("--format", "format", choices: OutputFormat.allCases.map(\.rawValue)), .flag("--no-ids"),
      .flag("--quiet"), .flag("--no-push"), .flag("--require-push"), .flag("--print-config"),
    ]),
  ]

  /// The flags as the configuration takes them.
  static func commandLine(_ arguments: Arguments) -> CommandLineOptions {
    var options = SourceOptions.commandLine(arguments)
    options.once = arguments.has("--once")
    options.window = arguments["--window"]
    options.noPush = arguments.has("--no-push")
    options.requirePush = arguments.has("--require-push")
    options.reporting = ["--format"].filter { arguments[$0] != nil } + ["--no-ids", "--quiet"].filter(arguments.has)
    options.environment = arguments["--environment"]
    options.stateDirectory = arguments["--state-dir"]
    options.livenessFile = arguments["--liveness-file"]
    options.interval = arguments["--interval"]
    options.databaseShare = arguments["--database-share"]
    options.endpoint = arguments["--endpoint"]
    options.exitAfterFailedCycles = arguments["--exit-after-failed-cycles"]
    options.logLevel = arguments["--log-level"]
    return options
  }
}

/// The flags that say which outboxes are meant, for every subcommand that reads some.
enum SourceOptions {
  static let group = OptionGroup(
    [.option("--config", "file"), .option("--dsn", "dsn"), .option("--layout", "name"), .option("--name", "name")],
    title: "What is watched")

  /// The flags as the configuration takes them; the others are not set.
  static func commandLine(_ arguments: Arguments) -> CommandLineOptions {
    var options = CommandLineOptions()
    options.config = arguments["--config"]
    options.dsn = arguments["--dsn"].map { Secret($0) }
    options.layout = arguments["--layout"]
    options.name = arguments["--name"]
    return options
  }
}

/// What `--once` prints.
enum OutputFormat: String, CaseIterable {
  /// For people.
  case text
  /// For programs.
  case json
  /// For monitoring systems that run plugins.
  case nagios
}

extension CommandOption {
  /// An option that the configuration knows.
  static func option(_ name: String, _ value: String, choices: [String] = []) -> CommandOption {
    CommandOption(name, value, choices: choices, meaning(name))
  }

  /// A flag that the configuration knows.
  static func flag(_ name: String) -> CommandOption { CommandOption(flag: name, meaning(name)) }

  private static func meaning(_ name: String) -> String {
    let key = ConfigurationCatalog.flag(name)
    return (key.meaning + (key.standard.map { " Default: \($0)." } ?? "")).filter { $0 != "`" }
  }
}
