import Accounting
import Assessment
import Outbox

/// The series of one outbox over time: what has been sent decides what has to be sent or ended next.
struct OutboxSeries {
  private typealias Key = MetricCatalog.Key

  /// Bounds of `outbox.sample.duration`: from a warm index to a sample that ran into its deadline.
  static let durationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

  private var outbox: WatchedOutbox
  private let base: [Attribute]
  private var roster: DestinationRoster
  /// Waiting events past their deadline at the last sample, of the destinations that are sent as `_other`.
  private var overdueOfOthers: [String: Int] = [:]
  private var hasAnswered = false
  private var hasReplicaLag = false
  private var hasDeadLetterAge = false
  private var verdicts = VerdictSeries()
  private var movements: MovementSeries
  /// What the last sample has seen move, by the destinations' names on their series.
  private(set) var recorded: [String: Movements.Counts] = [:]
  private var quantiles: Set<QuantileKey> = []
  private var lastTime: Timestamp
  private let firstStart: Timestamp
  private let skippedBefore: Int64
  private var failures: [SampleFailure.Reason: Int64] = [:]
  private var failureSeries = CumulativeSeries<SampleFailure.Reason>()
  private var skippedSeries = CumulativeSeries<Int>()
  private var durations: [SampleKind: HistogramValue] = [:]
  private let noDurations: HistogramValue
  private var sampleTimes: [SampleKind: Timestamp] = [:]

  /// - Parameters:
  ///   - isExponential: whether distributions are counted in exponential buckets too.
  ///   - start: before the first sample; the accumulation of the outbox's counters begins here.
  ///   - skippedBefore: cycles that were skipped until then, which this outbox does not count.
  ///   - account: what an earlier run has counted of its movements.
  init(
    _ outbox: WatchedOutbox, environment: String?, destinationLimit: Int, isExponential: Bool, start: Timestamp,
    skippedBefore: Int64, account: OutboxAccount? = nil
  ) {
    self.outbox = outbox
    self.base =
      [Attribute(Key.name, outbox.name)]
      + (environment.map { [Attribute(Key.environment, $0)] } ?? [])
    self.movements = MovementSeries(base: base, isExponential: isExponential, account: account)
    self.noDurations = HistogramValue(bounds: Self.durationBounds, isExponential: isExponential)
    self.roster = DestinationRoster(limit: destinationLimit)
    if let account { roster.restore(account.destinations.keys, at: start) }
    self.lastTime = start
    self.firstStart = start
    self.skippedBefore = skippedBefore
  }

  /// Adds the points of one sample.
  mutating func describe(
    _ sample: OutboxSample, _ assessment: OutboxAssessment?, interval: Duration, skipped: Int64,
    into sink: inout PointSink
  ) {
    outbox = sample.outbox
    let previous = lastTime
    // A wall clock that was set back must not make a series go back: backends refuse the whole request.
    let time = max(sample.startedAt, previous.advanced(by: .milliseconds(1)))
    lastTime = time
    sink.time = time
    recorded = [:]

    switch sample.result {
    case .success(.counts(let snapshot)):
      sampleTimes = [.head: sample.startedAt, .counts: sample.startedAt]
      describe(snapshot, sample.accounting, sampledAt: sample.startedAt, previous: previous, into: &sink)
      describeSampleTimes(into: &sink)
    case .success(.head(let head)):
      if !head.tellsNothing { sampleTimes[.head] = sample.startedAt }
      describe(head, into: &sink)
      describeSampleTimes(into: &sink)
    case .failure(let failure): failures[failure.reason, default: 0] += 1
    }
    if let assessment {
      verdicts.describe(
        assessment, base: base, isMeasured: sample.snapshot != nil,
        name: { [roster] in roster.name(for: $0.isEmpty ? Snapshot.defaultDestination : $0) }, into: &sink)
    }
    sink.add(MetricCatalog.up, upAttributes, .int(sample.isGood ? 1 : 0))
    describeObjective(into: &sink)
    durations[sample.head == nil ? .counts : .head, default: noDurations].record(sample.duration.seconds)
    for kind in SampleKind.allCases {
      let attributes = base + [Attribute(Key.sampleKind, kind.rawValue)]
      let rhythm = sample.intervals.map { kind == .head ? $0.head : $0.counts } ?? interval
      sink.add(MetricCatalog.sampleInterval, attributes, .double(rhythm.seconds))
      sink.add(
        MetricCatalog.sampleDuration,
        DataPoint(
          attributes: attributes, start: firstStart, time: time,
          value: .histogram(durations[kind] ?? noDurations)))
    }
    for (reason, total) in failures.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      let attributes = base + [Attribute(Key.errorType, reason.rawValue)]
      for point in failureSeries.points(reason, total: total, attributes: attributes, previous: previous, time: time) {
        sink.add(MetricCatalog.sampleFailures, point)
      }
    }
    for point in skippedSeries.points(
      0, total: skipped - skippedBefore, attributes: base, previous: previous, time: time)
    {
      sink.add(MetricCatalog.sampleSkipped, point)
    }
  }

  /// Ends every series of the outbox.
  mutating func end(at time: Timestamp, into sink: inout PointSink) {
    sink.time = max(time, lastTime.advanced(by: .milliseconds(1)))
    lastTime = sink.time
    sink.isEnding = true
    defer { sink.isEnding = false }
    if hasAnswered {
      for destination in roster.current { describe(DestinationFigures(), of: destination, into: &sink) }
      describeTotals(Snapshot(storeTime: time), into: &sink)
    }
    verdicts.end(base: base, into: &sink)
    movements.end(into: &sink)
    sink.add(MetricCatalog.up, upAttributes, .int(0))
    describeObjective(into: &sink)
    for kind in SampleKind.allCases {
      let attributes = base + [Attribute(Key.sampleKind, kind.rawValue)]
      sink.add(MetricCatalog.sampleInterval, attributes, .double(0))
      sink.add(MetricCatalog.sampleDuration, attributes, .histogram(noDurations))
    }
    describeSampleTimes(into: &sink)
    for reason in failureSeries.keys.map(\.rawValue).sorted() {
      sink.add(MetricCatalog.sampleFailures, base + [Attribute(Key.errorType, reason)], .int(0))
    }
    sink.add(MetricCatalog.sampleSkipped, base, .int(0))
  }

  private var upAttributes: [Attribute] {
    base + [Attribute(Key.layout, outbox.layout), Attribute(Key.system, outbox.system.rawValue)]
  }

  private func describeObjective(into sink: inout PointSink) {
    guard let objective = outbox.objective else { return }
    sink.add(MetricCatalog.objectiveAge, base, .double(objective.age.seconds))
    sink.add(MetricCatalog.objectiveTarget, base, .double(objective.target))
  }

  private mutating func describe(
    _ snapshot: Snapshot, _ accounting: AccountingReading?, sampledAt: Timestamp, previous: Timestamp,
    into sink: inout PointSink
  ) {
    hasAnswered = true
    // An empty attribute would be none, and a destination is always set.
    let snapshot = snapshot.naming("", Snapshot.defaultDestination)
    let moved = accounting?.movements?.byDestination ?? [:]
    let counts = snapshot.countsByDestination.merging(moved.mapValues { _ in 1 }) { waiting, _ in waiting }
    let ended = roster.see(counts, at: sampledAt)
    sink.isEnding = true
    for destination in ended {
      describe(DestinationFigures(), of: destination, into: &sink)
      movements.end(destination, into: &sink)
    }
    sink.isEnding = false
    let figures = DestinationFigures.grouped(snapshot) { roster.name(for: $0) }
    for destination in roster.current {
      describe(figures[destination] ?? DestinationFigures(), of: destination, into: &sink)
    }
    hasReplicaLag = hasReplicaLag || snapshot.replicaLag != nil
    hasDeadLetterAge = hasDeadLetterAge || snapshot.deadLetterAge != nil || snapshot.deadCount == 0
    describeTotals(snapshot, into: &sink)
    guard let accounting else { return }
    for (destination, counts) in moved { recorded[roster.name(for: destination), default: .init()].add(counts) }
    var overdue: [String: Int] = [:]
    for (destination, count) in snapshot.overdue { overdue[roster.name(for: destination), default: 0] += count }
    let named = overdueOfOthers.filter { roster.name(for: $0.key) == $0.key }
    overdueOfOthers = snapshot.overdue.filter { roster.name(for: $0.key) != $0.key }
    movements.describe(
      accounting, movements: accounting.movements == nil ? nil : recorded, overdue: overdue,
      destinations: roster.current, named: named, objectiveAge: outbox.objective?.age, previous: previous, into: &sink)
  }

  /// Why the counters begin anew although the reading goes on.
  var restart: String? { movements.restart }

  /// What was counted of the outbox's movements, to be kept.
  var account: OutboxAccount? { movements.account }

  /// The points of one destination; zero where the sample has nothing, none where it cannot know.
  private mutating func describe(_ figures: DestinationFigures, of destination: String, into sink: inout PointSink) {
    let start = sink.isEnding ? nil : firstStart
    let isOther = destination == DestinationRoster.other
    let base =
      base + [Attribute(Key.destination, destination)] + (isOther ? [Attribute(Key.overflow, .bool(true))] : [])
    for state in EventState.waiting {
      for retry in [false, true] {
        sink.add(
          MetricCatalog.depth, base + [Attribute(Key.state, state.rawValue), Attribute(Key.retry, .bool(retry))],
          start: start, .int(figures.depths[.init(state: state, retry: retry)] ?? 0))
      }
    }
    for retry in [false, true] {
      let age = retry ? figures.retryAge : figures.firstAge
      add(age?.oldest ?? .zero, "oldest", retry: retry, base, into: &sink)
      // Quantiles of several destinations cannot be had from those of each.
      guard !isOther else { continue }
      for (stat, value) in [("p50", age?.median), ("p99", age?.p99)] {
        let key = QuantileKey(destination: destination, stat: stat, retry: retry)
        if sink.isEnding {
          if quantiles.remove(key) != nil { add(.zero, stat, retry: retry, base, into: &sink) }
        } else if let value = age == nil ? .zero : value {
          quantiles.insert(key)
          add(value, stat, retry: retry, base, into: &sink)
        }
      }
    }
    for reason in outbox.stuckReasons {
      sink.add(
        MetricCatalog.stuck, base + [Attribute(Key.stuckReason, reason.rawValue)], start: start,
        .int(figures.stuck[reason] ?? 0))
    }
    sink.add(MetricCatalog.deadLetterDepth, base, start: start, .int(figures.dead))
  }

  private func add(_ age: Duration, _ stat: String, retry: Bool, _ base: [Attribute], into sink: inout PointSink) {
    sink.add(
      MetricCatalog.eventAge, base + [Attribute(Key.stat, stat), Attribute(Key.retry, .bool(retry))],
      .double(age.seconds))
  }

  /// What the first events prove, of the destinations that have series; the others wait for the next count.
  private mutating func describe(_ head: QueueHead, into sink: inout PointSink) {
    guard hasAnswered else { return }
    for destination in roster.current {
      let isOther = destination == DestinationRoster.other
      // Of destinations that share a name all have to be known.
      if isOther, !head.isComplete { continue }
      let base =
        base + [Attribute(Key.destination, destination)] + (isOther ? [Attribute(Key.overflow, .bool(true))] : [])
      for retry in [false, true] {
        let known = head.ages.filter {
          let name = $0.destination.isEmpty ? Snapshot.defaultDestination : $0.destination
          return roster.name(for: name) == destination && $0.retry == retry
        }
        if known.isEmpty, !head.isComplete { continue }
        add(known.map(\.oldest).max() ?? .zero, "oldest", retry: retry, base, into: &sink)
      }
    }
    for (reason, age) in head.stuckAges.sorted(by: { $0.key.rawValue < $1.key.rawValue })
    where outbox.stuckReasons.contains(reason) {
      sink.add(MetricCatalog.stuckAge, base + [Attribute(Key.stuckReason, reason.rawValue)], .double(age.seconds))
    }
    if let lag = head.replicaLag {
      hasReplicaLag = true
      sink.add(MetricCatalog.replicaLag, base, .double(lag.seconds))
    }
  }

  /// When the last good sample of each kind was.
  private func describeSampleTimes(into sink: inout PointSink) {
    for kind in SampleKind.allCases {
      guard let time = sampleTimes[kind] else { continue }
      sink.add(MetricCatalog.sampleTime, base + [Attribute(Key.sampleKind, kind.rawValue)], .double(time.seconds))
    }
  }

  /// The points that are not split by destination.
  private func describeTotals(_ snapshot: Snapshot, into sink: inout PointSink) {
    for reason in outbox.stuckReasons {
      let oldest = snapshot.stuck.filter { $0.reason == reason }.map(\.oldest).max() ?? .zero
      sink.add(
        MetricCatalog.stuckAge, base + [Attribute(Key.stuckReason, reason.rawValue)], .double(oldest.seconds))
    }
    if let age = snapshot.deadLetterAge {
      sink.add(MetricCatalog.deadLetterAge, base, .double(age.seconds))
    } else if snapshot.deadCount == 0, !sink.isEnding || hasDeadLetterAge {
      sink.add(MetricCatalog.deadLetterAge, base, .double(0))
    }
    sink.add(
      MetricCatalog.implausible, base, start: sink.isEnding ? nil : firstStart, .int(Int64(snapshot.implausible)))
    sink.add(MetricCatalog.sampleExact, base, .int(snapshot.exact ? 1 : 0))
    if let lag = snapshot.replicaLag {
      sink.add(MetricCatalog.replicaLag, base, .double(lag.seconds))
    } else if sink.isEnding && hasReplicaLag {
      sink.add(MetricCatalog.replicaLag, base, .double(0))
    }
  }
}

/// A quantile of the ages that has a series.
private struct QuantileKey: Hashable {
  var destination: String
  var stat: String
  var retry: Bool
}

/// The figures of one destination, several of them added up where they share a name.
private struct DestinationFigures {
  struct DepthKey: Hashable {
    var state: EventState
    var retry: Bool
  }

  var depths: [DepthKey: Int64] = [:]
  var firstAge: Snapshot.Age?
  var retryAge: Snapshot.Age?
  var stuck: [StuckReason: Int64] = [:]
  var dead: Int64 = 0

  static func grouped(_ snapshot: Snapshot, by name: (String) -> String) -> [String: DestinationFigures] {
    var all: [String: DestinationFigures] = [:]
    for depth in snapshot.depths {
      all[name(depth.destination), default: .init()]
        .depths[DepthKey(state: depth.state, retry: depth.retry), default: 0] += Int64(depth.count)
    }
    for age in snapshot.ages {
      let key = name(age.destination)
      var merged = age
      if let known = age.retry ? all[key]?.retryAge : all[key]?.firstAge {
        merged.oldest = max(known.oldest, age.oldest)
        merged.median = nil
        merged.p99 = nil
      }
      if age.retry {
        all[key, default: .init()].retryAge = merged
      } else {
        all[key, default: .init()].firstAge = merged
      }
    }
    for stuck in snapshot.stuck {
      all[name(stuck.destination), default: .init()].stuck[stuck.reason, default: 0] += Int64(stuck.count)
    }
    for dead in snapshot.dead { all[name(dead.destination), default: .init()].dead += Int64(dead.count) }
    return all
  }
}

extension Snapshot {
  /// The snapshot with one destination under another name.
  fileprivate func naming(_ old: String, _ new: String) -> Snapshot {
    guard
      depths.contains(where: { $0.destination == old }) || dead.contains(where: { $0.destination == old })
        || stuck.contains(where: { $0.destination == old })
        || overdue[old] != nil
    else { return self }
    var snapshot = self
    if let count = snapshot.overdue.removeValue(forKey: old) { snapshot.overdue[new, default: 0] += count }
    for index in depths.indices where depths[index].destination == old { snapshot.depths[index].destination = new }
    for index in ages.indices where ages[index].destination == old { snapshot.ages[index].destination = new }
    for index in stuck.indices where stuck[index].destination == old { snapshot.stuck[index].destination = new }
    for index in dead.indices where dead[index].destination == old { snapshot.dead[index].destination = new }
    return snapshot
  }

  /// Time since the oldest dead letter was dead-lettered; nil where there is none or the store does not say.
  fileprivate var deadLetterAge: Duration? { dead.compactMap(\.oldest).max() }

  /// Every destination of the sample with the number of its events, dead ones included.
  fileprivate var countsByDestination: [String: Int] {
    var counts: [String: Int] = [:]
    for depth in depths { counts[depth.destination, default: 0] += depth.count }
    for dead in dead { counts[dead.destination, default: 0] += dead.count }
    for stuck in stuck where counts[stuck.destination] == nil { counts[stuck.destination] = stuck.count }
    return counts.filter { $0.value > 0 }
  }
}

extension Movements {
  /// The movements by destination, where an empty name stands for none.
  fileprivate var byDestination: [String: Counts] {
    var counts = destinations.filter { $0.value != Counts() }
    if let nameless = counts.removeValue(forKey: "") {
      counts[Snapshot.defaultDestination, default: Counts()].add(nameless)
    }
    return counts
  }
}
