import Arguments
import Exporter
import Outbox
import Reports
import SystemCalls

/// The command. Each subcommand has a file of its own.
@main struct OutboxExporter {
  static let command = Command(
    "outbox-exporter", "Watches outboxes and tells when messages stop arriving.",
    discussion: """
      An outbox is a table or directory that messages are written to together with the work they belong to, and that a \
      worker delivers later. When the worker dies, nothing crashes; messages just stop arriving. This program samples \
      how many events wait, how long they have waited, which are stuck and which are dead, and pushes the figures to \
      any OpenTelemetry endpoint.

      As a sidecar:
        OUTBOX_DSN=sqlite:outbox.sqlite OUTBOX_LAYOUT=praisonai \\
        OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 outbox-exporter

      As a health check, which ends with 0 OK, 1 WARNING, 2 CRITICAL or 3 UNKNOWN:
        outbox-exporter --once --dsn sqlite:outbox.sqlite --layout praisonai

      To see it work, with nothing to install:
        outbox-exporter demo
      """,
    subcommands: subcommands.map { $0.command }, standardSubcommand: Run.command.name)

  private static let subcommands: [any Subcommand.Type] = [
    Run.self, WatchCommand.self, ReportCommand.self, LayoutsCommand.self, SQLCommand.self, LedgerCommand.self,
    MetricsCommand.self, DemoCommand.self,
  ]

  // Not `async`: the runtime would end this thread, for which the C library first loads another library.
  static func main() {
    SignalWatcher.ignoreBrokenPipes()
    ThisProcess.sharePoolOfMemory()
    Task.detached {
      let status = await run(Array(CommandLine.arguments.dropFirst()))
      ThisProcess.end(with: NagiosFormat.status(status).rawValue)
    }
    ThisProcess.waitForTheEnd()
  }

  private static func run(_ words: [String]) async -> ExitStatus {
    let arguments: Arguments
    do throws(ArgumentsEnding) {
      arguments = try command.parse(words, width: StandardStream.output.widthForTables ?? 80)
    } catch {
      switch error {
      case .help(let text): printOutput(text)
      case .version: printOutput("\(BuildIdentity.current.version) (\(BuildIdentity.current.revision))\n")
      case .usage(let message): return refuse(message)
      }
      return .ok
    }
    do {
      for subcommand in subcommands where subcommand.command.name == arguments.path.first {
        try await subcommand.init(arguments).run()
      }
      return .ok
    } catch let status as ExitStatus {
      return status
    } catch let mistake as UsageMistake {
      return refuse(command.message(mistake.sentence, path: arguments.path))
    } catch {
      printError("outbox-exporter: \(error)")
      return .unknown
    }
  }

  private static func refuse(_ message: String) -> ExitStatus {
    // A DSN that was typed as a stray argument would be repeated with its password.
    let message = CommandLine.arguments.filter(\.mayHoldAPassword).reduce(message) { text, argument in
      text.replacing(argument, with: "•••")
    }
    if NagiosFormat.isAsked {
      printOutput(CycleReport.nagios(mistakes: message.split(separator: "\n").map(String.init)))
    } else {
      printError(message)
    }
    return .usage
  }
}

/// A command of its own behind the program's name.
protocol Subcommand: Sendable {
  /// What it is called and takes.
  static var command: Command { get }

  /// What was asked for.
  ///
  /// - Throws: a value that cannot be right.
  init(_ arguments: Arguments) throws

  /// Does it.
  ///
  /// - Throws: what the process ends with, where it is not 0, once the reason was printed; or a mistake of usage.
  func run() async throws
}

/// Something about the command line that can be seen only once the command runs.
struct UsageMistake: Error {
  let sentence: String

  init(_ sentence: String) { self.sentence = sentence }
}

extension ExitStatus: Error {}

extension String {
  fileprivate var mayHoldAPassword: Bool { contains("://") || lowercased().contains("password=") }
}
