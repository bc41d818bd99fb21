/// The times that cut the recent past into cells, in which rows are counted by when they were written, delivered or
/// dead-lettered.
///
/// A cell begins at its time and ends before the next one's. What lies before the first is in cell 0, the cell that
/// nothing is told apart in.
package struct CountingCells: Sendable, Hashable {
  /// The times in unix seconds, as SQL, in rising order.
  package var starts: [String]
  /// The column's index through which SQLite is to find the delivered rows; nil where they are not looked at.
  package var deliveredIndex: String?
  /// True where the delivered rows are looked at.
  package var countsDelivered: Bool
  /// The number of the first cell whose rows are told apart from one another; nil where no row is.
  package var told: Int?
  /// The cells of the time since the last look, which may hold so many rows that these are only counted; nil where all behind
  /// ``told`` are told apart.
  package var new: New?

  /// The time since the last look.
  package struct New: Sendable, Hashable {
    /// The number of its first cell.
    package var first: Int
    /// The number of the cell in which the last half minute of it begins.
    package var recent: Int

    /// Two of the cells.
    package init(first: Int, recent: Int) {
      self.first = first
      self.recent = recent
    }
  }

  /// Where more delivered rows than this are new, or are of the last half minute, none of them is told from another.
  package static let mostTold = 100_000

  /// Cells; no delivered rows are looked at, and no row is told from another, unless it is said.
  package init(
    starts: [String], countsDelivered: Bool = false, told: Int? = nil, new: New? = nil, deliveredIndex: String? = nil
  ) {
    self.starts = starts
    self.countsDelivered = countsDelivered
    self.told = told
    self.new = new
    self.deliveredIndex = deliveredIndex
  }

  /// How many cells can be told apart: each is written as one character.
  package static let limit = 60

  /// How far above the cells' own numbers those stand that rows of another table than the main one died in.
  static let elsewhere = 64

  /// Reads the number that a group of dead rows has for its cell: the cell, and whether they are in another table than the
  /// main one. What comes back from there is inserted anew.
  package static func died(_ number: Int) -> (cell: Int, isElsewhere: Bool) {
    (number % elsewhere, number >= elsewhere)
  }

  /// The number of a time's cell.
  func number(_ time: String, _ dialect: SQLDialect) -> String {
    switch dialect {
    case .postgresql: "COALESCE(width_bucket(\(time), \(array)), 0)"
    case .sqlite: "COALESCE(" + starts.map { "(\(time) >= \($0))" }.joined(separator: " + ") + ", 0)"
    }
  }

  /// When the rows of a group were written: for each, in any order, a character for its cell and, where rows are told
  /// apart, the word that does; rows from before the first cell are left out. See ``WrittenRow``.
  func written(_ dialect: SQLDialect) -> String {
    let first = starts.first ?? "0"
    let key = told == nil ? "''" : "CASE WHEN \(isTold(time: "c")) THEN \(Self.word(dialect)) ELSE '' END"
    return switch dialect {
    case .postgresql:
      "string_agg(concat(chr(\(Self.zero) + width_bucket(c, \(array))), \(key)), ',') "
        + "FILTER (WHERE c >= \(once("\(first)::float8")))"
    case .sqlite:
      "group_concat(CASE WHEN c >= \(first) THEN char(\(Self.zero) + \(number("c", dialect))) || \(key) END, ',')"
    }
  }

  /// What the finished rows of a group are told apart by: for each its word, its time in microseconds, its attempts that
  /// ended with a retry and, where it is asked for, its duration in microseconds. See ``FinishedRow``.
  ///
  /// - Parameters:
  ///   - time: when a row was finished, in unix seconds.
  ///   - duration: the duration in microseconds, may be NULL.
  ///   - condition: what is true of the rows of the cells that are told apart.
  func finished(_ time: String, duration: String? = nil, where condition: String, _ dialect: SQLDialect) -> String {
    guard told != nil else { return dialect == .postgresql ? "NULL::text" : "NULL" }
    switch dialect {
    case .postgresql:
      // What is beyond all times, or no number, is put at the end of them.
      let bounded = "least(\(time), 1e11)"
      let last = duration.map { ", ' ', (\($0))::bigint" } ?? ""
      return
        "string_agg(concat(\(Self.word(dialect)), ' ', round(\(bounded) * 1000000)::bigint, ' ', a::bigint\(last)), ',') "
        + "FILTER (WHERE \(condition))"
    case .sqlite:
      let last = duration.map { " || ' ' || COALESCE(CAST(\($0) AS INTEGER), '')" } ?? ""
      return
        "group_concat(CASE WHEN \(condition) THEN \(Self.word(dialect)) || ' ' || CAST(round(\(time) * 1000000) AS INTEGER) || ' ' "
        + "|| CAST(a AS INTEGER)\(last) END, ',')"
    }
  }

  /// A row's identifier as a word of a few letters. It is made of those rows alone that it is asked for.
  private static func word(_ dialect: SQLDialect) -> String {
    switch dialect {
    case .postgresql:
      "left(encode(int8send(hashtextextended(i::text COLLATE \"C\", 0)), 'base64'), 8)"
    case .sqlite: "hex(i)"
    }
  }

  /// What is true of the times of rows that are told apart, as SQL.
  func isTold(time: String) -> String {
    let condition = "\(time) >= \(told.flatMap(start) ?? "0")"
    guard let new, let first = start(new.first), let recent = start(new.recent) else { return condition }
    return condition + " AND (\(time) < \(first) OR \(Self.areFew("\(time) < \(recent)")))"
  }

  /// What is true of the numbers of the cells whose rows are told apart, as SQL.
  func isTold(number: String) -> String {
    let condition = "\(number) >= \(told ?? 0)"
    guard let new else { return condition }
    return condition + " AND (\(number) < \(new.first) OR \(Self.areFew("\(number) < \(new.recent)")))"
  }

  private static func areFew(_ isOlder: String) -> String {
    "CASE WHEN \(isOlder) THEN (SELECT new FROM few) ELSE (SELECT recent FROM few) END"
  }

  /// The table that ``isTold(time:)`` and ``isTold(number:)`` refer to; nil where they refer to none.
  ///
  /// - Parameter count: counts the rows delivered since a time, as far as to a number.
  func few(_ count: (_ since: String, _ most: Int) -> String) -> String? {
    guard told != nil, let new, let first = start(new.first), let recent = start(new.recent) else { return nil }
    func areFew(_ since: String) -> String { "(\(count(since, Self.mostTold + 1))) <= \(Self.mostTold)" }
    return "WITH few(new, recent) AS (SELECT \(areFew(first)), \(areFew(recent)))"
  }

  private func start(_ cell: Int) -> String? { starts.indices.contains(cell - 1) ? starts[cell - 1] : nil }

  private var array: String { once("ARRAY[\(starts.joined(separator: ", "))]::float8[]") }

  /// As a query of its own it is computed once, not for every row. It has to be of the type that it is compared with: a
  /// number of another one would be converted for every row.
  private func once(_ sql: String) -> String { "(SELECT \(sql))" }

  private static let zero = 64

  /// Reads what ``written(_:)`` wrote.
  package static func written(_ text: String) -> [WrittenRow] {
    text.utf8.split(separator: UInt8(ascii: ",")).map { entry in
      WrittenRow(cell: Int(entry.first ?? 0) - zero, key: entry.count > 1 ? RowKey.key(entry.dropFirst()) : nil)
    }
  }

  /// Reads what ``finished(_:duration:where:_:)`` wrote.
  package static func finished(_ text: String) -> [FinishedRow] {
    text.utf8.split(separator: UInt8(ascii: ",")).map { entry in
      let words = Substring(entry).split(separator: " ", omittingEmptySubsequences: false)
      // The word and the time together: what comes back and is finished once more counts once more.
      let identity = entry[..<(words.count > 1 ? words[1].endIndex : entry.endIndex)]
      func number(_ index: Int) -> Int64? { words.indices.contains(index) ? Int64(words[index]) : nil }
      return FinishedRow(key: RowKey.key(identity), retries: Int(number(2) ?? 0), duration: number(3))
    }
  }
}

/// When one row was written.
package struct WrittenRow: Sendable, Hashable {
  /// The number of the cell.
  package var cell: Int
  /// What tells the row from others of the cell; nil where nothing does.
  package var key: UInt64?
}

/// A row that was delivered or died, told from the others of its cell.
package struct FinishedRow: Sendable, Hashable {
  /// What tells the row, and when it was finished, from others.
  package var key: UInt64
  /// Attempts that ended with a retry.
  package var retries: Int
  /// Microseconds from first due to delivered; nil where the row does not keep both.
  package var duration: Int64?
}

/// What identifiers are told apart by without being kept: 48 bits of a hash.
private enum RowKey {
  /// FNV-1a, the same in every run.
  static func key(_ bytes: Substring.UTF8View.SubSequence) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    hash = (hash ^ hash >> 32) &* 0x9e37_79b9_7f4a_7c15
    return hash >> 16
  }
}

/// One group of delivered rows: those of one destination that were delivered in one cell, in PostgreSQL those with a
/// duration in one bucket as well.
package struct DeliveredRow: Sendable, Hashable {
  /// Low-cardinality target.
  package var destination: String
  /// The cell of the delivery.
  package var cell: Int
  /// How many.
  package var count: Int
  /// Durations by bucket; without those that the row does not keep.
  package var buckets: [Int: Int]
  /// The sum of the durations in microseconds.
  package var sum: Int64
  /// Attempts that ended with a retry, of all of them.
  package var retries: Int
  /// When they were written.
  package var created: [WrittenRow]
  /// Each of them, where they are told apart.
  package var rows: [FinishedRow]

  /// A group.
  package init(
    destination: String, cell: Int, count: Int, buckets: [Int: Int], sum: Int64, retries: Int, created: [WrittenRow],
    rows: [FinishedRow]
  ) {
    self.destination = destination
    self.cell = cell
    self.count = count
    self.buckets = buckets
    self.sum = sum
    self.retries = retries
    self.created = created
    self.rows = rows
  }
}
