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

  /// Reads the answer to ``PostgreSQLMessage/columns(of:)``.
  init(_ columns: PostgreSQLResult) {
    for row in 0..<columns.rowCount {
      guard let queue = columns.integer(row, 0), let role = columns.text(row, 1), let schema = columns.text(row, 2),
        let table = columns.text(row, 3)
      else { continue }
      if schemas[queue]?.tables[role] == nil {
        schemas[queue, default: QueueSchema(tables: [:])].tables[role] = QueueSchema.Table(
          reference: "\(SQLIdentifier.quoted(schema)).\(SQLIdentifier.quoted(table))", columns: [:])
        if columns.truth(row, 4) == true { underRowSecurity.append("\(schema).\(table)") }
      }
      guard let name = columns.text(row, 5), let type = columns.text(row, 6) else { continue }
      schemas[queue]?.tables[role]?.columns[name] = type
      if columns.truth(row, 7) == true { schemas[queue]?.tables[role]?.indexedColumns.insert(name) }
      if columns.truth(row, 8) == true { schemas[queue]?.tables[role]?.filledColumns.insert(name) }
      if let number = columns.integer(row, 9) {
        unreadTypes[number, default: []].append(ColumnPlace(queue: queue, role: role, column: name))
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
