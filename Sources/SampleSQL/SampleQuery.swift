package import Layouts
import Outbox

/// The statements that sample one queue of one database: exact text, ready to be run or shown.
///
/// Times come back as unix seconds and never as ages, so that an unchanged database need not be read again for its
/// ages to grow.
package struct SampleQuery: Sendable, Hashable {
  /// Answers one row per destination, state, retry and stuck reason; see ``FigureRow``.
  package let figures: String
  /// Answers (kind, id) with kind `oldest`, `stuck` or `dead`, up to five of each; nil where the layout names no id.
  package let eventIDs: String?
  /// Answers the distinct values of the state column by skipping through an index; nil where no index serves.
  package let states: String?
  /// True where the layout's own SQL asks for the clock, so that time alone may change which rows it picks, and not only
  /// at the times that ``figures`` names.
  package let dependsOnClock: Bool
  /// The columns that the statements read, by the table's quoted name: what a role has to be granted.
  package let columns: [String: [String]]
  /// The figures once more, with what counts movements.
  package let accounting: AccountingQuery

  /// The earliest time that can be true: 2000-01-01. Earlier ones are zeros, unset clocks or wrong units.
  package static let earliestPlausibleTime: Double = 946_684_800
  /// How far ahead of the store a writer's clock may be, in seconds, before its times count as impossible. Clocks of two
  /// hosts always differ a little, and a sample that waited for a lock looks back.
  package static let clockSkew: Double = 1
  /// A due time later than this many seconds ahead is a wrong unit, not a plan: a hundred years.
  package static let latestPlausibleDelay: Double = 3_155_760_000

  /// Writes the statements of one queue.
  ///
  /// - Parameters:
  ///   - unknownStates: values of the state column that the layout does not know, as ``states`` found them.
  ///   - objective: the age beyond which waiting events are counted as overdue; nil counts none.
  /// - Throws: the database lacks a required table or column, or a template is wrong.
  package init(
    queue: TableQueue, schema: QueueSchema, dialect: SQLDialect, unknownStates: [String] = [],
    objective: Duration? = nil
  ) throws(LayoutProblem) {
    for (role, table) in queue.tables.sorted(by: { $0.key < $1.key })
    where schema.tables[role] == nil && !table.isOptional {
      throw .missingTable(role: role, name: table.name)
    }
    // A required column that no selection happens to use is still missed, not discovered in an outage.
    var template = SQLTemplate(queue: queue, schema: schema, dialect: dialect)
    for role in queue.columns.keys.sorted() { _ = try template.expand("{\(role)}") }

    var writer = SelectionWriter(queue: queue, schema: schema, dialect: dialect)
    var waiting: [String] = []
    var dead: [String] = []
    var waitingWithIDs: [String] = []
    var deadWithIDs: [String] = []
    for selection in queue.selections where schema.tables[selection.table] != nil {
      if selection.state == .dead {
        dead.append(try writer.select(selection, withID: false))
      } else {
        waiting.append(try writer.select(selection, withID: false))
      }
    }
    waiting += try Self.unknownSelects(queue, schema, unknownStates, &writer)
    for selection in queue.selections where schema.tables[selection.table] != nil && selection.id != nil {
      if selection.state == .dead {
        deadWithIDs.append(try writer.select(selection, withID: true))
      } else {
        waitingWithIDs.append(try writer.select(selection, withID: true))
      }
    }
    if let role = queue.stateColumn { try writer.use(role) }
    columns = schema.references(writer.usedColumns)
    figures = Self.figures(waiting: waiting, dead: dead, nil, dialect, objective: objective)
    accounting = try AccountingQuery(
      queue: queue, schema: schema, dialect: dialect, unknownStates: unknownStates, objective: objective)
    eventIDs = Self.eventIDs(waiting: waitingWithIDs, dead: deadWithIDs, dialect)
    states = try Self.states(queue, schema, dialect)
    dependsOnClock = writer.usesClock && !queue.untilCoversClock
  }

  /// Rows in a state that the layout does not know, NULL among them, where an index leads to them.
  static func unknownSelects(
    _ queue: TableQueue, _ schema: QueueSchema, _ values: [String], _ writer: inout SelectionWriter
  ) throws(LayoutProblem) -> [String] {
    guard let role = queue.stateColumn, let definition = queue.columns[role], definition.table == TableQueue.mainTable,
      case .column(let name) = definition.value,
      let table = schema.tables[TableQueue.mainTable], table.indexedColumns.contains(name)
    else { return [] }
    let unknown = Selection(rows: "{\(role)} IS NULL", state: .unknown, since: nil, id: nil)
    var selects: [String] = []
    // To some layouts NULL means something.
    let isKnown =
      table.filledColumns.contains(name)
      || queue.selections.contains { $0.rows.contains(unknown.rows) || $0.rows.contains("({\(role)}") }
    if !isKnown { selects.append(try writer.select(unknown, withID: false)) }
    if !values.isEmpty {
      let list = values.map { SQLIdentifier.literal($0, writer.dialect) }.joined(separator: ", ")
      let rows = "\(try writer.expand("{\(role)}")) IN (\(list))"
      selects.append(try writer.select(unknown, withID: false, rows: rows))
    }
    return selects
  }

  /// One row for each group of waiting and of dead rows; see ``FigureRow``.
  static func figures(
    waiting: [String], dead: [String], _ cells: CountingCells?, _ dialect: SQLDialect, objective: Duration?
  ) -> String {
    var branches: [String] = []
    if !waiting.isEmpty {
      let rows = classified(waiting, cells, dialect)
      branches.append(
        waitingFigures(rows, cells, dialect, deadline: objective.map { "\(now(dialect)) - \($0.seconds)" }))
    }
    if !dead.isEmpty {
      let noText = dialect == .postgresql ? "NULL::text" : "NULL"
      let noTime = dialect.noTime
      let next = dialect == .sqlite ? ", NULL, \(nextFirstDue), NULL, 0, NULL" : ", 0"
      let rows = dead.joined(separator: "\nUNION ALL\n")
      let cell = cells.map { $0.number("f", dialect) } ?? "0"
      let counted = cells.map { ", \(sum("a", dialect)), \($0.letters("c", dialect))" } ?? ""
      branches.append(
        """
        SELECT d, 'dead', \(cell), \(noText), count(*),
            min(CASE WHEN f <= \(now(dialect)) AND f >= \(Self.floor) THEN f END), \(noTime), \(noTime), \(noTime),
            sum(CASE WHEN f > \(now(dialect)) + \(Self.skew) OR f < \(Self.floor) THEN 1 ELSE 0 END)\(next)\(counted)
        FROM (
        \(rows.indented(2))
        ) dead_letters
        GROUP BY d\(cells == nil ? "" : ", \(cell)")
        """)
    }
    return branches.joined(separator: "\nUNION ALL\n")
  }

  static func sum(_ column: String, _ dialect: SQLDialect) -> String {
    "COALESCE(sum(\(column)), 0)" + (dialect == .postgresql ? "::bigint" : "")
  }

  /// One pass over the rows in either dialect. PostgreSQL finds the quantiles of each destination and retry by itself, in
  /// a row of its own that counts nothing. SQLite has nothing that does, and a window over all rows costs many times as
  /// much as reading them: there each group brings its times, in microseconds, and the reader ranks them.
  ///
  /// - Parameter deadline: SQL of the latest first due time of an overdue event.
  private static func waitingFigures(
    _ rows: String, _ cells: CountingCells?, _ dialect: SQLDialect, deadline: String?
  ) -> String {
    let overdue = deadline.map { "sum(CASE WHEN t < \($0) THEN 1 ELSE 0 END)" } ?? "0"
    switch dialect {
    case .sqlite:
      // When the next one is overdue: an unchanged file is read again then.
      let next = deadline.map { "min(CASE WHEN t >= \($0) THEN t - (\($0)) + :now END)" } ?? "NULL"
      return """
        SELECT d, s, r, k, count(*), min(t), group_concat(CAST(round(t * 1000000) AS INTEGER)), NULL, min(kt), sum(x),
            min(CASE WHEN u > :now THEN u END), \(nextFirstDue), min(CASE WHEN b > :now THEN b END), \(overdue), \(next)\
        \(cells.map { ",\n    \(sum("a", dialect)), \($0.letters("c", dialect))" } ?? "")
        FROM (
        \(rows.indented(2))
        ) c
        GROUP BY d, s, r, k
        """
    case .postgresql:
      return """
        SELECT d, s, r, k, n, t, q[1], q[2], kt, x, o\(cells == nil ? "" : ", a, c")
        FROM (
          SELECT d, COALESCE(s, 'ready') AS s, r, k, CASE WHEN grouping(s) = 0 THEN count(*) ELSE 0 END AS n, min(t) AS t,
              CASE WHEN grouping(s) = 1
                THEN percentile_disc(ARRAY[0.5, 0.99]::float8[]) WITHIN GROUP (ORDER BY t DESC) END AS q,
              CASE WHEN grouping(s) = 0 THEN min(kt) END AS kt,
              CASE WHEN grouping(s) = 0 THEN sum(x) ELSE 0 END AS x,
              CASE WHEN grouping(s) = 0 THEN \(overdue) ELSE 0 END AS o\(cells.map { countedColumns($0, dialect) } ?? "")
          FROM (
        \(rows.indented(4))
          ) c
          GROUP BY GROUPING SETS ((d, r, s, k), (d, r))
        ) figures
        """
    }
  }

  private static func countedColumns(_ cells: CountingCells, _ dialect: SQLDialect) -> String {
    """
    ,
            CASE WHEN grouping(s) = 0 THEN \(sum("a", dialect)) ELSE 0 END AS a,
            CASE WHEN grouping(s) = 0 THEN \(cells.letters("c", dialect)) END AS c
    """
  }

  /// Gives every row its state at this moment, the time its age starts (t), why and since when it is stuck (k, kt),
  /// and whether its times can be true (x).
  private static func classified(
    _ selects: [String], _ cells: CountingCells?, _ dialect: SQLDialect, withID: Bool = false
  ) -> String {
    let now = now(dialect)
    return """
      SELECT d, s, r\(withID ? ", id" : "")\(cells == nil ? "" : ", a, c"), u, f, b,
          CASE WHEN f <= \(now) AND f >= \(Self.floor) AND (s IN ('ready', 'claimed') OR s = 'scheduled' AND r = 1)
            THEN f END AS t,
          CASE WHEN b <= \(now) THEN w END AS k,
          CASE WHEN b <= \(now) THEN b END AS kt,
          CASE WHEN y = 1 AND (f IS NULL OR f < \(Self.floor) OR u > \(now) + \(Self.century)
              OR f > \(now) + \(Self.skew) AND NOT (s = 'scheduled' AND r = 0)) THEN 1 ELSE 0 END AS x
      FROM (
      \(selects.joined(separator: "\nUNION ALL\n").indented(2))
      ) events
      """
  }

  private static func eventIDs(waiting: [String], dead: [String], _ dialect: SQLDialect) -> String? {
    var branches: [String] = []
    if !waiting.isEmpty {
      let rows = classified(waiting, nil, dialect, withID: true).indented(2)
      branches.append("SELECT 'oldest' AS kind, id FROM (\n\(rows)\n) o WHERE t IS NOT NULL ORDER BY t LIMIT 5")
      branches.append("SELECT 'stuck' AS kind, id FROM (\n\(rows)\n) o WHERE kt IS NOT NULL ORDER BY kt LIMIT 5")
    }
    if !dead.isEmpty {
      let rows = dead.joined(separator: "\nUNION ALL\n").indented(2)
      branches.append("SELECT 'dead' AS kind, id FROM (\n\(rows)\n) o ORDER BY f DESC NULLS LAST LIMIT 5")
    }
    if branches.isEmpty { return nil }
    // SQLite takes a LIMIT inside a compound select only in a subquery.
    return branches.enumerated().map { "SELECT * FROM (\n\($1.indented(2))\n) b\($0)" }
      .joined(separator: "\nUNION ALL\n")
  }

  /// A loose index scan: one index probe per distinct value, however many rows there are.
  private static func states(
    _ queue: TableQueue, _ schema: QueueSchema, _ dialect: SQLDialect
  ) throws(LayoutProblem) -> String? {
    guard let role = queue.stateColumn, let column = queue.columns[role], case .column(let name) = column.value,
      let table = schema.tables[column.table], table.indexedColumns.contains(name)
    else { return nil }
    let state = "e." + SQLIdentifier.quoted(name)
    if dialect == .postgresql {
      // Not every type that has an order has a min().
      let cast = table.enums[name]?.underDomain.map { "::\($0)" } ?? ""
      return """
        WITH RECURSIVE v(x) AS (
          (SELECT \(state) FROM \(table.reference) e WHERE \(state) IS NOT NULL ORDER BY \(state) LIMIT 1)
          UNION ALL
          SELECT (SELECT \(state) FROM \(table.reference) e WHERE \(state)\(cast) > v.x\(cast) ORDER BY \(state) LIMIT 1)
          FROM v WHERE v.x IS NOT NULL
        )
        SELECT v.x::text FROM v WHERE v.x IS NOT NULL
        """
    }
    return """
      WITH RECURSIVE v(x) AS (
        SELECT min(\(state)) FROM \(table.reference) e
        UNION ALL
        SELECT (SELECT min(\(state)) FROM \(table.reference) e WHERE \(state) > v.x) FROM v WHERE v.x IS NOT NULL
      )
      SELECT CAST(v.x AS TEXT) FROM v WHERE v.x IS NOT NULL
      """
  }

  static func now(_ dialect: SQLDialect) -> String {
    dialect == .sqlite ? ":now" : "date_part('epoch', now())"
  }

  private static let floor = "\(earliestPlausibleTime)"
  private static let skew = "\(clockSkew)"
  /// A time ahead is first no longer impossible and then the beginning of an age.
  private static let nextFirstDue =
    "min(CASE WHEN f > :now + \(skew) THEN f - \(skew) WHEN f > :now THEN f END)"
  private static let century = "\(latestPlausibleDelay)"
}

extension QueueSchema {
  /// Columns by the quoted name of their table instead of its role.
  func references(_ columns: [String: Set<String>]) -> [String: [String]] {
    Dictionary(
      columns.compactMap { role, names in tables[role].map { ($0.reference, names) } },
      uniquingKeysWith: { $0.union($1) }
    ).mapValues { $0.sorted() }
  }
}

/// Writes the innermost selects: one per selection, each row's raw times and text.
struct SelectionWriter {
  private let queue: TableQueue
  private let schema: QueueSchema
  let dialect: SQLDialect
  /// True where the selects also bring a, the attempts that ended with a retry, and c, when the event was written.
  private let counts: Bool
  private var template: SQLTemplate

  init(queue: TableQueue, schema: QueueSchema, dialect: SQLDialect, counts: Bool = false) {
    self.counts = counts
    self.queue = queue
    self.schema = schema
    self.dialect = dialect
    self.template = SQLTemplate(queue: queue, schema: schema, dialect: dialect)
  }

  var usedColumns: [String: Set<String>] { template.usedColumns }
  var usesClock: Bool { template.usesClock }

  mutating func expand(_ source: String) throws(LayoutProblem) -> String { try template.expand(source) }

  mutating func moment(_ seconds: String, asIn role: String) throws(LayoutProblem) -> String? {
    try template.moment(seconds, asIn: role)
  }

  /// Notes a column that is read outside of the selects.
  mutating func use(_ role: String) throws(LayoutProblem) { _ = try template.expand("{\(role)}") }

  /// d destination, s state, r retry, f first due, u end of the temporary state, b begin of being stuck, w why,
  /// y whether the first due time is known to this database at all.
  ///
  /// - Parameter rows: a predicate that is SQL already, instead of the selection's template.
  mutating func select(
    _ selection: Selection, withID: Bool = false, rows given: String? = nil
  ) throws(LayoutProblem) -> String {
    guard let table = schema.tables[selection.table] else {
      throw .missingTable(role: selection.table, name: queue.tables[selection.table]?.name ?? selection.table)
    }
    let destination = try destination(selection.destination ?? queue.destination)
    let first = try time(selection.since)
    let rows: String = if let given { given } else { try template.expand(selection.rows) }
    var columns = ["\(destination) AS d"]
    if selection.state == .dead {
      columns.append("\(first.sql) AS f")
    } else {
      let until = try time(selection.until?.time)
      let state =
        if let changed = selection.until?.state {
          "CASE WHEN \(until.sql) > \(SampleQuery.now(dialect)) THEN '\(changed.rawValue)' "
            + "ELSE '\(selection.state.rawValue)' END"
        } else {
          "'\(selection.state.rawValue)'"
        }
      let retry = try template.expand(selection.retry)
      columns.append("\(state) AS s")
      columns.append("CASE WHEN \(retry) THEN 1 ELSE 0 END AS r")
      columns.append("\(first.sql) AS f")
      columns.append("\(until.sql) AS u")
      if let rule = selection.stuck {
        let begin = try time(rule.since)
        columns.append("CASE WHEN \(try template.expand(rule.rows)) THEN \(begin.sql) END AS b")
        columns.append("'\(rule.reason.rawValue)' AS w")
      } else {
        columns.append("\(dialect.noTime) AS b")
        columns.append("\(dialect == .postgresql ? "NULL::text" : "NULL") AS w")
      }
      let ages = selection.state == .ready || selection.state == .claimed || selection.state == .scheduled
      columns.append("\(ages && first.isKnown ? 1 : 0) AS y")
    }
    if withID, let id = selection.id {
      let value = try template.expand(id)
      columns.append(dialect == .postgresql ? "(\(value))::text AS id" : "CAST(\(value) AS TEXT) AS id")
    }
    if counts {
      let isMain = selection.table == TableQueue.mainTable
      let accounting = queue.accounting
      let retries = selection.state == .dead ? accounting.deadRetries ?? accounting.retries : accounting.retries
      columns.append("\(isMain ? try number(retries) : "0") AS a")
      columns.append("\(try time(isMain ? accounting.created.map { "{\($0).seconds}" } : nil).sql) AS c")
    }
    return "SELECT \(columns.joined(separator: ", "))\nFROM \(table.reference) e\nWHERE \(rows)"
  }

  /// What a template says, for a row without it zero.
  mutating func number(_ source: String?) throws(LayoutProblem) -> String {
    guard let source else { return "0" }
    return "COALESCE(\(try template.expand(source)), 0)"
  }

  /// SQL of a destination that is never empty.
  mutating func destination(_ source: String?) throws(LayoutProblem) -> String {
    guard let source else { return "'\(Snapshot.defaultDestination)'" }
    let value = try template.expand(source)
    if value == "NULL" { return "'\(Snapshot.defaultDestination)'" }
    // Byte order is enough to group by, and a locale's order costs many times as much.
    return dialect == .postgresql
      ? "COALESCE(NULLIF((\(value))::text, ''), '\(Snapshot.defaultDestination)') COLLATE \"C\""
      : "COALESCE(NULLIF(CAST(\(value) AS TEXT), ''), '\(Snapshot.defaultDestination)')"
  }

  /// A time in unix seconds, and whether the database has it at all.
  mutating func time(_ source: String?) throws(LayoutProblem) -> (sql: String, isKnown: Bool) {
    guard let source else { return (dialect.noTime, false) }
    let value = try template.expand(source)
    return value == "NULL" || value == dialect.noTime ? (dialect.noTime, false) : (value, true)
  }
}

extension String {
  func indented(_ spaces: Int) -> String {
    let margin = String(repeating: " ", count: spaces)
    return split(separator: "\n", omittingEmptySubsequences: false).map { margin + $0 }.joined(separator: "\n")
  }
}
