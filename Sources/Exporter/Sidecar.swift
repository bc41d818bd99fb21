package import Logging
package import OTLP
package import Metrics
import Outbox
import Reports
import SystemCalls

/// The sidecar's life: a cycle at each tick, until somebody asks it to end.
package struct Sidecar: Sendable {
  /// How a sidecar's life ends.
  package enum Ending: Sendable, Hashable {
    /// Somebody asked it to.
    case requested
    /// So many cycles in a row in which nothing worked.
    case nothingWorked(cycles: Int)
  }

  /// What decides over the sidecar's life.
  package struct Settings: Sendable {
    /// Time between the starts of two cycles.
    package var interval: Duration
    /// How long a cycle waits for slow stores before it goes on without them.
    package var patience: Duration
    /// How long the last push may take.
    package var lastPush: Duration
    /// The file that every completed cycle touches.
    package var livenessFile: String?
    /// Whether a clean stop marks every series as ended.
    package var endsSeriesOnStop: Bool
    /// After so many cycles in a row in which nothing worked the sidecar ends; nil goes on for ever.
    package var endsAfterFailedCycles: Int?

    /// Settings; a cycle waits for its stores for four fifths of the interval.
    package init(
      interval: Duration, lastPush: Duration = .seconds(5), livenessFile: String? = nil, endsSeriesOnStop: Bool = true,
      endsAfterFailedCycles: Int? = nil
    ) {
      self.interval = interval
      self.patience = interval * 4 / 5
      self.lastPush = lastPush
      self.livenessFile = livenessFile
      self.endsSeriesOnStop = endsSeriesOnStop
      self.endsAfterFailedCycles = endsAfterFailedCycles
    }
  }

  private let cycle: ExportCycle
  private let exporters: [OTLPExporter]
  private let settings: Settings
  private let log: Logger
  private let show: @Sendable (MetricBatch) -> Void
  private let notify: (@Sendable (ServiceState) -> Void)?
  private let clock: any Clock<Duration>

  /// A sidecar over a cycle.
  ///
  /// - Parameters:
  ///   - clock: the timer.
  ///   - notify: is told what a service manager wants to know; nil where there is none.
  ///   - show: is handed every batch too, for `OTEL_METRICS_EXPORTER=console`.
  package init(
    cycle: ExportCycle, exporters: [OTLPExporter], settings: Settings, log: Logger,
    clock: any Clock<Duration> = ContinuousClock(), notify: (@Sendable (ServiceState) -> Void)? = nil,
    show: @escaping @Sendable (MetricBatch) -> Void = { _ in }
  ) {
    self.clock = clock
    self.cycle = cycle
    self.exporters = exporters
    self.settings = settings
    self.log = log
    self.notify = notify
    self.show = show
  }

  /// Runs cycles until `stop` delivers its first element; then finishes the cycle and pushes a last time.
  package func run(until stop: AsyncStream<Int32>) async -> Ending {
    notify?(.ready)
    let watcher = Task { for await _ in stop { break } }
    let ending = await withTaskGroup(of: Ending?.self) { group in
      group.addTask {
        await watcher.value
        return .requested
      }
      group.addTask { await runCycles(on: clock) }
      var ending: Ending?
      // The first to end decides; a running cycle is still finished, since the group waits for it.
      for await result in group {
        if ending == nil { notify?(.stopping) }
        ending = ending ?? result
        group.cancelAll()
        watcher.cancel()
      }
      return ending ?? .requested
    }
    await stopCleanly()
    return ending
  }

  private func runCycles<Timer: Clock<Duration>>(on clock: Timer) async -> Ending? {
    var tick = clock.now
    var failedInARow = 0
    var cycles = 0
    var journal = SampleJournal(log: log)
    while !Task.isCancelled {
      let outcome = await cycle.run(eventIDs: false, patience: settings.patience) { batch in
        show(batch)
        for exporter in exporters { await exporter.enqueue(batch) }
      }
      journal.note(outcome.samples, unanswered: outcome.unanswered)
      for notice in outcome.notices { log.warning("\(notice)") }
      if let trouble = outcome.memoryTrouble { log.warning("\(trouble)") }
      touchLivenessFile()
      notify?(.cycleCompleted(outcome.statusLine))

      let failed = !outcome.samples.contains { $0.isGood }
      failedInARow = failed ? failedInARow + 1 : 0
      if let limit = settings.endsAfterFailedCycles, failedInARow >= limit {
        return .nothingWorked(cycles: failedInARow)
      }

      tick = tick.advanced(by: settings.interval)
      let late = tick.duration(to: clock.now)
      if late > .zero {
        // A sampler wants the newest figures only: what was missed is skipped and counted, never made up for.
        let missed = Int((late / settings.interval).rounded(.up))
        await cycle.skip(missed)
        log.warning("the cycle took longer than the interval of \(settings.interval.text); skipped \(missed)")
        tick = tick.advanced(by: settings.interval * missed)
      }
      if outcome.pointCount > Self.manyPoints {
        // By then the batch is delivered as a rule, and the next one is not yet described.
        let rest = clock.now.duration(to: tick)
        try? await clock.sleep(until: clock.now.advanced(by: rest / 4), tolerance: nil)
        ThisProcess.returnFreedMemory()
      }
      cycles += 1
      // The first one prepares what the others use.
      if cycles == 2 { ThisProcess.releaseCode() }
      try? await clock.sleep(until: tick, tolerance: nil)
    }
    return nil
  }

  /// So many points take megabytes while they are described and encoded, which the C library keeps until it is told.
  private static let manyPoints = 5_000

  private func stopCleanly() async {
    log.info("stopping: the last push takes \(settings.lastPush.text) at most")
    if settings.endsSeriesOnStop {
      let batch = await cycle.end()
      show(batch)
      for exporter in exporters { await exporter.enqueue(batch) }
    }
    await withTaskGroup(of: Void.self) { group in
      for exporter in exporters {
        group.addTask {
          let report = await exporter.shutDown(within: settings.lastPush)
          if report.keptPoints > 0 {
            log.notice(
              """
              \(report.keptPoints) data points for \(exporter.destination.shownEndpoint) stay in the spool until the \
              next start: \(report.failure?.message ?? "no answer in time")
              """)
          }
          guard !report.isComplete else { return }
          log.warning(
            """
            \(report.droppedPoints) data points were lost at \(exporter.destination.shownEndpoint): \
            \(report.failure?.message ?? "no answer in time")
            """)
        }
      }
    }
    await cycle.close()
  }

  private func touchLivenessFile() {
    guard let path = settings.livenessFile else { return }
    do {
      try FileSystem.touch(path)
    } catch {
      log.error("the liveness file could not be touched: \(error)")
    }
  }
}

extension ExportCycle.Outcome {
  fileprivate var statusLine: String {
    CycleReport(time: time, samples: samples, assessments: assessments, push: .notAttempted("")).statusLine
  }
}
