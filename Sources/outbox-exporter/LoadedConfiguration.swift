import Configuration
import Layouts
import Logging
import Outbox
import Reports
import Stores
import SystemCalls

extension ExporterConfiguration {
  /// The configuration that this process was started with. Mistakes are printed, all of them, and end the process.
  static func loaded(
    _ options: CommandLineOptions, catalog: [Layout] = LayoutCatalog.builtIn
  ) throws -> ExporterConfiguration {
    do throws(ConfigurationError) {
      let (configuration, warnings) = try load(
        options: options, environment: ThisProcess.environment, catalog: catalog,
        readFile: { path throws(FileReadFailure) in
          do throws(SystemError) {
            return try FileSystem.read(path, atMost: 4 << 20).bytes
          } catch {
            throw FileReadFailure(error.reason)
          }
        })
      for warning in warnings { printError("outbox-exporter: warning: \(warning)") }
      let problems = configuration.outboxes.compactMap { outbox -> ConfigurationProblem? in
        guard case .postgresql(let conninfo) = outbox.address,
          let problem = PostgreSQLStore.problem(withConnectionString: conninfo)
        else { return nil }
        return ConfigurationProblem(.nowhere, "the DSN of \(outbox.name): \(problem)")
      }
      if !problems.isEmpty { throw ConfigurationError(problems: problems) }
      return configuration
    } catch {
      if NagiosFormat.isAsked { printOutput(CycleReport.nagios(mistakes: error.problems.map(\.description))) }
      for problem in error.problems { printError("outbox-exporter: \(problem)") }
      printError("outbox-exporter: nothing was sampled; `outbox-exporter --help` has examples")
      throw ExitStatus.configuration
    }
  }

  /// A logger at the configured level.
  var log: Logger {
    var log = Logger(label: "outbox-exporter") { _ in StandardErrorLog() }
    log.logLevel = Logger.Level(rawValue: logLevel.rawValue) ?? .info
    return log
  }
}

/// Prints a line to standard error. Where nobody can read it, nothing can be done about it either.
func printError(_ line: String) {
  try? StandardStream.error.write(line + "\n")
}

/// Prints a result to standard output.
func printOutput(_ text: String) {
  try? StandardStream.output.write(text)
}

extension StandardStream {
  /// How wide a table may be: as wide as the terminal, where 80 columns are taken for granted; anything in a pipe.
  var widthForTables: Int? { isTerminal ? size?.columns ?? 80 : nil }
}
