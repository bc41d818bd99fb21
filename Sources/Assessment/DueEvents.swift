import Outbox

/// The events of one destination that are past their first due time, as a sample shows them: how many, and three of
/// them in the order of their first due times.
///
/// First due times stand still while an event waits, whatever the clocks do. So two samples can be compared event by
/// event without seeing an event: of those that were due by some time there can only be fewer later, unless finished
/// ones came back.
struct DueEvents: Sendable, Hashable {
  /// Events that were never tried, and events that were.
  var groups: [Group] = []

  /// Events that share whether they were tried.
  struct Group: Sendable, Hashable {
    /// How many events are due.
    var count: Int
    /// Known events: their rank in the order of first due times, and that time in seconds on the store's clock.
    var known: [(rank: Int, due: Double)]

    static func == (left: Group, right: Group) -> Bool {
      left.count == right.count && left.known.map(\.rank) == right.known.map(\.rank)
        && left.known.map(\.due) == right.known.map(\.due)
    }

    func hash(into hasher: inout Hasher) { hasher.combine(count) }

    /// At least so many events were first due by then.
    func atLeast(by time: Double) -> Int { known.last { $0.due <= time }?.rank ?? 0 }

    /// At most so many events were first due by then.
    func atMost(by time: Double) -> Int { known.first { $0.due > time }.map { $0.rank - 1 } ?? count }
  }

  /// Rounding of times in stores and in SQL; two due times that are no further apart are the same.
  static let tolerance = 0.01

  init(_ snapshot: Snapshot, destination: String) {
    let now = snapshot.storeTime.seconds
    for retry in [false, true] {
      var count = 0
      for depth in snapshot.depths where depth.destination == destination && depth.retry == retry {
        switch depth.state {
        case .ready, .claimed: count += depth.count
        case .scheduled where retry: count += depth.count
        default: break
        }
      }
      guard count > 0, let age = snapshot.ages.first(where: { $0.destination == destination && $0.retry == retry })
      else {
        groups.append(Group(count: 0, known: []))
        continue
      }
      var known = [(rank: 1, due: now - age.oldest.seconds)]
      for (share, age) in [(99, age.p99), (50, age.median)] {
        // Events with impossible times count in the depth and in no age, so that ranks cannot be told.
        guard let age, snapshot.implausible == 0 else { continue }
        // The nearest rank of a quantile counts from the youngest; from the oldest it is the rest.
        let rank = count - (count * share + 99) / 100 + 1
        if rank > known[known.count - 1].rank { known.append((rank, now - age.seconds)) }
      }
      groups.append(Group(count: count, known: known))
    }
  }

  /// First due time of the oldest tried event; nil too where untried ones share it.
  var oldestTried: Double? {
    guard let due = groups[1].known.first?.due else { return nil }
    return groups[0].known.contains { abs($0.due - due) <= Self.tolerance } ? nil : due
  }

  var count: Int { groups.reduce(0) { $0 + $1.count } }

  /// At least so many of the events have left since. Exact bounds of both sides; a failed attempt is no departure,
  /// since the groups are added up.
  func departures(until later: DueEvents) -> Int {
    // Whatever came in between was due later than the youngest event that both know.
    var least = 0
    for (_, due) in groups.flatMap(\.known) {
      let before = groups.reduce(0) { $0 + $1.atLeast(by: due + Self.tolerance) }
      let after = later.groups.reduce(0) { $0 + $1.atMost(by: due + Self.tolerance) }
      least = max(least, before - after)
    }
    return max(least, count - later.count)
  }

  /// At least so many events are due now that must have been due then and were not: they had left, or were withheld.
  ///
  /// - Parameter time: events that became due after it are newcomers.
  func returned(until later: DueEvents, dueBefore time: Double) -> Int {
    var least = 0
    for (_, due) in later.groups.flatMap(\.known) where due < time {
      let before = groups.reduce(0) { $0 + $1.atMost(by: due + Self.tolerance) }
      let after = later.groups.reduce(0) { $0 + $1.atLeast(by: due + Self.tolerance) }
      least = max(least, after - before)
    }
    return least
  }
}
