package import YAMLClient

extension YAMLNode {
  /// The value of a mapping's key.
  package subscript(_ key: String) -> YAMLNode? { entries.first { $0.key == key }?.value }

  /// The keys and values of a mapping; none of anything else.
  package var entries: [Entry] { if case .mapping(let entries) = content { entries } else { [] } }

  /// The keys of a mapping.
  package var keys: [String] { entries.map(\.key) }

  /// The values of a sequence; none of anything else.
  package var elements: [YAMLNode] { if case .sequence(let elements) = content { elements } else { [] } }

  /// The text of a scalar.
  package var text: String? { if case .scalar(let text, _) = content { text } else { nil } }

  /// A mapping of text to text.
  package var texts: [String: String] {
    Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value.text ?? "not text") })
  }
}
