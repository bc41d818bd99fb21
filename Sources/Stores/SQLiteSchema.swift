import Layouts
import SQLiteClient
import SampleSQL

extension QueueSchema {
  /// What an SQLite file really has of the tables that a queue names.
  init(_ queue: TableQueue, _ connection: borrowing SQLiteConnection) throws(SQLiteError) {
    var tables: [String: QueueSchema.Table] = [:]
    for (role, table) in queue.tables {
      let parts = SQLIdentifier.parts(table.name)
      let schemaName = parts.count > 1 ? parts[0] : "main"
      let parameters: [String: SQLiteValue] = [":t": .text(parts.last ?? ""), ":s": .text(schemaName)]
      var columns: [String: String] = [:]
      var filled: Set<String> = []
      try connection.query("SELECT name, type, \"notnull\" FROM pragma_table_xinfo(:t, :s)", parameters) { row in
        guard let name = row.text(0) else { return }
        columns[name] = row.text(1) ?? ""
        if row.integer(2) == 1 { filled.insert(name) }
      }
      guard !columns.isEmpty else { continue }
      var indexed: Set<String> = []
      let leading = """
        SELECT i.name FROM pragma_index_list(:t, :s) l, pragma_index_info(l.name, :s) i
        WHERE l.partial = 0 AND i.seqno = 0 AND i.name IS NOT NULL
        """
      try connection.query(leading, parameters) { row in if let name = row.text(0) { indexed.insert(name) } }
      tables[role] = QueueSchema.Table(
        reference: SQLIdentifier.quotedPath(table.name), columns: columns, indexedColumns: indexed,
        filledColumns: filled)
    }
    self.init(tables: tables)
  }
}
