/// The metrics and labels that a PromQL expression names. It is no parser: promtool says whether an expression is right,
/// this says what is in it.
struct PromQLSelectors {
  /// `metric{label="value"}[range]`, and the function whose first argument it is.
  struct Selector {
    var metric: String
    var matchers: [Matcher] = []
    var range: String?
    var function: String?
  }

  struct Matcher {
    let label: String
    let comparison: String
    let value: String
  }

  private(set) var selectors: [Selector] = []
  /// The labels of `by`, `on` and their like.
  private(set) var groupings: Set<String> = []

  private static let words: Set = [
    "and", "or", "unless", "offset", "bool", "sum", "max", "min", "avg", "count", "group", "topk",
  ]
  private static let groupingWords: Set = ["by", "without", "on", "ignoring", "group_left", "group_right"]

  private let text: [Character]
  private var position = 0

  init(_ expression: String) {
    text = Array(expression)
    scan()
  }

  private var next: Character? { position < text.count ? text[position] : nil }

  private mutating func skipSpaces() {
    while next?.isWhitespace == true { position += 1 }
  }

  private mutating func take(_ character: Character) -> Bool {
    skipSpaces()
    guard next == character else { return false }
    position += 1
    return true
  }

  private mutating func takeWhile(_ isWanted: (Character) -> Bool) -> String {
    let start = position
    while let character = next, isWanted(character) { position += 1 }
    return String(text[start..<position])
  }

  private mutating func scan() {
    var function: String?
    while let character = next {
      if character == "\"" {
        _ = quoted()
      } else if character == "[" {
        // The range of a subquery; that of a selector is read with it.
        _ = takeWhile { $0 != "]" }
      } else if character.isNumber {
        _ = takeWhile { $0.isNumber || $0.isLetter || $0 == "." }
      } else if character.isLetter || character == "_" {
        let name = takeWhile { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" }
        function = word(name, argumentOf: function)
        continue
      } else {
        position += 1
      }
      if !character.isWhitespace { function = nil }
    }
  }

  /// What follows a name decides what it is; a function's name is what the next selector is the argument of.
  private mutating func word(_ name: String, argumentOf function: String?) -> String? {
    if Self.groupingWords.contains(name) {
      guard take("(") else { return nil }
      groupings.formUnion(takeWhile { $0 != ")" }.split { $0 == "," || $0 == " " }.map(String.init))
    } else if take("(") {
      return name
    } else if !Self.words.contains(name) {
      var selector = Selector(metric: name, function: function)
      if take("{") { selector.matchers = matchers() }
      if take("[") { selector.range = takeWhile { $0 != "]" } }
      selectors.append(selector)
    }
    return nil
  }

  private mutating func matchers() -> [Matcher] {
    var result: [Matcher] = []
    while !take("}"), next != nil {
      skipSpaces()
      let label = takeWhile { $0.isLetter || $0.isNumber || $0 == "_" }
      let comparison = takeWhile { "=!~".contains($0) }
      result.append(Matcher(label: label, comparison: comparison, value: quoted()))
      _ = take(",")
    }
    return result
  }

  private mutating func quoted() -> String {
    guard take("\"") else { return "" }
    let value = takeWhile { $0 != "\"" }
    position += 1
    return value
  }
}
