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

  /// The status to end with.
  static func status(_ status: ExitStatus) -> ExitStatus {
    isAsked && [.usage, .configuration].contains(status) ? .unknown : status
  }
}
