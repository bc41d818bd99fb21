package import Layouts
import Outbox

/// The statements that sample one queue of one database: exact text, ready to be run or shown.
///
/// Times come back as unix seconds and never as ages, so that an unchanged database need not be read again for its
/// ages to grow.
package struct SampleQuery: Sendable, Hashable {
  /// Answers the distinct values of the state column by skipping through an index; nil where no index serves.
  package let states: String?
  /// True where the layout's own SQL asks for the clock, so that time alone may change which rows it picks, and not only
  /// at the times that ``figures`` names.
  package let dependsOnClock: Bool
  /// True where nothing but a change of the tables' rows, and the times that ``figures`` names, can change the figures: the
  /// layout's own SQL is known to ask for nothing else. See ``SteadySQL``.
  package let isSteady: Bool
  /// The figures estimated from a part of the table.
  package let estimate: EstimateQuery

  private let events: [String]
  private let queue: TableQueue
  private let schema: QueueSchema
  private let dialect: SQLDialect
  private let unknownStates: [StoredState]
  private let objective: Duration?

  /// The earliest time that can be true: 2000-01-01. Earlier ones are zeros, unset clocks or wrong units.
  package static let earliestPlausibleTime: Double = 946_684_800
  /// How far ahead of the store a writer's clock may be, in seconds, before its times count as impossible. Clocks of two
  /// hosts always differ a little, and a sample that waited for a lock looks back.
  package static let clockSkew: Double = 1
  /// A due time later than this many seconds ahead is a wrong unit, not a plan: a hundred years.
  package static let latestPlausibleDelay: Double = 3_155_760_000

  /// Works out how one queue's rows are read. The statements are written when they are asked for: `--once` has no use for
  /// most of them, and a process with hundreds of outboxes need not keep them.
  ///
  /// - Parameters:
  ///   - unknownStates: values of the state column that the layout does not know, as ``states`` found them.
  ///   - objective: the age beyond which waiting events are counted as overdue; nil counts none.
  /// - Throws: the database lacks a required table or column, or a template is wrong.
  package init(
    queue: TableQueue, schema: QueueSchema, dialect: SQLDialect, unknownStates: [StoredState] = [],
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
    let picked = queue.selections.filter { schema.tables[$0.table] != nil }.map(PickedRows.init)
    let unknown = try Self.unknownRows(queue, schema, unknownStates, &writer)
    events = try writer.selects(picked + unknown)
    estimate = EstimateQuery(
      queue: queue, schema: schema, dialect: dialect, unknownStates: unknownStates, objective: objective)
    states = try Self.states(queue, schema, dialect)
    dependsOnClock = writer.usesClock && !queue.untilCoversClock
    isSteady = writer.isSteady && !dependsOnClock
    self.queue = queue
    self.schema = schema
    self.dialect = dialect
    self.unknownStates = unknownStates
    self.objective = objective
  }

  /// Answers one row per destination, state, retry and stuck reason; see ``FigureRow``.
  package var figures: String { Self.figures(events, nil, dialect, objective: objective) }

  /// Answers (kind, id) with kind `oldest`, `stuck` or `dead`, up to five of each; nil where the layout names no id.
  ///
  /// - Throws: a template that is wrong.
  package func eventIDs() throws(LayoutProblem) -> String? {
    var writer = SelectionWriter(queue: queue, schema: schema, dialect: dialect)
    return try Self.eventIDs(of: present.filter { $0.selection.id != nil }, &writer)
  }

  /// The columns that the figures and the identifiers are read from, by the table's quoted name: what a role has to be
  /// granted.
  ///
  /// - Throws: a template that is wrong.
  package func columns() throws(LayoutProblem) -> [String: [String]] {
    var writer = SelectionWriter(queue: queue, schema: schema, dialect: dialect)
    _ = try writer.selects(present + Self.unknownRows(queue, schema, unknownStates, &writer))
    _ = try Self.eventIDs(of: present.filter { $0.selection.id != nil }, &writer)
    if let role = queue.stateColumn { try writer.use(role) }
    return schema.references(writer.usedColumns)
  }

  /// The figures once more, with what counts movements.
  ///
  /// - Throws: a template that is wrong.
  package func accounting() throws(LayoutProblem) -> AccountingQuery {
    try AccountingQuery(
      queue: queue, schema: schema, dialect: dialect, unknownStates: unknownStates, objective: objective)
  }

  /// The first rows alone.
  ///
  /// - Throws: a template that is wrong.
  package func head() throws(LayoutProblem) -> HeadQuery {
    try HeadQuery(queue: queue, schema: schema, dialect: dialect)
  }

  /// The selections of the tables that are there.
  private var present: [PickedRows] {
    queue.selections.filter { schema.tables[$0.table] != nil }.map(PickedRows.init)
  }

  /// Rows in a state that the layout does not know, NULL among them, where an index leads to them.
  static func unknownRows(
    _ queue: TableQueue, _ schema: QueueSchema, _ values: [StoredState], _ writer: inout SelectionWriter
  ) throws(LayoutProblem) -> [PickedRows] {
    guard let role = queue.stateColumn, let definition = queue.columns[role], definition.table == TableQueue.mainTable,
      case .column(let name) = definition.value,
      let table = schema.tables[TableQueue.mainTable], table.indexedColumns.contains(name)
    else { return [] }
    let unknown = Selection(rows: "{\(role)} IS NULL", state: .unknown, since: nil, id: nil)
    var picked: [PickedRows] = []
    // To some layouts NULL means something.
    let isKnown =
      table.filledColumns.contains(name)
      || queue.selections.contains { $0.predicate.contains(unknown.rows) || $0.predicate.contains("({\(role)}") }
    if !isKnown { picked.append(PickedRows(unknown)) }
    if !values.isEmpty {
      let list = values.map(\.literal).joined(separator: ", ")
      picked.append(PickedRows(unknown, rows: "\(try writer.expand("{\(role)}")) IN (\(list))"))
    }
    return picked
  }

  /// One row for each group of waiting and of dead rows; see ``FigureRow``. All come from one pass; dead rows stand beyond
  /// the two kinds of retry, from 2 on, and up by the cell of their death.
  ///
  /// - Parameter isWeighted: whether each row stands for g rows.
  static func figures(
    _ selects: [String], _ cells: CountingCells?, _ dialect: SQLDialect, objective: Duration?, isWeighted: Bool = false
  ) -> String {
    if selects.isEmpty { return "SELECT NULL WHERE false" }
    let count = RowCount(dialect, isWeighted: isWeighted)
    let rows = classified(selects, cells, dialect, isWeighted: isWeighted)
    return dialect == .postgresql
      ? ranking(rows, cells, count, objective)
      : bringingTimes(rows, cells, count, objective.map { "\(now(dialect)) - \($0.seconds)" })
  }

  static func sum(_ column: String, _ dialect: SQLDialect) -> String {
    "COALESCE(sum(\(column)), 0)" + (dialect == .postgresql ? "::bigint" : "")
  }

  /// SQLite has nothing that finds quantiles, and a window over all rows costs many times as much as reading them: each
  /// group brings its times, in microseconds, and the reader ranks them.
  ///
  /// - Parameter deadline: SQL of the latest first due time of an overdue event.
  private static func bringingTimes(
    _ rows: String, _ cells: CountingCells?, _ count: RowCount, _ deadline: String?
  ) -> String {
    let overdue = deadline.map { count.of("r < 2 AND t < \($0)") } ?? "0"
    // When the next one is overdue: an unchanged file is read again then.
    let next = deadline.map { "min(CASE WHEN r < 2 AND t >= \($0) THEN t - (\($0)) + :now END)" } ?? "NULL"
    return """
      SELECT d, s, \(retryOrCell), k, \(count.all), min(t),
          group_concat(CASE WHEN r < 2 THEN CAST(round(t * 1000000) AS INTEGER) END), NULL, min(kt), \(count.of("x = 1")),
          min(CASE WHEN u > :now THEN u END), \(nextFirstDue), min(CASE WHEN b > :now THEN b END), \(overdue), \(next)\
      \(cells.map { ",\n    \(sum("a", .sqlite)), \($0.written(.sqlite)), \(dead($0))" } ?? "")
      FROM (
      \(rows.indented(2))
      ) c
      GROUP BY d, s, r, k
      """
  }

  private static func dead(_ cells: CountingCells) -> String {
    cells.finished("f", where: "r >= 2 AND \(cells.isTold(time: "f"))", .sqlite)
  }

  private static let retryOrCell = "CASE WHEN r < 2 THEN r ELSE r - 2 END"

  /// PostgreSQL finds the quantiles of each destination and retry by itself, in a row of its own that counts nothing. The
  /// rows that count have in the median's place when time alone will change them.
  private static func ranking(
    _ rows: String, _ cells: CountingCells?, _ count: RowCount, _ objective: Duration?
  ) -> String {
    let deadline = objective.map { "\(now(.postgresql)) - \($0.seconds)" }
    let overdue = deadline.map { count.of("r < 2 AND t < \($0)") } ?? "0"
    let nextOverdue = objective.map {
      "min(CASE WHEN r < 2 AND t >= \(now(.postgresql)) - \($0.seconds) THEN t END) + \($0.seconds)"
    }
    let next = nextOverdue.map { "least(min(z), \($0))" } ?? "min(z)"
    // When an estimate changes does not matter: it is never given twice.
    let nextOrNone = count.isWeighted ? "" : " ELSE ARRAY[\(next)]"
    return """
      SELECT d, s, \(retryOrCell), k, n, t, q[1], q[2], kt, x, o\(cells == nil ? "" : ", a, c, i")
      FROM (
        SELECT d, COALESCE(s, 'ready') AS s, r, k, CASE WHEN grouping(s) = 0 THEN \(count.all) ELSE 0 END AS n, min(t) AS t,
            CASE WHEN grouping(s) = 1
              THEN percentile_disc(ARRAY[0.5, 0.99]::float8[]) WITHIN GROUP (ORDER BY t DESC)\(nextOrNone) END AS q,
            CASE WHEN grouping(s) = 0 THEN min(kt) END AS kt,
            CASE WHEN grouping(s) = 0 THEN \(count.of("x = 1")) ELSE 0 END AS x,
            CASE WHEN grouping(s) = 0 THEN \(overdue) ELSE 0 END AS o\(cells.map(countedColumns) ?? "")
        FROM (
      \(rows.indented(4))
        ) c
        GROUP BY GROUPING SETS ((d, r, s, k), (d, r))
        HAVING grouping(s) = 0 OR r < 2
      ) figures
      """
  }

  private static func countedColumns(_ cells: CountingCells) -> String {
    """
    ,
            CASE WHEN grouping(s) = 0 THEN \(sum("a", .postgresql)) ELSE 0 END AS a,
            CASE WHEN grouping(s) = 0 THEN \(cells.written(.postgresql)) END AS c,
            \(cells.finished("f", where: cells.isTold(number: "(r - 2) % \(CountingCells.elsewhere)"), .postgresql)) AS i
    """
  }

  /// Gives every row its state at this moment, the time its age starts (t), why and since when it is stuck (k, kt),
  /// whether its times can be true (x), and when time alone changes one of these (z). Of a dead row t is when it died.
  private static func classified(
    _ selects: [String], _ cells: CountingCells?, _ dialect: SQLDialect, withID: Bool = false,
    isWeighted: Bool = false
  ) -> String {
    let now = now(dialect)
    let retry = cells.map { "CASE WHEN r < 2 THEN r ELSE r + \($0.number("f", dialect)) END AS r" } ?? "r"
    let counted = cells.map { $0.told == nil ? ", a, c" : ", a, c, i" } ?? ""
    // Computed here, it is one column to be sorted and not three.
    let next = dialect == .sqlite || withID || isWeighted ? "" : ",\n    \(nextChange) AS z"
    // So that each column is computed once, and not anew wherever it is used.
    let barrier = dialect == .postgresql ? "OFFSET 0" : "LIMIT -1"
    return """
      SELECT d, s, \(retry)\(withID ? ", id" : "")\(isWeighted ? ", g" : "")\(counted), u, f, b,
          \(firstDue(now)) AS t,
          CASE WHEN b <= \(now) THEN w END AS k,
          CASE WHEN b <= \(now) THEN b END AS kt,
          CASE WHEN y = 1 AND (f IS NULL OR f < \(Self.floor) OR u > \(now) + \(Self.century)
              OR f > \(now) + \(Self.skew) AND NOT (s = 'scheduled' AND r = 0))
            OR y = 2 AND (f < \(Self.floor) OR f > \(now) + \(Self.skew)) THEN 1 ELSE 0 END AS x\(next)
      FROM (
      \(selects.joined(separator: "\nUNION ALL\n").indented(2))
        \(barrier)
      ) events
      """
  }

  /// The first due time of a row whose age counts, and when a dead one died.
  static func firstDue(_ now: String) -> String {
    "CASE WHEN f <= \(now) AND f >= \(floor) AND (s IN ('ready', 'claimed', 'dead') OR s = 'scheduled' AND r = 1) "
      + "THEN f END"
  }

  private static func eventIDs(
    of named: [PickedRows], _ writer: inout SelectionWriter
  ) throws(LayoutProblem) -> String? {
    let waiting = try writer.selects(named.filter { !$0.isDead }, withID: true)
    let dead = try writer.selects(named.filter(\.isDead), withID: true)
    var branches: [String] = []
    if !waiting.isEmpty {
      let rows = classified(waiting, nil, writer.dialect, withID: true).indented(2)
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
      SELECT typeof(v.x), v.x FROM v WHERE v.x IS NOT NULL
      """
  }

  static func now(_ dialect: SQLDialect) -> String {
    // As a query of its own it is computed once, not for every row.
    dialect == .sqlite ? ":now" : "(SELECT date_part('epoch', now()))"
  }

  /// When a row changes its state, gets an age, gets stuck or turns out to be plausible.
  private static var nextChange: String {
    let now = now(.postgresql)
    // One question for the many rows that time does not change.
    return """
      CASE WHEN greatest(f, u, b) > \(now) THEN least(
            CASE WHEN f > \(now) + \(skew) THEN f - \(skew) WHEN f > \(now) THEN f END,
            CASE WHEN u > \(now) + \(century) THEN u - \(century) WHEN u > \(now) THEN u END,
            CASE WHEN b > \(now) THEN b END) END
      """
  }

  private static let floor = "\(earliestPlausibleTime)"
  private static let skew = "\(clockSkew)"
  /// A time ahead is first no longer impossible and then the beginning of an age.
  private static let nextFirstDue =
    "min(CASE WHEN f > :now + \(skew) THEN f - \(skew) WHEN f > :now THEN f END)"
  private static let century = "\(latestPlausibleDelay)"
}

/// How many rows there are: those that were read, or those that they stand for.
private struct RowCount {
  let isWeighted: Bool
  private let dialect: SQLDialect

  init(_ dialect: SQLDialect, isWeighted: Bool) {
    self.dialect = dialect
    self.isWeighted = isWeighted
  }

  var all: String { isWeighted ? whole("sum(g)") : "count(*)" }

  /// Those that something is true of.
  func of(_ condition: String) -> String {
    let sum = "sum(CASE WHEN \(condition) THEN \(isWeighted ? "g" : "1") ELSE 0 END)"
    return isWeighted ? whole(sum) : sum
  }

  private func whole(_ sum: String) -> String {
    dialect == .postgresql ? "round(\(sum))::bigint" : "CAST(round(\(sum)) AS INTEGER)"
  }
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

extension String {
  func indented(_ spaces: Int) -> String {
    let margin = String(repeating: " ", count: spaces)
    // By bytes: comparing characters would cost more than all else that is done to write a statement.
    return utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .map { margin + Substring($0) }.joined(separator: "\n")
  }
}
