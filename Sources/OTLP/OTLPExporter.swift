internal import HTTPClient
internal import SystemCalls
package import Metrics
internal import Outbox

/// Delivers batches to one destination: in order, one request at a time, again after failures that may pass.
///
/// Handing over a batch returns at once. While the destination does not answer, requests wait in memory up to
/// ``OTLPDestination/queueLimit``; then the oldest are dropped and counted. Nothing is logged here: what an operator
/// should know comes out of ``events``.
package actor OTLPExporter {
  private struct Outage {
    var began: Int64
    var lostPoints = 0
  }

  /// Where this exporter delivers to.
  package nonisolated let destination: OTLPDestination
  /// What an operator should be told. Unread events beyond the last 64 are forgotten. Ends with ``shutDown(within:)``.
  package nonisolated let events: AsyncStream<DeliveryEvent>

  private let announce: AsyncStream<DeliveryEvent>.Continuation
  private let transport: HTTPTransport
  private let policy: RetryPolicy
  private let timing: DeliveryTiming

  private var queue: DeliveryQueue
  private var observation = ExportObservation()
  private var report = PushReport()
  private var delivery: Task<Void, Never>?
  private var backOff: Task<Void, Never>?
  private var consecutiveFailures = 0
  private var outage: Outage?
  private var lastComplaint = ""
  // Set while somebody waits for the end of all deliveries.
  private var deadline: Int64?
  private var isShutDown = false

  /// An exporter for a destination. It connects when there is something to send.
  ///
  /// - Parameter version: this program's, for the user agent.
  package init(
    _ destination: OTLPDestination, version: String, policy: RetryPolicy = RetryPolicy(),
    timing: DeliveryTiming = .system
  ) {
    self.destination = destination
    self.policy = policy
    self.timing = timing
    transport = HTTPTransport(destination, version: version)
    queue = DeliveryQueue(limit: destination.queueLimit)
    (events, announce) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
  }

  /// Hands over a batch for delivery and returns at once.
  package func enqueue(_ batch: MetricBatch) {
    let encoded = MetricEncoder.encode(batch, limit: destination.requestLimit)
    if encoded.invalidPointCount > 0 {
      lose(encoded.invalidPointCount, DeliveryFailure(errorType: "invalid", message: "points without a usable value"))
    }
    if encoded.tooLargePointCount > 0 {
      lose(
        encoded.tooLargePointCount,
        DeliveryFailure(
          errorType: "too_large",
          message: "points larger than the request limit of \(destination.requestLimit) bytes"))
    }
    for request in encoded.requests {
      enqueue(request)
    }
    startDelivery()
  }

  /// Delivers what waits, retries included, and ends within the bound. What is not delivered by then is dropped.
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

  /// Makes one last attempt for what waits, within the bound, and ends. What is not delivered then is dropped, and so is
  /// every batch that comes later.
  package func shutDown(within bound: Duration) async -> PushReport {
    report = PushReport()
    isShutDown = true
    let report = await finish(within: bound)
    announce.finish()
    return report
  }

  /// What happened so far. The list of finished exports starts anew with each call.
  package func observe() -> ExportObservation {
    var current = observation
    current.inflightPoints = queue.pointCount
    observation.operations = []
    return current
  }

  // MARK: - Delivery

  private func enqueue(_ request: EncodedRequest) {
    guard !isShutDown else {
      lose(request.pointCount, DeliveryFailure(errorType: "shutdown", message: "the exporter has ended"))
      return
    }
    let body = destination.compression == .gzip ? gzip(request.body) : request.body
    let dropped = queue.append(QueuedRequest(body: body, pointCount: request.pointCount))
    guard !dropped.isEmpty else { return }
    let points = dropped.reduce(0) { $0 + $1.pointCount }
    outage?.lostPoints += points
    let failure = DeliveryFailure(
      errorType: "queue_full", message: "more than \(queue.limit) bytes wait for \(destination.shownEndpoint)")
    for request in dropped { noteOperation(request, failure) }
    lose(points, failure)
  }

  private func finish(within bound: Duration) async -> PushReport {
    deadline = timing.monotonic() + bound.wholeNanoseconds
    transport.deadline.set(monotonicNanoseconds: SystemClock.monotonicNanoseconds() + bound.wholeNanoseconds)
    backOff?.cancel()
    startDelivery()
    await delivery?.value
    deadline = nil
    transport.deadline.set(monotonicNanoseconds: .max)
    return report
  }

  private func startDelivery() {
    guard delivery == nil, !queue.isEmpty else { return }
    delivery = Task { await deliverQueued() }
  }

  private func deliverQueued() async {
    while let request = queue.head {
      if let deadline, timing.monotonic() >= deadline {
        loseAll(
          DeliveryFailure(
            errorType: HTTPError.Cause.timedOut.rawValue,
            message: "\(destination.shownEndpoint): not everything could be sent in time"))
        break
      }
      queue.noteAttempt(at: timing.monotonic())
      let outcome = await transport.send(request.body, timeout: attemptTimeout)
      queue.isHeadOnWire = false
      switch DeliveryVerdict(outcome, endpoint: destination.endpoint, now: timing.wall()) {
      case .delivered(let rejected, let message):
        endOutage()
        noteDelivered(queue.removeHead(), rejected: rejected, message: message, status: try? outcome.get().status)
      case .drop(let failure):
        // An answer ends an outage, whatever it says.
        if failure.status != nil { endOutage() }
        let request = queue.removeHead()
        noteOperation(request, failure)
        lose(request.pointCount, failure)
      case .retry(let failure, let serverDelay):
        beginOutage(failure)
        consecutiveFailures += 1
        let delay = policy.delay(failures: consecutiveFailures, serverDelay: serverDelay, random: timing.random())
        // Waiting to no purpose helps nobody.
        let cannotWait = deadline.map { timing.monotonic() + delay.wholeNanoseconds >= $0 } ?? false
        if isShutDown || cannotWait {
          loseAll(failure)
        } else {
          await wait(delay)
        }
      }
    }
    delivery = nil
  }

  private var attemptTimeout: Duration? {
    let left = deadline.map { Duration.nanoseconds($0 - timing.monotonic()) }
    return [destination.timeout, left].compactMap(\.self).min()
  }

  private func wait(_ delay: Duration) async {
    let sleep = timing.sleep
    let task = Task { await sleep(delay) }
    backOff = task
    await task.value
    backOff = nil
  }

  // MARK: - Accounts

  private func noteDelivered(_ request: QueuedRequest, rejected: Int64, message: String, status: Int?) {
    // What the receiver says about numbers is not trusted.
    let lost = Int(min(max(0, rejected), Int64(request.pointCount)))
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

  private func loseAll(_ failure: DeliveryFailure) {
    var points = 0
    for request in queue.removeAll() {
      noteOperation(request, failure)
      points += request.pointCount
    }
    outage?.lostPoints += points
    lose(points, failure)
  }

  private func lose(_ points: Int, _ failure: DeliveryFailure) {
    count(points, failure)
    complain(.dropped(points: points, failure), key: failure.message)
  }

  private func count(_ points: Int, _ failure: DeliveryFailure) {
    observation.failedPoints[failure.errorType, default: 0] += UInt64(points)
    report.droppedPoints += points
    report.failure = failure
  }

  private func noteOperation(_ request: QueuedRequest, _ failure: DeliveryFailure?, status: Int? = nil) {
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
