package import Layouts

/// Turns the templates of a layout into SQL for one database, and notes which columns they need.
///
/// In a template stand:
/// - `{role}`: the column of that role, quoted; NULL where an optional column is not there;
/// - `{role} = 'word'`, `<>`, `IN ('word', …)` and `NOT IN`: as it is written, so that the column's indexes serve, except
///   that the words which an enum column does not have are left out;
/// - `{role.seconds}`: the column's time in unix seconds;
/// - `{role.now}`, `{role.now-300}`: the store's clock, less 300 seconds, in the column's own encoding, so that an
///   index on the column serves the comparison;
/// - `{now}`: the store's clock in unix seconds;
/// - `{old:role}`, `{old:role.seconds}`: the same of the row before a change; only in what a ledger is told of changes;
/// - `{table:role}`: the table of that role, quoted, for a subquery; columns of it that the subquery names have to be
///   among the queue's columns, or no role is granted them;
/// - `{{` and `}}`: braces.
package struct SQLTemplate {
  private let queue: TableQueue
  private let schema: QueueSchema
  private let dialect: SQLDialect
  private var row: String
  private let oldRow: String?
  private let outlivesSchema: Bool
  private let clock: String
  private let references: [String: [String: String]]
  /// The columns that were used so far, by table role: what a role has to be granted.
  package private(set) var usedColumns: [String: Set<String>] = [:]
  /// True once a template has asked for the clock: what it says may then change without any write.
  package private(set) var usesClock = false
  /// False once a template may have asked for something else than the rows of the queue's tables; see ``SteadySQL``.
  package private(set) var isSteady = true

  /// An expander for one queue in one database.
  ///
  /// - Parameters:
  ///   - row: what a row is called in the statement that the templates are for.
  ///   - oldRow: what the row before a change is called; nil where nothing changes.
  ///   - outlivesSchema: true for SQL that stays when the schema changes. Words are then compared as text: an enum may get
  ///     one that it does not have today.
  ///   - clock: SQL of the store's clock in SQLite, where that is not a parameter.
  ///   - references: what stands for columns instead of their names, by what the row is called and the column's name.
  package init(
    queue: TableQueue, schema: QueueSchema, dialect: SQLDialect, row: String = "e", oldRow: String? = nil,
    outlivesSchema: Bool = false, clock: String = ":now", references: [String: [String: String]] = [:]
  ) {
    self.queue = queue
    self.schema = schema
    self.dialect = dialect
    self.row = row
    self.oldRow = oldRow
    self.outlivesSchema = outlivesSchema
    self.clock = clock
    self.references = references
  }

  /// Expands one template.
  ///
  /// - Throws: a placeholder that means nothing here, or a required column that the database does not have.
  package mutating func expand(_ template: String, depth: Int = 0) throws(LayoutProblem) -> String {
    // What came after a semicolon would be a statement of its own, outside of the read-only transaction if it began with
    // a COMMIT. In a literal it can be written as a character code.
    if template.utf8.contains(UInt8(ascii: ";")) {
      throw .template(text: template, problem: "it has a semicolon; write one statement")
    }
    isSteady = isSteady && (dialect == .sqlite || SteadySQL.isSteady(template))
    guard depth < 8 else { throw .template(text: template, problem: "its columns refer to each other in a circle") }
    var sql = ""
    var rest = Substring(template)
    while let brace = rest.utf8.firstIndex(where: { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") }) {
      sql += rest[..<brace]
      rest = rest[brace...]
      if rest.hasPrefix("{{") || rest.hasPrefix("}}") {
        sql.append(rest.removeFirst())
        rest.removeFirst()
        continue
      }
      guard rest.first == "{", let end = rest.utf8.firstIndex(of: UInt8(ascii: "}")) else {
        throw .template(text: template, problem: "it has a brace without its partner; write {{ or }} for a brace")
      }
      let name = rest[rest.index(after: brace)..<end]
      let value = try placeholder(name, in: template, depth: depth)
      rest = rest[rest.index(after: end)...]
      if let type = enumType(name), let comparison = WordComparison(rest) {
        sql += outlivesSchema ? "\(value)::text" + rest[..<comparison.end] : comparison.sql(value, type)
        rest = rest[comparison.end...]
      } else {
        sql += value
      }
    }
    return sql + rest
  }

  /// A time in unix seconds, itself SQL, in the encoding of the column of a role, so that an index on the column serves
  /// the comparison; nil where the column is not there, or keeps its times as text.
  ///
  /// - Throws: the queue has no such role.
  package mutating func moment(_ seconds: String, asIn role: String) throws(LayoutProblem) -> String? {
    guard let column = queue.columns[role] else {
      throw .template(text: "{\(role)}", problem: "{\(role)} is no column role")
    }
    guard case .column = column.value, let encoding = try value(role, column, depth: 0)?.encoding else { return nil }
    switch (dialect, encoding) {
    case (_, .iso8601), (.sqlite, .timestamptz), (.sqlite, .naiveUTC), (.sqlite, .naive): return nil
    case (.sqlite, .unixSeconds): return "CAST(\(seconds) AS INTEGER)"
    case (.sqlite, .unixFractionalSeconds): return seconds
    case (.sqlite, .unixMilliseconds): return "CAST((\(seconds)) * 1000 AS INTEGER)"
    case (.postgresql, .unixSeconds): return "floor(\(seconds))::bigint"
    case (.postgresql, .unixFractionalSeconds): return seconds
    case (.postgresql, .unixMilliseconds): return "floor((\(seconds)) * 1000)::bigint"
    case (.postgresql, .timestamptz): return "to_timestamp(\(seconds))"
    case (.postgresql, .naiveUTC): return "(to_timestamp(\(seconds)) AT TIME ZONE 'UTC')"
    case (.postgresql, .naive(let zone)):
      return "(to_timestamp(\(seconds)) AT TIME ZONE \(SQLIdentifier.literal(zone, .postgresql)))"
    }
  }

  private mutating func placeholder(
    _ name: Substring, in template: String, depth: Int
  ) throws(LayoutProblem) -> String {
    if name == "now" {
      usesClock = true
      return unixNow
    }
    if name.hasPrefix("table:") {
      isSteady = false
      let role = String(name.dropFirst("table:".count))
      guard let table = schema.tables[role] else {
        throw .template(text: template, problem: "there is no table with the role \(role)")
      }
      // A subquery names the columns of its table as they are; the queue declares which ones they are.
      for case .column(let column) in queue.columns.values.filter({ $0.table == role }).map(\.value)
      where table.columns[column] != nil {
        usedColumns[role, default: []].insert(column)
      }
      return table.reference
    }
    if name.hasPrefix("old:") {
      guard let oldRow else {
        throw .template(
          text: template, problem: "{\(name)}: only the `failed` and `released` of a ledger know a row before")
      }
      let newRow = row
      row = oldRow
      defer { row = newRow }
      return try placeholder(name.dropFirst("old:".count), in: template, depth: depth)
    }
    let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
    guard let role = parts.first, let column = queue.columns[role] else {
      let roles = queue.columns.keys.sorted().joined(separator: ", ")
      throw .template(text: template, problem: "{\(name)} is no column role; the roles are \(roles)")
    }
    guard let value = try value(role, column, depth: depth) else {
      return parts.last == "seconds" && parts.count == 2 ? dialect.noTime : "NULL"
    }
    guard parts.count == 2 else { return value.sql }
    guard let encoding = value.encoding else {
      throw .template(text: template, problem: "the column role \(role) has no time encoding")
    }
    if parts[1] == "seconds" {
      // Such a text may say `now`.
      if encoding == .iso8601 { isSteady = false }
      return seconds(value.sql, encoding)
    }
    guard parts[1].hasPrefix("now"), let offset = offset(parts[1].dropFirst(3)) else {
      throw .template(text: template, problem: "{\(name)}: after the dot comes seconds, now, now-N or now+N")
    }
    usesClock = true
    guard let now = now(offset, encoding) else {
      throw .template(
        text: template, problem: "times kept as text do not compare as text; compare {\(role).seconds} with {now}")
    }
    return now
  }

  /// The type of the column that a placeholder stands for, where it is an enum.
  private func enumType(_ placeholder: Substring) -> QueueSchema.EnumType? {
    let role = placeholder.hasPrefix("old:") ? placeholder.dropFirst("old:".count) : placeholder
    guard let column = queue.columns[String(role)], case .column(let name) = column.value else { return nil }
    return schema.tables[column.table]?.enums[name]
  }

  private mutating func value(
    _ role: String, _ column: ColumnDefinition, depth: Int
  ) throws(LayoutProblem) -> (sql: String, encoding: TimeEncoding?)? {
    guard let table = schema.tables[column.table] else { return nil }
    switch column.value {
    case .column(let name):
      guard let type = table.columns[name] else {
        if column.isOptional { return nil }
        throw .missingColumn(
          role: role, name: name, table: queue.tables[column.table]?.name ?? column.table,
          available: table.columns.keys.sorted())
      }
      usedColumns[column.table, default: []].insert(name)
      let cast = outlivesSchema ? "" : table.enums[name]?.underDomain.map { "::\($0)" } ?? ""
      let reference = references[row]?[name] ?? "\(row)." + SQLIdentifier.quoted(name)
      return (reference + cast, encoding(column.encoding, type))
    case .expression(let template):
      return ("(" + (try expand(template, depth: depth + 1)) + ")", column.encoding)
    }
  }

  /// PostgreSQL says by the type what a column holds; only a naive timestamp may be in a zone that it cannot tell.
  private func encoding(_ declared: TimeEncoding?, _ type: String) -> TimeEncoding? {
    guard dialect == .postgresql, declared != nil else { return declared }
    if type.hasSuffix("with time zone") { return .timestamptz }
    guard type.hasPrefix("timestamp") else { return declared }
    if case .naive = declared { return declared }
    return .naiveUTC
  }

  private var unixNow: String { dialect == .sqlite ? clock : "date_part('epoch', now())" }

  private func seconds(_ sql: String, _ encoding: TimeEncoding) -> String {
    switch (dialect, encoding) {
    case (.sqlite, .unixSeconds), (.sqlite, .unixFractionalSeconds): "(\(sql) * 1.0)"
    case (.sqlite, .unixMilliseconds): "(\(sql) / 1000.0)"
    case (.sqlite, _): "((julianday(\(sql)) - 2440587.5) * 86400.0)"
    case (.postgresql, .unixSeconds), (.postgresql, .unixFractionalSeconds): "(\(sql))::float8"
    case (.postgresql, .unixMilliseconds): "((\(sql))::float8 / 1000.0)"
    // The epoch of a naive timestamp is taken as if it were UTC, whatever the session's zone.
    case (.postgresql, .timestamptz), (.postgresql, .naiveUTC): "date_part('epoch', \(sql))"
    case (.postgresql, .naive(let zone)):
      "date_part('epoch', \(sql) AT TIME ZONE \(SQLIdentifier.literal(zone, .postgresql)))"
    case (.postgresql, .iso8601): "date_part('epoch', (\(sql))::timestamptz)"
    }
  }

  private func now(_ offset: Int, _ encoding: TimeEncoding) -> String? {
    let moved = offset < 0 ? " - \(-offset)" : offset > 0 ? " + \(offset)" : ""
    switch (dialect, encoding) {
    case (_, .iso8601), (.sqlite, .timestamptz), (.sqlite, .naiveUTC), (.sqlite, .naive): return nil
    case (.sqlite, .unixSeconds): return "CAST(\(clock)\(moved) AS INTEGER)"
    case (.sqlite, .unixFractionalSeconds): return "(\(clock)\(moved))"
    case (.sqlite, .unixMilliseconds): return "CAST((\(clock)\(moved)) * 1000 AS INTEGER)"
    case (.postgresql, .unixSeconds): return "floor(extract(epoch from now())\(moved))::bigint"
    case (.postgresql, .unixFractionalSeconds): return "(date_part('epoch', now())\(moved))"
    case (.postgresql, .unixMilliseconds): return "floor((extract(epoch from now())\(moved)) * 1000)::bigint"
    case (.postgresql, .timestamptz): return interval(offset)
    case (.postgresql, .naiveUTC): return "(\(interval(offset)) AT TIME ZONE 'UTC')"
    case (.postgresql, .naive(let zone)):
      return "(\(interval(offset)) AT TIME ZONE \(SQLIdentifier.literal(zone, .postgresql)))"
    }
  }

  private func interval(_ offset: Int) -> String {
    offset == 0 ? "now()" : "(now() \(offset < 0 ? "-" : "+") interval '\(abs(offset)) seconds')"
  }

  private func offset(_ text: Substring) -> Int? {
    if text.isEmpty { return 0 }
    return Int(text.filter { $0 != " " })
  }
}
