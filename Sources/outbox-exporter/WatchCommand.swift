import Arguments
import Configuration
import Demo
import Exporter
import Layouts
import Outbox
import Reports
import SystemCalls

/// Shows outboxes live.
struct WatchCommand: Subcommand {
  static let command = Command(
    "watch", "Shows outboxes live in the terminal: verdict, backlog, age, rates, destinations.",
    discussion: """
      Every outbox in a row, the worst first; below it why, and its destinations, as far as there is room. It reads \
      and nothing else: nothing is pushed or kept. A store that does not answer says so and delays no other.

        backlog   events that are due and that nobody holds
        oldest    how long the event that waits longest is due
        rate      the change of the backlog; +arrived -left where that is counted
        drains    when the backlog is empty, where it shrinks and not by chance
        last 5m   the backlog over that time; a gap is a sample that failed

      A verdict needs a few samples; what the verdicts mean stands in docs/assessment.md. q, Ctrl-C or SIGTERM end it \
      with 0, and the last picture stays. In a pipe, or with TERM=dumb, every sample prints one block of plain text: \
      a line with the time, the table, the reasons, an empty line.

      What a configuration file names:
        outbox-exporter watch --config outbox.yaml

      The outbox of a demo that runs in another terminal:
        outbox-exporter watch --layout demo \\
          --dsn 'sqlite:/tmp/outbox-exporter-demo-*/outbox.sqlite'
      """,
    groups: [
      SourceOptions.group,
      OptionGroup([CommandOption("--interval", "duration", "Time between two samples, 1s to 240s. Default: 5s.")]),
    ])

  private let arguments: Arguments
  private let interval: String

  init(_ arguments: Arguments) {
    self.arguments = arguments
    interval = arguments["--interval"] ?? "5s"
  }

  /// What ends a wait of the loop below.
  private enum Event: Sendable {
    case sampled(WatchCycle.Outcome)
    case signal(Int32)
    case key(UInt8)
  }

  func run() async throws {
    var options = SourceOptions.commandLine(arguments)
    options.interval = interval
    let configuration = try ExporterConfiguration.loaded(
      options, catalog: LayoutCatalog.builtIn + [DemoOutbox.layout])
    if configuration.interval < .seconds(1) {
      throw UsageMistake("--interval \(interval) is too short: at most one sample a second, to go easy on the store")
    }
    let (events, continuation) = AsyncStream.makeStream(of: Event.self)
    let signals = try SignalWatcher.watch([
      SignalWatcher.terminate, SignalWatcher.interrupt, SignalWatcher.hangUp, SignalWatcher.quit,
      SignalWatcher.suspend, SignalWatcher.resize,
    ])
    let screen = WatchScreen(environment: ThisProcess.environment)
    let keys = screen.keys
    let cycle = WatchCycle(configuration)
    // None of them is waited for at the end: a store that hangs must not keep the terminal.
    let tasks = [
      Task { for await signal in signals { continuation.yield(.signal(signal)) } },
      Task { for await key in keys { continuation.yield(.key(key)) } },
      Task { await Self.sample(cycle, every: configuration.interval) { continuation.yield(.sampled($0)) } },
    ]
    defer { for task in tasks { task.cancel() } }
    await Self.show(events, on: screen, interval: configuration.interval)
  }

  private static func sample(
    _ cycle: WatchCycle, every interval: Duration, _ found: (WatchCycle.Outcome) -> Void
  ) async {
    let clock = ContinuousClock()
    while !Task.isCancelled {
      let start = clock.now
      found(await cycle.run())
      try? await clock.sleep(until: start + interval)
    }
  }

  private static func show(_ events: AsyncStream<Event>, on screen: WatchScreen, interval: Duration) async {
    var history = WatchHistory()
    func picture(footer: String) -> [String] {
      WatchPicture(history, interval: interval, footer: footer, on: screen.canvas).lines
    }
    let footer = screen.hasKeyboard ? "q quits" : "Ctrl-C quits"
    do throws(SystemError) {
      if screen.isTerminal { try screen.draw(picture(footer: footer)) }
      for await event in events {
        switch event {
        case .sampled(let outcome):
          history.take(
            outcome.samples, assessments: outcome.assessments, vanished: outcome.vanished, at: outcome.time)
        case .signal(SignalWatcher.resize): if !screen.isTerminal { continue }
        case .signal(SignalWatcher.suspend):
          screen.close()
          ThisProcess.suspend()
          screen.reopen()
        case .signal, .key(UInt8(ascii: "q")), .key(UInt8(ascii: "Q")):
          screen.close(leaving: picture(footer: ""))
          return
        case .key: continue
        }
        try screen.draw(picture(footer: footer))
      }
    } catch {
      // The reader of the pipe has seen enough, or the terminal is gone.
      screen.close()
    }
  }
}
