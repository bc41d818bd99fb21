import YAMLClient

/// A value of the configuration file, with the path of its key in the catalogue.
struct FileValue {
  let node: YAMLNode
  let key: String

  /// True for `[]`, which says nothing where something is needed.
  var isEmptyList: Bool { node.content == .sequence([]) }

  /// True for the word that takes a limit away.
  var isNever: Bool {
    guard case .scalar(let text, _) = node.content else { return false }
    return text == "never"
  }

  /// True for keys with values.
  var isMapping: Bool {
    if case .mapping(_) = node.content { true } else { false }
  }
}

/// A scalar of the file with its variables in place.
struct FileText {
  /// The text that counts. It may hold a secret that came from the environment.
  var text: String
  /// The text as it is written in the file, for messages.
  var shown: String
  var place: ConfigurationPlace
}

extension ConfigurationReader {
  func place(_ value: FileValue) -> ConfigurationPlace {
    .file(path: filePath, line: value.node.line, column: value.node.column)
  }

  /// The values of a mapping by key. What is allowed is what the catalogue has below `value.key`.
  mutating func mapping(_ value: FileValue?, alsoAllowing extra: [String] = []) -> [String: FileValue]? {
    guard let value, let entries = entries(value) else { return nil }
    let allowed = ConfigurationCatalog.children(of: value.key) + extra
    var values: [String: FileValue] = [:]
    for entry in entries {
      guard allowed.contains(entry.key) else {
        let place = ConfigurationPlace.file(path: filePath, line: entry.line, column: entry.column)
        problem(place, "unknown key\(Self.shown(key: entry.key))", Suggestion.hint(for: entry.key, among: allowed))
        continue
      }
      let path = value.key.isEmpty ? entry.key : "\(value.key).\(entry.key)"
      values[entry.key] = FileValue(node: entry.value, key: path)
    }
    return values
  }

  /// The entries of a mapping whose keys are the user's choice; `placeholder` is their name in the catalogue.
  mutating func namedEntries(
    _ value: FileValue?, _ placeholder: String
  ) -> [(name: String, place: ConfigurationPlace, value: FileValue)] {
    guard let value, let entries = entries(value) else { return [] }
    return entries.map { entry in
      (
        entry.key, .file(path: filePath, line: entry.line, column: entry.column),
        FileValue(node: entry.value, key: "\(value.key).\(placeholder)")
      )
    }
  }

  /// The items of a list.
  mutating func items(_ value: FileValue?) -> [FileValue] {
    guard let value else { return [] }
    guard case .sequence(let items) = value.node.content else {
      problem(place(value), "`\(Self.lastPart(value.key))` has to be a list", "begin every item with `- `")
      return []
    }
    return items.map { FileValue(node: $0, key: value.key + "[]") }
  }

  /// The text of a scalar with `${env:NAME}` replaced.
  mutating func text(_ value: FileValue?) -> FileText? {
    guard let value else { return nil }
    guard case .scalar(let written, _) = value.node.content else {
      problem(place(value), "`\(Self.lastPart(value.key))` has to be a single value")
      return nil
    }
    if isNull(value) {
      problem(place(value), "`\(Self.lastPart(value.key))` has no value", "leave the key away, or give it one")
      return nil
    }
    guard let text = expand(written, at: place(value)) else { return nil }
    return FileText(text: text, shown: written, place: place(value))
  }

  /// True for nothing, `~` and `null`, unless quoted.
  func isNull(_ value: FileValue) -> Bool {
    guard case .scalar(let text, plain: true) = value.node.content else { return false }
    return text.isEmpty || text == "~" || text == "null"
  }

  mutating func string(_ value: FileValue?) -> String? {
    guard let text = text(value) else { return nil }
    if text.text.isEmpty {
      problem(text.place, "`\(Self.lastPart(value?.key ?? ""))` is empty", "leave the key away, or give it a value")
      return nil
    }
    return text.text
  }

  /// A list of texts.
  mutating func strings(_ value: FileValue?) -> [String] {
    items(value).compactMap { text($0)?.text }
  }

  mutating func boolean(_ value: FileValue?) -> Bool? {
    guard let text = text(value) else { return nil }
    switch text.text {
    case "true": return true
    case "false": return false
    default:
      problem(text.place, "`\(text.shown)` is neither true nor false")
      return nil
    }
  }

  mutating func integer(_ value: FileValue?, from minimum: Int) -> Int? {
    guard let text = text(value) else { return nil }
    if let number = Self.wholeNumber(text.text), number >= minimum { return number }
    problem(text.place, "`\(text.shown)` is not a whole number from \(minimum) up")
    return nil
  }

  mutating func duration(_ value: FileValue?) -> Duration? {
    guard let text = text(value) else { return nil }
    if let duration = DurationText.parse(text.text) { return duration }
    problem(text.place, "`\(text.shown)` is not a duration", DurationText.hint)
    return nil
  }

  /// One of a fixed set of words.
  mutating func choice<Word: RawRepresentable & CaseIterable>(
    _ value: FileValue?, among words: [Word] = Array(Word.allCases)
  ) -> Word? where Word.RawValue == String {
    guard let text = text(value) else { return nil }
    if let word = words.first(where: { $0.rawValue == text.text }) { return word }
    problem(
      text.place, "`\(text.shown)` is not known here", Suggestion.hint(for: text.shown, among: words.map(\.rawValue)))
    return nil
  }

  /// A key in a message; nothing where it may be a value that slipped into the place of a key.
  static func shown(key: String) -> String {
    let isWord =
      !key.isEmpty && key.utf8.count <= 64
      && key.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-.".contains($0)) }
    return isWord ? " `\(key)`" : ""
  }

  static func wholeNumber(_ text: String) -> Int? {
    text.allSatisfy { $0.isASCII && $0.isNumber } ? Int(text) : nil
  }

  static func lastPart(_ key: String) -> Substring {
    key.split(separator: ".").last?.prefix { $0 != "[" } ?? "file"
  }

  private mutating func entries(_ value: FileValue) -> [YAMLNode.Entry]? {
    if case .mapping(let entries) = value.node.content { return entries }
    let name = value.key.isEmpty ? "the file" : "`\(Self.lastPart(value.key))`"
    problem(place(value), "\(name) has to be keys with values", "write `key: value`, with a blank after the colon")
    return nil
  }

  /// Replaces `${env:NAME}`; `$${` stands for `${`.
  private mutating func expand(_ written: String, at place: ConfigurationPlace) -> String? {
    var result = ""
    var rest = written[...]
    while let dollar = rest.firstIndex(of: "$") {
      result += rest[..<dollar]
      rest = rest[dollar...]
      if rest.hasPrefix("$${") {
        result += "${"
        rest = rest.dropFirst(3)
      } else if rest.hasPrefix("${env:"), let end = rest.firstIndex(of: "}") {
        let name = String(rest[..<end].dropFirst(6))
        guard Self.isVariableName(name) else {
          problem(
            place, "`${env:…}` does not name a variable", "letters, digits and `_`, for example ${env:PGPASSWORD}")
          return nil
        }
        guard let value = environment[name] else {
          problem(place, "the environment variable `\(name)` is not set", "set it, or write `$${` for a literal `${`")
          return nil
        }
        result += value
        rest = rest[rest.index(after: end)...]
      } else if rest.hasPrefix("${") {
        problem(place, "`${` is not followed by `env:NAME}`", "write ${env:NAME}, or `$${` for a literal `${`")
        return nil
      } else {
        result += "$"
        rest = rest.dropFirst()
      }
    }
    return result + rest
  }

  private static func isVariableName(_ name: String) -> Bool {
    guard let first = name.first, !first.isNumber else { return false }
    return name.utf8.count <= 255 && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
  }
}
