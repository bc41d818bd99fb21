import Outbox

/// The destinations of one outbox that have a series of their own.
///
/// A destination keeps its name until it was gone for an hour. The bound protects the backend from an outbox that
/// turns a recipient or a URL into a destination; what is beyond it is counted under `_other`.
struct DestinationRoster {
  /// The destination that stands for all beyond the bound.
  static let other = "_other"

  private let limit: Int
  private let patience: Duration
  private var lastSeen: [String: Timestamp] = [:]
  private var placeholder = false

  init(limit: Int, patience: Duration = .seconds(3600)) {
    self.limit = limit
    self.patience = patience
  }

  /// The destinations to be sent, sorted.
  var current: [String] { placeholder ? [Snapshot.defaultDestination] : lastSeen.keys.sorted() }

  /// Takes note of the names that an earlier run has given.
  mutating func restore(_ names: some Sequence<String>, at time: Timestamp) {
    for name in names { lastSeen[name] = time }
    placeholder = lastSeen.isEmpty
  }

  /// Takes note of the destinations of a sample, busiest first where there is not room for all.
  ///
  /// - Returns: the destinations whose series end now.
  mutating func see(_ counts: [String: Int], at time: Timestamp) -> [String] {
    let before = Set(current)
    let newcomers = counts.filter { lastSeen[$0.key] == nil }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    for name in counts.keys where lastSeen[name] != nil { lastSeen[name] = time }
    for (name, seen) in lastSeen where name != Self.other && time.since(seen) >= patience { lastSeen[name] = nil }
    for (name, _) in newcomers {
      let own = lastSeen.count - (lastSeen[Self.other] == nil ? 0 : 1)
      lastSeen[own < limit ? name : Self.other] = time
    }
    if let seen = lastSeen[Self.other], time.since(seen) >= patience { lastSeen[Self.other] = nil }
    placeholder = lastSeen.isEmpty
    return before.subtracting(current).sorted()
  }

  /// The name that a destination of a sample is sent under.
  func name(for destination: String) -> String {
    lastSeen[destination] == nil ? Self.other : destination
  }
}
