import Layouts
package import Outbox

/// One way to read the first rows of a selection: in the order of a column, so that an index may serve.
package struct HeadPath: Sendable, Hashable {
  /// What the order of the rows tells.
  package enum Order: Sendable, Hashable {
    /// They come by their first due time: the first row of a destination is its oldest.
    case firstDue
    /// Those that were never tried come by their first due time, between others.
    case firstDueWhileUntried
    /// They come by the time from which on they are stuck.
    case stuck
    /// Nothing: the rows tell something only where they are all of them.
    case none
  }

  /// What the order of the rows tells.
  package let order: Order
  /// Why rows of this selection can be stuck; nil where they cannot.
  package let reason: StuckReason?
  /// True where the first row that is stuck is the one that has been so for longest.
  let isInOrderOfStuck: Bool
  /// True where every row is stuck once its time has come, so that none is where the first is not.
  let canAllBeStuck: Bool
  private let select: String
  private let column: String?
  /// SQL around a time in unix seconds that makes it comparable with the column, and how many seconds later than the
  /// column the time of the order is.
  private let moment: (before: String, after: String, delay: Double)?

  /// So many rows of each selection are read at most.
  package static let limit = 100

  fileprivate init(
    order: Order, stuck: Selection.StuckRule?, isInOrderOfStuck: Bool, select: String, column: String?,
    moment: (before: String, after: String, delay: Double)?
  ) {
    self.order = order
    self.reason = stuck?.reason
    self.isInOrderOfStuck = isInOrderOfStuck
    self.canAllBeStuck = stuck?.rows == "true"
    self.select = select
    self.column = column
    self.moment = moment
  }

  /// The first rows.
  ///
  /// - Parameter floor: rows before this time, in unix seconds, are passed over: of an index whose first entries are
  ///   dead rows, only those that died since are looked at.
  func rows(from floor: Double?) -> String {
    var sql = select
    if let floor, let column, let moment {
      sql += "\n  AND \(column) >= \(moment.before)\(floor - moment.delay)\(moment.after)"
    }
    if let column { sql += "\nORDER BY \(column)" }
    return sql + "\nLIMIT \(Self.limit)"
  }

  /// The statement whose plan shows whether an index serves.
  package var probe: String { rows(from: nil) }

  package static func == (left: HeadPath, right: HeadPath) -> Bool {
    left.order == right.order && left.reason == right.reason && left.probe == right.probe
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(probe) }
}

/// The statement that reads the first rows of a queue: what is due, how old it is, and what is stuck.
package struct HeadQuery: Sendable, Hashable {
  /// The ways to read each selection, the one that tells most first.
  package let paths: [[HeadPath]]

  init(queue: TableQueue, schema: QueueSchema, dialect: SQLDialect) throws(LayoutProblem) {
    var writer = SelectionWriter(queue: queue, schema: schema, dialect: dialect)
    var paths: [[HeadPath]] = []
    for selection in queue.selections where schema.tables[selection.table] != nil {
      guard selection.state.hasAge || selection.stuck != nil else { continue }
      // The floor is added to the predicate.
      var bracketed = selection
      bracketed.rows = "(\(selection.rows))"
      let select = try writer.selects([PickedRows(bracketed)]).joined()
      var found: [HeadPath] = []
      let stuckRole = Self.orderedBy(selection.stuck?.since, in: queue)?.role
      let times = [
        (HeadPath.Order.firstDue, selection.since), (.firstDueWhileUntried, Self.timeWhileUntried(selection)),
        (.stuck, selection.stuck?.since),
      ]
      for (order, time) in times {
        guard let (role, delay) = Self.orderedBy(time, in: queue), queue.columns[role]?.table == selection.table else {
          continue
        }
        if order != .stuck, !selection.state.hasAge { continue }
        let column = try writer.expand("{\(role)}")
        if column == "NULL" { continue }
        // Times kept as text need not sort as times.
        guard let parts = try writer.moment("?", asIn: role)?.split(separator: "?", omittingEmptySubsequences: false),
          parts.count == 2
        else { continue }
        // What a row has to fulfil besides may come late, and its time lie further back than that.
        let isTimeAlone = order != .stuck || selection.stuck?.rows == "true"
        let moment = isTimeAlone ? (before: String(parts[0]), after: String(parts[1]), delay: delay) : nil
        found.append(
          HeadPath(
            order: order, stuck: selection.stuck, isInOrderOfStuck: role == stuckRole, select: select, column: column,
            moment: moment))
      }
      found.append(
        HeadPath(
          order: .none, stuck: selection.stuck, isInOrderOfStuck: false, select: select, column: nil, moment: nil))
      paths.append(found)
    }
    self.paths = paths
  }

  /// The column whose order is that of a time, and how many seconds later that is: `{created.seconds}`, or that plus a
  /// fixed number of seconds.
  private static func orderedBy(_ time: String?, in queue: TableQueue) -> (role: String, delay: Double)? {
    guard let time, time.first == "{", let end = time.firstIndex(of: "}") else { return nil }
    let rest = time[time.index(after: end)...].filter { $0 != " " }
    guard let delay = rest.isEmpty ? 0 : rest.first == "+" ? Double(rest.dropFirst()) : nil else { return nil }
    let parts = time[time.index(after: time.startIndex)..<end].split(separator: ".")
    guard parts.count == 2, parts[1] == "seconds", case .column? = queue.columns[String(parts[0])]?.value else {
      return nil
    }
    return (String(parts[0]), delay)
  }

  /// The first due time of rows that were never tried, where that of the others is something else:
  /// `CASE WHEN tried THEN … ELSE {due.seconds} END`.
  private static func timeWhileUntried(_ selection: Selection) -> String? {
    let (before, after) = ("CASE WHEN \(selection.retry) THEN ", " END")
    guard let time = selection.since, time.hasPrefix(before), time.hasSuffix(after) else { return nil }
    let parts = time.dropFirst(before.count).dropLast(after.count).split(separator: " ELSE ")
    return parts.count == 2 ? String(parts[1]) : nil
  }

  /// One row per selection, destination, retry and stuck reason; see ``HeadRow``.
  ///
  /// - Parameters:
  ///   - chosen: one way for each selection.
  ///   - floor: where each begins.
  /// - Returns: nil where no selection is worth looking at before the next count.
  package static func statement(_ chosen: [HeadPath], _ dialect: SQLDialect, from floor: HeadFloor) -> String? {
    let now = SampleQuery.now(dialect)
    let selects = floor.worthLooking(at: chosen).map { number in
      let rows = chosen[number].rows(from: floor.begin(of: chosen[number]))
      return "SELECT \(number) AS n, h.* FROM (\n\(rows.indented(2))\n) h"
    }
    if selects.isEmpty { return nil }
    return """
      SELECT n, d, r, k, count(*), min(t), min(kt)
      FROM (
        SELECT n, d, r, \(SampleQuery.firstDue(now)) AS t, CASE WHEN b <= \(now) THEN w END AS k,
            CASE WHEN b <= \(now) THEN b END AS kt
        FROM (
      \(selects.joined(separator: "\nUNION ALL\n").indented(4))
        ) events
      ) c
      GROUP BY n, d, r, k
      """
  }
}

extension HeadPath.Order {
  /// True where the first row of a destination is its oldest.
  fileprivate func tellsAge(retry: Bool) -> Bool { self == .firstDue || self == .firstDueWhileUntried && !retry }
}

extension EventState {
  /// True where events in this state can be older than they should be.
  var hasAge: Bool { self == .ready || self == .claimed || self == .scheduled }
}

/// One row of ``HeadQuery/statement(_:_:from:)``, times in unix seconds.
package struct HeadRow: Sendable, Hashable {
  /// Which selection.
  package var selection: Int
  /// Low-cardinality target.
  package var destination: String
  /// True for events that were tried before.
  package var retry: Bool
  /// Why they are stuck; nil where they can move.
  package var reason: StuckReason?
  /// How many.
  package var count: Int
  /// Earliest first due time of an event whose age counts.
  package var oldest: Double?
  /// When the one that is stuck longest got stuck.
  package var stuckSince: Double?

  /// A row.
  package init(
    selection: Int, destination: String, retry: Bool, reason: StuckReason?, count: Int, oldest: Double?,
    stuckSince: Double?
  ) {
    self.selection = selection
    self.destination = destination
    self.retry = retry
    self.reason = reason
    self.count = count
    self.oldest = oldest
    self.stuckSince = stuckSince
  }
}

extension QueueHead {
  /// What the first rows prove.
  ///
  /// A selection of which fewer rows came than were asked for has come whole. Of another one the first row of each
  /// destination is its oldest, where they came in the order of first due times, as far as they did; of destinations that
  /// did not come nothing is known, nor of a selection that was passed over.
  ///
  /// - Parameter looked: the numbers of the selections that were looked at.
  package init(
    storeTime: Timestamp, rows: [HeadRow], paths: [HeadPath], looked: [Int], replicaLag: Duration? = nil
  ) {
    struct Key: Hashable { var destination: String, retry: Bool }
    func age(_ seconds: Double) -> Duration { max(.zero, storeTime.since(Timestamp(seconds: seconds))) }
    let all = paths.indices.map { looked.contains($0) && rows.isWhole($0) }
    var oldest: [Key: Double] = [:]
    var seen: [Key: Set<Int>] = [:]
    for row in rows {
      let key = Key(destination: row.destination, retry: row.retry)
      seen[key, default: []].insert(row.selection)
      if let time = row.oldest { oldest[key] = min(oldest[key] ?? time, time) }
    }
    let cut = paths.indices.filter { !all[$0] }
    let ages = seen.compactMap { key, selections -> Age? in
      guard cut.allSatisfy({ paths[$0].order.tellsAge(retry: key.retry) && selections.contains($0) }) else {
        return nil
      }
      return oldest[key].map { Age(destination: key.destination, retry: key.retry, oldest: age($0)) }
    }
    var stuck: [StuckReason: Duration] = [:]
    for reason in Set(paths.compactMap(\.reason)) {
      let its = paths.indices.filter { paths[$0].reason == reason }
      let stuckRows = rows.filter { its.contains($0.selection) && $0.reason == reason }
      let isKnown = its.allSatisfy { path in
        all[path]
          || paths[path].isInOrderOfStuck
            && (paths[path].canAllBeStuck || stuckRows.contains { $0.selection == path })
      }
      guard isKnown else { continue }
      stuck[reason] = stuckRows.compactMap(\.stuckSince).min().map(age) ?? .zero
    }
    self.init(
      storeTime: storeTime,
      ages: ages.sorted { ($0.destination, $0.retry ? 1 : 0) < ($1.destination, $1.retry ? 1 : 0) },
      isComplete: cut.isEmpty, stuckAges: stuck, replicaLag: replicaLag)
  }
}
