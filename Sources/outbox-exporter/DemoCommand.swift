import Arguments
import Configuration
import Demo
import Exporter
import Layouts
import Outbox
import Reports
import SQLiteClient
import SystemCalls

/// Shows the exporter at work on an outbox of its own.
struct DemoCommand: Subcommand {
  static let command = Command(
    "demo", "Shows the exporter at work on a living SQLite outbox; nothing to install.",
    discussion: """
      An SQLite outbox in a temporary directory is filled by a simulated application and emptied by a worker that \
      slows down, dies, meets a broken channel and recovers. The real cycle samples it every second. The figures are \
      pushed too where OTEL_EXPORTER_OTLP_ENDPOINT or --endpoint names an endpoint. It ends within a minute and leaves \
      nothing behind.
      """, groups: [OptionGroup([CommandOption("--endpoint", "url", "Where to push the figures as well.")])])

  private let endpoint: String?

  init(_ arguments: Arguments) { endpoint = arguments["--endpoint"] }

  func run() async throws {
    let environment = ThisProcess.environment
    let directory = "\(environment["TMPDIR"] ?? "/tmp")/outbox-exporter-demo-\(Self.randomName())"
    try FileSystem.makeDirectories(directory)
    defer { Self.removeEverything(in: directory) }
    let path = directory + "/outbox.sqlite"

    var options = CommandLineOptions()
    options.dsn = Secret("sqlite:" + path)
    options.layout = DemoOutbox.layout.name
    options.endpoint = endpoint
    let configuration = try ExporterConfiguration.loaded(options, catalog: [DemoOutbox.layout])
    let assembly = ExporterAssembly(
      configuration, instance: OnceState(nil).instance(outboxes: ["demo"]), once: true)
    let stop = try SignalWatcher.watch([SignalWatcher.terminate, SignalWatcher.interrupt, SignalWatcher.hangUp])
    let story = Task { try await tell(path: path, assembly: assembly) }
    let interruption = Task {
      for await _ in stop {
        story.cancel()
        break
      }
    }
    let result = await story.result
    interruption.cancel()
    for complaint in await assembly.stop(within: .seconds(5)) { printError("outbox-exporter: \(complaint)") }
    do {
      try result.get()
    } catch is CancellationError {
      // Whoever has seen enough ends it, which is no trouble.
    }
  }

  private func tell(path: String, assembly: ExporterAssembly) async throws {
    var outbox = try DemoOutbox(path: path)
    var view = DemoView()
    let isTerminal = StandardStream.output.isTerminal
    let style = TextStyle(isColoured: isTerminal && (ThisProcess.environment["NO_COLOR"] ?? "").isEmpty)
    let pushes =
      assembly.endpoints.isEmpty
      ? "not pushed: no OTEL_EXPORTER_OTLP_ENDPOINT is set"
      : "pushed to \(assembly.endpoints.joined(separator: ", "))"
    if !isTerminal { printOutput("the demo takes \(DemoScenario.seconds) seconds; \(pushes)\n\(DemoView.header)\n") }
    var drawn = 0
    let clock = ContinuousClock()
    let start = clock.now
    let stepsPerSecond = 4
    for step in 0..<DemoScenario.seconds * stepsPerSecond {
      let second = step / stepsPerSecond
      guard let phase = DemoScenario.phase(at: second) else { break }
      let now = Timestamp(nanoseconds: SystemClock.wallNanoseconds()).seconds
      try outbox.live(phase, at: now, for: 1 / Double(stepsPerSecond))
      if step % stepsPerSecond == stepsPerSecond - 1 {
        for sample in await assembly.runCycle() {
          view.see(sample)
          if isTerminal {
            let lines = view.picture(sample, second: second, style: style, pushes: pushes)
            printOutput(Self.redraw(lines, over: drawn))
            drawn = lines.count
          } else {
            printOutput(view.line(sample, second: second) + "\n")
          }
        }
      }
      try await clock.sleep(until: start + .seconds(step + 1) / stepsPerSecond)
    }
  }

  /// Moves up over what was drawn before and clears it line by line, so that nothing flickers. Lines do not wrap
  /// meanwhile: in a narrow terminal one line of the picture would become two of the screen.
  private static func redraw(_ lines: [String], over count: Int) -> String {
    (count > 0 ? "\u{1b}[\(count)A" : "") + "\u{1b}[?7l" + lines.map { "\r\u{1b}[2K\($0)\n" }.joined()
      + "\u{1b}[J\u{1b}[?7h"
  }

  private static func randomName() -> String {
    ThisProcess.randomBytes(8).map { String($0, radix: 16) }.joined()
  }

  private static func removeEverything(in directory: String) {
    for entry in (try? FileSystem.list(directory)) ?? [] { try? FileSystem.remove("\(directory)/\(entry.name)") }
    try? FileSystem.removeDirectory(directory)
  }
}
