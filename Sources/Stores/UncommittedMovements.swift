import Outbox

/// Movements that were answered and may be asked for again, until a later mark shows that they were taken.
struct UncommittedMovements {
  /// What moved between two readings, and what is not in it.
  struct Interval {
    var number: Int
    var movements: Movements
    var gaps: [String]
  }

  /// Readings that nobody took are put together beyond so many, so that they take a bounded room.
  static let mostIntervals = 32

  private var taken = 0
  private var intervals: [Interval] = []

  /// The number of the last reading.
  var last: Int { intervals.last?.number ?? taken }

  /// Ends an interval with a reading.
  mutating func append(_ movements: Movements, gaps: [String]) {
    intervals.append(Interval(number: last + 1, movements: movements, gaps: gaps))
    guard intervals.count > Self.mostIntervals else { return }
    let first = intervals.removeFirst()
    intervals[0].movements.add(first.movements)
    intervals[0].gaps = first.gaps + intervals[0].gaps
  }

  /// What moved after a reading, and what is not in it; nil where that reading is not known any more. What lies before it
  /// is forgotten.
  mutating func since(_ number: Int) -> Interval? {
    guard number == taken || intervals.contains(where: { $0.number == number }) else { return nil }
    intervals.removeAll { $0.number <= number }
    taken = number
    var sum = Interval(number: last, movements: Movements(), gaps: [])
    for interval in intervals {
      sum.movements.add(interval.movements)
      for gap in interval.gaps where !sum.gaps.contains(gap) { sum.gaps.append(gap) }
    }
    return sum
  }

  /// Takes the movements since another mark in the place of all that was kept.
  mutating func replace(_ movements: Movements, gaps: [String]) {
    taken = last
    intervals = []
    append(movements, gaps: gaps)
  }

  /// Forgets everything: counting begins with the last reading.
  mutating func begin() {
    taken = last
    intervals = []
  }
}

extension Movements {
  /// Adds the movements of another interval.
  mutating func add(_ other: Movements) {
    for (destination, counts) in other.destinations { destinations[destination, default: Counts()].add(counts) }
  }
}
