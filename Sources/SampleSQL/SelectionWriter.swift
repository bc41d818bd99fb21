import Layouts
import Outbox

/// Rows of one table that a statement picks, and what they are.
struct PickedRows {
  let selection: Selection
  /// A predicate that is SQL already, instead of the selection's template.
  var rows: String?

  init(_ selection: Selection) { self.selection = selection }

  init(_ selection: Selection, rows: String) {
    self.selection = selection
    self.rows = rows
  }

  var isDead: Bool { selection.state == .dead }
}

/// The innermost selects of a statement.
struct Events: Sendable, Hashable {
  /// Those of the rows that wait; in PostgreSQL those of the dead ones are the same.
  let selects: [String]
  /// In SQLite those of the dead rows.
  let dead: [String]

  init(_ picked: [PickedRows], _ writer: inout SelectionWriter) throws(LayoutProblem) {
    let isOnePass = writer.dialect == .postgresql
    selects = try writer.selects(picked.filter { isOnePass || !$0.isDead })
    dead = isOnePass ? [] : try writer.selects(picked.filter(\.isDead))
  }
}

/// Writes the innermost selects: each row's raw times and text. No row is read twice where that can be helped.
///
/// PostgreSQL reads all rows of a table in one pass: it looks each page up once, whatever number of index entries lead to
/// it. A predicate with a subquery has a pass of its own, since PostgreSQL joins it only where it stands alone. SQLite
/// looks up row by row, and one index for each part of an OR: there the selections with the same `rows` share a pass.
struct SelectionWriter {
  private let queue: TableQueue
  private let schema: QueueSchema
  let dialect: SQLDialect
  /// True where the selects also bring a, the attempts that ended with a retry, and c, when the event was written.
  private let counts: Bool
  /// True where they bring i as well, what tells the rows of a cell apart.
  private let tells: Bool
  /// What is read of each table, by role, where the selects bring g too: how many rows a row stands for.
  private let parts: [String: TablePart]?
  private var template: SQLTemplate

  init(
    queue: TableQueue, schema: QueueSchema, dialect: SQLDialect, counts: Bool = false, tells: Bool = false,
    parts: [String: TablePart]? = nil
  ) {
    self.counts = counts
    self.tells = tells
    self.parts = parts
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

  /// The selects of rows, in as few passes as can be.
  mutating func selects(_ picked: [PickedRows], withID: Bool = false) throws(LayoutProblem) -> [String] {
    var passes: [Pass] = []
    for picked in picked {
      let part = try part(picked, withID: withID)
      if let index = passes.firstIndex(where: { $0.shares(part) }) {
        passes[index].parts.append(part)
      } else {
        passes.append(Pass(parts: [part]))
      }
    }
    return passes.map { $0.select(dialect) }
  }

  /// Rows that are read together.
  private struct Pass {
    var parts: [Part]

    func shares(_ part: Part) -> Bool {
      guard let own = parts.first?.pass, let other = part.pass else { return false }
      return own == other
    }

    func select(_ dialect: SQLDialect) -> String {
      let first = parts[0]
      let columns = first.columns.indices.map { "\(merged($0)) AS \(first.columns[$0].name)" }
      let head = "SELECT \(columns.joined(separator: ", "))\nFROM \(first.source)\n"
      guard parts.count > 1 else { return head + "WHERE \(first.all)" }
      if dialect == .postgresql { return head + "WHERE " + parts.map { "(\($0.all))" }.joined(separator: " OR ") }
      // The sign keeps SQLite from looking for an index for each part.
      return head + "WHERE (\(first.rows))\nAND +(" + parts.map { "(\($0.condition))" }.joined(separator: " OR ") + ")"
    }

    /// What a column is in each part. The last needs no question: each row is in one of them.
    private func merged(_ index: Int) -> String {
      guard let last = parts.last?.columns[index].sql else { return "NULL" }
      let others = parts.filter { $0.columns[index].sql != last }
      if others.isEmpty { return last }
      let cases = others.map { "WHEN \($0.condition) THEN \($0.columns[index].sql)" }
      return "CASE \(cases.joined(separator: " ")) ELSE \(last) END"
    }
  }

  /// The rows of one selection.
  private struct Part {
    /// The table as `e`, or some of it.
    var source: String
    var rows: String
    /// What picks among the rows.
    var only: String?
    var columns: [(name: String, sql: String)]
    /// Parts that have the same are read in one pass; nil for a pass of its own.
    var pass: String?
    /// What tells the part from the others of its pass.
    var condition: String

    /// The whole predicate.
    var all: String { only.map { "(\(rows)) AND (\($0))" } ?? rows }
  }

  private mutating func part(_ picked: PickedRows, withID: Bool) throws(LayoutProblem) -> Part {
    let selection = picked.selection
    guard let table = schema.tables[selection.table] else {
      throw .missingTable(role: selection.table, name: queue.tables[selection.table]?.name ?? selection.table)
    }
    var rows: String = if let given = picked.rows { given } else { try template.expand(selection.rows) }
    var source = "\(table.reference) e"
    switch parts?[selection.table] {
    case nil, .whole: break
    case .blocks(let percent, let seed): source += " TABLESAMPLE SYSTEM (\(percent)) REPEATABLE (\(seed))"
    case .ranges(let ranges, _):
      // In the order in which they stand: each range is searched for, and nothing else of the table is read.
      let values = ranges.map { "(\($0.lowerBound), \($0.upperBound))" }.joined(separator: ", ")
      source = "(SELECT column1 AS low, column2 AS high FROM (VALUES \(values))) part CROSS JOIN \(source) NOT INDEXED"
      rows = "e.rowid >= part.low AND e.rowid < part.high AND (\(rows))"
    }
    var only: String?
    if let source = selection.only { only = try template.expand(source) }
    var part = Part(
      source: source, rows: rows, only: only, columns: try columns(selection, withID: withID), pass: nil,
      condition: only ?? "true")
    switch dialect {
    case .postgresql:
      part.condition = part.all
      if !part.all.hasSubquery { part.pass = table.reference }
    case .sqlite:
      if only != nil { part.pass = "\(table.reference) \(rows)" }
    }
    return part
  }

  /// d destination, s state, r retry (2 for a dead row), f first due, u end of the temporary state, b begin of being
  /// stuck, w why, y whether the first due time is known to this database at all (2 for a dead row).
  private mutating func columns(
    _ selection: Selection, withID: Bool
  ) throws(LayoutProblem) -> [(name: String, sql: String)] {
    let first = try time(selection.since)
    var columns = [("d", try destination(selection.destination ?? queue.destination))]
    if selection.state == .dead {
      if dialect == .postgresql {
        columns += [("s", "'dead'"), ("r", "2"), ("f", first.sql), ("u", dialect.noTime), ("b", dialect.noTime)]
        columns += [("w", "NULL::text"), ("y", "2")]
      } else {
        columns.append(("f", first.sql))
      }
    } else {
      let until = try time(selection.until?.time)
      let state =
        if let changed = selection.until?.state {
          "CASE WHEN \(until.sql) > \(SampleQuery.now(dialect)) THEN '\(changed.rawValue)' "
            + "ELSE '\(selection.state.rawValue)' END"
        } else {
          "'\(selection.state.rawValue)'"
        }
      columns.append(("s", state))
      columns.append(("r", "CASE WHEN \(try template.expand(selection.retry)) THEN 1 ELSE 0 END"))
      columns += [("f", first.sql), ("u", until.sql)]
      if let rule = selection.stuck {
        let begin = try time(rule.since)
        columns.append(("b", "CASE WHEN \(try template.expand(rule.rows)) THEN \(begin.sql) END"))
        columns.append(("w", "'\(rule.reason.rawValue)'"))
      } else {
        columns.append(("b", dialect.noTime))
        columns.append(("w", dialect == .postgresql ? "NULL::text" : "NULL"))
      }
      let ages = selection.state == .ready || selection.state == .claimed || selection.state == .scheduled
      columns.append(("y", ages && first.isKnown ? "1" : "0"))
    }
    if let parts { columns.append(("g", "\((parts[selection.table] ?? .whole).weight)")) }
    if withID, let id = selection.id {
      let value = try template.expand(id)
      columns.append(("id", dialect == .postgresql ? "(\(value))::text" : "CAST(\(value) AS TEXT)"))
    }
    if counts {
      let isMain = selection.table == TableQueue.mainTable
      let accounting = queue.accounting
      let retries = selection.state == .dead ? accounting.deadRetries ?? accounting.retries : accounting.retries
      columns.append(("a", isMain ? try number(retries) : "0"))
      columns.append(("c", try time(isMain ? accounting.created.map { "{\($0).seconds}" } : nil).sql))
      // A row is the same one in whatever state it is.
      if tells { columns.append(("i", try key(isMain ? queue.key : nil))) }
    }
    return columns
  }

  /// What tells one row of a table from the others, as a short word; nothing where the layout names no identifier.
  mutating func key(_ source: String?) throws(LayoutProblem) -> String {
    guard let source else { return "''" }
    let value = try template.expand(source)
    if value == "NULL" { return "''" }
    return switch dialect {
    case .postgresql:
      "left(encode(int8send(hashtextextended((\(value))::text COLLATE \"C\", 0)), 'base64'), 8)"
    case .sqlite: "hex(\(value))"
    }
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
  fileprivate var hasSubquery: Bool {
    split { !($0.isLetter || $0.isNumber || $0 == "_") }.contains { $0.lowercased() == "select" }
  }
}
