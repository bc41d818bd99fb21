import CLibPQ

/// The rows that one statement returned, in the text format, as a plain value.
///
/// All fields share one buffer: a sample of many destinations costs a handful of allocations, not one for each field.
package struct PostgreSQLResult: Sendable, Hashable {
  /// How many rows there are.
  package let rowCount: Int
  /// How many columns each row has; none for statements that return no rows.
  package let columnCount: Int
  private var bytes: [UInt8] = []
  // Where each field ends in the buffer, row by row; the complement of the end where the field is NULL.
  private var ends: [Int] = []

  /// Copies the fields out of a libpq result.
  @safe init(copying result: OpaquePointer) {
    rowCount = unsafe Int(PQntuples(result))
    columnCount = unsafe Int(PQnfields(result))
    ends.reserveCapacity(rowCount * columnCount)
    for row in 0..<Int32(rowCount) {
      for column in 0..<Int32(columnCount) {
        if unsafe PQgetisnull(result, row, column) != 0 {
          ends.append(~bytes.count)
        } else if let value = unsafe PQgetvalue(result, row, column) {
          let length = unsafe Int(PQgetlength(result, row, column))
          unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: value, count: length))
          ends.append(bytes.count)
        }
      }
    }
  }

  /// A result made of texts; every row has as many fields as the first.
  package init(rows: [[String?]]) {
    rowCount = rows.count
    columnCount = rows.first?.count ?? 0
    for row in rows {
      precondition(row.count == columnCount, "every row of a result has the same columns")
      for field in row {
        if let field { bytes.append(contentsOf: field.utf8) }
        ends.append(field == nil ? ~bytes.count : bytes.count)
      }
    }
  }

  /// A field as text; nil where it is NULL. Bytes that are no UTF-8, as a database in SQL_ASCII may hold them, become
  /// U+FFFD.
  package func text(_ row: Int, _ column: Int) -> String? {
    range(row, column).map { String(decoding: bytes[$0], as: UTF8.self) }
  }

  /// The bytes of a field, as the server sent them; nil where it is NULL.
  package func bytes(_ row: Int, _ column: Int) -> [UInt8]? {
    range(row, column).map { Array(bytes[$0]) }
  }

  /// A field as an integer; nil where it is NULL or no integer.
  package func integer(_ row: Int, _ column: Int) -> Int? {
    text(row, column).flatMap { Int($0) }
  }

  /// A field as a number; nil where it is NULL or no number.
  package func number(_ row: Int, _ column: Int) -> Double? {
    text(row, column).flatMap { Double($0) }
  }

  /// A field as a truth value, which PostgreSQL writes as `t` or `f`; nil where it is NULL.
  package func truth(_ row: Int, _ column: Int) -> Bool? {
    text(row, column).map { $0 == "t" }
  }

  private func range(_ row: Int, _ column: Int) -> Range<Int>? {
    precondition(row >= 0 && row < rowCount && column >= 0 && column < columnCount, "no such field in the result")
    let index = row * columnCount + column
    let end = ends[index]
    if end < 0 { return nil }
    let start = index == 0 ? 0 : ends[index - 1]
    return (start < 0 ? ~start : start)..<end
  }
}
