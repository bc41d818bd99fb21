import Arguments
import Assessment
import Configuration
import Exporter
import Layouts
import Logging
import Metrics
import OTLP
import Outbox
import Reports
import SystemCalls

/// Samples outboxes: over and over as a sidecar, or once as a health check.
struct Run: Subcommand {
  static let command = Command(
    "run", "Samples outboxes and pushes the figures, over and over or once.",
    discussion: """
      Without --once this is the sidecar: it samples at every interval until SIGTERM, and ends with 0.

      With --once it samples one time, or for as long as --window says, tells how each outbox is doing and why, and ends with
        0  OK        every figure is within its limits and no verdict is bad
        1  WARNING   a figure has reached its warning limit, or the verdict is rewound
                     or falling_behind
        2  CRITICAL  a figure has reached its critical limit, the verdict is stalled,
                     spinning or stuck, or a push failed with --require-push
        3  UNKNOWN   an outbox could not be read; that is never taken for OK

      Wrong usage ends with 64, a mistake in the configuration with 78.
      """, groups: RunOptions.groups)

  private let arguments: Arguments
  private let format: OutputFormat

  init(_ arguments: Arguments) throws {
    self.arguments = arguments
    format = arguments["--format"].flatMap(OutputFormat.init) ?? .text
    if arguments.has("--quiet"), format == .nagios {
      throw UsageMistake("--quiet and --format nagios exclude each other: a monitoring system needs its line")
    }
  }

  func run() async throws {
    let configuration = try ExporterConfiguration.loaded(RunOptions.commandLine(arguments))
    if arguments.has("--print-config") {
      printOutput(ConfigurationYAML.text(configuration, catalog: LayoutCatalog.builtIn))
      return
    }
    if arguments.has("--once") {
      let run = OnceRun(
        configuration: configuration, format: format, isQuiet: arguments.has("--quiet"),
        showsIDs: !arguments.has("--no-ids"))
      try await run()
    } else {
      try await runSidecar(configuration)
    }
  }

  private func runSidecar(_ configuration: ExporterConfiguration) async throws {
    let log = configuration.log
    let state: SidecarState
    do {
      state = try SidecarState(configuration.stateDirectory)
    } catch {
      printError("outbox-exporter: \(error.message)")
      throw ExitStatus.configuration
    }
    let stop = try SignalWatcher.watch([SignalWatcher.terminate, SignalWatcher.interrupt], secondEnds: true)
    let assembly = ExporterAssembly(
      configuration, instance: state.instance(outboxes: configuration.outboxes.map(\.name)), once: false,
      remembers: true, directory: configuration.stateDirectory)
    log.info("\(assembly.summary)")
    let supervisor = ServiceSupervisor(
      environment: ThisProcess.environment, interval: configuration.interval, log: log)
    let ending = await assembly.runSidecar(until: stop, log: log, supervisor: supervisor) { batch in
      if configuration.metricsExporter == .console { printOutput(batch.text) }
    }
    state.release()
    switch ending {
    case .requested: log.info("stopped")
    case .nothingWorked(let cycles):
      log.critical("no outbox could be sampled in \(cycles) cycles; ending, as --exit-after-failed-cycles asks")
      throw ExitStatus.unavailable
    }
  }
}
