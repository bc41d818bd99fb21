import Layouts
import Outbox

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
  private let selects: [String]
  private let toldSelects: [String]
  private let delivered: DeliveredRows?

  private struct DeliveredRows: Sendable, Hashable {
    var destination: String
    var finished: String
    var finishedSeconds: String
    var since: String
    var created: String
    var retries: String
    /// What tells a row from others.
    var key: String
    var rows: String
    /// ``AccountingQuery/moment`` in the column's own encoding.
    var moment: String
    var columns: [String]
  }

  /// Writes the parts of the statement.
  ///
  /// - Throws: what the statements of a sample throw, or a template of the layout's accounting that is wrong.
  init(
    queue: TableQueue, schema: QueueSchema, dialect: SQLDialect, unknownStates: [StoredState], objective: Duration?
  ) throws(LayoutProblem) {
    var writer = SelectionWriter(queue: queue, schema: schema, dialect: dialect, counts: true, tells: true)
    let picked = queue.selections.filter { schema.tables[$0.table] != nil }.map(PickedRows.init)
    hasWaitingRows = picked.contains { !$0.isDead }
    let unknown = try SampleQuery.unknownRows(queue, schema, unknownStates, &writer)
    toldSelects = try writer.selects(picked + unknown)
    var plainWriter = SelectionWriter(queue: queue, schema: schema, dialect: dialect, counts: true)
    selects = dialect == .sqlite ? toldSelects : try plainWriter.selects(picked + unknown)
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
      retries: try reader.number(accounting.retries), key: try reader.key(queue.key),
      rows: try reader.expand(rule.rows), moment: "", columns: [])
    guard let moment = try reader.moment(moment, asIn: rule.finished),
      case .column(let finished)? = queue.columns[rule.finished]?.value
    else { return nil }
    var complete = rows
    complete.finished = finished
    complete.moment = moment
    complete.columns = reader.usedColumns[TableQueue.mainTable, default: []].sorted()
    return complete
  }

  /// The statement: a row for each group of waiting and dead rows as in ``SampleQuery/figures``, each with the attempts
  /// that ended with a retry and the cells of the creation times, dead rows by the cell of their death; and a row for
  /// each group of delivered rows, see ``DeliveredRow``.
  ///
  /// - Parameter bounds: the bounds by which durations are counted, in seconds.
  package func statement(_ cells: CountingCells, bounds: [Double]) -> String {
    let figures = SampleQuery.figures(cells.told == nil ? selects : toldSelects, cells, dialect, objective: objective)
    guard cells.countsDelivered, let delivered else { return figures }
    return few(cells, delivered) + figures + "\nUNION ALL\n" + deliveredRows(delivered, cells, bounds)
  }

  /// The part of the statement that is about delivered rows, by itself; nil where there is none.
  package func deliveredStatement(_ cells: CountingCells, bounds: [Double]) -> String? {
    delivered.map { few(cells, $0) + deliveredRows($0, cells, bounds) }
  }

  private func few(_ cells: CountingCells, _ rows: DeliveredRows) -> String {
    let picked = cells.deliveredIndex == nil ? "" : " AND (\(rows.rows))"
    let few = cells.few { time, most in
      let source = source(cells.deliveredIndex)
      return "SELECT count(*) FROM (SELECT 1 FROM \(source) WHERE \(isFrom(time, rows))\(picked) LIMIT \(most)) l"
    }
    return few.map { $0 + "\n" } ?? ""
  }

  private func source(_ index: String?) -> String {
    "\(table) e" + (dialect == .sqlite ? index.map { " INDEXED BY \(SQLIdentifier.quoted($0))" } ?? "" : "")
  }

  private func isFrom(_ time: String, _ rows: DeliveredRows) -> String {
    "e.\(SQLIdentifier.quoted(rows.finished)) >= \(rows.moment.replacing(Self.moment, with: time))"
  }

  private func deliveredRows(_ rows: DeliveredRows, _ cells: CountingCells, _ bounds: [Double]) -> String {
    let now = SampleQuery.now(dialect)
    let latest = "\(now) + \(Self.latest)"
    let since = Self.since(dialect)
    let from = isFrom(since, rows)
    let picked = "g >= \(dialect == .postgresql ? "(SELECT \(since))" : since) AND g < \(latest)"
    let inner = """
      SELECT \(rows.destination) AS d, \(rows.finishedSeconds) AS g, \(rows.since) AS f, \(rows.created) AS c,
          \(rows.retries) AS a\(cells.told == nil ? "" : ", \(rows.key) AS i")
      """
    switch dialect {
    case .sqlite:
      let took = "CASE WHEN \(Self.isPlausible) THEN round(max(g - f, 0) * 1000000) END"
      return """
        SELECT d, 'delivered', \(cells.number("g", dialect)), NULL, count(*), NULL,
            group_concat(CAST(\(took) AS INTEGER)), NULL, NULL, 0, NULL, NULL, NULL, 0, NULL,
            \(SampleQuery.sum("a", dialect)), \(cells.written(dialect)),
            \(cells.finished("g", duration: took, where: cells.isTold(time: "g"), dialect))
        FROM (
          \(inner)
          FROM \(source(cells.deliveredIndex))
          WHERE \(from) AND (\(rows.rows))
        ) delivered
        WHERE \(picked)
        GROUP BY d, \(cells.number("g", dialect))
        """
    case .postgresql:
      // How many bounds are below: the array is turned round, as PostgreSQL counts those that are not above.
      let turned = "'{\(bounds.reversed().map { "\(-$0)" }.joined(separator: ","))}'::float8[]"
      return """
        SELECT d, 'delivered', g, NULL::text, count(*), sum(m), \(bounds.count) - width_bucket(-m / 1000000, \(turned)),
            NULL::float8, NULL::float8, 0, 0, \(SampleQuery.sum("a", dialect)), \(cells.written(dialect)),
            \(cells.finished("t", duration: "m", where: cells.isTold(number: "g"), dialect))
        FROM (
          SELECT d, \(cells.number("g", dialect)) AS g, g AS t, c, a,
              CASE WHEN \(Self.isPlausible) THEN round(greatest(g - f, 0) * 1000000) END AS m\
        \(cells.told == nil ? "" : ", i")
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

  /// Stands for a time, in unix seconds.
  private static let moment = "the_moment_that_is_meant"

  /// What is further from its first due time than any plan may be was due at no time at all: at infinity, or in a wrong
  /// unit.
  private static let isPlausible = "abs(g - f) < \(SampleQuery.latestPlausibleDelay)"

  /// The name of that setting.
  package static let setting = "outbox_exporter.since"

  /// A delivery later than so many seconds ahead has an impossible time, and would be looked at in every sample.
  private static let latest = "3600.0"
}
