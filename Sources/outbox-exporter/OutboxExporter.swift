import ArgumentParser
import Exporter
import Outbox
import Reports
import SystemCalls

/// The command. Each subcommand has a file of its own.
@main struct OutboxExporter: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "outbox-exporter",
    abstract: "Watches outboxes and tells when messages stop arriving.",
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
    version: BuildIdentity.current.version + " (\(BuildIdentity.current.revision))",
    subcommands: [
      Run.self, WatchCommand.self, ReportCommand.self, LayoutsCommand.self, SQLCommand.self, LedgerCommand.self,
      MetricsCommand.self,
      DemoCommand.self,
    ],
    defaultSubcommand: Run.self)

  static func main() async {
    SignalWatcher.ignoreBrokenPipes()
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      let status = exitCode(for: error)
      let code = NagiosFormat.code(status)
      // A DSN that was typed as a stray argument would be repeated with its password.
      let message = CommandLine.arguments.filter(\.mayHoldAPassword).reduce(fullMessage(for: error)) { text, argument in
        text.replacing(argument, with: "•••")
      }
      if NagiosFormat.isAsked, status == ExitStatus.usage.code {
        printOutput(CycleReport.nagios(mistakes: message.split(separator: "\n").map(String.init)))
      } else if !message.isEmpty {
        code == .success ? printOutput(message + "\n") : printError(message)
      }
      exit(withError: code)
    }
  }
}

extension String {
  fileprivate var mayHoldAPassword: Bool { contains("://") || lowercased().contains("password=") }
}

extension ExitStatus {
  /// The status as ArgumentParser ends the process with it.
  var code: ExitCode { ExitCode(rawValue) }
}
