import Outbox
import SQLiteClient

extension AccountFile {
  /// The columns that count, in the order in which they are read and written.
  static let countedNames =
    ["enqueued", "requeued", "discarded_late", "requeued_late"] + Disposition.allCases.map(\.rawValue)
  static let counted = countedNames.joined(separator: ", ")
  static let parameters = countedNames.map { ":\($0)" }.joined(separator: ", ")

  static let schema: String = {
    let counts = countedNames.map { "\($0) INTEGER NOT NULL" }.joined(separator: ", ")
    return """
      CREATE TABLE accounts (outbox TEXT PRIMARY KEY, method TEXT NOT NULL, position TEXT NOT NULL, objective INTEGER,
        saved INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE totals (outbox TEXT, destination TEXT, start INTEGER NOT NULL, on_time INTEGER NOT NULL,
        late INTEGER NOT NULL, late_departures INTEGER NOT NULL,
        returned INTEGER NOT NULL, overdue INTEGER NOT NULL, durations TEXT NOT NULL,
        duration_sum REAL NOT NULL, \(counts), PRIMARY KEY (outbox, destination)) WITHOUT ROWID;
      CREATE TABLE movements (outbox TEXT, destination TEXT, method TEXT, slot INTEGER, width INTEGER,
        duration_sum REAL NOT NULL, \(counts),
        PRIMARY KEY (width, slot, outbox, destination, method)) WITHOUT ROWID;
      CREATE TABLE durations (outbox TEXT, destination TEXT, method TEXT, slot INTEGER, width INTEGER, bound REAL,
        count INTEGER NOT NULL, PRIMARY KEY (width, slot, outbox, destination, method, bound)) WITHOUT ROWID;
      CREATE TABLE restarts (outbox TEXT NOT NULL, time INTEGER NOT NULL, reason TEXT NOT NULL)
      """
  }()

  static func values(_ counts: Movements.Counts) -> [String: SQLiteValue] {
    var values: [String: SQLiteValue] = [
      ":enqueued": .integer(Int64(counts.enqueued)), ":requeued": .integer(Int64(counts.requeued)),
      ":discarded_late": .integer(Int64(counts.discardedLate)),
      ":requeued_late": .integer(Int64(counts.requeuedLate)),
    ]
    for disposition in Disposition.allCases {
      values[":\(disposition.rawValue)"] = .integer(Int64(counts.dispositions[disposition] ?? 0))
    }
    return values
  }

  /// Reads the counting columns; the durations are elsewhere.
  static func counts(_ row: borrowing SQLiteStatement, from first: Int) -> Movements.Counts {
    var counts = Movements.Counts(
      enqueued: Int(row.integer(first) ?? 0), requeued: Int(row.integer(first + 1) ?? 0),
      discardedLate: Int(row.integer(first + 2) ?? 0), requeuedLate: Int(row.integer(first + 3) ?? 0))
    for (index, disposition) in Disposition.allCases.enumerated() {
      let count = Int(row.integer(first + 4 + index) ?? 0)
      if count != 0 { counts.dispositions[disposition] = count }
    }
    return counts
  }
}

/// Durations as they are kept: by the upper bound of each bucket, which means the same whatever the bounds are later.
enum KeptDurations {
  /// The bound of what lies beyond all bounds; greater than any.
  static let beyond = Double.greatestFiniteMagnitude

  static func bound(of bucket: Int, _ bounds: DeliveryBounds) -> Double {
    bucket < bounds.kept.count ? bounds.kept[bucket] : beyond
  }

  static func text(_ tally: DurationTally, _ bounds: DeliveryBounds) -> String {
    tally.counts.sorted { $0.key < $1.key }.map { "\(bound(of: $0.key, bounds)):\($0.value)" }.joined(separator: " ")
  }

  static func tally(_ text: String, sum: Double, _ bounds: DeliveryBounds) -> DurationTally {
    var tally = DurationTally(sum: sum)
    for entry in text.utf8.split(separator: UInt8(ascii: " ")) {
      let parts = entry.split(separator: UInt8(ascii: ":")).map { String($0) ?? "" }
      guard parts.count == 2, let bound = Double(parts[0]), let count = Int(parts[1]) else { continue }
      tally.add(count, toBucket: bound == beyond ? bounds.kept.count : bounds.bucket(of: bound), sum: 0)
    }
    return tally
  }
}

/// How finely the history is kept, in seconds of a slot: the older, the coarser.
enum HistorySlot: Int64, CaseIterable {
  case recent = 300
  case hour = 3600
  case day = 86_400

  /// How long slots of this width are kept.
  var lifetime: Duration {
    switch self {
    case .recent: .seconds(2 * 86_400)
    case .hour: .seconds(35 * 86_400)
    case .day: .seconds(400 * 86_400)
    }
  }

  /// What they are put together into afterwards.
  var wider: HistorySlot? {
    switch self {
    case .recent: .hour
    case .hour: .day
    case .day: nil
    }
  }

  /// The beginning of the slot that holds a time, in unix seconds.
  func begin(of time: Timestamp) -> Int64 { time.wholeSeconds / rawValue * rawValue }
}

extension Timestamp {
  /// Whole seconds since 1970.
  var wholeSeconds: Int64 { nanoseconds / 1_000_000_000 }
}
