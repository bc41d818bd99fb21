/// A value of a YAML document, with its place in the text so that a mistake in it can be pointed at.
package struct YAMLNode: Sendable, Hashable {
  /// What the value is. Every scalar is text here: what it means is decided by the key that it belongs to.
  package var content: Content
  /// The line where it begins, from 1.
  package var line: Int
  /// The column where it begins, in characters from 1.
  package var column: Int

  /// A value at a place.
  package init(_ content: Content, line: Int, column: Int) {
    self.content = content
    self.line = line
    self.column = column
  }

  /// What a value is.
  package indirect enum Content: Sendable, Hashable {
    /// Text; `plain` is false where it was quoted or written as a block, so that `null` and `"null"` differ.
    case scalar(String, plain: Bool)
    /// Values in their order.
    case sequence([YAMLNode])
    /// Keys and values in the order in which they were written; no key is there twice.
    case mapping([Entry])
  }

  /// One key of a mapping with its value.
  package struct Entry: Sendable, Hashable {
    /// The key. Only text can be one.
    package var key: String
    /// The line of the key, from 1.
    package var line: Int
    /// The column of the key, from 1.
    package var column: Int
    /// The value.
    package var value: YAMLNode

    /// A key with its value.
    package init(key: String, line: Int, column: Int, value: YAMLNode) {
      self.key = key
      self.line = line
      self.column = column
      self.value = value
    }
  }
}

/// Why a text is not the YAML that is accepted here. It never repeats text of the document, which may hold secrets,
/// except a key that looks like one.
package struct YAMLError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong.
  package var message: String
  /// How to write it instead, if that is known.
  package var hint: String?
  /// The line, from 1.
  package var line: Int
  /// The column, from 1.
  package var column: Int

  /// An error at a place.
  package init(_ message: String, hint: String? = nil, line: Int, column: Int) {
    self.message = message
    self.hint = hint
    self.line = line
    self.column = column
  }

  package var description: String {
    "line \(line), column \(column): \(message)" + (hint.map { "; \($0)" } ?? "")
  }
}
