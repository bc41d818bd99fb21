import Outbox

/// Where the looks at a queue's first rows begin: at the oldest event of the last exact count, less what a long
/// transaction may still bring. An event that comes back with an older time is seen by the next count.
struct HeadFloor {
  /// In unix seconds; nil before the first count.
  private(set) var seconds: Double?

  /// Takes note of an exact count.
  mutating func note(_ snapshot: Snapshot) {
    seconds = snapshot.storeTime.advanced(by: .zero - (snapshot.oldestAge ?? .zero) - Self.longestTransaction).seconds
  }

  private static let longestTransaction = Duration.seconds(60)
}
