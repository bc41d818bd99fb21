import PostgreSQLClient
import SampleSQL

/// What the catalogue of a database says of one table, for the counting of movements.
struct PostgreSQLRelation {
  let database: String
  let oid: String
  let isReplica: Bool
  /// False for a view and for a foreign table.
  let mayHaveIndexes: Bool
  /// The valid B-tree indexes.
  let indexes: [Index]
  /// Columns that the role may not read.
  let forbidden: [String]
  /// What ``signature(of:)`` answered then.
  let signature: String

  /// An index by what it is ordered by.
  struct Index {
    var name: String
    var isComplete: Bool
    /// The first two columns; an expression is empty.
    var columns: [String]

    /// True where the rows of one state come in the order of a time.
    func leads(to column: String, after state: String?) -> Bool {
      columns.first == column || columns.count == 2 && columns[0] == state && columns[1] == column
    }
  }

  /// The statement that answers by what counting was prepared: which table the name means, and the valid indexes that it
  /// has. One row, or none where the table is gone.
  static func signature(of table: String) -> String {
    let (relation, named) = source(table)
    return "SELECT \(signature)\n\(relation)\n\(named)"
  }

  private static let signature = """
    concat_ws(' ', c.oid, pg_is_in_recovery(), ARRAY(
      SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid ORDER BY 1))
    """

  private static func source(_ table: String) -> (relation: String, named: String) {
    let parts = SQLIdentifier.parts(table).map { SQLIdentifier.literal($0, .postgresql) }
    return (
      "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = \(parts[0])",
      "WHERE c.relname = \(parts[1])"
    )
  }

  /// The statements that ask for it, for a table by its quoted name. Every role may read the catalogue.
  static func statements(_ table: String, columns: [String]) -> [String] {
    let (relation, named) = source(table)
    let names = columns.map { SQLIdentifier.literal($0, .postgresql) }.joined(separator: ", ")
    return [
      """
      SELECT (SELECT oid FROM pg_database WHERE datname = current_database()), c.oid, pg_is_in_recovery(),
        c.relkind IN ('r', 'p', 'm'), \(signature)
      \(relation)
      \(named)
      """,
      """
      SELECT x.relname, i.indpred IS NULL, COALESCE(a.attname, ''), b.attname
      \(relation)
      JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid
      JOIN pg_class x ON x.oid = i.indexrelid
      JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
      LEFT JOIN pg_attribute b ON b.attrelid = c.oid AND b.attnum = i.indkey[1]
      \(named)
      ORDER BY x.relname
      """,
      """
      SELECT a.attname
      \(relation)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN (\(names.isEmpty ? "NULL" : names))
        AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')
      \(named)
      ORDER BY a.attnum
      """,
    ]
  }

  /// Reads the answers; nil where the table is gone.
  init?(_ results: [PostgreSQLResult]) {
    guard results.count == 3, results[0].rowCount == 1, let database = results[0].text(0, 0),
      let oid = results[0].text(0, 1), let signature = results[0].text(0, 4)
    else { return nil }
    self.signature = signature
    self.database = database
    self.oid = oid
    isReplica = results[0].truth(0, 2) == true
    mayHaveIndexes = results[0].truth(0, 3) == true
    indexes = (0..<results[1].rowCount).map { row in
      Index(
        name: results[1].text(row, 0) ?? "", isComplete: results[1].truth(row, 1) == true,
        columns: [results[1].text(row, 2), results[1].text(row, 3)].compactMap { $0 })
    }
    forbidden = (0..<results[2].rowCount).compactMap { results[2].text($0, 0) }
  }
}
