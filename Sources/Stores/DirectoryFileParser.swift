import Layouts
import Outbox
import SQLiteClient

/// Reads the fields of an event out of its file, with SQLite's JSON functions. They look at the whole text to see
/// whether it is JSON; nothing but the named fields leaves them.
final class DirectoryFileParser {
  private let database: SQLiteConnection
  private let statement: SQLiteStatement

  init(_ fields: DirectoryQueue.Fields) throws(SQLiteError) {
    database = try SQLiteConnection(path: "", access: .memory)
    statement = try database.prepare(
      """
      WITH file(text) AS MATERIALIZED (SELECT CAST(:bytes AS TEXT)),
        json(j) AS MATERIALIZED (SELECT CASE WHEN json_valid(text) THEN text END FROM file)
      SELECT json_type(j), \(text(fields.id)), \(milliseconds(fields.created)), \(number(fields.attempts)),
        \(milliseconds(fields.lastAttempt)), \(milliseconds(fields.claimed)), \(text(fields.recoveryState)),
        \(text(fields.destination))
      FROM json
      """)
  }

  /// What the file says; nil where it is no JSON object.
  func parse(_ bytes: [UInt8]) throws(SQLiteError) -> DirectoryEventFields? {
    // SQLite's text ends at a NUL, and what follows would not be looked at. JSON has none.
    guard !bytes.contains(0) else { return nil }
    statement.bind(":bytes", .blob(bytes))
    defer {
      statement.reset()
      statement.bind(":bytes", .blob([]))
    }
    guard try statement.step(), statement.text(0) == "object" else { return nil }
    return DirectoryEventFields(
      id: statement.text(1),
      created: statement.double(2).flatMap(timestamp(milliseconds:)),
      attempts: max(0, statement.double(3).flatMap { Int(exactly: $0.rounded(.down)) } ?? 0),
      // The application takes a last attempt at 0 for none.
      lastAttempt: statement.double(4).flatMap { $0 == 0 ? nil : timestamp(milliseconds: $0) },
      claimed: statement.double(5).flatMap { $0 == 0 ? nil : timestamp(milliseconds: $0) },
      recoveryState: statement.text(6),
      destination: statement.text(7))
  }
}

private func timestamp(milliseconds: Double) -> Timestamp {
  guard let whole = Int64(exactly: milliseconds) else { return Timestamp(seconds: milliseconds / 1_000) }
  let (nanoseconds, overflow) = whole.multipliedReportingOverflow(by: 1_000_000)
  return Timestamp(nanoseconds: overflow ? (whole < 0 ? .min : .max) : nanoseconds)
}

private func text(_ names: [String]) -> String {
  first(names) { path in
    "CASE json_type(j, \(path)) WHEN 'text' THEN NULLIF(trim(json_extract(j, \(path))), '') END"
  }
}

private func number(_ names: [String]) -> String {
  first(names) { path in "CASE WHEN json_type(j, \(path)) IN ('integer', 'real') THEN json_extract(j, \(path)) END" }
}

/// Unix milliseconds, from a number or from ISO 8601 text. Other text means something else to SQLite's date functions
/// ("now", a Julian day), hence the pattern.
private func milliseconds(_ names: [String]) -> String {
  first(names) { path in
    """
    CASE json_type(j, \(path)) WHEN 'integer' THEN json_extract(j, \(path)) WHEN 'real' THEN json_extract(j, \(path))
    WHEN 'text' THEN CASE WHEN json_extract(j, \(path)) GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
    THEN round((julianday(json_extract(j, \(path))) - 2440587.5) * 86400000.0) END END
    """
  }
}

private func first(_ names: [String], _ value: (String) -> String) -> String {
  "coalesce(\((names.map { value(path($0)) } + ["NULL", "NULL"]).joined(separator: ", ")))"
}

/// A field's path as an SQL literal: `a.b` becomes `'$."a"."b"'`.
private func path(_ name: String) -> String {
  let path = "$" + name.split(separator: ".").map { ".\"\($0)\"" }.joined()
  return "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
}
