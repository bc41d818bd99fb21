/// Tells of a layout's SQL whether it is sure to give the same for the same rows, whenever it is asked and by whom.
///
/// PostgreSQL has functions, operators and words that answer with the clock, with chance or with a setting, and anybody may
/// add some. So nothing is looked for that is known to be harmful; what is not known to be harmless is not steady. What a
/// placeholder stands for is for ``SQLTemplate`` to judge.
enum SteadySQL {
  /// Words of the syntax, conditional expressions, and types whose input goes by nothing but the text.
  private static let words: Set<String> = [
    "and", "or", "not", "in", "is", "null", "true", "false", "case", "when", "then", "else", "end", "between", "like",
    "distinct", "from", "coalesce", "nullif", "greatest", "least",
    "text", "boolean", "smallint", "integer", "bigint", "numeric", "float8", "double", "precision",
  ]

  /// Words with which a text becomes a time that goes by the clock (PostgreSQL manual, "Special Values" of date and time).
  private static let moments: Set<String> = ["now", "today", "tomorrow", "yesterday"]

  static func isSteady(_ template: String) -> Bool {
    let bytes = Array(template.utf8)
    var place = 0
    while place < bytes.count {
      switch bytes[place] {
      case UInt8(ascii: "{"):
        guard let end = bytes[place...].firstIndex(of: UInt8(ascii: "}")), bytes[place + 1] != bytes[place] else {
          return false
        }
        place = end + 1
      case UInt8(ascii: "'"):
        guard let end = bytes[(place + 1)...].firstIndex(of: UInt8(ascii: "'")),
          isSteady(literal: bytes[(place + 1)..<end])
        else { return false }
        place = end + 1
      case let byte where isLetter(byte):
        let end = bytes[place...].firstIndex { !isLetter($0) && !isDigit($0) } ?? bytes.count
        guard words.contains(String(decoding: bytes[place..<end], as: UTF8.self).lowercased()) else { return false }
        place = end
      case UInt8(ascii: "-") where place + 1 < bytes.count && bytes[place + 1] == UInt8(ascii: "-"): return false
      case UInt8(ascii: "/") where place + 1 < bytes.count && bytes[place + 1] == UInt8(ascii: "*"): return false
      case let byte where isDigit(byte) || plain.contains(byte): place += 1
      default: return false
      }
    }
    return true
  }

  /// A quote in a literal is written twice, and so looks like two literals. A backslash may hide one.
  private static func isSteady(literal: ArraySlice<UInt8>) -> Bool {
    !literal.contains(UInt8(ascii: "\\")) && !literal.contains(UInt8(ascii: "{"))
      && literal.split(whereSeparator: { !isLetter($0) }).allSatisfy {
        !moments.contains(String(decoding: $0, as: UTF8.self).lowercased())
      }
  }

  /// Signs of PostgreSQL's own operators and what stands between.
  private static let plain = Set(" \t\r\n()[],.:=<>!+-*/%|&#?@~^".utf8)

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

  private static func isLetter(_ byte: UInt8) -> Bool {
    byte >= 0x80 || byte == UInt8(ascii: "_") || byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
      || byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
  }
}
