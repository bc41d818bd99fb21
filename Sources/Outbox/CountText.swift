extension Int {
  /// The number with its noun, e.g. `1 event`, `2 events`.
  package func counted(_ noun: String) -> String { counted(noun, noun + "s") }

  /// The number with a noun whose plural is another word.
  package func counted(_ noun: String, _ nouns: String) -> String { "\(self) \(self == 1 ? noun : nouns)" }
}
