/// "Did you mean": the nearest of the known words, where one is near.
package enum Suggestion {
  /// The known word that the fewest edits turn the given one into; nil where that takes more than a third of it.
  package static func nearest(to word: String, among known: some Sequence<String>) -> String? {
    let folded = fold(word)
    let ranked = known.map { (word: $0, edits: edits(folded, fold($0))) }
    guard let best = ranked.min(by: { ($0.edits, $0.word) < ($1.edits, $1.word) }) else { return nil }
    return best.edits <= max(1, word.count / 3) ? best.word : nil
  }

  /// A hint for a word that is none of the known: the nearest one, else all of them.
  static func hint(for word: String, among known: [String]) -> String {
    if let nearest = nearest(to: word, among: known) { return "did you mean `\(nearest)`?" }
    return known.isEmpty ? "there is none" : "known are " + known.map { "`\($0)`" }.joined(separator: ", ")
  }

  private static func fold(_ word: String) -> [Character] { word.lowercased().map { $0 == "-" ? "_" : $0 } }

  /// Damerau-Levenshtein distance (optimal string alignment): insert, delete, replace, swap neighbours.
  private static func edits(_ left: [Character], _ right: [Character]) -> Int {
    var before: [Int] = []
    var previous = Array(0...right.count)
    for row in 0..<left.count {
      var current = [row + 1]
      for column in 0..<right.count {
        let replaced = previous[column] + (left[row] == right[column] ? 0 : 1)
        var best = min(replaced, previous[column + 1] + 1, current[column] + 1)
        if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
          best = min(best, before[column - 1] + 1)
        }
        current.append(best)
      }
      (before, previous) = (previous, current)
    }
    return previous[right.count]
  }
}
