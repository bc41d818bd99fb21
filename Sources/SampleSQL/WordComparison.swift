/// What follows a column in a template where it is compared with words: `= 'word'`, `IN ('word', …)` and their negations.
struct WordComparison {
  /// Where the comparison ends in the text that it was found in.
  let end: Substring.Index
  private let isNegated: Bool
  private let literals: [Substring]
  private let text: Substring

  /// Reads the beginning of a text; nil where it is something else, a comparison with what is computed among it.
  init?(_ text: Substring) {
    var rest = text
    let isList: Bool
    if rest.skip("=") {
      (isNegated, isList) = (false, false)
    } else if rest.skip("<>") || rest.skip("!=") {
      (isNegated, isList) = (true, false)
    } else {
      isNegated = rest.skip("not")
      guard rest.skip("in"), rest.skip("(") else { return nil }
      isList = true
    }
    var literals: [Substring] = []
    repeat {
      guard let literal = rest.literal() else { return nil }
      literals.append(literal)
    } while isList && rest.skip(",")
    if isList, !rest.skip(")") { return nil }
    end = rest.startIndex
    // A word that is cast, or the beginning of something computed.
    if !isList, ["::", "||"].contains(where: { rest.skip($0) }) { return nil }
    self.literals = literals
    self.text = text[..<end]
  }

  /// The comparison of a column of an enum type, without the words that the type does not have. No row has one of those,
  /// so the answer is the same; for NULL it is unknown, as ever.
  func sql(_ column: String, _ type: QueueSchema.EnumType) -> String {
    let known = literals.filter { type.has(Self.word($0)) }
    if known.count == literals.count { return column + text }
    if known.isEmpty {
      return isNegated ? "(\(column) IS NOT NULL OR NULL)" : "(\(column) IS NULL AND NULL)"
    }
    return "\(column) \(isNegated ? "NOT IN" : "IN") (\(known.joined(separator: ", ")))"
  }

  private static func word(_ literal: Substring) -> String {
    literal.dropFirst().dropLast().split(separator: "''", omittingEmptySubsequences: false).joined(separator: "'")
  }
}

extension Substring {
  /// Skips white space and then a sign or a word in small letters, whole and in any case; false where it is not there.
  fileprivate mutating func skip(_ expected: String) -> Bool {
    let start = drop { $0.isWhitespace }
    let found = start.prefix(expected.count)
    guard found.lowercased() == expected else { return false }
    let rest = start[found.endIndex...]
    let isWord = expected.last?.isLetter == true
    if isWord, let next = rest.first, next.isLetter || next.isNumber || next == "_" { return false }
    self = rest
    return true
  }

  /// Skips white space and then a literal in single quotes, and answers it with them.
  fileprivate mutating func literal() -> Substring? {
    let start = drop { $0.isWhitespace }
    guard start.first == "'" else { return nil }
    var index = start.index(after: start.startIndex)
    while index < start.endIndex {
      defer { index = start.index(after: index) }
      guard start[index] == "'" else { continue }
      let next = start.index(after: index)
      if next < start.endIndex, start[next] == "'" {
        index = next
        continue
      }
      self = start[next...]
      return start[...index]
    }
    return nil
  }
}
