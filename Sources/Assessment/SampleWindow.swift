package import Outbox

/// The last samples of one outbox, in the form in which they are judged.
package struct SampleWindow: Sendable {
  /// So many samples are kept: a quarter of an hour at the standard interval.
  package static let capacity = 60

  /// When the good samples were, on the window's own clock, oldest first.
  private var times: [Double] = []
  /// What they say of the outbox as a whole.
  private var total = MomentLine()
  /// Those of each destination that has waiting events; one without has none to be judged.
  private(set) var destinations: [String: MomentLine] = [:]
  /// Failed samples since the last good one.
  private(set) var failuresInARow = 0
  /// Whether each of the last samples was good, oldest first.
  private(set) var outcomes: [Bool] = []

  private var last: (startedAt: Timestamp, snapshot: Snapshot)?
  private var steps: [Double] = []

  /// A window without samples.
  package init() {}

  /// The window of some samples, oldest first.
  package init(_ samples: some Sequence<OutboxSample>) {
    var due: [String: DueEvents]?
    for sample in samples { append(sample, &due) }
  }

  /// The good samples of the outbox as a whole, oldest first.
  var moments: [Moment] { total.moments(at: times) }

  /// Takes the next sample, and forgets what is too old.
  ///
  /// A look at the head alone is neither a sample of the trend nor a failed one; and estimates differ from one another
  /// though nothing moves.
  package mutating func append(_ sample: OutboxSample) {
    var due: [String: DueEvents]?
    append(sample, &due)
  }

  /// - Parameter lastDue: what was due at the last good sample. Where it is nil it is worked out again from that sample:
  ///   kept for hundreds of outboxes it would take megabytes.
  private mutating func append(_ sample: OutboxSample, _ lastDue: inout [String: DueEvents]?) {
    guard sample.failure != nil || sample.snapshot?.isEstimate == false else { return }
    outcomes.append(sample.snapshot != nil)
    if outcomes.count > Self.capacity { outcomes.removeFirst() }
    guard let snapshot = sample.snapshot else {
      failuresInARow += 1
      return
    }
    let time = (times.last ?? 0) + step(to: sample.startedAt, snapshot.storeTime)
    failuresInARow = 0

    let before = lastDue ?? last.map { Self.due($0.snapshot) } ?? [:]
    var total = Moment(time: time)
    var due: [String: DueEvents] = [:]
    var seen: Set<String> = []
    for (name, figures) in Self.figures(snapshot) {
      let events = DueEvents(figures, destination: name)
      var moment = Self.moment(figures, events, at: time)
      if let last {
        let before = before[name] ?? DueEvents(Snapshot(storeTime: last.snapshot.storeTime), destination: name)
        compare(before, events, of: name, since: last.snapshot, figures, into: &moment)
      }
      due[name] = events
      seen.insert(name)
      // A full line of a destination begins where the outbox's own does.
      destinations[name, default: MomentLine()].append(moment, from: times, Self.capacity)
      total.add(moment)
    }
    // A destination that has nothing left has seen its last departure.
    for (name, line) in destinations where !seen.contains(name) {
      let left = before[name]?.count ?? 0
      total.departures += left
      if line.last.due == 0, line.count >= Self.capacity {
        destinations[name] = nil
      } else {
        destinations[name]?.append(Moment(time: time, departures: left), from: times, Self.capacity)
      }
    }
    self.total.append(total, from: times, Self.capacity)
    times.append(time)
    if times.count > Self.capacity { times.removeFirst() }
    lastDue = due
    last = (sample.startedAt, snapshot)
  }

  /// The moments of a destination, oldest first: each has the time of one of the outbox's own, to the last.
  func moments(of line: MomentLine) -> [Moment] { line.moments(at: times.suffix(line.count)) }

  /// Seconds since the sample before. The exporter's clock and the store's may both be set; of the two steps that they
  /// show, the one that is closer to the usual one is believed.
  private mutating func step(to startedAt: Timestamp, _ storeTime: Timestamp) -> Double {
    guard let last else { return 0 }
    let own = startedAt.since(last.startedAt).seconds
    let store = storeTime.since(last.snapshot.storeTime).seconds
    let usual = steps.isEmpty ? own : Trend.median(steps)
    var step = abs(own - usual) <= abs(store - usual) ? own : store
    if step <= 0 { step = usual > 0 ? usual : 1 }
    steps.append(step)
    if steps.count > 9 { steps.removeFirst() }
    return step
  }

  private static func figures(_ snapshot: Snapshot) -> [String: Snapshot] {
    var all: [String: Snapshot] = [:]
    let empty = Snapshot(storeTime: snapshot.storeTime, implausible: snapshot.implausible)
    for depth in snapshot.depths where depth.count > 0 {
      all[depth.destination, default: empty].depths.append(depth)
    }
    for age in snapshot.ages { all[age.destination, default: empty].ages.append(age) }
    for stuck in snapshot.stuck where stuck.count > 0 { all[stuck.destination, default: empty].stuck.append(stuck) }
    return all
  }

  private static func due(_ snapshot: Snapshot) -> [String: DueEvents] {
    var due: [String: DueEvents] = [:]
    for (name, figures) in figures(snapshot) { due[name] = DueEvents(figures, destination: name) }
    return due
  }

  private static func moment(_ figures: Snapshot, _ events: DueEvents, at time: Double) -> Moment {
    var moment = Moment(time: time)
    moment.ready = figures.depth(.ready)
    moment.parked = figures.depth(.parked)
    moment.backingOff = figures.depths.reduce(0) { $1.state == .scheduled && $1.retry ? $0 + $1.count : $0 }
    moment.triedElsewhere = figures.depths.reduce(0) {
      $1.retry && ($1.state == .ready || $1.state == .claimed) ? $0 + $1.count : $0
    }
    moment.due = events.count
    if let oldest = events.groups.filter({ $0.count > 0 }).min(by: { $0.known[0].due < $1.known[0].due }) {
      moment.oldestDue = oldest.known[0].due
      moment.oldestIsOneOfMany = oldest.atLeast(by: oldest.known[0].due + DueEvents.tolerance) > 1
    }
    moment.oldestTried = events.oldestTried
    moment.age = figures.oldestAge?.seconds ?? 0
    moment.stuck = figures.stuckCount
    moment.stuckAge = figures.stuck.map(\.oldest.seconds).max() ?? 0
    return moment
  }

  /// What happened to a destination between two samples.
  private func compare(
    _ before: DueEvents, _ now: DueEvents, of name: String, since last: Snapshot, _ figures: Snapshot,
    into moment: inout Moment
  ) {
    func count(_ snapshot: Snapshot, _ state: EventState, retry: Bool? = nil) -> Int {
      snapshot.depths.reduce(0) {
        $1.destination == name && $1.state == state && (retry == nil || $1.retry == retry) ? $0 + $1.count : $0
      }
    }
    moment.departures = before.departures(until: now)
    // A long transaction writes its events with the time of its beginning, and shows them at its end.
    let released = [EventState.parked, .unknown].reduce(0) { $0 + max(0, count(last, $1) - count(figures, $1)) }
    moment.returned = max(
      0, before.returned(until: now, dueBefore: last.storeTime.seconds - Self.longestTransaction) - released)
    moment.attempted =
      now.groups[1].count > before.groups[1].count
      || count(figures, .scheduled, retry: true) > count(last, .scheduled, retry: true)
      || count(figures, .claimed) != count(last, .claimed)
  }

  /// Events may be written so many seconds before they can be seen.
  static let longestTransaction = 60.0
}

extension Moment {
  /// Adds what a destination did to what the outbox did.
  fileprivate mutating func add(_ other: Moment) {
    ready += other.ready
    due += other.due
    backingOff += other.backingOff
    triedElsewhere += other.triedElsewhere
    parked += other.parked
    if let due = other.oldestDue, due < oldestDue ?? .infinity {
      (oldestDue, oldestIsOneOfMany) = (due, other.oldestIsOneOfMany)
    }
    oldestTried = [oldestTried, other.oldestTried].compactMap { $0 }.min()
    age = max(age, other.age)
    stuck += other.stuck
    stuckAge = max(stuckAge, other.stuckAge)
    departures += other.departures
    returned += other.returned
    attempted = attempted || other.attempted
  }
}
