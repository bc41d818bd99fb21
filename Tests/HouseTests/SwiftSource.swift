import TestSupport

/// One Swift file, read line by line. Good enough for house rules; it is no parser.
struct SwiftSource {
  /// The file's path relative to the package.
  var path: String
  /// Its lines as they are.
  var lines: [Substring]

  /// A file from its text.
  init(path: String, text: String) {
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// Every Swift file below directories of the package.
  static func all(under directories: String...) throws -> [SwiftSource] {
    try directories.flatMap(ProjectFiles.all(under:)).filter { $0.hasSuffix(".swift") }
      .map { SwiftSource(path: $0, text: try ProjectFiles.text(of: $0)) }
  }

  /// The target that the file belongs to: the second part of its path.
  var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

  /// Its lines that have a text, with their numbers, without comments, string literals and names in backticks. A string with
  /// an interpolation is kept. The others are not looked at any closer, which would take minutes for all files.
  private func code(with text: String) -> [(line: Int, code: String)] {
    lines.enumerated().filter { _, line in line.contains(text) }.map { index, line in
      let bare = line.replacing(/"(?:[^"\\]|\\[^(])*"|`[^`]*`/, with: "\"\"")
      return (index + 1, String(bare.replacing(/\/\/.*/, with: "")))
    }
  }

  /// The modules that it imports, with their lines.
  var imports: [(line: Int, module: String)] {
    let pattern =
      #/
      ^\s* (?: @\w+ (?: \([^)]*\) )? \s+ | (?:public|package|internal|fileprivate|private)\s+ )*
      import\s+ (?: (?:struct|class|enum|protocol|typealias|func|let|var)\s+ )? (\w+)
      /#
    return code(with: "import").compactMap { line, code in
      code.prefixMatch(of: pattern).map { (line, String($0.output.1)) }
    }
  }

  /// Lines whose code has a whole word.
  func lines(with word: String) -> [Int] {
    code(with: word).filter { _, code in code.split { !($0.isLetter || $0.isNumber || $0 == "_") }.contains(word[...]) }
      .map(\.line)
  }

  /// Types that it declares whose name has a text.
  func declaredTypes(with text: String) -> [String] {
    code(with: text).flatMap { _, code in
      code.matches(of: /\b(?:class|struct|enum|protocol|actor|typealias)\s+(\w+)/).map { String($0.output.1) }
    }
    .filter { $0.contains(text) }
  }

  /// What its protocols ask for: the names of their requirements.
  var requirements: [String] {
    var names: [String] = []
    var isProtocol = false
    for line in lines {
      if line.wholeMatch(of: /(?:package )?protocol .*{/) != nil { isProtocol = true }
      if line == "}" { isProtocol = false }
      if isProtocol, let match = line.prefixMatch(of: /\s+(?:static )?(?:func|var) (\w+)/) {
        names.append(String(match.output.1))
      }
    }
    return names
  }

  /// Lines that declare something for other modules without a doc comment.
  ///
  /// - Parameter documentedElsewhere: names that need none, since the protocol that asks for them says what they mean.
  func undocumentedDeclarations(documentedElsewhere: Set<String> = []) -> [Int] {
    let declaration =
      #/
      ^\s* (?: @\w+ (?: \([^)]*\) )? \s+ )*
      (?: [a-z]+ (?: \(\w+\) )? \s+ )*? (?:package|public|open)\s+ (?: [a-z]+ (?: \(\w+\) )? \s+ )*?
      (?:func|var|let|init|struct|class|enum|protocol|actor|typealias|subscript)\b \s* ([^\s(:]*)
      /#
    return lines.enumerated().compactMap { index, line in
      guard let match = line.prefixMatch(of: declaration) else { return nil }
      if documentedElsewhere.contains(String(match.output.1)) { return nil }
      let above = lines[..<index].last { !$0.trimmed.hasPrefix("@") && !$0.trimmed.isEmpty }
      return above?.trimmed.hasPrefix("///") == true ? nil : index + 1
    }
  }
}
