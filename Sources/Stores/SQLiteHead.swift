import Outbox
import SQLiteClient
import SampleSQL

/// Reads of one queue in an SQLite file what costs less than counting it: its first rows, or an estimate. Made anew for
/// each version of the file's schema.
final class SQLiteHead {
  private let query: SampleQuery
  private var paths: [HeadPath]?
  private var isDecided = false
  var floor = HeadFloor()

  init(_ query: SampleQuery) {
    self.query = query
  }

  /// False once it is known that no index leads to the first rows.
  var isAvailable: Bool { !isDecided || paths != nil }

  /// The first rows; nil where no index leads to them, or where they can tell nothing.
  func read(at now: Timestamp, _ connection: borrowing SQLiteConnection) throws(SQLiteError) -> QueueHead? {
    guard let paths = try decided(connection) else { return nil }
    guard let statement = HeadQuery.statement(paths, .sqlite, from: floor) else { return nil }
    let looked = floor.worthLooking(at: paths)
    var rows: [HeadRow] = []
    try connection.query(statement, [":now": .real(now.seconds)]) { row in
      rows.append(
        HeadRow(
          selection: Int(row.integer(0) ?? 0), destination: row.text(1) ?? Snapshot.defaultDestination,
          retry: row.integer(2) == 1, reason: row.text(3).flatMap(StuckReason.init), count: Int(row.integer(4) ?? 0),
          oldest: row.double(5), stuckSince: row.double(6)))
    }
    floor.note(rows, of: paths)
    return QueueHead(storeTime: now, rows: rows, paths: paths, looked: looked)
  }

  /// The statement of a look; nil where no index leads to the first rows, or where they can tell nothing.
  func statement(_ connection: borrowing SQLiteConnection) throws(SQLiteError) -> String? {
    try decided(connection).flatMap { HeadQuery.statement($0, .sqlite, from: floor) }
  }

  private func decided(_ connection: borrowing SQLiteConnection) throws(SQLiteError) -> [HeadPath]? {
    if !isDecided {
      paths = try choose(connection)
      isDecided = true
    }
    return paths
  }

  private func choose(_ connection: borrowing SQLiteConnection) throws(SQLiteError) -> [HeadPath]? {
    var chosen: [HeadPath] = []
    for selection in (try? query.head())?.paths ?? [] {
      var found: HeadPath?
      for path in selection where found == nil {
        var plan: [String] = []
        try connection.query("EXPLAIN QUERY PLAN " + path.probe) { row in plan.append(row.text(3) ?? "") }
        if Self.isServed(plan) { found = path }
      }
      guard let found else { return nil }
      chosen.append(found)
    }
    return chosen.isEmpty ? nil : chosen
  }

  /// True where a plan searches an index for its rows, in the order in which they are wanted.
  static func isServed(_ plan: [String]) -> Bool {
    plan.contains { $0.hasPrefix("SEARCH e USING") }
      && !plan.contains { $0.hasPrefix("SCAN e") || $0.hasPrefix("USE TEMP B-TREE") }
  }

  // MARK: - Estimates

  /// The figures, estimated from rows of every part of the tables.
  ///
  /// - Parameter size: what part of the usual number of rows is read.
  func estimate(
    at now: Timestamp, size: Double, _ connection: borrowing SQLiteConnection
  ) throws -> Snapshot {
    var parts: [String: TablePart] = [:]
    for (role, reference) in query.estimate.tables {
      let first = try connection.integer("SELECT min(rowid) FROM \(reference)") ?? 0
      let last = try connection.integer("SELECT max(rowid) FROM \(reference)") ?? 0
      parts[role] = Self.part(of: first...max(first, last), size: size)
    }
    let statement = try connection.prepare(try query.estimate.statement(parts))
    statement.bind(":now", .real(now.seconds))
    var rows: [FigureRow] = []
    var times: [[Int64]] = []
    while try statement.step() {
      rows.append(FigureRow(statement))
      times.append(statement.wholeNumbers(6))
    }
    var snapshot = Snapshot(storeTime: now, rows: rows.ranked(times))
    snapshot.exact = false
    snapshot.isEstimate = true
    return snapshot
  }

  /// Ranges of rowids, one at a random place of each of many equal stretches.
  static func part(of ids: ClosedRange<Int64>, size: Double = 1) -> TablePart {
    let ranges = max(1, Int64(Double(Self.ranges) * size))
    let stretch = Int64(clamping: ids.upperBound.subtractingReportingOverflow(ids.lowerBound).partialValue / ranges)
    guard stretch > width else { return .whole }
    let starts = (0..<ranges).map { ids.lowerBound + $0 * stretch + .random(in: 0...(stretch - width)) }
    return .ranges(starts.map { $0..<($0 + width) }, share: Double(width) / Double(stretch))
  }

  private static let ranges: Int64 = 200
  private static let width: Int64 = 100
}
