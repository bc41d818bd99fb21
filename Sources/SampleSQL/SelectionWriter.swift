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
  var isSteady: Bool { template.isSteady }

  mutating func expand(_ source: String) throws(LayoutProblem) -> String { try template.expand(source) }

  mutating func moment(_ seconds: String, asIn role: String) throws(LayoutProblem) -> String? {
    try template.moment(seconds, asIn: role)
  }

  /// Notes a column that is read outside of the selects.
  mutating func use(_ role: String) throws(LayoutProblem) { _ = try template.expand("{\(role)}") }

  /// The selects of rows, in as few passes as can be.
  mutating func selects(_ picked: [PickedRows], withID: Bool = false) throws(LayoutProblem) -> [String] {
    var passes: [Pass] = []
    // The type of an identifier is told by the main table's: two tables without any would make it a text.
    let isMain = { (rows: PickedRows) in rows.selection.table == TableQueue.mainTable }
    let ordered = tells ? picked.filter(isMain) + picked.filter { rows in !isMain(rows) } : picked
    for picked in ordered {
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
      guard parts.count > 1 else {
        return "SELECT \(list(parts.map(\.condition)))\nFROM \(first.source)\nWHERE \(first.all)"
      }
      let any = parts.map { "(\($0.condition))" }.joined(separator: " OR ")
      // The sign keeps SQLite from looking for an index for each part.
      let rows = dialect == .postgresql ? any : "(\(first.rows))\nAND +(\(any))"
      var names = SQLNames()
      for part in parts { for column in part.columns { names.add(column.sql) } }
      let isBare = names.words.contains("e") || names.words.contains { first.table.columns[$0] != nil }
      if dialect == .sqlite || isBare {
        return "SELECT \(list(parts.map(\.condition)))\nFROM \(first.source)\nWHERE \(rows)"
      }
      // Which part a row is in is found out once, and not anew for each column.
      let which = parts.dropLast().enumerated().map { "WHEN \($1.condition) THEN \($0)" }.joined(separator: " ")
      let columns =
        names.columns.sorted().map { "e.\($0)" } + ["CASE \(which) ELSE \(parts.count - 1) END AS \(Self.part)"]
      return """
        SELECT \(list(parts.indices.map { "e.\(Self.part) = \($0)" }))
        FROM (
          SELECT \(columns.joined(separator: ", "))
          FROM \(first.source)
          WHERE \(rows)
          OFFSET 0
        ) e
        """
    }

    private static let part = "\"part of the pass\""

    private func list(_ conditions: [String]) -> String {
      parts[0].columns.indices.map { "\(merged($0, conditions)) AS \(parts[0].columns[$0].name)" }.joined(
        separator: ", ")
    }

    /// What a column is in each part. The last needs no question: each row is in one of them.
    private func merged(_ index: Int, _ conditions: [String]) -> String {
      guard let last = parts.last?.columns[index].sql else { return "NULL" }
      let others = parts.indices.filter { parts[$0].columns[index].sql != last }
      if others.isEmpty { return last }
      let cases = others.map { "WHEN \(conditions[$0]) THEN \(parts[$0].columns[index].sql)" }
      return "CASE \(cases.joined(separator: " ")) ELSE \(last) END"
    }
  }

  /// The rows of one selection.
  private struct Part {
    var table: QueueSchema.Table
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
      table: table, source: source, rows: rows, only: only, columns: try columns(selection, withID: withID), pass: nil,
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

  /// d destination, s state, r retry (2 for a dead row, more for one of another table where rows are counted), f first due,
  /// u end of the temporary state, b begin of being stuck, w why, y whether the first due time is known to this database at
  /// all (2 for a dead row).
  private mutating func columns(
    _ selection: Selection, withID: Bool
  ) throws(LayoutProblem) -> [(name: String, sql: String)] {
    let first = try time(selection.since)
    let noText = dialect == .postgresql ? "NULL::text" : "NULL"
    var columns = [("d", try destination(selection.destination ?? queue.destination))]
    if selection.state == .dead {
      let isElsewhere = counts && selection.table != TableQueue.mainTable
      let retry = isElsewhere ? 2 + CountingCells.elsewhere : 2
      columns += [("s", "'dead'"), ("r", "\(retry)"), ("f", first.sql), ("u", dialect.noTime), ("b", dialect.noTime)]
      columns += [("w", noText), ("y", "2")]
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
        columns.append(("w", noText))
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

  /// What tells one row of a table from the others; NULL where the layout names no identifier.
  mutating func key(_ source: String?) throws(LayoutProblem) -> String {
    if let source { try template.expand(source) } else { "NULL" }
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
    var names = SQLNames()
    names.add(self)
    return names.words.contains("select")
  }
}

/// What a piece of SQL names.
private struct SQLNames {
  /// Words but for strings and for the quoted columns of the row; in small letters where they are not quoted.
  private(set) var words: Set<String> = []
  /// Quoted columns of the row `e`, with their quotes.
  private(set) var columns: Set<String> = []

  /// Adds what is named. Byte by byte: this is done for every column of every statement at the start.
  mutating func add(_ sql: String) {
    let bytes = Array(sql.utf8)
    var place = 0
    while place < bytes.count {
      switch bytes[place] {
      case UInt8(ascii: "'"): place = Self.end(ofQuoted: bytes, place)
      case UInt8(ascii: "\""):
        let end = Self.end(ofQuoted: bytes, place)
        // One that is never closed is the database's to complain of.
        if end > place + 1 { words.insert(String(decoding: bytes[(place + 1)..<(end - 1)], as: UTF8.self)) }
        place = end
      case let byte where Self.isInWord(byte):
        let start = place
        while place < bytes.count, Self.isInWord(bytes[place]) || Self.isDigit(bytes[place]) { place += 1 }
        let isRow = bytes[start..<place].elementsEqual([UInt8(ascii: "e")])
        if isRow, place + 1 < bytes.count, bytes[place] == UInt8(ascii: "."), bytes[place + 1] == UInt8(ascii: "\"") {
          let end = Self.end(ofQuoted: bytes, place + 1)
          columns.insert(String(decoding: bytes[(place + 1)..<end], as: UTF8.self))
          place = end
        } else {
          words.insert(String(decoding: bytes[start..<place], as: UTF8.self).lowercased())
        }
      default: place += 1
      }
    }
  }

  /// The place behind what is quoted; a quote that is doubled is part of it.
  private static func end(ofQuoted bytes: [UInt8], _ start: Int) -> Int {
    var place = start + 1
    while place < bytes.count {
      if bytes[place] == bytes[start] {
        guard place + 1 < bytes.count, bytes[place + 1] == bytes[start] else { return place + 1 }
        place += 1
      }
      place += 1
    }
    return place
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

  private static func isInWord(_ byte: UInt8) -> Bool {
    byte >= 0x80 || byte == UInt8(ascii: "_") || byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
      || byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
  }
}
