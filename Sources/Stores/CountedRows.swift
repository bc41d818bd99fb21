import Outbox
import SampleSQL

/// The rows of one destination at one moment: how many there are, and of the recent past how many in each cell. A cell
/// is named by the time at which it begins, in microseconds since 1970.
struct CountedRows: Sendable, Hashable {
  /// Events that wait.
  var depth = 0
  /// Dead events of the main table.
  var dead = Dead()
  /// Those of other tables. What comes back from there is inserted.
  var deadElsewhere = Dead()
  /// Attempts of the waiting events that ended with a retry.
  var retries = 0
  /// Delivered rows by when they were delivered.
  var delivered: [Int64: Finished] = [:]
  /// Rows by when they were written.
  var created: [Int64: Written] = [:]

  /// Dead rows.
  struct Dead: Sendable, Hashable {
    var count = 0
    /// Those of the recent past by when they died.
    var died: [Int64: Finished] = [:]

    /// What has died since, and how many are dead no more: they came back, or were removed.
    func since(_ before: Dead) -> (died: Finished, left: Int) {
      var new = Finished()
      for (start, finished) in died { new.add(finished.since(before.died[start] ?? .init())) }
      // A time of death that is not told, or that is from long ago, still makes the dead more.
      new.count = max(new.count, count - before.count)
      return (new, before.count + new.count - count)
    }

    fileprivate func inCells(_ kept: [Int64]) -> Dead {
      var dead = Dead(count: count)
      for (start, finished) in died { kept.cell(of: start).map { dead.died[$0, default: .init()].add(finished) } }
      return dead
    }
  }

  /// Rows that were written in one cell.
  struct Written: Sendable, Hashable {
    var count = 0
    /// What each is told from others by, those that have gone since among them; nil where they are only counted.
    var keys: [UInt64]? = []

    mutating func add(_ other: Written) {
      count += other.count
      keys = if let keys, let others = other.keys { keys + others } else { nil }
    }

    /// How many are here and were not there before.
    func since(_ before: Written) -> Int {
      guard let keys, let known = before.keys else { return max(0, count - before.count) }
      var unmatched = UnmatchedKeys(known)
      return keys.reduce(0) { unmatched.remove($1) ? $0 : $0 + 1 }
    }

    /// With what was there before and has gone: should it come back, it was written no second time.
    func remembering(_ before: Written) -> Written {
      guard let keys, let known = before.keys else { return self }
      var unmatched = UnmatchedKeys(keys)
      return Written(count: count, keys: keys + known.filter { !unmatched.remove($0) })
    }
  }

  /// Finished rows of one cell.
  struct Finished: Sendable, Hashable {
    var count = 0
    /// Durations by bucket, and their sum in microseconds.
    var buckets: [Int: Int] = [:]
    var sum: Int64 = 0
    /// Attempts that ended with a retry, of all of them.
    var retries = 0
    /// What each is told from others by; nil where they are only counted.
    var keys: [UInt64]? = []
    /// Each by itself, in the order of the keys; not kept.
    var rows: [Row] = []

    /// What is counted of one row.
    struct Row: Sendable, Hashable {
      var bucket: Int?
      var duration: Int64
      var retries: Int
    }

    mutating func add(_ other: Finished) {
      count += other.count
      buckets.merge(other.buckets, uniquingKeysWith: +)
      sum = sum.adding(other.sum)
      retries += other.retries
      keys = if let keys, let others = other.keys { keys + others } else { nil }
      rows += other.rows
    }

    /// What is here and was not there before. Where rows are told apart, one that has gone since hides none; where they are
    /// only counted, it takes nothing from another bucket.
    func since(_ before: Finished) -> Finished {
      guard let keys, let known = before.keys, rows.count == keys.count else { return countedSince(before) }
      var new = Finished()
      var unmatched = UnmatchedKeys(known)
      for (key, row) in zip(keys, rows) where !unmatched.remove(key) {
        new.count += 1
        new.sum = new.sum.adding(row.duration)
        new.retries += row.retries
        if let bucket = row.bucket { new.buckets[bucket, default: 0] += 1 }
      }
      return new
    }

    private func countedSince(_ before: Finished) -> Finished {
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

  /// How many numbers it takes to remember, without the keys.
  var size: Int {
    4 + created.count + 3 * (dead.died.count + deadElsewhere.died.count)
      + delivered.values.reduce(0) { $0 + 3 + $1.buckets.count }
  }

  /// How many keys there are in a cell; nil where one of its rows has none.
  func keyCount(_ start: Int64) -> Int? {
    guard let written = created[start, default: .init()].keys, let delivered = delivered[start, default: .init()].keys,
      let died = dead.died[start, default: .init()].keys,
      let diedElsewhere = deadElsewhere.died[start, default: .init()].keys
    else { return nil }
    return written.count + delivered.count + died.count + diedElsewhere.count
  }

  /// From now on the rows of a cell are only counted.
  mutating func forgetKeys(_ start: Int64) {
    created[start]?.keys = nil
    delivered[start]?.keys = nil
    dead.died[start]?.keys = nil
    deadElsewhere.died[start]?.keys = nil
  }

  /// Forgets what is of no use to the next look.
  mutating func forgetRows() {
    delivered = delivered.mapValues { $0.withoutRows }
    dead.died = dead.died.mapValues { $0.withoutRows }
    deadElsewhere.died = deadElsewhere.died.mapValues { $0.withoutRows }
  }

  /// The same with the cells put together so that only those that are kept remain; what is before them is forgotten.
  func inCells(_ kept: [Int64]) -> CountedRows {
    var rows = CountedRows(
      depth: depth, dead: dead.inCells(kept), deadElsewhere: deadElsewhere.inCells(kept), retries: retries)
    for (start, finished) in delivered {
      kept.cell(of: start).map { rows.delivered[$0, default: .init()].add(finished) }
    }
    for (start, written) in created { kept.cell(of: start).map { rows.created[$0, default: .init()].add(written) } }
    return rows
  }
}

extension CountedRows.Finished {
  fileprivate var withoutRows: CountedRows.Finished {
    var finished = self
    finished.rows = []
    return finished
  }

  /// Rows as a look saw them.
  ///
  /// - Parameters:
  ///   - rows: each of them, where they are told apart.
  ///   - bounds: the bounds by which their durations are counted.
  init(
    count: Int, buckets: [Int: Int] = [:], sum: Int64 = 0, retries: Int, rows: [FinishedRow], bounds: DeliveryBounds
  ) {
    self.init(count: count, buckets: buckets, sum: sum, retries: retries, keys: nil)
    guard rows.count == count else { return }
    keys = rows.map(\.key)
    self.rows = rows.map { row in
      Row(
        bucket: row.duration.map { bounds.bucket(of: Double($0) / 1e6) }, duration: row.duration ?? 0,
        retries: row.retries)
    }
  }
}

/// Keys that were there before and are not found again yet. The same key may stand for several rows.
private struct UnmatchedKeys {
  private var counts: [UInt64: Int]

  init(_ keys: [UInt64]) { counts = Dictionary(keys.map { ($0, 1) }, uniquingKeysWith: +) }

  /// Finds one; false where there is none any more.
  mutating func remove(_ key: UInt64) -> Bool {
    guard let count = counts[key], count > 0 else { return false }
    counts[key] = count - 1
    return true
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
  /// Who may have committed insertions that are not in that count yet.
  var writers = LateInsertions.Writers.none
  /// The highest number that any table of the database has. One that is made later has a higher one.
  var newest: Int64 = 0
  /// What changes when those counters are reset.
  var reset = ""
  /// True where the database counts none.
  var countsNoInsertions = false
  /// True where a store has one writer at a time, so that commits become visible in the order of their writing.
  var isOneWriterAtATime = false
  /// How far back commits may lie that become visible only now, because the store is a replica; in microseconds.
  var replicaDelay: Int64?

  /// Adds up a sample's rows.
  ///
  /// - Parameter deadKeepCreation: false where a dead row may have lost the time at which it was written.
  mutating func count(
    _ figures: [FigureRow], _ delivered: [DeliveredRow], deadKeepCreation: Bool, _ bounds: DeliveryBounds
  ) {
    for row in figures {
      var counts = rows[row.destination] ?? CountedRows()
      if row.state == .dead {
        let place = row.isElsewhere ? \CountedRows.deadElsewhere : \CountedRows.dead
        counts[keyPath: place].count += row.count
        if let start = start(row.cell) {
          counts[keyPath: place].died[start, default: .init()]
            .add(.init(count: row.count, retries: row.retries, rows: row.died, bounds: bounds))
        }
      } else {
        counts.depth += row.count
        counts.retries += row.retries
      }
      if row.state != .dead || deadKeepCreation { add(row.created, to: &counts) }
      rows[row.destination] = counts
    }
    for row in delivered {
      guard let start = start(row.cell) else { continue }
      var counts = rows[row.destination] ?? CountedRows()
      counts.delivered[start, default: .init()]
        .add(
          .init(
            count: row.count, buckets: row.buckets, sum: row.sum, retries: row.retries, rows: row.rows, bounds: bounds))
      add(row.created, to: &counts)
      rows[row.destination] = counts
    }
  }

  private func add(_ written: [WrittenRow], to counts: inout CountedRows) {
    for row in written {
      guard let start = start(row.cell) else { continue }
      counts.created[start, default: .init()].count += 1
      if let key = row.key {
        counts.created[start]?.keys?.append(key)
      } else {
        counts.created[start]?.keys = nil
      }
    }
  }

  private func start(_ cell: Int) -> Int64? { starts.indices.contains(cell - 1) ? starts[cell - 1] : nil }
}

extension Int64 {
  /// The sum, or the largest number: durations of clocks that were never set add up beyond it.
  func adding(_ other: Int64) -> Int64 {
    let (sum, isTooMuch) = addingReportingOverflow(other)
    return isTooMuch ? .max : sum
  }
}
