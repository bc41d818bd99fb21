import Layouts
import PostgreSQLClient
import SampleSQL

/// What a database has of the tables that the queues of a layout name.
struct PostgreSQLTables {
  /// The tables and columns that are there, by the queue's index.
  private(set) var schemas: [Int: QueueSchema] = [:]
  /// Tables from which row-level security would hide rows.
  private(set) var underRowSecurity: [String] = []

  /// Numbers of the types about which ``PostgreSQLMessage/types(_:)`` has to be asked, each with its columns.
  private(set) var unreadTypes: [Int: [ColumnPlace]] = [:]

  /// A column of a table of a queue.
  struct ColumnPlace {
    var queue: Int
    var role: String
    var column: String
  }

  /// A table that a queue names.
  struct WantedTable {
    var queue: Int
    var role: String
    /// nil for the one that the bare name means.
    var schema: String?
    var name: String
  }

  /// The tables that queues name.
  static func wanted(by queues: [TableQueue]) -> [WantedTable] {
    queues.enumerated().flatMap { index, queue in
      queue.tables.sorted { $0.key < $1.key }.map { role, table in
        let parts = SQLIdentifier.parts(table.name)
        return WantedTable(
          queue: index, role: role, schema: parts.count > 1 ? parts[parts.count - 2] : nil, name: parts.last ?? "")
      }
    }
  }

  /// Reads the answer to ``PostgreSQLMessage/columns(of:)``.
  init(_ columns: PostgreSQLResult, of queues: [TableQueue]) {
    let wanted = Self.wanted(by: queues)
    var hidden: Set<String> = []
    var last = (identity: "", parts: [String]())
    for row in 0..<columns.rowCount {
      guard let identity = columns.text(row, 0), let column = columns.text(row, 3), let type = columns.text(row, 4)
      else { continue }
      if identity != last.identity { last = (identity, SQLIdentifier.parts(identity)) }
      let parts = last.parts
      guard parts.count == 2 else { continue }
      let isVisible = columns.truth(row, 1) == true
      let meant = wanted.filter { $0.name == parts[1] && ($0.schema.map { $0 == parts[0] } ?? isVisible) }
      if !meant.isEmpty, columns.truth(row, 2) == true, hidden.insert(identity).inserted {
        underRowSecurity.append("\(parts[0]).\(parts[1])")
      }
      for table in meant {
        let reference = "\(SQLIdentifier.quoted(parts[0])).\(SQLIdentifier.quoted(parts[1]))"
        var found =
          schemas[table.queue]?.tables[table.role] ?? QueueSchema.Table(reference: reference, columns: [:])
        found.columns[column] = type
        if columns.truth(row, 5) == true { found.indexedColumns.insert(column) }
        if columns.truth(row, 6) == true { found.filledColumns.insert(column) }
        schemas[table.queue, default: QueueSchema(tables: [:])].tables[table.role] = found
        if let number = columns.integer(row, 7) {
          unreadTypes[number, default: []].append(
            ColumnPlace(queue: table.queue, role: table.role, column: column))
        }
      }
    }
  }

  /// Reads the answer to ``PostgreSQLMessage/types(_:)``.
  mutating func take(_ types: PostgreSQLResult) {
    for row in 0..<types.rowCount {
      guard let number = types.integer(row, 0), let type = types.text(row, 1) else { continue }
      let underDomain = types.truth(row, 2) == true ? type : nil
      for place in unreadTypes[number, default: []] {
        schemas[place.queue]?.tables[place.role]?.columns[place.column] = type
        guard let word = types.text(row, 3) else { continue }
        schemas[place.queue]?.tables[place.role]?.enums[place.column, default: .init(underDomain: underDomain)].add(
          word)
      }
    }
  }
}
