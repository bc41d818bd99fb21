package import Outbox

/// What of a queue is read next.
package enum ReadingDepth: Sendable, Hashable {
  /// Everything, exactly.
  case counts
  /// Everything, estimated from a part of the table.
  case estimate
  /// The first events.
  case head
  /// Nothing but the store's clock: it answers.
  case clock
}

/// Divides the exporter's share of one database's time among the queues that are read there.
///
/// Every reading pays for itself: a count that took 30 ms of the database's time, with a share of 1 % for it, is followed
/// by 3 s without another one. Cheap queues are counted in every cycle; what they do not need goes to the others. The next
/// count of a backlog that grows will cost more than the last one, and is put off until that has been saved: where it grows
/// faster than can be saved, it is estimated. What is no reading, such as a look at the catalogue or the emptying of a ledger,
/// is taken off what all of them have in the minutes that follow.
package struct DatabaseShare: Sendable {
  /// What the readings of one queue have cost, in seconds of the database's time, and when they were.
  private struct Costs: Sendable {
    var counts: Double?
    var estimate: Double?
    var head: Double?
    var countedAt: Double?
    var estimatedAt: Double?
    var headAt: Double?
    /// How much of the time its counts may take.
    var share = 0.0
    /// What counts have cost beyond what was saved for them.
    var debt = 0.0
    /// How many events the last count found, and the last reading that told.
    var counted: Int?
    var known: (events: Int, at: Double)?
    /// How many more there are each second.
    var growth = 0.0

    /// What a count would cost now.
    var nextCount: Double {
      guard let counts, let counted, let known else { return counts ?? 0 }
      return counts * Double(max(known.events, Self.few)) / Double(max(counted, Self.few))
    }

    /// How much more that becomes each second.
    var rise: Double { growth * (counts ?? 0) / Double(max(counted ?? 0, Self.few)) }

    /// Fewer events than that cost no less.
    private static let few = 1000

    mutating func noteEvents(_ events: Int, _ depth: ReadingDepth, at now: Double) {
      if let known, now > known.at {
        // Two estimates in a short time differ by chance.
        guard depth == .counts || now - known.at >= 60 else { return }
        growth = max(0, Double(events - known.events) / (now - known.at))
      }
      known = (events, now)
    }
  }

  private let budget: SampleBudget
  private var queues: [String: Costs] = [:]
  private var headPeriod = 0.0
  /// How much of the time is set aside for what was done but for the readings.
  private var setAside = 0.0

  /// The share of a budget.
  package init(_ budget: SampleBudget) {
    self.budget = budget
  }

  /// No figure is older than that: backends forget a series after five minutes.
  static let slowest = 240.0
  /// So seldom a count that takes too long is tried again at least.
  static let longestWait = 3600.0
  /// The timer of the cycles is never quite even; a reading is not put off by a whole cycle for a few milliseconds.
  private static let tolerance = 0.05

  private var interval: Double { budget.interval.seconds }
  /// The longest rhythm that is a whole number of cycles.
  private var slowest: Double { max(1, (Self.slowest / interval).rounded(.down)) * interval }

  /// Divides the share anew among the queues that are there.
  package mutating func divide(among names: [String]) {
    queues = queues.filter { names.contains($0.key) }
    for name in names where queues[name] == nil { queues[name] = Costs() }
    // What was set aside for something adds up to what that has cost.
    setAside *= 1 - interval / max(Self.slowest, interval)
    let whole = budget.share * (1 - Self.tolerance)
    let limit = whole - min(setAside, whole / 2)
    // A database that is counted in every cycle needs no look at the head.
    let demands = names.map { queues[$0].map { ($0.nextCount + $0.debt) / interval + $0.rise } ?? 0 }
    var heads = 0.0
    if demands.reduce(0, +) > limit {
      heads = names.reduce(0) { $0 + (queues[$1]?.head ?? 0) } / interval
    }
    headPeriod = interval * max(1, heads / (limit / 2))
    let shares = Self.fair(demands, limit - min(heads, limit / 2))
    for (name, share) in zip(names, shares) { queues[name]?.share = share }
  }

  /// Gives everybody what he needs, as far as an equal part allows, and what is left over to the others.
  package static func fair(_ demands: [Double], _ total: Double) -> [Double] {
    var shares = demands
    var rest = total
    for (place, index) in demands.indices.sorted(by: { demands[$0] < demands[$1] }).enumerated() {
      let part = rest / Double(demands.count - place)
      shares[index] = min(demands[index], part)
      rest -= shares[index]
    }
    return shares
  }

  /// What of a queue is to be read now.
  ///
  /// - Parameters:
  ///   - now: seconds on a clock that never jumps.
  ///   - hasHead: whether its first events can be read through an index.
  package func next(_ name: String, at now: Double, hasHead: Bool) -> ReadingDepth {
    guard budget.share < 1, let queue = queues[name] else { return .counts }
    let (counts, estimate) = periods(queue)
    if isDue(queue.countedAt, counts, now) { return .counts }
    if let estimate, isDue(queue.estimatedAt, estimate, now) { return .estimate }
    return hasHead && isDue(queue.headAt, headPeriod, now) ? .head : .clock
  }

  /// The rhythms in force for a queue.
  package func intervals(_ name: String, hasHead: Bool) -> SampleIntervals {
    guard budget.share < 1, let queue = queues[name] else {
      return SampleIntervals(head: budget.interval, counts: budget.interval)
    }
    let (counts, estimate) = periods(queue)
    let rhythm = cycles(estimate ?? counts)
    return SampleIntervals(
      head: .seconds(hasHead ? min(cycles(headPeriod), rhythm) : rhythm), counts: .seconds(rhythm))
  }

  /// Notes what a reading has cost.
  ///
  /// - Parameter events: how many events it found, the dead ones included; nil where it did not come to its end.
  package mutating func note(
    _ depth: ReadingDepth, of name: String, cost: Double, events: Int? = nil, at now: Double
  ) {
    var queue = queues[name] ?? Costs()
    if let events { queue.noteEvents(events, depth, at: now) }
    if depth == .counts || queue.counted == nil { queue.counted = events }
    switch depth {
    case .counts:
      if let last = queue.countedAt { queue.debt = max(0, queue.debt + cost - queue.share * (now - last)) }
      queue.counts = Self.blend(queue.counts, cost)
      queue.countedAt = now
    case .estimate:
      queue.estimate = Self.blend(queue.estimate, cost)
      queue.estimatedAt = now
    case .head: queue.head = Self.blend(queue.head, cost)
    case .clock: return
    }
    // Whoever reads everything reads the head too.
    queue.headAt = now
    queues[name] = queue
  }

  /// Notes what something else than a reading has cost.
  ///
  /// - Parameter cost: seconds of the database's time.
  package mutating func note(aside cost: Double) {
    setAside += max(0, cost) / max(Self.slowest, interval)
  }

  /// A dearer reading is believed at once, a cheaper one by half: a cache that was warm once may be cold again.
  private static func blend(_ known: Double?, _ cost: Double) -> Double {
    known.map { cost >= $0 ? cost : ($0 + cost) / 2 } ?? cost
  }

  /// The time between two counts, and between two estimates where the counts come too seldom.
  private func periods(_ queue: Costs) -> (counts: Double, estimate: Double?) {
    guard queue.counts != nil, queue.share > 0 else { return (interval, nil) }
    let saved = queue.share - queue.rise
    let whole = saved > 0 ? (queue.nextCount + queue.debt) / saved : .infinity
    if whole <= interval { return (interval, nil) }
    if whole <= slowest { return (whole, nil) }
    // The two share what there is.
    let estimate = (queue.estimate ?? 0) / (queue.share / 2)
    return (min(whole * 2, max(Self.longestWait, slowest)), min(max(interval, estimate), slowest))
  }

  private func isDue(_ last: Double?, _ period: Double, _ now: Double) -> Bool {
    last.map { now - $0 >= period - interval * Self.tolerance } ?? true
  }

  private func cycles(_ period: Double) -> Double {
    max(1, (period / interval - Self.tolerance).rounded(.up)) * interval
  }
}
