package import Outbox

/// Where the looks at a queue's first rows begin, and which selections are passed over: what the last exact count showed,
/// less what a long transaction may still bring. An event that comes back with an older time is seen by the next count.
package struct HeadFloor: Sendable, Hashable {
  /// The earliest first due time, in unix seconds; nil before the first count.
  private var firstDue: Double?
  /// The earliest time at which an event got stuck or will, in unix seconds: where none was stuck, that of the count.
  private var stuck: Double?
  private var stuckByReason: [StuckReason: Double] = [:]
  /// The selections, by number, that were longer than a look where their order tells nothing of the rest.
  private var untold: Set<Int> = []

  /// Looks begin where the indexes do.
  package init() {}

  /// Takes note of an exact count.
  package mutating func note(_ snapshot: Snapshot) {
    func before(_ age: Duration) -> Double {
      snapshot.storeTime.advanced(by: .zero - age - Self.longestTransaction).seconds
    }
    firstDue = before(snapshot.oldestAge ?? .zero)
    stuck = before(.zero)
    stuckByReason = [:]
    for found in snapshot.stuck {
      stuckByReason[found.reason] = min(stuckByReason[found.reason] ?? .infinity, before(found.oldest))
    }
    untold = []
  }

  /// Takes note of what a look brought. A selection that was longer than it, and not in an order that tells anything, is
  /// passed over until the next count, which reads all of it.
  package mutating func note(_ rows: [HeadRow], of paths: [HeadPath]) {
    untold.formUnion(paths.indices.filter { paths[$0].order == .none && !rows.isWhole($0) })
  }

  /// Takes note of a look that was given up: what tells nothing is passed over until the next count as well.
  package mutating func noteGivenUp(_ paths: [HeadPath]) {
    untold.formUnion(paths.indices.filter { paths[$0].order == .none })
  }

  /// The selections that a look can still tell something of: all of them, and where one is passed over, so that no age is
  /// known, those whose events can be stuck.
  package func worthLooking(at paths: [HeadPath]) -> [Int] {
    paths.indices.filter { !untold.contains($0) && (untold.isEmpty || paths[$0].reason != nil) }
  }

  /// The time of a path's order from which on rows are looked for; nil looks from the beginning.
  func begin(of path: HeadPath) -> Double? {
    guard path.order == .stuck else { return firstDue }
    return path.reason.flatMap { stuckByReason[$0] } ?? stuck
  }

  private static let longestTransaction = Duration.seconds(60)
}

extension [HeadRow] {
  /// True where fewer rows of a selection came than were asked for.
  func isWhole(_ selection: Int) -> Bool {
    reduce(0) { $1.selection == selection ? $0 + $1.count : $0 } < HeadPath.limit
  }
}
