import Layouts
import Outbox

/// Counts the events of one queue directory, all of them at one moment.
struct DirectoryTally {
  private struct Series: Hashable {
    let destination: String
    let state: EventState
    let retry: Bool
  }
  private struct AgeSeries: Hashable {
    let destination: String
    let retry: Bool
  }
  private struct StuckSeries: Hashable {
    let destination: String
    let reason: StuckReason
  }
  private struct Dated {
    let since: Timestamp
    let id: String
  }

  private let queue: DirectoryQueue
  private let now: Timestamp
  private let objective: Duration?
  private var overdue: [String: Int] = [:]
  private var depths: [Series: Int] = [:]
  private var waits: [AgeSeries: [Timestamp]] = [:]
  private var stuck: [StuckSeries: [Timestamp]] = [:]
  private var dead: [String: (count: Int, oldest: Timestamp?)] = [:]
  private var implausible = 0
  private var exact = true
  private var waitingIDs: [Dated] = []
  private var stuckIDs: [Dated] = []
  private var deadIDs: [Dated] = []

  /// - Parameter objective: the age beyond which waiting events are counted as overdue; nil counts none.
  init(_ queue: DirectoryQueue, now: Timestamp, objective: Duration?) {
    self.objective = objective
    self.queue = queue
    self.now = now
  }

  /// Counts an event that is still to be delivered.
  mutating func countLive(_ event: DirectoryEvent) {
    guard case .fields(let fields) = event.content else {
      if event.content == .unread { exact = false }
      depths[Series(destination: event.destination, state: .unknown, retry: false), default: 0] += 1
      return
    }
    let state = state(of: fields)
    depths[Series(destination: event.destination, state: state, retry: fields.isRetry), default: 0] += 1
    if fields.isImplausible(now: now) {
      implausible += 1
    } else if let created = fields.created, created <= now, state != .unknown {
      waits[AgeSeries(destination: event.destination, retry: fields.isRetry), default: []].append(created)
      waitingIDs.append(Dated(since: created, id: event.id))
      if let objective, now.since(created) > objective { overdue[event.destination, default: 0] += 1 }
    }
    if let (reason, since) = stuckSince(fields, modified: event.modified) {
      stuck[StuckSeries(destination: event.destination, reason: reason), default: []].append(since)
      stuckIDs.append(Dated(since: since, id: event.id))
    }
  }

  /// Counts an event in the dead-letter directory.
  mutating func countDead(_ event: DirectoryEvent) {
    var times = [event.modified]
    if case .fields(let fields) = event.content {
      times = [fields.lastAttempt, event.modified, fields.created].compactMap { $0 }
      // An impossible time of its own is counted, not replaced by the next best.
      if let last = fields.lastAttempt, !last.isPlausible(now: now) {
        implausible += 1
        times = []
      }
    }
    let since = times.first { $0.isPlausible(now: now) }.map { min($0, now) }
    let (count, oldest) = dead[event.destination] ?? (0, nil)
    dead[event.destination] = (count + 1, [oldest, since].compactMap { $0 }.min())
    if let since { deadIDs.append(Dated(since: since, id: event.id)) }
  }

  private func state(of fields: DirectoryEventFields) -> EventState {
    if let recovery = fields.recoveryState { return queue.claimedStates[recovery] == nil ? .unknown : .claimed }
    if let end = fields.backoffEnd(queue, now: now), end > now { return .scheduled }
    return .ready
  }

  private func stuckSince(
    _ fields: DirectoryEventFields, modified: Timestamp
  ) -> (reason: StuckReason, since: Timestamp)? {
    let found: (StuckReason, Timestamp?)
    if let recovery = fields.recoveryState {
      guard let reason = queue.claimedStates[recovery] else { return nil }
      // The application keeps the first start of sending over later attempts, so the latest sign of life counts; the
      // file is written at each of them.
      let signs = [fields.lastAttempt, fields.claimed, modified].compactMap { $0 }
      found = (reason, signs.filter { $0.isPlausible(now: now) }.max()?.advanced(by: queue.lease))
    } else if let most = queue.maxAttempts, fields.attempts >= most {
      found = (.attemptsExhausted, fields.backoffEnd(queue, now: now))
    } else {
      return nil
    }
    guard let since = found.1, since <= now else { return nil }
    return (found.0, since)
  }

  /// The figures of what was counted.
  func snapshot(eventIDs: Bool) -> Snapshot {
    let ages = waits.map { series, times in
      let sorted = times.map { now.since($0) }.sorted()
      return Snapshot.Age(
        destination: series.destination, retry: series.retry, oldest: sorted[sorted.count - 1],
        median: nearestRank(50, of: sorted), p99: nearestRank(99, of: sorted))
    }
    return Snapshot(
      storeTime: now,
      depths: depths.map {
        Snapshot.Depth(destination: $0.destination, state: $0.state, retry: $0.retry, count: $1)
      }.sorted { ($0.destination, $0.state, $0.retry ? 1 : 0) < ($1.destination, $1.state, $1.retry ? 1 : 0) },
      ages: ages.sorted { ($0.destination, $0.retry ? 1 : 0) < ($1.destination, $1.retry ? 1 : 0) },
      stuck: stuck.map { series, times in
        Snapshot.Stuck(
          destination: series.destination, reason: series.reason, count: times.count,
          oldest: now.since(times.min() ?? now))
      }.sorted { ($0.destination, $0.reason.rawValue) < ($1.destination, $1.reason.rawValue) },
      dead: dead.map { destination, letters in
        Snapshot.DeadLetters(
          destination: destination, count: letters.count, oldest: letters.oldest.map { now.since($0) })
      }.sorted { $0.destination < $1.destination },
      overdue: overdue,
      implausible: implausible,
      exact: exact,
      eventIDs: eventIDs
        ? Snapshot.EventIDs(
          oldest: firstFive(waitingIDs) { ($0.since, $0.id) < ($1.since, $1.id) },
          stuck: firstFive(stuckIDs) { ($0.since, $0.id) < ($1.since, $1.id) },
          newestDead: firstFive(deadIDs) { ($1.since, $0.id) < ($0.since, $1.id) })
        : nil)
  }

  private func firstFive(_ events: [Dated], by isBefore: (Dated, Dated) -> Bool) -> [String] {
    events.sorted(by: isBefore).prefix(5).map(\.id)
  }
}

/// The value that so many per cent of the values do not exceed: number ⌈p·n⌉ of the sorted ones.
private func nearestRank(_ percent: Int, of sorted: [Duration]) -> Duration {
  sorted[(percent * sorted.count + 99) / 100 - 1]
}
