import Configuration
import Exporter
import Layouts
import Metrics
import Outbox
import Reports
import SystemCalls

/// One run as a health check: sample, judge, print, push, and an exit status.
struct OnceRun {
  let configuration: ExporterConfiguration
  let format: OutputFormat
  let isQuiet: Bool
  let showsIDs: Bool

  /// - Throws: the exit status, where it is not 0.
  func callAsFunction() async throws {
    let state = OnceState(configuration.stateDirectory)
    let assembly = ExporterAssembly(
      configuration, instance: state.instance(outboxes: configuration.outboxes.map(\.name)), once: true, remembers: true
    )
    let progress = WindowProgress(configuration.window)
    let report = await assembly.runOnce(eventIDs: showsIDs, progress: { progress.show($0) }) { report, batch in
      progress.clear()
      if let trouble = report.memoryTrouble { printError("outbox-exporter: warning: \(trouble)") }
      // A caller with a time limit of its own must not lose the verdict to a Collector that is down.
      if format == .text, !configuration.pushIsRequired { printText(report.foundText(style) + "\n", of: report) }
      guard configuration.metricsExporter == .console else { return }
      // What a program or a monitoring system reads has standard output to itself.
      if format == .text, !isQuiet { printOutput(batch.text + "\n") } else { printError(batch.text) }
    }
    state.release()
    let status = report.health.status
    switch format {
    case .text: printText(configuration.pushIsRequired ? report.text(style) : report.pushText, of: report)
    case .json: printText(report.json(exitCode: Int(status.rawValue)).text + "\n", of: report)
    case .nagios: printOutput(report.nagios)
    }
    if isQuiet, status == .ok, case .failed = report.push {
      printError("outbox-exporter: " + report.pushText.dropLast())
    }
    if status != .ok { throw status }
  }

  private var style: TextStyle {
    TextStyle(isColoured: StandardStream.output.isTerminal && (ThisProcess.environment["NO_COLOR"] ?? "").isEmpty)
  }

  /// Prints a part of the report, unless nobody wants to hear that all is well.
  private func printText(_ text: String, of report: CycleReport) {
    if !isQuiet || report.health != .ok { printOutput(text) }
  }
}

/// How far the window has come, for a person who waits.
private struct WindowProgress {
  private let window: Duration?

  /// Shown on a terminal, and where there is something to wait for.
  init(_ window: Duration?) {
    self.window = window.flatMap { $0 > .seconds(2) && StandardStream.error.isTerminal ? $0 : nil }
  }

  func show(_ passed: Duration) {
    guard let window else { return }
    try? StandardStream.error.write("\rsampling: \(passed.text) of \(window.text)        ")
  }

  func clear() {
    if window != nil { try? StandardStream.error.write("\r" + String(repeating: " ", count: 40) + "\r") }
  }
}
