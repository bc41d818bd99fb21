import Outbox

/// Counts the rows of a ledger's journal by what they say.
struct LedgerTally {
  let bounds: DeliveryBounds
  private var destinations: [String: Movements.Counts] = [:]

  init(_ bounds: DeliveryBounds) { self.bounds = bounds }

  /// Takes note of rows of one kind.
  ///
  /// - Parameters:
  ///   - kind: the letter of the journal.
  ///   - bucket: the bucket of their latency; nil where they have none.
  ///   - seconds: the sum of their latencies.
  mutating func add(_ count: Int, _ kind: String, to destination: String, bucket: Int?, seconds: Double) {
    let isLate = if let bucket, let objective = bounds.objective { bucket > objective } else { false }
    var counts = destinations[destination] ?? Movements.Counts()
    switch kind {
    case "e": counts.enqueued += count
    case "q":
      counts.requeued += count
      if isLate { counts.requeuedLate += count }
    case "d":
      counts.dispositions[.delivered, default: 0] += count
      if let bucket { counts.durations.add(count, toBucket: bucket, sum: seconds) }
    case "r": counts.dispositions[.retried, default: 0] += count
    case "x": counts.dispositions[.dead, default: 0] += count
    // Born delivered, born dead.
    case "b", "y":
      add(count, "e", to: destination, bucket: nil, seconds: 0)
      return add(count, kind == "b" ? "d" : "x", to: destination, bucket: bucket, seconds: seconds)
    case "l": counts.dispositions[.released, default: 0] += count
    case "c":
      counts.dispositions[.discarded, default: 0] += count
      if isLate { counts.discardedLate += count }
    default: return
    }
    destinations[destination] = counts
  }

  /// Why counting begins anew where the depth did not change by what the journal says.
  ///
  /// - Parameters:
  ///   - difference: by how much it changed more.
  ///   - cause: what of the application's doing may be the reason in this kind of store.
  static func disagreement(_ difference: Int, _ cause: String) -> String {
    "\(abs(difference).counted("event")) \(difference > 0 ? "came" : "left") without the ledger's triggers: they were "
      + "switched off or dropped for a while, the application \(cause), or `ledger.waiting` of the layout does not mean "
      + "the rows that its depth counts"
  }

  /// All that was counted.
  var movements: Movements { Movements(destinations) }
}
