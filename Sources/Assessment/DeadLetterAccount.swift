package import Outbox

/// Which dead letters of a sample are known, and which are news.
package struct DeadLetterAccount: Sendable, Hashable {
  /// What became of one acknowledgement.
  package struct Entry: Sendable, Hashable {
    /// What somebody knows.
    package var acknowledgement: Acknowledgement
    /// So many of the dead events are those; 0 once it has expired.
    package var covered: Int
    /// Whether its last day is over.
    package var isExpired: Bool
  }

  /// One for each acknowledgement, in the order of the configuration.
  package private(set) var entries: [Entry] = []
  /// Dead events that nobody has acknowledged, or no longer.
  package private(set) var unknown: Int

  /// Dead events that are acknowledged.
  package var covered: Int { entries.reduce(0) { $0 + $1.covered } }

  /// The account of a sample. An event is covered once: by those of its destination first, then by those of the outbox.
  package init(_ snapshot: Snapshot, _ acknowledgements: [Acknowledgement], at time: Timestamp) {
    var left: [String: Int] = [:]
    for dead in snapshot.dead { left[dead.destination, default: 0] += dead.count }
    entries = acknowledgements.map {
      Entry(acknowledgement: $0, covered: 0, isExpired: time >= $0.end)
    }
    for index in entries.indices where !entries[index].isExpired {
      guard let destination = entries[index].acknowledgement.destination else { continue }
      let covered = min(entries[index].acknowledgement.dead, left[destination] ?? 0)
      entries[index].covered = covered
      left[destination, default: 0] -= covered
    }
    unknown = left.values.reduce(0, +)
    for index in entries.indices where !entries[index].isExpired && entries[index].acknowledgement.destination == nil {
      entries[index].covered = min(entries[index].acknowledgement.dead, unknown)
      unknown -= entries[index].covered
    }
  }
}

extension DeadLetterAccount.Entry {
  /// What there is to say about it.
  package var sentence: String {
    let whose = acknowledgement.destination.map { " of \($0)" } ?? ""
    let events = acknowledgement.dead.counted("dead event") + whose
    if isExpired {
      return "the acknowledgement of \(events) has expired on \(acknowledgement.until), they count again: "
        + acknowledgement.reason
    }
    let all = covered == acknowledgement.dead ? "\(events)" : "\(covered) of \(events)"
    return "\(all) acknowledged until \(acknowledgement.until): \(acknowledgement.reason)"
  }
}
