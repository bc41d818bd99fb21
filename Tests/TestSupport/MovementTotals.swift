package import Outbox

/// What a caller of a store does with its readings: keeps the mark, adds up the movements.
package final class MovementTotals {
  /// Up to where the movements of each outbox are counted.
  package private(set) var marks: [String: AccountingMark] = [:]
  /// What moved since the beginning, by destination, over all outboxes.
  package private(set) var counts: [String: Movements.Counts] = [:]
  /// Why a counting could not go on.
  package private(set) var restarts: [String] = []
  /// What keeps a better method from being used.
  package private(set) var notices: Set<String> = []
  /// Samples whose movements do not add up to the change of the depth.
  package private(set) var unbalanced: [String] = []
  private var depths: [String: Int] = [:]

  package init() {}

  /// What a store is to be asked.
  package var request: SampleRequest { SampleRequest(marks: marks) }

  /// Keeps what a round of samples brought.
  package func add(_ samples: [OutboxSample]) {
    for sample in samples {
      let name = sample.outbox.name
      guard let reading = sample.accounting, let depth = sample.snapshot?.depth else {
        unbalanced.append("\(name): \(String(describing: sample.failure)), \(String(describing: sample.accounting))")
        continue
      }
      marks[name] = reading.mark
      reading.restart.map { restarts.append($0) }
      reading.notice.map { _ = notices.insert($0) }
      guard let movements = reading.movements else {
        depths[name] = depth
        continue
      }
      let change = movements.destinations.values.reduce(0) { $0 + $1.depthChange }
      if change != depth - depths[name, default: 0] {
        unbalanced.append("\(name): \(change) of \(depth - depths[name, default: 0])")
      }
      depths[name] = depth
      for (destination, counts) in movements.destinations { self.counts[destination, default: .init()].add(counts) }
    }
  }

  /// One line for each destination and kind that is not zero, to compare with lines that a test writes.
  package var lines: Set<String> {
    var lines: Set<String> = []
    for (destination, counts) in counts {
      let figures =
        [("enqueued", counts.enqueued), ("requeued", counts.requeued)]
        + counts.dispositions.map { ($0.key.rawValue, $0.value) }
      for (kind, count) in figures where count != 0 { lines.insert("\(destination) \(kind) \(count)") }
    }
    return lines
  }

  /// The durations of all destinations.
  package var durations: DurationTally {
    counts.values.reduce(into: DurationTally()) { $0.add($1.durations) }
  }
}

/// Lines as ``MovementTotals/lines`` has them, for true counts by destination and kind.
package func movementLines(_ truth: [String: Int]) -> Set<String> {
  Set(truth.filter { $0.value != 0 }.map { "\($0.key) \($0.value)" })
}
