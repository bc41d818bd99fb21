import ArgumentParser
import Outbox

/// What `--format nagios` asks of mistakes: a monitoring system knows no other codes than 0 to 3, and shows what stands
/// on standard output.
enum NagiosFormat {
  /// Whether the command line asks for it, however little of the rest can be understood.
  static let isAsked: Bool = {
    let arguments = CommandLine.arguments
    return arguments.contains("--format=nagios")
      || zip(arguments, arguments.dropFirst()).contains { $0 == "--format" && $1 == "nagios" }
  }()

  /// The code to end with.
  static func code(_ code: ExitCode) -> ExitCode {
    isAsked && [ExitStatus.usage.code, ExitStatus.configuration.code].contains(code) ? ExitStatus.unknown.code : code
  }
}
