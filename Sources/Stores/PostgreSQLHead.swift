import Outbox
import PostgreSQLClient
import SampleSQL

/// Knows how the first rows of one queue are read, and from where on. Lives inside its store's actor, as long as the
/// tables are as they were looked up.
final class PostgreSQLHead {
  private let query: SampleQuery
  private var paths: [HeadPath]?
  private var isDecided = false
  var floor = HeadFloor()

  init(_ query: SampleQuery) {
    self.query = query
  }

  /// False once it is known that no index leads to the first rows.
  var isAvailable: Bool { !isDecided || paths != nil }

  /// The ways that the plans have shown to be served by an index; nil where a selection has none.
  ///
  /// - Parameter explain: answers the plans of some statements.
  func chosen(
    _ explain: ([String]) throws(SampleFailure) -> [PostgreSQLResult]
  ) throws(SampleFailure) -> [HeadPath]? {
    if isDecided { return paths }
    let selections = (try? query.head())?.paths ?? []
    let all = selections.flatMap { $0 }
    let plans = try explain(all.map(\.probe))
    var served = zip(all, plans).map { ($0, Self.isServed($1)) }[...]
    isDecided = true
    var chosen: [HeadPath] = []
    for selection in selections {
      let tried = served.prefix(selection.count)
      served = served.dropFirst(selection.count)
      guard let path = tried.first(where: { $0.1 })?.0 else { return nil }
      chosen.append(path)
    }
    paths = chosen.isEmpty ? nil : chosen
    return paths
  }

  /// The statement of a look; nil where none tells anything before the next count.
  func statement(_ paths: [HeadPath]) -> String? { HeadQuery.statement(paths, .postgresql, from: floor) }

  /// True where a plan reaches its rows through an index, in the index's order, and passes over none of the others: no
  /// scan of the table, nothing that is sorted or collected first, and no index that was only chosen for its order.
  static func isServed(_ plan: PostgreSQLResult) -> Bool {
    isServed((0..<plan.rowCount).compactMap { plan.text($0, 0) })
  }

  static func isServed(_ plan: [String]) -> Bool {
    var isScanned = false
    var node: (isIndex: Bool, isFiltered: Bool, hasCondition: Bool) = (false, false, false)
    func isSelective() -> Bool { !node.isIndex || node.hasCondition || !node.isFiltered }
    for line in plan {
      let text = line.drop { $0 == " " }
      if text.hasPrefix("->") || line.first != " " {
        guard isSelective() else { return false }
        let name = text.hasPrefix("->") ? text.dropFirst(2).drop { $0 == " " } : text
        for slow in [
          "Seq Scan", "Sort", "Incremental Sort", "Bitmap", "Foreign Scan", "Parallel", "Gather", "Materialize",
        ]
        where name.hasPrefix(slow) { return false }
        let isIndex = name.hasPrefix("Index Scan") || name.hasPrefix("Index Only Scan")
        isScanned = isScanned || isIndex
        node = (isIndex, false, false)
      } else if text.hasPrefix("Filter:") {
        node.isFiltered = true
      } else if text.hasPrefix("Index Cond:") {
        node.hasCondition = true
      }
    }
    return isScanned && isSelective()
  }
}

extension PostgreSQLQueues {
  /// Reads the first rows of a queue; nil where no index serves, or where it took too long to find them. Where they can
  /// tell nothing, only the clock is asked.
  func head(_ queue: Prepared) throws(SampleFailure) -> QueueHead? {
    guard let paths = try queue.head.chosen(explain) else { return nil }
    guard let first = message(queue, paths) else { return try clock(queue) }
    do throws(SampleFailure) {
      return try reading(queue) { queue throws(PostgreSQLError) in
        let looked = queue.head.floor.worthLooking(at: paths)
        let results = try results(message(queue, paths) ?? first, of: queue, Self.throughIndexes.count + 1)
        let found = results[Self.throughIndexes.count + 1]
        let rows = (0..<found.rowCount).compactMap { HeadRow(found, row: $0) }
        queue.head.floor.note(rows, of: paths)
        return QueueHead(
          storeTime: Timestamp(seconds: results[0].number(0, 0) ?? 0), rows: rows, paths: paths, looked: looked,
          replicaLag: results[0].number(0, 1).map { .seconds($0) })
      }
    } catch {
      guard error.reason == .timeout, session.isConnected else { throw error }
      queue.head.floor.noteGivenUp(paths)
      return nil
    }
  }

  /// The message of a look; nil where no index serves, or where that cannot be said.
  func headMessage(_ queue: Prepared) -> String? {
    (try? queue.head.chosen(explain)).flatMap { $0 }.flatMap { message(queue, $0) }
  }

  private func message(_ queue: Prepared, _ paths: [HeadPath]) -> String? {
    var hasty = limitsInForce
    hasty.statement = hasty.head
    return queue.head.statement(paths).map { PostgreSQLMessage.sample(Self.throughIndexes + [$0], hasty) }
  }

  /// A few rows in the order of an index are wanted, whatever the planner thinks of the table's size.
  private static let throughIndexes = ["SET LOCAL enable_bitmapscan = off"]

  private func explain(_ statements: [String]) throws(SampleFailure) -> [PostgreSQLResult] {
    let plans = try look(Self.throughIndexes + statements.map { "EXPLAIN (COSTS OFF)\n" + $0 })
    return Array(plans.dropFirst(Self.throughIndexes.count))
  }

  /// Asks for nothing but the clock: the store answers.
  func clock(_ queue: Prepared) throws(SampleFailure) -> QueueHead {
    try reading(queue) { queue throws(PostgreSQLError) in
      let results = try results(PostgreSQLMessage.sample([], limitsInForce), of: queue, 0)
      return QueueHead(
        storeTime: Timestamp(seconds: results[0].number(0, 0) ?? 0),
        replicaLag: results[0].number(0, 1).map { .seconds($0) })
    }
  }

  /// Estimates the figures of a queue from some blocks of its tables.
  ///
  /// - Parameter size: what part of the usual number of blocks is read.
  func estimate(_ queue: Prepared, size: Double, seed: Int) throws(SampleFailure) -> Snapshot {
    let queue = try searched(queue)
    let tables = queue.query.estimate.tables.sorted { $0.key < $1.key }
    let sizes = try look(tables.map { PostgreSQLMessage.blocks(of: $0.value) })
    var parts: [String: TablePart] = [:]
    let wanted = Self.blocks * size
    for ((role, table), found) in zip(tables, sizes) {
      guard let blocks = found.number(0, 0) else {
        throw SampleFailure(
          .timeout,
          "database \(session.databaseName): counting takes too long, and \(table) is no table that could be estimated",
          hint: "see its plan with `outbox-exporter sql`, or point the layout to the table itself")
      }
      parts[role] = blocks <= wanted ? .whole : .blocks(percent: 100 * wanted / blocks, seed: seed)
    }
    let text: String
    do throws(LayoutProblem) {
      text = try queue.query.estimate.statement(parts)
    } catch {
      throw SampleFailure(.schema, "database \(session.databaseName): \(error.message)", hint: error.hint)
    }
    do throws(PostgreSQLError) {
      let results = try results(PostgreSQLMessage.sample([text], limitsInForce), of: queue, 1)
      var snapshot = Snapshot(clock: results[0], FigureRow.all(results[1]))
      snapshot.exact = false
      snapshot.isEstimate = true
      return snapshot
    } catch {
      throw failure(error)
    }
  }

  /// So many blocks of a table are read for an estimate, 16 MiB of them.
  private static let blocks = 2000.0
}

extension HeadRow {
  fileprivate init?(_ result: PostgreSQLResult, row: Int) {
    guard let selection = result.integer(row, 0) else { return nil }
    self.init(
      selection: selection, destination: result.text(row, 1) ?? Snapshot.defaultDestination,
      retry: result.integer(row, 2) == 1, reason: result.text(row, 3).flatMap(StuckReason.init),
      count: result.integer(row, 4) ?? 0, oldest: result.number(row, 5), stuckSince: result.number(row, 6))
  }
}
