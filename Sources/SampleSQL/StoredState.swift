package import Layouts

/// A value that a state column holds, exactly as the database keeps it: for SQLite and for PostgreSQL in SQL_ASCII any
/// bytes are text, and two that look alike to a reader of UTF-8 are two values.
package struct StoredState: Sendable, Hashable {
  /// What it equals in SQL, and nothing else does.
  let literal: String
  private let word: [UInt8]?

  /// A text.
  package init(text bytes: [UInt8], _ dialect: SQLDialect) {
    word = bytes
    literal =
      String(validating: bytes, as: UTF8.self).map { SQLIdentifier.literal($0, dialect) }
      ?? SQLIdentifier.literal(bytes: bytes, dialect)
  }

  /// A number in SQLite, which equals the word of a layout that looks like it where the column's affinity says so
  /// (SQLite manual, "Type Conversions Prior To Comparison").
  package init(number text: String) {
    word = Array(text.utf8)
    literal = text
  }

  /// Bytes in SQLite, which equal no text.
  package init(blob bytes: [UInt8]) {
    word = nil
    literal = SQLIdentifier.blob(bytes)
  }

  /// Whether a layout says what it means. Compared byte by byte, as the database compares.
  package func isKnown(to queue: TableQueue) -> Bool {
    guard let word else { return false }
    return queue.knownStates.contains { $0.utf8.elementsEqual(word) }
  }
}
