internal import DedicatedThreads
internal import HTTPClient
internal import SQLiteClient
internal import SystemCalls
package import Metrics
internal import Outbox

/// Delivers batches to one destination: in order, one request at a time, again after failures that may pass.
///
/// Handing over a batch returns at once. Requests wait in a ``Spool``, or in memory up to
/// ``OTLPDestination/queueLimit``, until the destination has answered; beyond the limits the oldest are dropped and
/// counted. With a spool every request is committed to the disk before it is sent, and what is undelivered at the end is
/// sent by the next exporter that has the spool. Nothing is logged here: what an operator should know comes out of ``events``.
package actor OTLPExporter {
  private struct Outage {
    var began: Int64
    var lostPoints = 0
  }

  /// Where this exporter delivers to.
  package nonisolated let destination: OTLPDestination
  /// What an operator should be told. Unread events beyond the last 64 are forgotten. Ends with ``shutDown(within:)``.
  package nonisolated let events: AsyncStream<DeliveryEvent>

  // Writing to a disk blocks, and the cooperative pool may have one thread only.
  private let executor = PinnedThreadExecutor()
  private let announce: AsyncStream<DeliveryEvent>.Continuation
  private let transport: any DeliveryTransport
  private let mask: SecretMask
  private let policy: RetryPolicy
  private let timing: DeliveryTiming

  private var preference: SeriesPreference
  private var queue: DeliveryQueue
  // Until it is opened.
  private var unopenedSpool: Spool?
  // Accounts begin before anything can be sent about them.
  private let start: Timestamp
  private var spoolPath: String?
  private var spoolComplaint: SQLiteError?
  private var observation = ExportObservation()
  private var report = PushReport()
  private var delivery: Task<Void, Never>?
  private var backOff: Task<Void, Never>?
  private var consecutiveFailures = 0
  private var consecutiveRefusals = 0
  private var throttle: Duration?
  private var outage: Outage?
  private var lastComplaint = ""
  // Set while somebody waits for the end of all deliveries.
  private var deadline: Int64?
  private var isShutDown = false

  /// The thread that this exporter runs on.
  package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  /// An exporter for a destination. It connects when there is something to send.
  ///
  /// - Parameters:
  ///   - version: this program's, for the user agent.
  ///   - spool: where undelivered requests are kept; nil keeps them in memory. No two exporters may have the same.
  package init(
    _ destination: OTLPDestination, version: String, spool: Spool? = nil, policy: RetryPolicy = RetryPolicy(),
    timing: DeliveryTiming = .system
  ) {
    self.destination = destination
    self.policy = policy
    self.timing = timing
    transport = destination.makeTransport(version: version)
    mask = SecretMask(headers: destination.headers, endpoint: destination.endpoint)
    start = timing.wall()
    preference = SeriesPreference(
      temporality: destination.temporality, histograms: destination.histograms, began: start)
    queue = DeliveryQueue(limit: destination.queueLimit, ageLimit: destination.ageLimit, start: start)
    unopenedSpool = spool
    (events, announce) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
  }

  deinit {
    executor.stop()
  }

  /// Hands over a batch for delivery and returns at once.
  package func enqueue(_ batch: MetricBatch) {
    openSpool()
    guard !isShutDown else {
      lose(batch.pointCount, DeliveryFailure(errorType: "shutdown", message: "the exporter has ended"))
      return
    }
    let encoded = MetricEncoder.encode(
      preference.apply(to: batch), as: destination.encoding, limit: destination.requestLimit)
    if encoded.invalidPointCount > 0 {
      lose(encoded.invalidPointCount, DeliveryFailure(errorType: "invalid", message: "points without a usable value"))
    }
    if encoded.tooLargePointCount > 0 {
      queue.countDropped(encoded.tooLargePointCount, .tooLarge)
      lose(
        encoded.tooLargePointCount,
        DeliveryFailure(
          errorType: "too_large",
          message: "points larger than the request limit of \(destination.requestLimit) bytes"))
    }
    let created = timing.wall()
    let requests = encoded.requests.map { request in
      QueuedRequest(
        body: destination.compression == .gzip ? gzip(request.body) : request.body, encoding: destination.encoding,
        compression: destination.compression, pointCount: request.pointCount, created: created)
    }
    let told = spoolPath != nil && preference.needsMemory ? preference.deltas.changes : [:]
    noteDepartures(queue.append(requests, told: told))
    if queue.spoolError == nil { preference.deltas.noteKept() }
    noteSpool()
    startDelivery()
  }

  /// Delivers what waits, retries included, and ends within the bound. What is not delivered by then is dropped,
  /// unless it is in the spool.
  package func flush(within bound: Duration) async -> PushReport {
    report = PushReport()
    return await finish(within: bound)
  }

  /// Hands over a batch and delivers it, retries included, within the bound: the push of `--once`.
  package func deliver(_ batch: MetricBatch, within bound: Duration) async -> PushReport {
    report = PushReport()
    enqueue(batch)
    return await finish(within: bound)
  }

  /// Makes one last attempt for what waits, within the bound, and ends. What is not delivered then is dropped, unless
  /// it is in the spool, and so is every batch that comes later.
  package func shutDown(within bound: Duration) async -> PushReport {
    report = PushReport()
    isShutDown = true
    let report = await finish(within: bound)
    announce.finish()
    return report
  }

  /// What happened so far. The list of finished exports starts anew with each call.
  package func observe() -> ExportObservation {
    openSpool()
    startDelivery()
    var current = observation
    current.inflightPoints = queue.pointCount
    let age = queue.oldest.map { max(.zero, timing.wall().since($0)) } ?? .zero
    current.spool = SpoolObservation(depth: queue.count, age: age, dropped: queue.dropped, start: queue.start)
    observation.operations = []
    return current
  }

  // MARK: - Delivery

  private func openSpool() {
    guard let spool = unopenedSpool else { return }
    unopenedSpool = nil
    do throws(SQLiteError) {
      let (file, notice) = try SpoolFile.open(spool.path, now: start)
      spoolPath = spool.path
      queue.use(file, limit: spool.byteLimit)
      if preference.needsMemory {
        if let told = DeltaSeries(kept: file.told) { preference.deltas = told }
      } else {
        try file.forgetTold()
      }
      if let notice { announce.yield(.spoolSetAside(notice)) }
      noteDepartures(queue.enforceLimits(at: timing.wall()))
      noteSpool()
    } catch {
      announce.yield(
        .spoolFailed(
          "the spool \(spool.path) cannot be used: \(error). \(error.advice) and restart; until then what is not "
            + "delivered is kept in memory only"))
    }
  }

  /// What left the queue because of its limits.
  private func noteDepartures(_ departures: [DeliveryQueue.Departure]) {
    for (reason, departures) in Dictionary(grouping: departures, by: \.reason) {
      let points = departures.reduce(0) { $0 + $1.pointCount }
      outage?.lostPoints += points
      let failure =
        reason == .tooOld
        ? DeliveryFailure(
          errorType: "too_old", message: "they waited longer than \(queue.ageLimit?.text ?? "")")
        : DeliveryFailure(
          errorType: "queue_full", message: "more than \(queue.limitText) wait")
      for departure in departures { noteOperation(departure, failure) }
      lose(points, failure)
    }
  }

  /// Says once that the spool is not written, and once that it is again.
  private func noteSpool() {
    guard queue.spoolError?.kind != spoolComplaint?.kind else { return }
    spoolComplaint = queue.spoolError
    let path = spoolPath ?? ""
    if let error = queue.spoolError {
      announce.yield(
        .spoolFailed(
          "the spool \(path) cannot be written: \(error). \(error.advice); until then what is not delivered is kept in "
            + "memory only"))
    } else {
      announce.yield(.spoolWorks("the spool \(path) is written again"))
    }
  }

  private func finish(within bound: Duration) async -> PushReport {
    openSpool()
    deadline = timing.monotonic() + bound.wholeNanoseconds
    transport.deadline.set(monotonicNanoseconds: SystemClock.monotonicNanoseconds() + bound.wholeNanoseconds)
    backOff?.cancel()
    startDelivery()
    await delivery?.value
    deadline = nil
    transport.deadline.set(monotonicNanoseconds: .max)
    report.keptPoints = queue.spooledPointCount
    return report
  }

  private func startDelivery() {
    guard delivery == nil, !queue.isEmpty else { return }
    delivery = Task { await deliverQueued() }
  }

  private func deliverQueued() async {
    delivering: while !queue.isEmpty {
      if let deadline, timing.monotonic() >= deadline {
        endWithout(
          DeliveryFailure(
            errorType: HTTPError.Cause.timedOut.rawValue, message: "not everything could be sent in time"))
        break
      }
      noteDepartures(queue.enforceLimits(at: timing.wall()))
      guard !queue.isEmpty else { break }
      guard let request = queue.head() else {
        loseCorruptHead()
        continue
      }
      queue.noteAttempt(at: timing.monotonic())
      let outcome = mask.hiding(await transport.send(request, timeout: attemptTimeout))
      queue.isHeadOnWire = false
      switch mask.hiding(DeliveryVerdict(outcome, endpoint: destination.endpoint, now: timing.wall())) {
      case .delivered(let rejected, let message):
        consecutiveRefusals = 0
        endOutage()
        noteDelivered(rejected: rejected, message: message, status: outcome.status)
      case .drop(let failure):
        // An answer ends an outage, whatever it says.
        if failure.isAnswer { endOutage() }
        let departure = queue.removeHead(failure.isTooLarge ? .tooLarge : .rejected)
        noteOperation(departure, failure)
        lose(departure.pointCount, failure)
        guard failure.isAnswer, !failure.isForContent, !queue.isEmpty else { break }
        // The specification forbids to send it again. The next ones would be refused too, and a wrong token must not cost
        // all that waits within a second.
        consecutiveRefusals += 1
        let delay = policy.delay(failures: consecutiveRefusals, serverDelay: nil, random: timing.random())
        if isShutDown || cannotWait(delay) {
          endWithout(failure)
          break delivering
        }
        await wait(delay)
      case .retry(let failure, let serverDelay):
        beginOutage(failure)
        consecutiveFailures += 1
        throttle =
          destination.transport == .grpc ? policy.throttle(after: throttle, serverDelay: serverDelay) : serverDelay
        let delay = policy.delay(failures: consecutiveFailures, serverDelay: throttle, random: timing.random())
        if isShutDown || cannotWait(delay) {
          endWithout(failure)
          break delivering
        }
        await wait(delay)
      }
      noteSpool()
    }
    delivery = nil
  }

  private func loseCorruptHead() {
    let departure = queue.removeHead(.corrupt)
    let failure = DeliveryFailure(
      errorType: "corrupt", message: "the spool \(spoolPath ?? "") does not give back what it was given. Check the disk"
    )
    noteOperation(departure, failure)
    lose(departure.pointCount, failure)
    noteSpool()
  }

  private var attemptTimeout: Duration? {
    let left = deadline.map { Duration.nanoseconds($0 - timing.monotonic()) }
    return [destination.timeout, left].compactMap(\.self).min()
  }

  /// Waiting to no purpose helps nobody.
  private func cannotWait(_ delay: Duration) -> Bool {
    deadline.map { timing.monotonic() + delay.wholeNanoseconds >= $0 } ?? false
  }

  private func wait(_ delay: Duration) async {
    let sleep = timing.sleep
    let task = Task { await sleep(delay) }
    backOff = task
    await task.value
    backOff = nil
  }

  // MARK: - Accounts

  private func noteDelivered(rejected: Int64, message: String, status: Int?) {
    // What the receiver says about numbers is not trusted.
    let lost = Int(min(max(0, rejected), Int64(queue.headPointCount)))
    let request = queue.removeHead(lost > 0 ? .rejected : nil, lost: lost)
    let failure = DeliveryFailure(errorType: "rejected", status: status, message: message)
    noteOperation(request, lost > 0 ? failure : nil, status: status)
    observation.exportedPoints += UInt64(request.pointCount - lost)
    report.deliveredPoints += request.pointCount - lost
    if lost > 0 { count(lost, failure) }
    if lost > 0 || !message.isEmpty {
      complain(.rejected(points: lost, message: message), key: message)
    } else {
      lastComplaint = ""
    }
  }

  /// Gives up for this time: what is in the spool stays there.
  private func endWithout(_ failure: DeliveryFailure) {
    var points = 0
    for request in queue.abandonMemory() {
      noteOperation(request, failure)
      points += request.pointCount
    }
    outage?.lostPoints += points
    if points > 0 { lose(points, failure) }
    report.failure = failure
  }

  private func lose(_ points: Int, _ failure: DeliveryFailure) {
    count(points, failure)
    // What a receiver says about old samples names another one each time.
    complain(.dropped(points: points, failure), key: failure.isForAge ? "old samples" : failure.message)
  }

  private func count(_ points: Int, _ failure: DeliveryFailure) {
    observation.failedPoints[failure.errorType, default: 0] += UInt64(points)
    report.droppedPoints += points
    report.failure = failure
  }

  private func noteOperation(_ request: DeliveryQueue.Departure, _ failure: DeliveryFailure?, status: Int? = nil) {
    guard let began = request.firstAttempt else { return }
    if observation.operations.count >= 1000 { observation.operations.removeFirst() }
    observation.operations.append(
      ExportOperation(
        duration: .nanoseconds(timing.monotonic() - began), errorType: failure?.errorType,
        status: status ?? failure?.status))
  }

  private func beginOutage(_ failure: DeliveryFailure) {
    guard outage == nil else { return }
    outage = Outage(began: timing.monotonic())
    announce.yield(.outageBegan(failure))
  }

  private func endOutage() {
    consecutiveFailures = 0
    throttle = nil
    guard let outage else { return }
    self.outage = nil
    announce.yield(
      .outageEnded(
        lasted: .nanoseconds(timing.monotonic() - outage.began), kept: queue.pointCount, lost: outage.lostPoints))
  }

  private func complain(_ event: DeliveryEvent, key: String) {
    guard key != lastComplaint else { return }
    lastComplaint = key
    announce.yield(event)
  }
}
