extension Int {
  /// The number with its noun, e.g. `1 event`, `2 events`.
  package func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
