package import Outbox

/// One row of ``SampleQuery/figures``, times in unix seconds.
package struct FigureRow: Sendable, Hashable {
  /// Low-cardinality target.
  package var destination: String
  /// The state of the events.
  package var state: EventState
  /// True for events that were tried before.
  package var retry: Bool
  /// Why they are stuck; nil where they can move.
  package var stuck: StuckReason?
  /// How many.
  package var count: Int
  /// Earliest first due time of an event whose age counts; for dead ones the earliest dead-lettering.
  package var oldest: Double?
  /// First due time of the event at the median age of all events of the destination and retry; set in one of their rows.
  package var median: Double?
  /// The same at the 99th percentile.
  package var p99: Double?
  /// When the one that is stuck longest got stuck.
  package var stuckSince: Double?
  /// How many have impossible times.
  package var implausible: Int
  /// The earliest time at which any of them changes state, gets an age or gets stuck, if it is known.
  package var nextChange: Double?
  /// How many are older than the objective.
  package var overdue = 0
  /// The cell in which dead rows died; 0 where cells are not told apart.
  package var cell = 0
  /// True for dead rows of another table than the main one, where that is told.
  package var isElsewhere = false
  /// Attempts of all of them that ended with a retry, where that was asked for.
  package var retries = 0
  /// When they were written, where that was asked for; without those of the distant past.
  package var created: [WrittenRow] = []
  /// Each of the dead rows, where they are told apart.
  package var died: [FinishedRow] = []

  /// A row.
  package init(
    destination: String, state: EventState, retry: Bool, stuck: StuckReason?, count: Int, oldest: Double?,
    median: Double?, p99: Double?, stuckSince: Double?, implausible: Int, nextChange: Double? = nil
  ) {
    self.destination = destination
    self.state = state
    self.retry = retry
    self.stuck = stuck
    self.count = count
    self.oldest = oldest
    self.median = median
    self.p99 = p99
    self.stuckSince = stuckSince
    self.implausible = implausible
    self.nextChange = nextChange
  }
}

/// What an age is split by.
private struct AgeGroup: Hashable {
  var destination: String
  var retry: Bool
}

extension [FigureRow] {
  /// The rows with the quantiles that the first due times of each row's events add up to.
  ///
  /// - Parameter times: the first due times of the events of each row in microseconds, in any order.
  package func ranked(_ times: [[Int64]]) -> [FigureRow] {
    var groups: [AgeGroup: [Int64]] = [:]
    for (row, times) in zip(self, times) where !times.isEmpty {
      groups[AgeGroup(destination: row.destination, retry: row.retry), default: []] += times
    }
    var rows = self
    for index in rows.indices where rows[index].state != .dead && rows[index].oldest != nil {
      let key = AgeGroup(destination: rows[index].destination, retry: rows[index].retry)
      guard let latestFirst = groups.removeValue(forKey: key)?.sorted(by: >) else { continue }
      let count = latestFirst.count
      rows[index].median = Double(latestFirst[(count + 1) / 2 - 1]) / 1e6
      rows[index].p99 = Double(latestFirst[(count * 99 + 99) / 100 - 1]) / 1e6
    }
    return rows
  }
}

extension Snapshot {
  /// Adds up the rows of one sample at one moment of the store's clock.
  package init(storeTime: Timestamp, rows: [FigureRow], replicaLag: Duration? = nil, eventIDs: EventIDs? = nil) {
    struct DepthKey: Hashable { var destination: String, state: EventState, retry: Bool }
    struct StuckKey: Hashable { var destination: String, reason: StuckReason }
    func age(_ seconds: Double) -> Duration {
      // Rounding a time to nanoseconds may put it a hair past the clock it was compared with.
      max(.zero, storeTime.since(Timestamp(seconds: seconds)))
    }
    var depths: [DepthKey: Int] = [:]
    var ages: [AgeGroup: Age] = [:]
    var stuck: [StuckKey: Stuck] = [:]
    var dead: [String: DeadLetters] = [:]
    var overdue: [String: Int] = [:]
    for row in rows {
      if row.overdue > 0 { overdue[row.destination, default: 0] += row.overdue }
      if row.state == .dead {
        var figure = dead[row.destination] ?? DeadLetters(destination: row.destination, count: 0, oldest: nil)
        figure.count += row.count
        figure.oldest = [figure.oldest, row.oldest.map(age)].compactMap { $0 }.max()
        dead[row.destination] = figure
        continue
      }
      if row.count > 0 {
        depths[DepthKey(destination: row.destination, state: row.state, retry: row.retry), default: 0] += row.count
      }
      if let oldest = row.oldest.map(age) {
        let key = AgeGroup(destination: row.destination, retry: row.retry)
        var figure =
          ages[key]
          ?? Age(destination: row.destination, retry: row.retry, oldest: oldest, median: nil, p99: nil)
        figure.oldest = max(figure.oldest, oldest)
        figure.median = row.median.map(age) ?? figure.median
        figure.p99 = row.p99.map(age) ?? figure.p99
        ages[key] = figure
      }
      if let reason = row.stuck, let since = row.stuckSince {
        let key = StuckKey(destination: row.destination, reason: reason)
        var figure = stuck[key] ?? Stuck(destination: row.destination, reason: reason, count: 0, oldest: .zero)
        figure.count += row.count
        figure.oldest = max(figure.oldest, age(since))
        stuck[key] = figure
      }
    }
    self.init(
      storeTime: storeTime,
      depths: depths.map { Depth(destination: $0.destination, state: $0.state, retry: $0.retry, count: $1) }
        .sorted { ($0.destination, $0.state, $0.retry ? 1 : 0) < ($1.destination, $1.state, $1.retry ? 1 : 0) },
      ages: ages.values.map(\.consistent).sorted {
        ($0.destination, $0.retry ? 1 : 0) < ($1.destination, $1.retry ? 1 : 0)
      },
      stuck: stuck.values.sorted { ($0.destination, $0.reason.rawValue) < ($1.destination, $1.reason.rawValue) },
      dead: dead.values.sorted { $0.destination < $1.destination }, overdue: overdue,
      implausible: rows.reduce(0) { $0 + $1.implausible }, replicaLag: replicaLag, eventIDs: eventIDs)
  }
}

extension Snapshot.Age {
  /// Quantiles that were rounded to microseconds must not be older than the oldest.
  fileprivate var consistent: Snapshot.Age {
    var age = self
    age.median = median.map { min($0, oldest) }
    age.p99 = p99.map { min($0, oldest) }
    return age
  }
}
