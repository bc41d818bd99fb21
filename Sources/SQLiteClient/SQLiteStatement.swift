import CSQLite

/// A value that a statement is given.
package enum SQLiteValue: Sendable, Hashable {
  /// A whole number.
  case integer(Int64)
  /// A number.
  case real(Double)
  /// Text.
  case text(String)
  /// Bytes.
  case blob([UInt8])
}

/// One prepared statement; its columns are read while it stands on a row.
@safe package struct SQLiteStatement: ~Copyable {
  private let statement: OpaquePointer
  private let connection: OpaquePointer

  init(_ statement: OpaquePointer, connection: OpaquePointer) {
    unsafe self.statement = statement
    unsafe self.connection = connection
  }

  /// Moves to the next row; false after the last one.
  ///
  /// - Throws: what went wrong while running: busy, interrupted, corrupt.
  package borrowing func step() throws(SQLiteError) -> Bool {
    switch unsafe sqlite3_step(statement) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw unsafe SQLiteError(connection, "read the database")
    }
  }

  /// Makes the statement ready to run again; what was bound stays bound.
  package borrowing func reset() {
    unsafe sqlite3_reset(statement)
  }

  /// Gives a named parameter (`:name`) its value; a name that the statement does not have is ignored.
  package borrowing func bind(_ name: String, _ value: SQLiteValue) {
    let index = unsafe sqlite3_bind_parameter_index(statement, name)
    guard index > 0 else { return }
    // -1 is SQLITE_TRANSIENT: SQLite copies the bytes before it returns.
    let copied = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    switch value {
    case .integer(let number): unsafe sqlite3_bind_int64(statement, index, number)
    case .real(let number): unsafe sqlite3_bind_double(statement, index, number)
    case .text(let text): unsafe sqlite3_bind_text(statement, index, text, -1, copied)
    case .blob(let bytes):
      unsafe bytes.withUnsafeBytes { buffer in
        _ = unsafe sqlite3_bind_blob64(statement, index, buffer.baseAddress, UInt64(buffer.count), copied)
      }
    }
  }

  /// A column as a whole number; nil for NULL.
  package borrowing func integer(_ column: Int) -> Int64? {
    isNull(column) ? nil : unsafe sqlite3_column_int64(statement, Int32(column))
  }

  /// A column as a number; nil for NULL.
  package borrowing func double(_ column: Int) -> Double? {
    isNull(column) ? nil : unsafe sqlite3_column_double(statement, Int32(column))
  }

  /// A column as text, invalid UTF-8 replaced; nil for NULL.
  package borrowing func text(_ column: Int) -> String? {
    guard let bytes = unsafe sqlite3_column_text(statement, Int32(column)) else { return nil }
    let count = Int(unsafe sqlite3_column_bytes(statement, Int32(column)))
    return unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
  }

  /// A column's text as it is kept, in UTF-8 whatever the database's encoding is, even where it is none; nil for NULL.
  package borrowing func textBytes(_ column: Int) -> [UInt8]? {
    guard let bytes = unsafe sqlite3_column_text(statement, Int32(column)) else { return nil }
    let count = Int(unsafe sqlite3_column_bytes(statement, Int32(column)))
    return unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
  }

  /// A column as bytes; none for NULL.
  package borrowing func blob(_ column: Int) -> [UInt8] {
    // The pointer first: asking for it may convert the value, which changes the length.
    guard let bytes = unsafe sqlite3_column_blob(statement, Int32(column)) else { return [] }
    let count = Int(unsafe sqlite3_column_bytes(statement, Int32(column)))
    return unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count))
  }

  /// True for NULL.
  package borrowing func isNull(_ column: Int) -> Bool {
    unsafe sqlite3_column_type(statement, Int32(column)) == SQLITE_NULL
  }

  /// Gives the statement away as it was prepared, without what was bound to it.
  consuming func unused() -> OpaquePointer {
    unsafe sqlite3_reset(statement)
    unsafe sqlite3_clear_bindings(statement)
    let given = unsafe statement
    discard self
    return unsafe given
  }

  deinit {
    unsafe sqlite3_finalize(statement)
  }
}
