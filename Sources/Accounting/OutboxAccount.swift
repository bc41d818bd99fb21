package import Outbox

/// What was counted of one outbox since the counting began, by the destination's name on its series.
///
/// A plain value: whoever keeps it commits it together with its mark, so that nothing is counted twice or lost.
package struct OutboxAccount: Sendable, Hashable {
  /// Up to where the movements are counted.
  package var mark: AccountingMark
  /// What durations are counted by, and lateness with the objective among them: neither means anything with another.
  package let bounds: DeliveryBounds
  /// The totals by name.
  package var destinations: [String: DestinationAccount]

  /// An account that begins.
  package init(
    mark: AccountingMark, objectiveAge: Duration?, destinations: [String: DestinationAccount] = [:]
  ) {
    self.mark = mark
    self.bounds = DeliveryBounds(objective: objectiveAge)
    self.destinations = destinations
  }

  /// Opens the account of a destination that has none yet.
  ///
  /// - Parameters:
  ///   - start: from when on its movements are counted.
  ///   - overdue: its waiting events that had missed their deadline before that.
  package mutating func open(_ destination: String, start: Timestamp, overdue: Int) {
    guard destinations[destination] == nil else { return }
    destinations[destination] = DestinationAccount(start: start, overdueAtStart: overdue)
  }

  /// Opens the account of a destination that was counted under another name so far.
  ///
  /// - Parameters:
  ///   - start: from when on its movements are counted.
  ///   - other: the name that they were counted under.
  ///   - overdue: its waiting events that have been counted there as late.
  package mutating func open(_ destination: String, start: Timestamp, from other: String, overdue: Int) {
    guard destinations[destination] == nil else { return }
    open(destination, start: start, overdue: overdue)
    // They wait there no longer, and must not hide the next ones.
    destinations[other]?.overdueAtStart -= overdue
  }

  /// Adds movements, by the destinations' names on their series. All of them have to be open.
  package mutating func record(_ movements: [String: Movements.Counts]) {
    for (name, counts) in movements { destinations[name]?.record(counts, bounds) }
  }

  /// Takes note of how many events of each destination wait past their deadline; none for those that are not listed.
  package mutating func note(overdue: [String: Int]) {
    for name in destinations.keys { destinations[name]?.note(overdue: overdue[name] ?? 0) }
  }
}

/// The totals of one destination.
package struct DestinationAccount: Sendable, Hashable {
  /// From when on its movements are counted.
  package var start: Timestamp
  /// All movements since then.
  package var totals: Movements.Counts
  /// Events that were delivered within the objective.
  package var onTime: Int
  /// Events that missed it: delivered later, dead, or still waiting when their deadline passed. Never falls.
  package var late: Int
  /// Late events that have left.
  package var lateDepartures: Int
  /// Events that came back after they were counted: as many that leave or miss their deadline are not counted again.
  package var returned: Int
  /// Waiting events that had missed their deadline before the counting began.
  package var overdueAtStart: Int
  /// Events that have left unseen since lateness was last noted: some may have been overdue.
  private var unseen = 0

  /// Totals; zero unless they are named.
  package init(
    start: Timestamp, totals: Movements.Counts = .init(), onTime: Int = 0, late: Int = 0, lateDepartures: Int = 0,
    returned: Int = 0, overdueAtStart: Int = 0
  ) {
    self.start = start
    self.totals = totals
    self.onTime = onTime
    self.late = late
    self.lateDepartures = lateDepartures
    self.returned = returned
    self.overdueAtStart = overdueAtStart
  }

  mutating func record(_ counts: Movements.Counts, _ bounds: DeliveryBounds) {
    totals.add(counts)
    // What left without saying how late it was may have been overdue.
    unseen += (counts.dispositions[.unseen] ?? 0) + (counts.dispositions[.delivered] ?? 0) - counts.durations.count
    guard let objective = bounds.objective else { return }
    let measuredLate = counts.durations.counts.reduce(0) { $0 + ($1.key > objective ? $1.value : 0) }
    let punctual = counts.durations.count - measuredLate
    returned += counts.requeued
    let counted = min(returned, punctual)
    returned -= counted
    onTime += punctual - counted
    lateDepartures += measuredLate + (counts.dispositions[.dead] ?? 0) + counts.discardedLate
  }

  /// True once anything was counted.
  package var hasCounted: Bool { totals != Movements.Counts() || onTime != 0 || late != 0 }

  /// An event counts as late once: while it waits past its deadline, and from then on as one that has left. Both are
  /// read at one moment, so that their sum changes only where another event has missed its deadline.
  mutating func note(overdue: Int) {
    var sum = lateDepartures + overdue - overdueAtStart
    if sum > late, returned > 0 {
      let counted = min(sum - late, returned)
      returned -= counted
      overdueAtStart += counted
      sum -= counted
    }
    // What was overdue and left unseen has been counted, and must not hide the next one.
    if sum < late { overdueAtStart -= min(late - sum, unseen) }
    unseen = 0
    late = max(late, sum)
  }
}
