import Outbox

/// A DSN taken apart. No error ever repeats the text: a mistyped DSN may hold a password.
enum DSN {
  /// Why a text is no DSN.
  struct Problem: Error, Equatable {
    var message: String
    var hint: String?
  }

  /// What a DSN may look like, for hints.
  static let forms = "write postgresql://user@host/database, sqlite:PATH or files:DIR"

  /// The address that a DSN names. `home` replaces a leading `~/` of a path.
  static func parse(_ text: String, home: String?) throws(Problem) -> StoreAddress {
    let lowered = text.lowercased()
    if lowered.hasPrefix("postgres://") || lowered.hasPrefix("postgresql://") { return .postgresql(Secret(text)) }
    if let path = remainder(of: text, after: "sqlite:") {
      if path.hasPrefix("//") {
        throw Problem(
          message: "`sqlite://` is not understood", hint: "write sqlite:PATH, without slashes before the path")
      }
      if path == ":memory:" {
        throw Problem(message: "an SQLite database in memory belongs to one process alone", hint: "name its file")
      }
      return .sqlite(path: try expand(path, home: home, scheme: "sqlite"))
    }
    if let path = remainder(of: text, after: "files:") {
      return .files(path: try expand(path, home: home, scheme: "files"))
    }
    if let scheme = scheme(of: lowered) { throw unknown(scheme: scheme) }
    if isConninfo(text) { return .postgresql(Secret(text)) }
    if [".sqlite", ".sqlite3", ".db"].contains(where: lowered.hasSuffix) {
      throw Problem(message: "the DSN is a bare path", hint: "for an SQLite file write sqlite:PATH")
    }
    if text.contains("/") { throw Problem(message: "the DSN is a bare path", hint: "write sqlite:PATH or files:DIR") }
    throw Problem(message: "this is not a DSN", hint: forms)
  }

  /// The scheme of a DSN for people; everything behind it may be secret.
  static func shown(_ address: StoreAddress) -> String {
    switch address {
    case .postgresql: "•••"
    case .sqlite(let path): "sqlite:\(path)"
    case .files(let path): "files:\(path)"
    }
  }

  private static func remainder(of text: String, after scheme: String) -> String? {
    text.lowercased().hasPrefix(scheme) ? String(text.dropFirst(scheme.count)) : nil
  }

  private static func expand(_ path: String, home: String?, scheme: String) throws(Problem) -> String {
    if path.isEmpty { throw Problem(message: "`\(scheme):` has no path behind it", hint: forms) }
    guard path.hasPrefix("~") else { return path }
    guard path == "~" || path.hasPrefix("~/") else {
      throw Problem(message: "`~name` is not understood", hint: "write the directory out; only `~/` is known")
    }
    guard let home, !home.isEmpty else { throw Problem(message: "`~` is used, but HOME is not set", hint: nil) }
    return home + path.dropFirst()
  }

  private static func scheme(of text: String) -> String? {
    guard let colon = text.firstIndex(of: ":"), let first = text.first, first.isASCII, first.isLetter else {
      return nil
    }
    let scheme = text[..<colon]
    let isScheme = scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
    return isScheme ? String(scheme) : nil
  }

  private static let schemes: [String: String] = [
    "sqlite3": "write sqlite:PATH", "file": "write sqlite:PATH for a database, files:DIR for a directory",
    "jdbc": "leave `jdbc:` away", "pgsql": "write postgresql://", "pg": "write postgresql://",
    "dir": "write files:DIR", "directory": "write files:DIR",
  ]

  private static func unknown(scheme: String) -> Problem {
    if let hint = schemes[scheme] { return Problem(message: "`\(scheme):` is not understood", hint: hint) }
    for known in ["postgresql", "postgres", "sqlite"] where scheme.hasPrefix(known + "+") {
      return Problem(
        message: "`\(scheme):` names a driver",
        hint: "leave the driver away: \(known == "sqlite" ? "sqlite:PATH" : "postgresql://")")
    }
    let others = [
      "mysql", "mariadb", "mongodb", "mongodb+srv", "redis", "rediss", "amqp", "amqps", "kafka", "sqlserver", "mssql",
      "oracle", "nats", "http", "https", "libsql",
    ]
    // Anything else in front of a colon may be the user name of a DSN whose scheme was forgotten.
    if others.contains(scheme) {
      return Problem(
        message: "`\(scheme):` is not supported; an outbox is watched in PostgreSQL, SQLite or a directory of files",
        hint: forms)
    }
    if let nearest = Suggestion.nearest(to: scheme, among: ["postgresql", "postgres", "sqlite", "files"]) {
      return Problem(message: "the DSN has an unknown scheme", hint: "did you mean `\(nearest):`?")
    }
    return Problem(message: "the DSN has an unknown scheme", hint: forms)
  }

  private static func isConninfo(_ text: String) -> Bool {
    guard let equals = text.firstIndex(of: "=") else { return false }
    let keyword = text[..<equals].trimmed
    return !keyword.isEmpty && keyword.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
  }
}
