/// The SQL that a store speaks.
package enum SQLDialect: Sendable, Hashable {
  /// PostgreSQL; `now()` is the store's clock.
  case postgresql
  /// SQLite; the parameter `:now` is the clock, in unix seconds.
  case sqlite

  /// A time in unix seconds that is not there. PostgreSQL can compute with it only where it knows its type.
  var noTime: String { self == .postgresql ? "NULL::float8" : "NULL" }
}

/// What a database really has of the tables that a queue names.
package struct QueueSchema: Sendable, Hashable {
  /// One table that is there.
  package struct Table: Sendable, Hashable {
    /// The name as it stands in a statement, quoted.
    package var reference: String
    /// Column names and their declared types, e.g. `timestamp with time zone`.
    package var columns: [String: String]
    /// Columns that lead a complete (not partial) index, through which distinct values can be skipped over.
    package var indexedColumns: Set<String>
    /// Columns that are known never to be NULL.
    package var filledColumns: Set<String>
    /// Columns whose values are the words of an enum type.
    package var enums: [String: EnumType]

    /// A table that is there.
    package init(
      reference: String, columns: [String: String], indexedColumns: Set<String> = [], filledColumns: Set<String> = [],
      enums: [String: EnumType] = [:]
    ) {
      self.reference = reference
      self.columns = columns
      self.indexedColumns = indexedColumns
      self.filledColumns = filledColumns
      self.enums = enums
    }
  }

  /// A PostgreSQL enum type. It refuses to be compared with a word that it does not have.
  package struct EnumType: Sendable, Hashable {
    /// The words that it has.
    package var words: Set<[UInt8]> = []
    /// The type's name, where the column's own type is a domain over it: a domain has no comparisons of its own.
    package var underDomain: String?

    /// A type of these words.
    package init(words: [String] = [], underDomain: String? = nil) {
      self.words = Set(words.map { Array($0.utf8) })
      self.underDomain = underDomain
    }

    /// Adds a word.
    package mutating func add(_ word: String) { words.insert(Array(word.utf8)) }

    /// Byte by byte, as the database compares.
    func has(_ word: String) -> Bool { words.contains(Array(word.utf8)) }
  }

  /// The tables that are there, by role.
  package var tables: [String: Table]

  /// A schema.
  package init(tables: [String: Table]) {
    self.tables = tables
  }
}

/// A table's name taken apart and quoted.
package enum SQLIdentifier {
  /// Quotes one identifier: nothing in it is SQL any more, and its case is kept.
  package static func quoted(_ name: String) -> String {
    guard name.utf8.contains(UInt8(ascii: "\"")) else { return "\"\(name)\"" }
    return "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }

  /// Splits `schema.table` into its parts; a part in double quotes may hold dots.
  package static func parts(_ name: String) -> [String] {
    var parts: [String] = []
    var part = ""
    var isQuoted = false
    var characters = Array(name)[...]
    while let character = characters.popFirst() {
      switch character {
      case "\"" where isQuoted && characters.first == "\"":
        part.append(character)
        characters.removeFirst()
      case "\"": isQuoted.toggle()
      case "." where !isQuoted:
        parts.append(part)
        part = ""
      default: part.append(character)
      }
    }
    return parts + [part]
  }

  /// A table's name, quoted part by part.
  package static func quotedPath(_ name: String) -> String {
    parts(name).map(quoted).joined(separator: ".")
  }

  /// A text literal, whatever is in the text and however the database is set.
  ///
  /// In PostgreSQL a backslash means something or not by `standard_conforming_strings`, except in the form `E''`. SQLite
  /// ends a statement at a zero character.
  package static func literal(_ text: String, _ dialect: SQLDialect) -> String {
    if dialect == .sqlite, text.utf8.contains(0) { return literal(bytes: Array(text.utf8), dialect) }
    let quoted = "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    guard dialect == .postgresql, text.contains("\\") else { return quoted }
    return "E" + quoted.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
  }

  /// A text literal of bytes that may be no UTF-8, as SQLite and PostgreSQL in SQL_ASCII keep them.
  static func literal(bytes: [UInt8], _ dialect: SQLDialect) -> String {
    dialect == .sqlite ? "CAST(\(blob(bytes)) AS TEXT)" : "E'" + digits(bytes).map { "\\x" + $0 }.joined() + "'"
  }

  /// A literal of bytes in SQLite.
  static func blob(_ bytes: [UInt8]) -> String { "x'\(digits(bytes).joined())'" }

  private static func digits(_ bytes: [UInt8]) -> [String] {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
  }
}

/// Why a layout does not fit a database.
package enum LayoutProblem: Error, Sendable, Hashable {
  /// A table that the layout needs is not there.
  case missingTable(role: String, name: String)
  /// A column that the layout needs is not there.
  case missingColumn(role: String, name: String, table: String, available: [String])
  /// A template is wrong.
  case template(text: String, problem: String)

  /// What is wrong, in a sentence.
  package var message: String {
    switch self {
    case .missingTable(_, let name): "there is no table \(name)"
    case .missingColumn(_, let name, let table, let available):
      "the table \(table) has no column \(name); it has \(available.joined(separator: ", "))"
    case .template(let text, let problem): "the layout's SQL `\(text)` cannot be used: \(problem)"
    }
  }

  /// What to do about it.
  package var hint: String {
    switch self {
    case .missingTable(let role, _):
      "name the right table under `tables: {\(role): …}` of the outbox, or check the database and the search path"
    case .missingColumn(let role, _, _, _): "name the right column under `columns: {\(role): …}` of the outbox"
    case .template: "see `outbox-exporter layouts NAME` for working examples"
    }
  }
}
