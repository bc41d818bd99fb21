/// A name in an expression: a metric, a label, a function or a keyword.
struct PromQLWord {
  var text: String
  /// The metric whose braces it stands in, as a label that is matched.
  var selector: String?

  /// Every name of an expression in its order. Text in quotes, numbers and durations are none.
  static func all(in expression: String) -> [PromQLWord] {
    var words: [PromQLWord] = []
    var selector: String?
    var rest = Substring(expression)
    while let character = rest.first {
      switch character {
      case "\"":
        rest = rest.dropFirst().drop { $0 != "\"" }.dropFirst()
      case "{":
        selector = words.last?.text
        rest.removeFirst()
      case "}":
        selector = nil
        rest.removeFirst()
      case _ where character.isNumber:
        rest = rest.drop { $0.isNumber || $0.isLetter || $0 == "." || $0 == ":" }
      case _ where isPart(character):
        words.append(PromQLWord(text: String(rest.prefix(while: isPart)), selector: selector))
        rest = rest.drop(while: isPart)
      default:
        rest.removeFirst()
      }
    }
    return words
  }

  private static func isPart(_ character: Character) -> Bool {
    character.isLetter || character.isNumber || character == "_" || character == ":"
  }
}
