import Layouts
import Outbox

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

  /// Cells; no delivered rows are looked at unless it is said.
  package init(starts: [String], countsDelivered: Bool = false, deliveredIndex: String? = nil) {
    self.starts = starts
    self.countsDelivered = countsDelivered
    self.deliveredIndex = deliveredIndex
  }

  /// How many cells can be told apart: each is written as one character.
  package static let limit = 60

  /// The number of a time's cell.
  func number(_ time: String, _ dialect: SQLDialect) -> String {
    switch dialect {
    case .postgresql: "COALESCE(width_bucket(\(time), \(array)), 0)"
    case .sqlite: "COALESCE(" + starts.map { "(\(time) >= \($0))" }.joined(separator: " + ") + ", 0)"
    }
  }

  /// The cells of a group's times, a character each, in any order; times before the first cell have none.
  func letters(_ time: String, _ dialect: SQLDialect) -> String {
    let first = starts.first ?? "0"
    return switch dialect {
    case .postgresql:
      "string_agg(chr(\(Self.zero) + width_bucket(\(time), \(array))), '') FILTER (WHERE \(time) >= \(once(first)))"
    case .sqlite:
      "group_concat(CASE WHEN \(time) >= \(first) THEN char(\(Self.zero) + \(number(time, dialect))) END, '')"
    }
  }

  private var array: String { once("ARRAY[\(starts.joined(separator: ", "))]::float8[]") }

  /// As a query of its own it is computed once, not for every row.
  private func once(_ sql: String) -> String { "(SELECT \(sql))" }

  private static let zero = 64

  /// The numbers of the cells that ``letters(_:_:)`` wrote.
  package static func numbers(_ letters: String) -> [Int] { letters.utf8.map { Int($0) - zero } }
}

/// The statement that answers a sample's figures and, at the same moment, counts the rows that have moved.
package struct AccountingQuery: Sendable, Hashable {
  /// The columns that the statement reads, by the table's quoted name.
  package let columns: [String: [String]]
  /// The column that says when a row was delivered; nil where the queue has none.
  package let finishedColumn: String?
  /// The column that holds the state, if there is one.
  package let stateColumn: String?
  /// The main table's quoted name.
  package let table: String
  /// True where the queue says when its events were written.
  package let hasCreationTimes: Bool
  /// True where rows of the queue can wait; false for a mere dead-letter queue.
  package let hasWaitingRows: Bool

  private let dialect: SQLDialect
  private let objective: Duration?
  private let events: Events
  private let delivered: DeliveredRows?

  private struct DeliveredRows: Sendable, Hashable {
    var destination: String
    var finished: String
    var finishedSeconds: String
    var since: String
    var created: String
    var retries: String
    var rows: String
    /// The first time that is looked at, in the column's own encoding.
    var earliest: String
    var columns: [String]
  }

  /// Writes the parts of the statement.
  ///
  /// - Throws: what the statements of a sample throw, or a template of the layout's accounting that is wrong.
  init(
    queue: TableQueue, schema: QueueSchema, dialect: SQLDialect, unknownStates: [String], objective: Duration?
  ) throws(LayoutProblem) {
    var writer = SelectionWriter(queue: queue, schema: schema, dialect: dialect, counts: true)
    let picked = queue.selections.filter { schema.tables[$0.table] != nil }.map(PickedRows.init)
    hasWaitingRows = picked.contains { !$0.isDead }
    let unknown = try SampleQuery.unknownRows(queue, schema, unknownStates, &writer)
    events = try Events(picked + unknown, &writer)
    var reader = SelectionWriter(queue: queue, schema: schema, dialect: dialect, counts: true)
    delivered = try Self.delivered(queue, schema, &reader)
    columns = schema.references(writer.usedColumns.merging(reader.usedColumns) { $0.union($1) })
    finishedColumn = delivered?.finished
    stateColumn = queue.stateColumn.flatMap { role in
      if case .column(let name)? = queue.columns[role]?.value { name } else { nil }
    }
    table = schema.tables[TableQueue.mainTable]?.reference ?? ""
    hasCreationTimes = queue.accounting.created != nil
    self.dialect = dialect
    self.objective = objective
  }

  private static func delivered(
    _ queue: TableQueue, _ schema: QueueSchema, _ reader: inout SelectionWriter
  ) throws(LayoutProblem) -> DeliveredRows? {
    let accounting = queue.accounting
    guard let rule = accounting.delivered else { return nil }
    // Every template is written, so that a mistake in one shows before there is a database.
    let rows = DeliveredRows(
      destination: try reader.destination(queue.destination), finished: "",
      finishedSeconds: try reader.time("{\(rule.finished).seconds}").sql, since: try reader.time(rule.since).sql,
      created: try reader.time(accounting.created.map { "{\($0).seconds}" }).sql,
      retries: try reader.number(accounting.retries), rows: try reader.expand(rule.rows), earliest: "", columns: [])
    guard let earliest = try reader.moment(since(reader.dialect), asIn: rule.finished),
      case .column(let finished)? = queue.columns[rule.finished]?.value
    else { return nil }
    var complete = rows
    complete.finished = finished
    complete.earliest = earliest
    complete.columns = reader.usedColumns[TableQueue.mainTable, default: []].sorted()
    return complete
  }

  /// The statement: a row for each group of waiting and dead rows as in ``SampleQuery/figures``, each with the attempts
  /// that ended with a retry and the cells of the creation times, dead rows by the cell of their death; and a row for
  /// each group of delivered rows, see ``DeliveredRow``.
  ///
  /// - Parameter bounds: the bounds by which durations are counted, in seconds.
  package func statement(_ cells: CountingCells, bounds: [Double]) -> String {
    let figures = SampleQuery.figures(events, cells, dialect, objective: objective)
    guard cells.countsDelivered, let delivered else { return figures }
    return figures + "\nUNION ALL\n" + deliveredRows(delivered, cells, bounds)
  }

  private func deliveredRows(_ rows: DeliveredRows, _ cells: CountingCells, _ bounds: [Double]) -> String {
    let now = SampleQuery.now(dialect)
    let latest = "\(now) + \(Self.latest)"
    let from = "e.\(SQLIdentifier.quoted(rows.finished)) >= \(rows.earliest)"
    let since = Self.since(dialect)
    let picked = "g >= \(dialect == .postgresql ? "(SELECT \(since))" : since) AND g < \(latest)"
    let inner = """
      SELECT \(rows.destination) AS d, \(rows.finishedSeconds) AS g, \(rows.since) AS f, \(rows.created) AS c,
          \(rows.retries) AS a
      """
    switch dialect {
    case .sqlite:
      return """
        SELECT d, 'delivered', \(cells.number("g", dialect)), NULL, count(*), NULL,
            group_concat(CAST(round(max(g - f, 0) * 1000000) AS INTEGER)), NULL, NULL, 0, NULL, NULL, NULL, 0, NULL,
            \(SampleQuery.sum("a", dialect)), \(cells.letters("c", dialect))
        FROM (
          \(inner)
          FROM \(table) e\(cells.deliveredIndex.map { " INDEXED BY \(SQLIdentifier.quoted($0))" } ?? "")
          WHERE \(from) AND (\(rows.rows))
        ) delivered
        WHERE \(picked)
        GROUP BY d, \(cells.number("g", dialect))
        """
    case .postgresql:
      // How many bounds are below: the array is turned round, as PostgreSQL counts those that are not above.
      let turned = "ARRAY[\(bounds.reversed().map { "\(-$0)" }.joined(separator: ", "))]::float8[]"
      return """
        SELECT d, 'delivered', g, NULL::text, count(*), sum(m), \(bounds.count) - width_bucket(-m / 1000000, \(turned)),
            NULL::float8, NULL::float8, 0, 0, \(SampleQuery.sum("a", dialect)), \(cells.letters("c", dialect))
        FROM (
          SELECT d, \(cells.number("g", dialect)) AS g, c, a, round(greatest(g - f, 0) * 1000000) AS m
          FROM (
            \(inner)
            FROM (
              SELECT \(rows.columns.map { "e.\(SQLIdentifier.quoted($0))" }.joined(separator: ", "))
              FROM \(table) e
              WHERE \(from)\(cells.deliveredIndex == nil ? "\n      OFFSET 0" : " AND (\(rows.rows))")
            ) e
            WHERE \(rows.rows)
          ) times
          WHERE \(picked)
        ) delivered
        GROUP BY d, g, \(bounds.count) - width_bucket(-m / 1000000, \(turned))
        """
    }
  }

  /// The earliest time of a delivered row that is looked at, in unix seconds: a setting of the transaction in PostgreSQL,
  /// a parameter in SQLite.
  static func since(_ dialect: SQLDialect) -> String {
    dialect == .postgresql ? "current_setting('\(setting)')::float8" : ":since"
  }

  /// The name of that setting.
  package static let setting = "outbox_exporter.since"

  /// A delivery later than so many seconds ahead has an impossible time, and would be looked at in every sample.
  private static let latest = "3600.0"
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
  /// The cells of their creation.
  package var created: [Int]

  /// A group.
  package init(
    destination: String, cell: Int, count: Int, buckets: [Int: Int], sum: Int64, retries: Int, created: [Int]
  ) {
    self.destination = destination
    self.cell = cell
    self.count = count
    self.buckets = buckets
    self.sum = sum
    self.retries = retries
    self.created = created
  }
}
