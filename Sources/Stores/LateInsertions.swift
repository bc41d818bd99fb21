/// The database's own count of insertions beside the arrivals that were seen as rows.
///
/// PostgreSQL has an insertion in its count some time after the commit: a session adds what it has inserted at the end of a
/// transaction, a second after it did so last, when it has been idle for ten, and in any case once it has waited for a minute and
/// is not in a transaction (`pgstat_report_stat` in `src/backend/utils/activity/pgstat.c`). Until then that an arrival was seen
/// and not counted means nothing, nor does what is counted say that it came since counting began.
struct LateInsertions: Sendable, Hashable {
  /// Who may have committed insertions that are not counted yet.
  enum Writers: Sendable, Hashable {
    /// Nobody: no other session has this database open.
    case none
    /// Some session.
    ///
    /// - Parameter busy: those in a transaction. What they have inserted before is counted when they are in none, and that
    ///   may be later than the end of this one: there are sessions that begin the next in the same breath.
    case some(busy: Set<String>)
  }

  /// Arrivals that one look saw.
  struct Seen: Sendable, Hashable {
    var time: Int64
    var count: Int
  }

  /// Insertions that were counted by the database less arrivals that were told; below zero where it is late, or where
  /// something arrived that was not inserted.
  var balance = 0
  /// Set as long as insertions from before this time may be counted late.
  var doubtfulSince: Int64?
  /// Arrivals that may not be counted yet, in the order of time.
  var seen: [Seen] = []
  /// The sessions that were in a transaction at every look so far, each with a time at which it was in none.
  var busy: [String: Int64] = [:]

  /// How long after its commit an insertion is counted at the latest, in microseconds, where its session is in no transaction:
  /// a minute, ten seconds until an idle session looks at its clock, and what a look may take.
  static let latest: Int64 = 90_000_000
  /// How many looks are told apart; older ones count as the one that followed.
  private static let mostSeen = 100

  init() {}

  /// Nothing is late yet but what was committed before.
  init(beginningAt time: Int64, _ writers: Writers) {
    guard case .some(let sessions) = writers else { return }
    doubtfulSince = time
    for session in sessions { busy[session] = .min }
  }

  /// Takes a look into account.
  ///
  /// - Parameters:
  ///   - counted: how many insertions the database counted since the last look.
  ///   - arrivals: how many insertions were seen as rows.
  ///   - time: the moment of the look.
  ///   - last: the moment of the last one.
  ///   - isNeverLate: true where the database's count is read at the same moment as the rows.
  /// - Returns: how many came and left unseen.
  mutating func count(
    counted: Int, seen arrivals: Int, at time: Int64, after last: Int64, _ writers: Writers, isNeverLate: Bool = false
  ) -> Int {
    let settled = settled(at: time, after: last, writers)
    seen.removeAll { $0.time <= settled }
    let mayBeLate = seen.reduce(0) { $0 + $1.count }
    if arrivals > 0, !isNeverLate { note(arrivals, at: time) }
    if let begun = doubtfulSince {
      // Nothing is known of what came and left so far. As much as may still be late is taken to be.
      balance = -mayBeLate - max(0, arrivals)
      if settled >= begun { doubtfulSince = nil }
      return 0
    }
    // What is short of what would be counted by now came back and was not inserted.
    balance = max(balance + counted, -mayBeLate) - arrivals
    let unseen = max(0, balance)
    balance = isNeverLate ? 0 : min(0, balance)
    return unseen
  }

  /// True where a transaction from before the beginning, or without an end, keeps what comes and leaves from being counted.
  func isHeldBack(at time: Int64) -> Bool { doubtfulSince.map { time - $0 > Self.latest } ?? false }

  /// The time up to which everything that was committed is in the database's count.
  private mutating func settled(at time: Int64, after last: Int64, _ writers: Writers) -> Int64 {
    guard case .some(let sessions) = writers else {
      busy = [:]
      return time
    }
    busy = sessions.reduce(into: [:]) { $0[$1] = busy[$1] ?? last }
    let earliest = min(time, busy.values.min() ?? time)
    return earliest < .min + Self.latest ? .min : earliest - Self.latest
  }

  private mutating func note(_ arrivals: Int, at time: Int64) {
    seen.append(Seen(time: time, count: arrivals))
    guard seen.count > Self.mostSeen else { return }
    seen[1].count += seen[0].count
    seen.removeFirst()
  }
}
