package import Outbox

/// The figures of one sample as lines of text, so that they can be compared with what a hand-written SQL statement
/// prints, or with lines written by hand, and a difference can be read.
///
/// Times are whole milliseconds; `-` stands for an unknown one.
///
///     depth telegram ready retry 3
///     age telegram first oldest 30000 median 20000 p99 30000
///     stuck telegram lease_expired 1 oldest 100000
///     dead telegram 2 oldest 5000000
///     implausible 2
///
/// - Parameter moment: where the store has a clock of its own, ages are told as they were at this moment.
package func figureLines(_ snapshot: Snapshot, at moment: Timestamp? = nil) -> Set<String> {
  let later = moment.map { snapshot.storeTime.since($0) } ?? .zero
  func milliseconds(_ duration: Duration?) -> String {
    duration.map { "\(Int((($0 - later).seconds * 1_000).rounded()))" } ?? "-"
  }
  var lines: Set = ["implausible \(snapshot.implausible)"]
  for depth in snapshot.depths {
    lines.insert("depth \(depth.destination) \(depth.state.rawValue) \(attempt(depth.retry)) \(depth.count)")
  }
  for age in snapshot.ages {
    lines.insert(
      "age \(age.destination) \(attempt(age.retry)) oldest \(milliseconds(age.oldest)) "
        + "median \(milliseconds(age.median)) p99 \(milliseconds(age.p99))")
  }
  for stuck in snapshot.stuck {
    lines.insert(
      "stuck \(stuck.destination) \(stuck.reason.rawValue) \(stuck.count) oldest \(milliseconds(stuck.oldest))")
  }
  for dead in snapshot.dead {
    lines.insert("dead \(dead.destination) \(dead.count) oldest \(milliseconds(dead.oldest))")
  }
  return lines
}

private func attempt(_ retry: Bool) -> String { retry ? "retry" : "first" }

/// The lines of a text that are not empty, without the space around them.
package func figureLines(_ text: String) -> Set<String> {
  Set(
    text.split(separator: "\n").map { line in
      String(line.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }.filter { !$0.isEmpty })
}

/// One event as a test has classified it by itself, times in milliseconds since 1970.
package struct ClassifiedEvent {
  /// Where it is going.
  package var destination: String
  /// What it is at the moment; delivered events are left out by the test.
  package var state: EventState
  /// Whether it was tried before.
  package var retry: Bool
  /// When it was first due; for a dead event when it was dead-lettered.
  package var firstDue: Int?
  /// Until when it is in a state that ends by itself.
  package var until: Int?
  /// Why it cannot move, and since when or from when on.
  package var stuck: (reason: StuckReason, since: Int?)?

  /// An event that a test has classified.
  package init(
    destination: String?, state: EventState, retry: Bool = false, firstDue: Int? = nil, until: Int? = nil,
    stuck: (reason: StuckReason, since: Int?)? = nil
  ) {
    self.destination = destination.flatMap { $0.isEmpty ? nil : $0 } ?? "default"
    self.state = state
    self.retry = retry
    self.firstDue = firstDue
    self.until = until
    self.stuck = stuck
  }
}

/// The figures of events that a test has classified, counted one by one.
package func figureLines(_ events: [ClassifiedEvent], now: Int) -> Set<String> {
  let year2000 = 946_684_800_000
  let century = 3_155_760_000_000
  var counts: [String: Int] = [:]
  var ages: [String: [Int]] = [:]
  var stuck: [String: [Int]] = [:]
  var dead: [String: [Int?]] = [:]
  var implausible = 0
  for event in events {
    let due = event.firstDue
    let isPlausible = due.map { $0 >= year2000 && $0 <= now } ?? false
    // A writer's clock may be a second ahead.
    let isPossible = due.map { $0 >= year2000 && $0 <= now + 1_000 } ?? false
    if event.state == .dead {
      if due != nil && !isPossible { implausible += 1 }
      dead[event.destination, default: []].append(isPlausible ? due : nil)
      continue
    }
    counts["depth \(event.destination) \(event.state.rawValue) \(attempt(event.retry))", default: 0] += 1
    let isWaitingForItsFirstTry = event.state == .scheduled && !event.retry
    if [.ready, .claimed, .scheduled].contains(event.state) {
      let isPlanned = due.map { isWaitingForItsFirstTry && $0 > now } ?? false
      if !isPossible && !isPlanned || event.until.map({ $0 > now + century }) ?? false { implausible += 1 }
      if let due, isPlausible, !isWaitingForItsFirstTry {
        ages["age \(event.destination) \(attempt(event.retry))", default: []].append(now - due)
      }
    }
    if let (reason, since) = event.stuck, let since, since <= now {
      stuck["stuck \(event.destination) \(reason.rawValue)", default: []].append(now - since)
    }
  }
  var lines: Set = ["implausible \(implausible)"]
  for (key, count) in counts { lines.insert("\(key) \(count)") }
  for (key, values) in ages {
    let sorted = values.sorted()
    // Nearest rank: the smallest value that the share of events does not exceed.
    let median = sorted[(sorted.count + 1) / 2 - 1]
    let p99 = sorted[(sorted.count * 99 + 99) / 100 - 1]
    lines.insert("\(key) oldest \(sorted[sorted.count - 1]) median \(median) p99 \(p99)")
  }
  for (key, values) in stuck { lines.insert("\(key) \(values.count) oldest \(values.max() ?? 0)") }
  for (destination, times) in dead {
    let oldest = times.compactMap { $0 }.min().map { "\(now - $0)" } ?? "-"
    lines.insert("dead \(destination) \(times.count) oldest \(oldest)")
  }
  return lines
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
package struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  /// Numbers of a seed.
  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
