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
///
/// Nobody knows what a first count costs before it is made. Once those of one database have cost what is saved in four
/// minutes, the other queues are estimated until that has been paid for. A reading that fails has cost what it took.
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
    /// What counts and estimates have cost beyond what was saved for them by the last count.
    var debt = 0.0
    /// What estimates have cost since the last count.
    var estimates = 0.0
    /// How large the next estimate may be: 1 for what is read where nothing is short.
    var estimateSize: Double?
    /// How many events the last count found, and the last reading that told.
    var counted: Int?
    var known: (events: Int, at: Double)?
    /// How many more there were each second.
    var growth = 0.0
    /// How long ago that was found out.
    var growthAge = 0.0

    /// What a count would cost now.
    var nextCount: Double {
      guard let counts, let counted, let known else { return counts ?? 0 }
      return counts * Double(max(known.events, Self.few)) / Double(max(counted, Self.few))
    }

    /// What a count and an estimate may have cost that were interrupted, and were not repeated since with success.
    var lostCount = 0.0
    var lostEstimate = 0.0

    /// What has to be saved from the last count on, before the next one.
    var due: Double { nextCount + debt + estimates + lostCount }

    /// How much more that becomes each second.
    var rise: Double { counted.map { growth * (counts ?? 0) / Double(max($0, Self.few)) } ?? 0 }

    /// Fewer events than that cost no less.
    private static let few = 1000

    mutating func noteEvents(_ events: Int, _ depth: ReadingDepth, at now: Double) {
      if let known, now > known.at {
        // Two estimates in a short time differ by chance.
        guard depth == .counts || now - known.at >= 60 else { return }
        growth = max(0, Double(events - known.events) / (now - known.at))
        growthAge = 0
      }
      known = (events, now)
    }
  }

  private let budget: SampleBudget
  private var queues: [String: Costs] = [:]
  private var headPeriod = 0.0
  /// What was done but for the readings has cost, and was not paid for yet.
  private var owed = 0.0
  /// What first counts have cost, and was not paid for yet.
  private var advance = 0.0
  /// An equal part of the share for each queue.
  private var equalPart = 0.0

  /// The share of a budget.
  package init(_ budget: SampleBudget) {
    self.budget = budget
  }

  /// No figure is older than that: backends forget a series after five minutes.
  static let slowest = 240.0
  /// An estimate is never smaller than this part of a whole one: less would tell too little.
  static let smallestEstimate = 1.0 / 16
  /// What a whole estimate is taken to cost before one was made.
  private static let likelyEstimate = 1.0
  /// The timer of the cycles is never quite even; a reading is not put off by a whole cycle for a few milliseconds.
  private static let tolerance = 0.05

  private var interval: Double { budget.interval.seconds }
  /// The longest rhythm that is a whole number of cycles.
  private var slowest: Double { max(1, (Self.slowest / interval).rounded(.down)) * interval }

  /// Divides the share anew among the queues that are there.
  package mutating func divide(among names: [String]) {
    queues = queues.filter { names.contains($0.key) }
    for name in names {
      queues[name, default: Costs()].growthAge += interval
      // Of what can be neither counted nor estimated nobody knows that it still grows.
      if queues[name].map({ $0.growthAge > 2 * slowest }) == true { queues[name]?.growth = 0 }
    }
    let whole = budget.share * (1 - Self.tolerance)
    // What would take longer than an hour is past all remedy.
    owed = min(owed, whole / 2 * 3600)
    let repaid = min(owed / max(Self.slowest, interval), whole / 2)
    owed -= repaid * interval
    var limit = whole - repaid
    if isExhausted, queues.values.contains(where: { $0.countedAt == nil }) { limit /= 2 }
    advance = max(0, advance - whole / 2 * interval)
    equalPart = limit / Double(max(1, names.count))
    // A database that is counted in every cycle needs no look at the head.
    let demands = names.map { queues[$0].map { $0.due / interval + $0.rise } ?? 0 }
    var heads = 0.0
    if demands.reduce(0, +) > limit {
      heads = names.reduce(0) { $0 + (queues[$1]?.head ?? 0) } / interval
    }
    headPeriod = interval * max(1, heads / (limit / 2))
    let shares = Self.fair(demands, limit - min(heads, limit / 2))
    for (name, share) in zip(names, shares) { queues[name]?.share = share }
  }

  /// Takes over what an earlier run knows of a queue that was not read yet.
  ///
  /// - Parameters:
  ///   - now: seconds on a clock that never jumps.
  ///   - time: the same moment on the wall's clock, which stamps the costs. One from the future was stamped before that was set
  ///     back.
  package mutating func adopt(_ costs: [ReadingCost], of name: String, at now: Double, time: Timestamp) {
    var queue = queues[name] ?? Costs()
    guard queue.countedAt == nil, queue.estimatedAt == nil else { return }
    for cost in costs {
      let then = now - max(0, time.since(cost.time).seconds)
      if cost.isEstimate {
        (queue.estimate, queue.estimatedAt) = (cost.seconds, then)
      } else {
        (queue.counts, queue.countedAt) = (cost.seconds, then)
      }
    }
    queues[name] = queue
  }

  /// Whether a queue that was never counted may be counted now: the smallest ones first, as far as they are known.
  private func mayBegin(_ queue: Costs, at now: Double) -> Bool {
    guard !isExhausted else { return false }
    guard let known = queue.known else { return true }
    // One of which nothing is known, or nothing new, may be one that cannot be read at all.
    return queues.values.allSatisfy { other in
      other.countedAt != nil || other.known.map { $0.events >= known.events || now - $0.at > 2 * slowest } ?? true
    }
  }

  /// True while no queue may be counted for the first time.
  private var isExhausted: Bool { advance >= budget.share * max(Self.slowest, interval) }

  /// How large an estimate of a queue may be, 1 for a whole one: as large as can be made every four minutes.
  package func estimateSize(_ name: String) -> Double {
    let queue = queues[name] ?? Costs()
    return queue.estimateSize ?? estimateSize(queue, Self.likelyEstimate)
  }

  /// - Parameter whole: what a whole one costs.
  private func estimateSize(_ queue: Costs, _ whole: Double) -> Double {
    guard budget.share < 1 else { return 1 }
    let affordable = max(queue.share, equalPart) / 2 * slowest
    return min(1, max(Self.smallestEstimate, affordable / max(whole, 1e-9)))
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
    guard budget.share < 1 else { return .counts }
    let queue = queues[name] ?? Costs()
    if queue.countedAt == nil, mayBegin(queue, at: now) { return .counts }
    let (counts, estimate) = periods(queue)
    if queue.countedAt != nil, isDue(queue.countedAt, counts, now) { return .counts }
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

  /// Notes what a reading has cost, whether it came to its end or not.
  ///
  /// - Parameters:
  ///   - events: how many events it found, the dead ones included; nil where that is not known.
  ///   - hasFailed: whether it did not come to its end.
  package mutating func note(
    _ depth: ReadingDepth, of name: String, cost: Double, events: Int? = nil, hasFailed: Bool = false, at now: Double
  ) {
    var queue = queues[name] ?? Costs()
    if depth == .counts, hasFailed, let known = queue.counts, cost < known {
      // It tells nothing of what a whole one costs.
      queues[name]?.debt += cost
      return
    }
    if let events { queue.noteEvents(events, depth, at: now) }
    if depth == .counts || queue.counted == nil { queue.counted = events }
    switch depth {
    case .counts:
      if !hasFailed { queue.lostCount = 0 }
      if let last = queue.countedAt {
        queue.debt = max(0, queue.debt + queue.estimates + cost - queue.share * (now - last))
      } else {
        advance += cost
      }
      queue.estimates = 0
      queue.counts = Self.blend(queue.counts, cost)
      queue.countedAt = now
    case .estimate:
      if !hasFailed { queue.lostEstimate = 0 }
      // Half of the share is for estimates. What goes beyond keeps no count from its turn, but takes from all.
      let last = [queue.countedAt, queue.estimatedAt].compactMap { $0 }.max() ?? now
      let own = queue.countedAt == nil ? 0 : min(cost, queue.share / 2 * (now - last))
      queue.estimates += own
      note(aside: cost - own)
      let whole = cost / estimateSize(name)
      queue.estimate = Self.blend(queue.estimate, cost)
      queue.estimateSize = estimateSize(queue, whole)
      queue.estimatedAt = now
    case .head: queue.head = Self.blend(queue.head, cost)
    case .clock: return
    }
    // Whoever reads everything reads the head too.
    queue.headAt = now
    queues[name] = queue
  }

  /// Notes how long a reading was waited for that nobody knows the cost of, since its session has ended. It is put off for
  /// as long as that may have been, however often it happens; what is known of its cost still holds.
  package mutating func note(interrupted depth: ReadingDepth, of name: String, after seconds: Double, at now: Double) {
    var queue = queues[name] ?? Costs()
    switch depth {
    case .counts:
      if queue.countedAt == nil { advance += seconds }
      queue.lostCount = max(queue.lostCount, seconds)
      queue.countedAt = now
    case .estimate:
      queue.lostEstimate = max(queue.lostEstimate, seconds)
      queue.estimatedAt = now
    case .head, .clock: return
    }
    queues[name] = queue
  }

  /// Notes what something else than a reading has cost.
  ///
  /// - Parameter cost: seconds of the database's time.
  package mutating func note(aside cost: Double) {
    owed += max(0, cost)
  }

  /// A dearer reading is believed at once, a cheaper one by half: a cache that was warm once may be cold again.
  private static func blend(_ known: Double?, _ cost: Double) -> Double {
    known.map { cost >= $0 ? cost : ($0 + cost) / 2 } ?? cost
  }

  /// The time between two counts, and between two estimates where the counts come too seldom.
  private func periods(_ queue: Costs) -> (counts: Double, estimate: Double?) {
    if queue.countedAt == nil { return (slowest, slowest) }
    guard queue.share > 0 else { return (interval, nil) }
    let saved = queue.share - queue.rise
    let whole = saved > 0 ? queue.due / saved : .infinity
    if whole <= interval { return (interval, nil) }
    if whole <= slowest { return (whole, nil) }
    // Half of what there is goes to estimates, and the count waits twice as long for it.
    let estimate = max(queue.estimate ?? 0, queue.lostEstimate) / (queue.share / 2)
    return (whole, min(max(interval, estimate), slowest))
  }

  private func isDue(_ last: Double?, _ period: Double, _ now: Double) -> Bool {
    last.map { now - $0 >= period - interval * Self.tolerance } ?? true
  }

  private func cycles(_ period: Double) -> Double {
    max(1, (period / interval - Self.tolerance).rounded(.up)) * interval
  }
}
