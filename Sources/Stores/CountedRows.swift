import Outbox
import SampleSQL

/// The rows of one destination at one moment: how many there are, and of the recent past how many in each cell. A cell
/// is named by the time at which it begins, in microseconds since 1970.
struct CountedRows: Sendable, Hashable {
  /// Events that wait.
  var depth = 0
  /// Dead events.
  var dead = 0
  /// Attempts of the waiting events that ended with a retry.
  var retries = 0
  /// Delivered rows by when they were delivered.
  var delivered: [Int64: Finished] = [:]
  /// Dead rows by when they died.
  var died: [Int64: Finished] = [:]
  /// Rows by when they were written.
  var created: [Int64: Int] = [:]

  /// Finished rows of one cell.
  struct Finished: Sendable, Hashable {
    var count = 0
    /// Durations by bucket, and their sum in microseconds.
    var buckets: [Int: Int] = [:]
    var sum: Int64 = 0
    /// Attempts that ended with a retry, of all of them.
    var retries = 0

    mutating func add(_ other: Finished) {
      count += other.count
      buckets.merge(other.buckets, uniquingKeysWith: +)
      sum += other.sum
      retries += other.retries
    }

    /// What is here and was not there before. A row that has gone since takes nothing from another bucket.
    func since(_ before: Finished) -> Finished {
      let count = max(0, count - before.count)
      let buckets = buckets.reduce(into: [Int: Int]()) { new, bucket in
        let more = bucket.value - before.buckets[bucket.key, default: 0]
        if more > 0 { new[bucket.key] = more }
      }
      return Finished(
        count: max(count, buckets.values.reduce(0, +)), buckets: buckets, sum: max(0, sum - before.sum),
        retries: max(0, retries - before.retries))
    }
  }

  /// True where nothing would have to be remembered.
  var isEmpty: Bool { self == CountedRows() }

  /// How many numbers it takes to remember.
  var size: Int { 3 + created.count + 3 * died.count + delivered.values.reduce(0) { $0 + 3 + $1.buckets.count } }

  /// The same with the cells put together so that only those that are kept remain; what is before them is forgotten.
  func inCells(_ kept: [Int64]) -> CountedRows {
    var rows = CountedRows(depth: depth, dead: dead, retries: retries)
    for (start, finished) in delivered {
      kept.cell(of: start).map { rows.delivered[$0, default: .init()].add(finished) }
    }
    for (start, finished) in died { kept.cell(of: start).map { rows.died[$0, default: .init()].add(finished) } }
    for (start, count) in created { kept.cell(of: start).map { rows.created[$0, default: 0] += count } }
    return rows
  }
}

extension [Int64] {
  /// The cell that a time is in, for rising beginnings of cells; nil before the first.
  func cell(of time: Int64) -> Int64? { last { $0 <= time } }
}

/// What one look at a queue saw, beside its figures.
struct CountingLook {
  /// The store's clock in microseconds.
  var time: Int64
  /// The beginnings of the cells, the last of them the moment of the look.
  var starts: [Int64]
  /// The first cell whose delivered rows were looked at.
  var since: Int64
  /// What was counted, by destination.
  var rows: [String: CountedRows] = [:]
  /// What grows with every change of the database, and falls only where an older state was restored.
  var position: Int64 = 0
  /// Transactions that may still commit, each with its beginning where that is known.
  var open: [String: Int64?] = [:]
  /// Rows ever inserted, by the table or partition that counted them.
  var inserted: [String: Int64] = [:]
  /// What changes when those counters are reset.
  var reset = ""
  /// True where a store has one writer at a time, so that commits become visible in the order of their writing.
  var isOneWriterAtATime = false
  /// How far back commits may lie that become visible only now, because the store is a replica; in microseconds.
  var replicaDelay: Int64?

  /// Adds up a sample's rows.
  ///
  /// - Parameter deadKeepCreation: false where a dead row may have lost the time at which it was written.
  mutating func count(_ figures: [FigureRow], _ delivered: [DeliveredRow], deadKeepCreation: Bool) {
    for row in figures {
      var counts = rows[row.destination] ?? CountedRows()
      if row.state == .dead {
        counts.dead += row.count
        if let start = start(row.cell) {
          counts.died[start, default: .init()].add(.init(count: row.count, retries: row.retries))
        }
      } else {
        counts.depth += row.count
        counts.retries += row.retries
      }
      for cell in row.created where row.state != .dead || deadKeepCreation {
        if let start = start(cell) { counts.created[start, default: 0] += 1 }
      }
      rows[row.destination] = counts
    }
    for row in delivered {
      guard let start = start(row.cell) else { continue }
      var counts = rows[row.destination] ?? CountedRows()
      counts.delivered[start, default: .init()]
        .add(.init(count: row.count, buckets: row.buckets, sum: row.sum, retries: row.retries))
      for cell in row.created { if let start = self.start(cell) { counts.created[start, default: 0] += 1 } }
      rows[row.destination] = counts
    }
  }

  private func start(_ cell: Int) -> Int64? { starts.indices.contains(cell - 1) ? starts[cell - 1] : nil }
}
