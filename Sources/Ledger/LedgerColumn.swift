import SampleSQL

/// A column of the outbox as a function takes it that outlives changes of the outbox.
struct LedgerColumn {
  /// The column's name.
  let name: String
  /// The type of the function's parameter, by a name that no search path changes.
  let type: String

  /// A column of one of the types that every PostgreSQL has; nil for another one.
  ///
  /// - Parameter declared: what PostgreSQL calls the column's type.
  init?(_ name: String, _ declared: String) {
    guard let type = Self.types[declared] else { return nil }
    self.name = name
    self.type = "pg_catalog.\(type)"
  }

  /// The column of a row, given as the parameter's type whatever the column has become in the meantime. A moment is given
  /// by its epoch: between the two types of time a cast would follow the session's zone.
  func argument(of row: String) -> String {
    let value = "\(row).\(SQLIdentifier.quoted(name))"
    let moment = "pg_catalog.to_timestamp(pg_catalog.date_part('epoch', \(value)))"
    return switch type {
    case "pg_catalog.timestamptz": moment
    case "pg_catalog.timestamp": "pg_catalog.timezone('UTC', \(moment))"
    default: "\(value)::\(type)"
    }
  }

  /// Wide enough for what a column becomes that is made wider.
  private static let types = [
    "text": "text", "character varying": "varchar", "character": "bpchar", "name": "name", "boolean": "bool",
    "uuid": "uuid", "smallint": "int8", "integer": "int8", "bigint": "int8", "numeric": "numeric", "real": "float8",
    "double precision": "float8", "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp",
    "json": "json", "jsonb": "jsonb", "bytea": "bytea",
  ]
}
