import PostgreSQLClient
import SampleSQL

/// What a database has of the tables that the queues of a layout name.
struct PostgreSQLTables {
  /// The tables and columns that are there, by the queue's index.
  private(set) var schemas: [Int: QueueSchema] = [:]
  /// Tables from which row-level security would hide rows.
  private(set) var underRowSecurity: [String] = []

  /// Reads the answers to ``PostgreSQLMessage/tables(of:)`` and ``PostgreSQLMessage/columns(of:)``.
  init(_ tables: PostgreSQLResult, columns: PostgreSQLResult) {
    for row in 0..<tables.rowCount {
      guard let queue = tables.integer(row, 0), let role = tables.text(row, 1), let schema = tables.text(row, 2),
        let name = tables.text(row, 3)
      else { continue }
      let reference = "\(SQLIdentifier.quoted(schema)).\(SQLIdentifier.quoted(name))"
      schemas[queue, default: QueueSchema(tables: [:])].tables[role] = QueueSchema.Table(
        reference: reference, columns: [:])
      if tables.truth(row, 4) == true { underRowSecurity.append("\(schema).\(name)") }
    }
    for row in 0..<columns.rowCount {
      guard let queue = columns.integer(row, 0), let role = columns.text(row, 1), let name = columns.text(row, 2),
        let type = columns.text(row, 3)
      else { continue }
      schemas[queue]?.tables[role]?.columns[name] = type
      if columns.truth(row, 4) == true { schemas[queue]?.tables[role]?.indexedColumns.insert(name) }
      if columns.truth(row, 5) == true { schemas[queue]?.tables[role]?.filledColumns.insert(name) }
      guard let word = columns.text(row, 6) else { continue }
      let underDomain = columns.truth(row, 7) == true ? type : nil
      schemas[queue]?.tables[role]?.enums[name, default: .init(underDomain: underDomain)].add(word)
    }
  }
}
