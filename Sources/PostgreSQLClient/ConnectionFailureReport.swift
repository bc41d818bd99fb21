/// What libpq says about a connection that could not be had.
///
/// libpq offers no SQLSTATE before the session has begun. A verbose message holds it after the severity, whose name
/// depends on the server's language: `FATAL:  28P01: password authentication failed for user "app"`.
package struct ConnectionFailureReport {
  /// The SQLSTATE of the last server that answered.
  package private(set) var sqlState: String?
  /// The message on one line, without the SQLSTATE and the place in the server's source.
  package private(set) var message = ""

  /// Takes apart what libpq says at the verbosity `PQERRORS_VERBOSE`.
  package init(verbose text: String) {
    var lines: [String] = []
    for line in text.split(whereSeparator: \.isNewline) where !Self.isPlaceInServerSource(line) {
      if let (state, rest) = Self.takeSQLState(outOf: line) {
        sqlState = state
        lines.append(rest)
      } else {
        lines.append(String(line))
      }
    }
    message = oneLine(lines.joined(separator: "\n"))
  }

  /// `LOCATION:  auth_failed, auth.c:331`, its label in the server's language.
  private static func isPlaceInServerSource(_ line: Substring) -> Bool {
    guard let colon = line.lastIndex(of: ":") else { return false }
    let number = line[colon...].dropFirst()
    return line[..<colon].hasSuffix(".c") && !number.isEmpty && number.allSatisfy(\.isNumber)
  }

  /// Takes `28P01: ` out of `FATAL:  28P01: …`.
  private static func takeSQLState(outOf line: Substring) -> (sqlState: String, rest: String)? {
    var rest = line
    while let gap = rest.firstRange(of: ":  ") {
      rest = rest[gap.upperBound...]
      let code = rest.prefix(5)
      let isCode = code.utf8.count == 5 && code.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) }
      if isCode && rest.dropFirst(5).hasPrefix(": ") {
        return (String(code), line[..<gap.upperBound] + String(rest.dropFirst(7)))
      }
    }
    return nil
  }
}

/// Several lines as one, as logs need it.
func oneLine(_ text: String) -> String {
  text.split(whereSeparator: \.isNewline)
    .map { $0.drop(while: \.isWhitespace) }
    .joined(separator: " ")
}
