/// How one judge did on the traces of one kind.
struct Tally {
  /// Healthy traces, and those of them that were ever called bad.
  var healthy = 0
  var falseAlarms = 0
  /// Bad traces; those called bad before they were; those found in time, too late, never.
  var bad = 0
  var early = 0
  var inTime = 0
  var late = 0
  var missed = 0
  /// Samples from the beginning of the incident to the first alarm, where there was one.
  var delays: [Int] = []

  /// Found before the breach or within so many samples counts as in time.
  static let grace = 20

  mutating func add(_ alarms: [Bool], of trace: Trace) {
    guard let badFrom = trace.badFrom else {
      healthy += 1
      if alarms.contains(true) { falseAlarms += 1 }
      return
    }
    bad += 1
    if alarms[..<badFrom].contains(true) { early += 1 }
    // Who cried before has found nothing until it cries in the incident.
    guard let found = alarms[badFrom...].firstIndex(of: true) else {
      missed += 1
      return
    }
    delays.append(found - badFrom)
    if found - badFrom <= Self.grace || trace.breach.map({ found < $0 }) ?? true { inTime += 1 } else { late += 1 }
  }

  static func + (left: Tally, right: Tally) -> Tally {
    var sum = left
    sum.healthy += right.healthy
    sum.falseAlarms += right.falseAlarms
    sum.bad += right.bad
    sum.early += right.early
    sum.inTime += right.inTime
    sum.late += right.late
    sum.missed += right.missed
    sum.delays += right.delays
    return sum
  }

  /// The time before the incident is healthy too: how many of all traces saw an alarm in theirs.
  var falseShare: Double { share(falseAlarms + early, of: healthy + bad) }
  var foundShare: Double { share(inTime, of: bad) }
  var medianDelay: Int? { delays.isEmpty ? nil : delays.sorted()[delays.count / 2] }

  private func share(_ part: Int, of all: Int) -> Double { all == 0 ? 0 : Double(part) / Double(all) }
}
