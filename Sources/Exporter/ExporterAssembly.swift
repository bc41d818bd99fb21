package import Configuration
package import Logging
package import Metrics
import DedicatedThreads
import Layouts
import OTLP
package import Outbox
package import Reports
import StateDirectory
package import Stores
import Synchronization
import SystemCalls

/// A configuration made into running parts.
package struct ExporterAssembly: Sendable {
  private let configuration: ExporterConfiguration
  private let cycle: ExportCycle
  private let exporters: [OTLPExporter]
  private let memory: SampleMemory?
  /// What the cycles of a sidecar run on. A health check is over before a thread would pay.
  private let thread: PinnedThreadTasks?

  /// The parts of a configuration.
  ///
  /// - Parameters:
  ///   - instance: `service.instance.id`; asked for only where something is told to anybody.
  ///   - once: whether this is a `--once` run, which pushes only where the user named an endpoint.
  ///   - remembers: whether samples are kept in the state directory, and outboxes judged by those of earlier runs too.
  ///   - directory: where undelivered requests and counters are kept; nil keeps them in memory. Only the sidecar that
  ///     has locked the directory may name it.
  package init(
    _ configuration: ExporterConfiguration, instance: @autoclosure () -> String, once: Bool, remembers: Bool = false,
    directory: String? = nil
  ) {
    self.configuration = configuration
    let now: @Sendable () -> Timestamp = { Timestamp(nanoseconds: SystemClock.wallNanoseconds()) }
    // First of all: servers take their time to greet.
    let stores = configuration.stores(connectsAtOnce: once, now: now)
    let exporters = configuration.reasonNotToPush(once: once) == nil ? configuration.exporters(directory) : []
    self.exporters = exporters
    let isTold = !exporters.isEmpty || configuration.metricsExporter == .console
    memory = remembers ? configuration.memory(once: once) : nil
    thread = once ? nil : PinnedThreadTasks()
    cycle = ExportCycle(
      stores: stores, exporters: exporters,
      resource: configuration.resource(isTold ? instance() : nil),
      environment: configuration.environment, destinationLimit: configuration.destinationLimit,
      interval: configuration.interval,
      budget: once ? nil : SampleBudget(share: configuration.databaseShare, interval: configuration.interval),
      // The sidecar counts what moves, whoever is told: `report` answers from that.
      build: .current, batchLimit: once ? (isTold ? .max : nil) : Self.batchLimit,
      movements: once ? .none : directory.map { .directory($0) } ?? .inMemory,
      // A window of its own is judged alone: what is kept was taken in another rhythm.
      memory: once && configuration.window != nil ? nil : memory, now: now,
      clock: thread?.clock ?? ContinuousClock(), executor: thread)
  }

  /// So many points fill about half of a request.
  private static let batchLimit = 20_000

  /// What this exporter is about to do, in one line.
  package var summary: String {
    let names = configuration.outboxes.map(\.name).joined(separator: ", ")
    let endpoints = exporters.map(\.destination.shownEndpoint).joined(separator: ", ")
    return "outbox-exporter \(BuildIdentity.current.version): sampling \(names) every \(configuration.interval.text), "
      + (exporters.isEmpty ? "pushing nowhere" : "pushing to \(endpoints)")
  }

  /// The endpoints that are pushed to, for people; empty where nothing is pushed.
  package var endpoints: [String] { exporters.map(\.destination.shownEndpoint) }

  /// One cycle as a health check, or as many as the configured window has room for: every store is waited for, and the
  /// push ends within 30 seconds, or sooner where OTEL_METRIC_EXPORT_TIMEOUT says so.
  ///
  /// - Parameters:
  ///   - progress: is told before every sample of a window how much of the window has passed.
  ///   - found: is handed what is known before the push.
  package func runOnce(
    eventIDs: Bool, progress: @Sendable (Duration) -> Void, found: @Sendable (CycleReport, MetricBatch) -> Void
  ) async -> CycleReport {
    let described = Mutex(MetricBatch(resource: [], scopeVersion: "", metrics: []))
    let deliver = { @Sendable batch in described.withLock { $0 = batch } }
    let outcome =
      if let window = configuration.window {
        await sample(for: window, eventIDs: eventIDs, progress, deliver)
      } else {
        await cycle.run(eventIDs: eventIDs, patience: .seconds(60), deliver: deliver)
      }
    let batch = described.withLock { $0 }.withoutAccumulations
    let bound = min(.seconds(30), configuration.exportTimeout ?? .seconds(30))
    var report = CycleReport(
      time: outcome.time, samples: outcome.samples, assessments: outcome.assessments,
      push: .notAttempted(configuration.reasonNotToPush(once: true) ?? ""),
      pushIsRequired: configuration.pushIsRequired, memoryTrouble: outcome.memoryTrouble)
    // Whoever waits for the result need not wait for the farewell to the server.
    async let isClosed: Void = cycle.close()
    found(report, batch)
    if !exporters.isEmpty { report.push = await Self.push(batch, to: exporters, within: bound) }
    await isClosed
    return report
  }

  /// Cycles in an even rhythm until the window has passed: 20 steps, so that one in which nothing moves shows it.
  private func sample(
    for window: Duration, eventIDs: Bool, _ progress: @Sendable (Duration) -> Void,
    _ deliver: @Sendable (MetricBatch) -> Void
  ) async -> ExportCycle.Outcome {
    let clock = ContinuousClock()
    let start = clock.now
    let end = start + window
    let step = max(window / 20, .milliseconds(250))
    var tick = start
    while true {
      progress(tick - start)
      var outcome = await cycle.run(eventIDs: eventIDs && tick == end, patience: .seconds(60), deliver: deliver)
      if tick == end {
        outcome.memoryTrouble = await memory?.remember(outcome.samples, now: outcome.time)
        return outcome
      }
      tick = min(max(tick + step, clock.now), end)
      try? await clock.sleep(until: tick)
    }
  }

  /// Cycles at every interval until `stop` has its first element, or nothing works any more.
  ///
  /// - Parameters:
  ///   - supervisor: who started the process, where that wants to hear from it.
  ///   - show: is handed every batch too.
  package func runSidecar(
    until stop: AsyncStream<Int32>, log: Logger, supervisor: ServiceSupervisor? = nil,
    show: @escaping @Sendable (MetricBatch) -> Void
  ) async -> Sidecar.Ending {
    let settings = Sidecar.Settings(
      interval: configuration.interval, livenessFile: configuration.livenessFile,
      endsSeriesOnStop: configuration.endsSeriesOnStop,
      endsAfterFailedCycles: configuration.exitAfterFailedCycles)
    let journals = exporters.map { exporter in Task { await DeliveryJournal.write(exporter, to: log) } }
    let notify = supervisor.map { supervisor -> @Sendable (ServiceState) -> Void in { supervisor.tell($0) } }
    let sidecar = Sidecar(
      cycle: cycle, exporters: exporters, settings: settings, log: log,
      clock: thread?.clock ?? ContinuousClock(), notify: notify, show: show)
    let ending = await withTaskExecutorPreference(thread) { await sidecar.run(until: stop) }
    thread?.stop()
    for journal in journals { await journal.value }
    return ending
  }

  /// What a sample of each configured outbox sends to its database, or why that cannot be said; nil for a directory.
  ///
  /// - Parameter role: the role that samples; nil for the one of the DSN.
  package static func statements(
    of configuration: ExporterConfiguration, role: String? = nil
  ) async -> [(outbox: WatchedOutbox, statements: Result<SampleStatements, SampleFailure>?)] {
    var all: [(WatchedOutbox, Result<SampleStatements, SampleFailure>?)] = []
    for outbox in configuration.outboxes where outbox.address.system == .files { all.append((outbox.watched(), nil)) }
    for store in configuration.stores(now: { Timestamp(nanoseconds: SystemClock.wallNanoseconds()) }) {
      guard let store = store as? any SQLStore else { continue }
      all += await store.statements(eventIDs: false, role: role).map { ($0.outbox, $0.result) }
      await store.close()
    }
    return all
  }

  /// One cycle whose figures are handed over for delivery, for a caller with a rhythm of its own.
  package func runCycle() async -> [OutboxSample] {
    await cycle.run(eventIDs: false, patience: .seconds(10)) { batch in
      for exporter in exporters { await exporter.enqueue(batch) }
    }.samples
  }

  /// Ends every series and delivers what still waits, within a bound. One sentence for each endpoint that did not take
  /// everything.
  package func stop(within bound: Duration) async -> [String] {
    let batch = await cycle.end()
    var complaints: [String] = []
    for exporter in exporters {
      await exporter.enqueue(batch)
      let report = await exporter.shutDown(within: bound)
      if !report.isComplete {
        complaints.append(
          "\(report.droppedPoints) data points did not arrive at \(exporter.destination.shownEndpoint): "
            + (report.failure?.message ?? "no answer in time"))
      }
    }
    await cycle.close()
    return complaints
  }

  private static func push(
    _ batch: MetricBatch, to exporters: [OTLPExporter], within bound: Duration
  ) async -> CycleReport.Push {
    await withTaskGroup(of: (String, PushReport).self) { group in
      for exporter in exporters {
        group.addTask { (exporter.destination.shownEndpoint, await exporter.deliver(batch, within: bound)) }
      }
      var complaints: [String] = []
      for await (endpoint, report) in group where !report.isComplete {
        complaints.append(
          "\(report.droppedPoints) of \(batch.pointCount) data points did not arrive at \(endpoint): "
            + (report.failure?.message ?? "no answer in time"))
      }
      return complaints.isEmpty
        ? .delivered(points: batch.pointCount) : .failed(complaints.sorted().joined(separator: "; "))
    }
  }
}

extension MetricBatch {
  /// The batch without counters and histograms: a run that ends at once accumulates nothing, and its zero would look
  /// like a reset of the sidecar's counters.
  package var withoutAccumulations: MetricBatch {
    var batch = self
    batch.metrics.removeAll { $0.instrument.kind == .counter || $0.instrument.kind == .histogram }
    return batch
  }
}

extension ExporterConfiguration {
  /// Who is speaking. Nothing is sent empty: Prometheus would make `job` out of an empty namespace.
  fileprivate func resource(_ instance: String?) -> [Attribute] {
    var attributes = [Attribute("service.name", serviceName)]
    let identity = instance.map { [("service.instance.id", $0)] } ?? []
    let own: [(String, String)] =
      identity + [
        ("service.version", BuildIdentity.current.version),
        ("telemetry.sdk.name", "outbox-exporter"), ("telemetry.sdk.language", "swift"),
        ("telemetry.sdk.version", BuildIdentity.current.version),
      ]
    let named = Set(resourceAttributes.map(\.key))
    for (key, value) in own where !named.contains(key) { attributes.append(Attribute(key, value)) }
    for attribute in resourceAttributes where attribute.key != "service.name" {
      attributes.append(Attribute(attribute.key, attribute.value))
    }
    return attributes
  }
}

extension ExportDestination.Transport {
  fileprivate var ofOTLP: OTLPDestination.Transport {
    switch self {
    case .http: .http
    case .httpJSON: .httpJSON
    case .grpc: .grpc
    }
  }
}

extension ExporterConfiguration {
  /// One for each endpoint, with a spool each where there is a directory for them.
  fileprivate func exporters(_ spoolDirectory: String?) -> [OTLPExporter] {
    let destinations = destinations.map { destination in
      OTLPDestination(
        endpoint: destination.url.revealed, transport: destination.transport.ofOTLP,
        headers: destination.headers.map { ($0.name, $0.value.revealed) },
        timeout: destination.timeout, compression: destination.compression == .gzip ? .gzip : .none,
        authorities: destination.certificate, clientCertificate: destination.clientCertificate,
        clientKey: destination.clientKey, requestLimit: destination.requestLimit ?? OTLPSchema.requestLimit,
        ageLimit: spool.ageLimit,
        temporality: TemporalityPreference(rawValue: destination.temporality.rawValue) ?? .cumulative,
        histograms: destination.histograms == .exponential ? .exponential : .explicitBuckets)
    }
    let paths = spoolDirectory.map { Spool.paths(in: $0, destinations) }
    return destinations.enumerated().map { index, destination in
      OTLPExporter(
        destination, version: BuildIdentity.current.version,
        spool: paths.map { Spool(path: $0[index], byteLimit: spool.byteLimit) })
    }
  }
}
