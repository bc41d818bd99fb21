package import Assessment
package import Metrics
package import OTLP
package import Outbox
package import StateDirectory
package import Stores

/// One cycle: sample every outbox, assess, describe, hand over. The sidecar calls it on a timer, `--once` one time; there is no
/// second code path.
package actor ExportCycle {
  /// What a cycle did.
  package struct Outcome: Sendable {
    /// The exporter's wall clock at the start.
    package var time: Timestamp
    /// The samples of the stores that have answered.
    package var samples: [OutboxSample]
    /// What the trend of each outbox says, by its name.
    package var assessments: [String: OutboxAssessment]
    /// How many stores have not answered yet.
    package var unanswered: Int
    /// What an operator should know about the counters that are kept.
    package var notices: [String]
    /// What an operator should know about the samples of earlier runs, in a sentence.
    package var memoryTrouble: String?
    /// How many data points were described.
    package var pointCount: Int
  }

  private let round: SampleRound
  private let configured: [WatchedOutbox]
  private let exporters: [OTLPExporter]
  private let resource: [Attribute]
  private let version: String
  private let interval: Duration
  private let budget: SampleBudget?
  private let batchLimit: Int?
  private let memory: SampleMemory?
  let now: @Sendable () -> Timestamp
  var describer: MetricDescriber
  private var skipped = 0
  private var windows: [String: SampleWindow] = [:]
  private var isRemembered = false
  /// The outboxes of which some reading has cost so much that the next run is to know of it.
  private var dear: Set<String> = []
  var counting: MovementCounting?

  /// A cycle over the stores.
  ///
  /// - Parameters:
  ///   - batchLimit: with the outbox that reaches so many points a batch ends; nil describes nothing, since nobody
  ///     wants to be told.
  ///   - budget: how much of the databases' time the samples may take; nil reads everything in every cycle.
  ///   - movements: whether what moves is counted, and where that is kept.
  ///   - memory: the samples of earlier runs, which an outbox is judged by as well; nil where none are kept.
  ///   - now: the wall clock, which stamps the cycle.
  ///   - clock: measures how long stores are waited for.
  ///   - executor: what waits for them; nil for the cooperative pool.
  package init(
    stores: [any OutboxStore], exporters: [OTLPExporter], resource: [Attribute], environment: String?,
    destinationLimit: Int, interval: Duration, budget: SampleBudget? = nil, build: BuildIdentity,
    batchLimit: Int? = .max, movements: MovementKeeping = .none,
    memory: SampleMemory? = nil, now: @escaping @Sendable () -> Timestamp,
    clock: any Clock<Duration> = ContinuousClock(), executor: (any TaskExecutor)? = nil
  ) {
    self.round = SampleRound(stores: stores, clock: clock, executor: executor, now: now)
    self.configured = stores.flatMap(\.configured)
    self.exporters = exporters
    self.resource = resource
    self.version = build.version
    self.interval = interval
    self.budget = budget
    self.batchLimit = batchLimit
    self.memory = memory
    self.now = now
    self.counting = MovementCounting(movements)
    self.describer = MetricDescriber(
      environment: environment, destinationLimit: destinationLimit,
      isExponential: exporters.contains { $0.destination.histograms == .exponential }, version: build.version,
      revision: build.revision, start: now())
  }

  /// Takes note of cycles that were left out because the one before was still running.
  package func skip(_ count: Int) { skipped += count }

  /// Samples every outbox and describes what was found.
  ///
  /// - Parameters:
  ///   - eventIDs: whether to name a few events worth looking at.
  ///   - patience: how long to wait for the slowest store; nil waits for all of them.
  ///   - deliver: takes what is to be sent, one batch after the other.
  package func run(
    eventIDs: Bool, patience: Duration?, deliver: @Sendable (MetricBatch) async -> Void
  ) async -> Outcome {
    let time = now()
    var notices = await openAccounts()
    var request = SampleRequest(eventIDs: eventIDs, marks: counting?.marks(describer.accounts), budget: budget)
    if budget != nil, !isRemembered {
      request.costs = await memory?.costs(of: configured) ?? [:]
      dear = Set(request.costs.keys)
    }
    // A health check is not to wait for its memory and for its store one after the other.
    async let remembered = isRemembered ? nil : memory?.windows(of: configured, now: time)
    let round = await round.sample(request, patience: patience)
    windows.merge(await remembered ?? [:]) { known, _ in known }
    isRemembered = true
    var activities: [ExportActivity] = []
    for (index, exporter) in exporters.enumerated() {
      activities.append(await exporter.activity(index: index))
    }
    let (assessments, trouble) = await assess(round)
    let observation = CycleObservation(
      time: time, samples: round.samples, assessments: assessments, vanished: round.vanished, interval: interval,
      skippedCycles: skipped, missedCycles: round.missed, exports: activities)
    var points = 0
    var next = batchLimit == nil ? nil : 0 as Int?
    while let first = next, let batchLimit {
      var part = describer.describe(observation, from: first, limit: batchLimit)
      next = part.next
      notices += await keepAccounts(round.samples[first..<(next ?? round.samples.count)], at: time)
      if counting?.maySend == false { part.metrics.removeAll { MetricCatalog.movements.contains($0.instrument) } }
      let batch = MetricBatch(resource: resource, scopeVersion: version, metrics: part.metrics)
      points += batch.pointCount
      await deliver(batch)
    }
    return Outcome(
      time: time, samples: round.samples, assessments: assessments, unanswered: round.unanswered, notices: notices,
      memoryTrouble: trouble, pointCount: points)
  }

  private func assess(_ round: SampleRound.Result) async -> ([String: OutboxAssessment], memoryTrouble: String?) {
    for name in round.vanished { windows[name] = nil }
    guard let memory else { return (judge(round.samples), nil) }
    let found = round.samples.map(\.outbox).filter { windows[$0.name] == nil }
    if !found.isEmpty { windows.merge(await memory.windows(of: found, now: now())) { known, _ in known } }
    // Of what may be read in every cycle nobody need know after a restart. After its first count no rhythm tells yet.
    let least = (budget?.share ?? 1) * interval.seconds
    let samples = round.samples.map { sample in
      var sample = sample
      let isPutOff = sample.intervals.map { $0.counts > interval } ?? false
      if isPutOff || sample.costs.contains(where: { $0.seconds > least }) { dear.insert(sample.outbox.name) }
      if !dear.contains(sample.outbox.name) { sample.costs = [] }
      return sample
    }
    async let trouble = memory.remember(samples, now: now())
    let assessments = judge(round.samples)
    return (assessments, await trouble)
  }

  private func judge(_ samples: [OutboxSample]) -> [String: OutboxAssessment] {
    var assessments: [String: OutboxAssessment] = [:]
    for sample in samples {
      let name = sample.outbox.name
      windows[name, default: SampleWindow()].append(sample)
      assessments[name] = windows[name].map { OutboxAssessment($0, of: sample.outbox) }
    }
    return assessments
  }

  /// The batch that ends every series, for a clean stop.
  package func end() -> MetricBatch {
    MetricBatch(resource: resource, scopeVersion: version, metrics: describer.end(at: now()))
  }

  /// Ends the connections of the stores.
  package func close() async {
    await round.close()
    await counting?.keeper?.close()
  }
}

extension OTLPExporter {
  /// What became of the exports, as the metrics need it.
  fileprivate func activity(index: Int) -> ExportActivity {
    let observation = observe()
    return ExportActivity(
      component: "\(destination.transport.componentType)/\(index)",
      serverAddress: destination.server?.address ?? "",
      serverPort: destination.server?.port ?? 0, exported: Int(clamping: observation.exportedPoints),
      failed: observation.failedPoints.mapValues { Int(clamping: $0) }, inflight: observation.inflightPoints,
      operations: observation.operations.map {
        ExportActivity.Operation(duration: $0.duration, errorType: $0.errorType, httpStatus: $0.status)
      },
      spool: ExportActivity.Spool(
        depth: observation.spool.depth, age: observation.spool.age,
        dropped: Dictionary(
          uniqueKeysWithValues: DropReason.allCases.map { ($0.rawValue, observation.spool.dropped[$0] ?? 0) }),
        start: observation.spool.start))
  }
}
