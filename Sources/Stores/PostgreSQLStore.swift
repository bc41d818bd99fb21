import DedicatedThreads
package import Layouts
package import Outbox
import PostgreSQLClient
import SampleSQL
import SystemCalls

/// All outboxes that are watched in one PostgreSQL database, over one connection.
///
/// A sample is one round trip for each outbox. Nothing is ever written, no session state is left behind, and every wait
/// has an end on the server and on the client.
package actor PostgreSQLStore: SQLStore {
  private let executor: PinnedThreadExecutor
  private let session: PostgreSQLSession
  private let outboxes: [PostgreSQLQueues]
  private let now: @Sendable () -> Timestamp
  private let monotonicNanoseconds: @Sendable () -> Int64
  private let limits: PostgreSQLLimits
  private var share: DatabaseShare?
  /// For how many seconds the database has worked for this sample's readings.
  private var notedTime = 0.0
  /// What the counts and estimates of one queue have cost in this sample.
  private var costs: [ReadingCost] = []
  private var budget: SampleBudget?
  private var names: [String] = []
  /// Why the last count of a queue failed that is not to be repeated in every cycle.
  private var failures: [String: SampleFailure] = [:]
  /// The queues that another session held locked when they were last read.
  private var locked: Set<String> = []
  /// True where something of this round has waited for a lock in vain.
  private var hasWaited = false
  /// In how many readings in a row the session has ended.
  private var interruptions: [String: Int] = [:]
  /// The same, whatever the queues.
  private var interruptionsInARow = 0
  private var estimates = 0

  /// The outboxes as they are configured.
  package nonisolated let configured: [WatchedOutbox]
  /// The most time that a sample takes, where one queue is watched; nil where several wait for one another.
  package nonisolated let longestSample: Duration?
  package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  /// A store over one database.
  ///
  /// - Parameters:
  ///   - definitions: at least one; all of them with the same PostgreSQL address.
  ///   - limits: what bounds the exporter's presence in the database.
  ///   - connectsAtOnce: whether to connect before the first sample is asked for, for a run that has nothing else to do.
  ///   - now: the wall clock, which stamps samples. Ages are measured on the database's own clock.
  ///   - monotonicNanoseconds: a clock that never jumps, for durations and waits.
  ///   - spread: the share of a wait between two attempts to connect that is kept, 0…1.
  package init(
    _ definitions: [OutboxDefinition], limits: PostgreSQLLimits = PostgreSQLLimits(), connectsAtOnce: Bool = false,
    now: @escaping @Sendable () -> Timestamp,
    monotonicNanoseconds: @escaping @Sendable () -> Int64 = { SystemClock.monotonicNanoseconds() },
    spread: @escaping @Sendable () -> Double = { .random(in: 0.5...1) }
  ) {
    guard let address = definitions.first?.address, case .postgresql(let conninfo) = address,
      definitions.allSatisfy({ $0.address == address })
    else { preconditionFailure("a PostgreSQL store needs outboxes with one PostgreSQL address") }
    let early = EarlyConnection()
    executor =
      connectsAtOnce
      ? PinnedThreadExecutor { early.open(conninfo, within: limits.connect) } : PinnedThreadExecutor()
    let session = PostgreSQLSession(
      conninfo: conninfo, limits: limits, clock: monotonicNanoseconds, spread: spread, early: early)
    self.session = session
    self.configured = definitions.map { $0.watched() }
    self.outboxes = definitions.map {
      PostgreSQLQueues($0, session: session, limits: limits, clock: monotonicNanoseconds)
    }
    self.now = now
    self.monotonicNanoseconds = monotonicNanoseconds
    self.limits = limits
    // There are the looking up, the counting, an estimate in its place, and one of them once more in another session.
    longestSample =
      definitions.count == 1 && definitions[0].layout.queues.count == 1
      ? limits.connect * 2 + (limits.roundTrip + PostgreSQLConnection.graceAfterCancelling) * 4 : nil
  }

  /// Which database a connection string means, in words that hold neither a user nor a secret.
  package static func place(ofConnectionString conninfo: Secret, environment: [String: String]) -> String {
    ConnectionString.place(conninfo.revealed, environment: environment)
  }

  /// What is wrong with a connection string, without quoting any of it; nil where it can be tried. Nothing is connected.
  package static func problem(withConnectionString conninfo: Secret) -> String? {
    ConnectionString.problem(in: conninfo.revealed)
  }

  package func sample(_ request: SampleRequest) async -> [OutboxSample] {
    if request.budget != budget {
      budget = request.budget
      share = request.budget.map { DatabaseShare($0) }
    }
    if names.isEmpty { names = outboxes.flatMap { outbox in outbox.knownSuffixes.map { watched(outbox, $0).name } } }
    for (name, costs) in request.costs
    where configured.contains(where: { name == $0.name || name.hasPrefix($0.name + "/") }) {
      share?.adopt(costs, of: name, at: uptime, time: now())
      if !names.contains(name) { names.append(name) }
    }
    share?.divide(among: names)
    let before = session.serverTime
    notedTime = 0
    hasWaited = false
    let samples = outboxes.flatMap { sample($0, request) }
    share?.note(aside: session.serverTime - before - notedTime)
    names = samples.map(\.outbox.name)
    return samples
  }

  private func sample(_ outbox: PostgreSQLQueues, _ request: SampleRequest) -> [OutboxSample] {
    let prepared: [PostgreSQLQueues.Prepared]
    let startedAt = now()
    let began = SystemClock.monotonicNanoseconds()
    do throws(SampleFailure) {
      wait(for: outbox, whereLocked: outbox.knownSuffixes.map { watched(outbox, $0).name })
      prepared = try outbox.current(counting: request.marks != nil)
    } catch {
      return outbox.knownSuffixes.map { suffix in
        OutboxSample(
          outbox: watched(outbox, suffix), startedAt: startedAt, duration: elapsed(since: began),
          result: .failure(error))
      }
    }
    return prepared.map { queue in
      let startedAt = now()
      let began = SystemClock.monotonicNanoseconds()
      let watched = watched(outbox, queue.suffix)
      wait(for: outbox, whereLocked: [watched.name])
      costs = []
      let result = Result { () throws(SampleFailure) in try read(queue, of: outbox, watched.name, request) }
      note(result.failure, of: watched.name)
      var sample = OutboxSample(
        outbox: watched, startedAt: startedAt, duration: elapsed(since: began), figures: result.map(\.figures),
        intervals: share?.intervals(watched.name, hasHead: queue.head.isAvailable),
        accounting: try? result.get().accounting)
      sample.costs = costs
      return sample
    }
  }

  /// Has an outbox wait for locks no longer than the others can do without their sample: in one round one of them waits for as
  /// long as it may, and none that was found locked before.
  private func wait(for outbox: PostgreSQLQueues, whereLocked names: [String]) {
    let isBrief = hasWaited || !locked.isDisjoint(with: names)
    outbox.wait(forLocks: isBrief ? min(limits.lock, Self.briefWait) : limits.lock)
  }

  private static let briefWait = Duration.milliseconds(10)

  /// Takes note of whether a queue was found locked.
  private func note(_ failure: SampleFailure?, of name: String) {
    if failure?.reason == .lockTimeout {
      hasWaited = true
      locked.insert(name)
    } else if failure == nil {
      locked.remove(name)
    }
  }

  /// Reads as much of a queue as its share of the database's time allows now.
  private func read(
    _ queue: PostgreSQLQueues.Prepared, of outbox: PostgreSQLQueues, _ name: String, _ request: SampleRequest
  ) throws(SampleFailure) -> (figures: SampleFigures, accounting: AccountingReading?) {
    let mark = request.marks.map { $0[name] }
    // What that costs is no more than the clock, and tells nothing of what a count does.
    if !request.eventIDs, let outcome = try outbox.unchanged(queue, mark: mark) {
      return (.counts(outcome.snapshot), outcome.accounting)
    }
    let depth = share?.next(name, at: uptime, hasHead: queue.head.isAvailable) ?? .counts
    switch depth {
    case .counts: return try count(queue, of: outbox, name, request, mark)
    case .estimate: return (.counts(try estimate(queue, of: outbox, name)), nil)
    case .head, .clock:
      // Until it is tried again: what answers in between says nothing of why it cannot be counted.
      if let failure = failures[name] {
        // But for a server that is not there any more.
        _ = try outbox.clock(queue)
        throw failure
      }
      guard depth == .head else { return (.head(try outbox.clock(queue)), nil) }
      let head = try noting(.head, of: name, outbox) { () throws(SampleFailure) in try outbox.head(queue) }
      guard let head else { return (.head(try outbox.clock(queue)), nil) }
      return (.head(head), nil)
    }
  }

  /// Counts a queue. Where that takes too long an estimate stands in.
  private func count(
    _ queue: PostgreSQLQueues.Prepared, of outbox: PostgreSQLQueues, _ name: String, _ request: SampleRequest,
    _ mark: AccountingMark??
  ) throws(SampleFailure) -> (figures: SampleFigures, accounting: AccountingReading?) {
    do throws(SampleFailure) {
      let outcome = try noting(.counts, of: name, outbox, events: { $0.snapshot.countedEvents }) {
        () throws(SampleFailure) in try outbox.sample(queue, eventIDs: request.eventIDs, mark: mark)
      }
      queue.head.floor.note(outcome.snapshot)
      return (.counts(outcome.snapshot), outcome.accounting)
    } catch {
      guard error.reason == .timeout, session.isConnected else { throw error }
      if let estimate = try? estimate(queue, of: outbox, name) { return (.counts(estimate), nil) }
      // What took too long here must not end in an error about the estimate.
      if failures[name] != nil { failures[name] = error }
      throw error
    }
  }

  private func estimate(
    _ queue: PostgreSQLQueues.Prepared, of outbox: PostgreSQLQueues, _ name: String
  ) throws(SampleFailure) -> Snapshot {
    estimates += 1
    let size = share?.estimateSize(name) ?? 1
    return try noting(.estimate, of: name, outbox, events: \.countedEvents) { () throws(SampleFailure) in
      try outbox.estimate(queue, size: size, seed: estimates)
    }
  }

  /// Notes for how many seconds the database has worked for a reading, whether it came to its end or not.
  private func noting<Value>(
    _ depth: ReadingDepth, of name: String, _ outbox: PostgreSQLQueues, events: (Value) -> Int? = { _ in nil },
    _ read: () throws(SampleFailure) -> Value
  ) throws(SampleFailure) -> Value {
    let before = (worked: outbox.readingTime, lost: session.lostTime)
    func note(events: Int? = nil, hasFailed: Bool = false) {
      let cost = outbox.readingTime - before.worked
      notedTime += cost
      guard cost > 0, share != nil else { return }
      share?.note(depth, of: name, cost: cost, events: events, hasFailed: hasFailed, at: uptime)
      if depth != .head { costs.append(ReadingCost(isEstimate: depth == .estimate, seconds: cost, time: now())) }
    }
    do throws(SampleFailure) {
      let value = try read()
      note(events: events(value))
      interruptions[name] = nil
      interruptionsInARow = 0
      if depth != .head { failures[name] = nil }
      return value
    } catch {
      note(hasFailed: true)
      if depth != .head, error.reason != .lockTimeout, session.isConnected { failures[name] = error }
      // Once it may be the network's fault, or the server's; again it is what was asked for.
      let lost = session.lostTime - before.lost
      if lost > 0 {
        interruptions[name, default: 0] += 1
        interruptionsInARow += 1
        if interruptionsInARow > 1 || interruptions[name, default: 0] > 1 {
          share?.note(interrupted: depth, of: name, after: lost, at: uptime)
          failures[name] = error
        }
      }
      throw error
    }
  }

  /// Seconds on a clock that never jumps.
  private var uptime: Double { Double(monotonicNanoseconds()) / 1e9 }

  package func statements(eventIDs: Bool, role: String?) async -> [OutboxStatements] {
    outboxes.flatMap { outbox -> [OutboxStatements] in
      do throws(SampleFailure) {
        return try outbox.current(counting: true).map { queue throws(SampleFailure) in
          (watched(outbox, queue.suffix), .success(try outbox.statements(queue, eventIDs: eventIDs, role: role)))
        }
      } catch {
        return outbox.knownSuffixes.map { (watched(outbox, $0), .failure(error)) }
      }
    }
  }

  private func watched(_ outbox: PostgreSQLQueues, _ suffix: String?) -> WatchedOutbox {
    outbox.definition.watched(suffixes: suffix.map { [$0] } ?? [])
  }

  private func elapsed(since began: Int64) -> Duration {
    .nanoseconds(SystemClock.monotonicNanoseconds() - began)
  }

  package func close() async {
    session.close()
  }

  deinit {
    executor.stop()
  }
}

extension Result {
  /// Why there is no value; nil where there is one.
  fileprivate var failure: Failure? {
    if case .failure(let failure) = self { failure } else { nil }
  }
}
