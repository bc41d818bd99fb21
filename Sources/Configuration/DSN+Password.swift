extension DSN {
  /// libpq's parameters that are secrets themselves, not the names of files that hold one.
  private static let secretKeywords: Set<String> = [
    "password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key",
  ]

  /// Whether a DSN holds a secret in any of the places where libpq takes one: the user part of a URL, its query, a
  /// conninfo keyword, or a connection string nested in `dbname`. In doubt, yes.
  static func holdsPassword(_ text: String) -> Bool { holdsPassword(text, depth: 0) }

  private static func holdsPassword(_ text: String, depth: Int) -> Bool {
    if depth > 3 { return true }
    if let separator = text.firstRange(of: "://") {
      return urlHoldsPassword(text[separator.upperBound...], depth: depth)
    }
    guard text.contains("=") else { return false }
    guard let pairs = conninfo(text) else {
      // Malformed: the words alone decide.
      return secretKeywords.contains { text.lowercased().contains($0) }
    }
    return holdsPassword(pairs, depth: depth)
  }

  private static func holdsPassword(_ pairs: [(key: String, value: String)], depth: Int) -> Bool {
    pairs.contains { pair in
      let key = pair.key.lowercased()
      return (secretKeywords.contains(key) && !pair.value.isEmpty)
        || (key == "dbname" && holdsPassword(pair.value, depth: depth + 1))
    }
  }

  private static func urlHoldsPassword(_ url: Substring, depth: Int) -> Bool {
    let query = url.firstIndex(of: "?")
    let front = url[..<(query ?? url.endIndex)]
    // The last `@`, since people forget to encode one, or a slash, in a password.
    if let at = front.lastIndex(of: "@"), let colon = front[..<at].firstIndex(of: ":"),
      front.index(after: colon) < at
    {
      return true
    }
    guard let query else { return false }
    let pairs = url[url.index(after: query)...].split(separator: "&").map { parameter in
      let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let value = parts.count > 1 ? String(parts[1]) : ""
      return (key: PercentEncoding.decode(parts[0]) ?? String(parts[0]), value: PercentEncoding.decode(value) ?? value)
    }
    return holdsPassword(pairs, depth: depth)
  }

  /// `key = value` pairs by libpq's rules: blanks around the equals sign, values in single quotes, backslash escapes.
  private static func conninfo(_ text: String) -> [(key: String, value: String)]? {
    var pairs: [(key: String, value: String)] = []
    var rest = text[...]
    while true {
      rest = rest.drop { $0.isWhitespace }
      if rest.isEmpty { return pairs }
      let key = rest.prefix { $0 != "=" && !$0.isWhitespace }
      rest = rest.dropFirst(key.count).drop { $0.isWhitespace }
      guard rest.first == "=" else { return nil }
      rest = rest.dropFirst().drop { $0.isWhitespace }
      var value = ""
      let quoted = rest.first == "'"
      if quoted { rest = rest.dropFirst() }
      while let next = rest.first, quoted ? next != "'" : !next.isWhitespace {
        rest = rest.dropFirst()
        if next == "\\" {
          guard let escaped = rest.popFirst() else { return nil }
          value.append(escaped)
        } else {
          value.append(next)
        }
      }
      if quoted, rest.popFirst() == nil { return nil }
      pairs.append((String(key), value))
    }
  }
}
