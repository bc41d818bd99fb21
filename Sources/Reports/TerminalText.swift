/// Text as a terminal can show it: nothing that the terminal would obey, and a width that is known.
package enum TerminalText {
  /// The text without what a terminal might obey or show in a way that nobody can foresee: controls, line breaks,
  /// marks of direction, joiners, private and unassigned characters, piles of accents.
  ///
  /// - Parameter isASCII: whether everything else than ASCII is replaced too.
  package static func cleaned(_ text: String, isASCII: Bool) -> String {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return text }
    var cleaned = ""
    var marks = mostMarks
    for scalar in text.unicodeScalars {
      if isASCII, scalar.value > 0x7e {
        cleaned += inASCII[scalar] ?? (scalar.isJoiner || scalar.isMark ? "" : "?")
      } else if scalar.isMark {
        marks += 1
        if marks <= mostMarks { cleaned.unicodeScalars.append(scalar) }
      } else if !scalar.isJoiner {
        marks = 0
        cleaned.unicodeScalars.append(scalar.isSpace ? " " : scalar.isForbidden ? (isASCII ? "?" : "\u{fffd}") : scalar)
      }
    }
    return cleaned
  }

  /// How many columns a cleaned text takes; rather one too many than one too few.
  package static func columns(_ text: some StringProtocol) -> Int {
    text.unicodeScalars.reduce(0) { $0 + $1.terminalColumns }
  }

  /// As much of a cleaned text as fits, with a mark at the end where something was cut off.
  static func cut(_ text: String, to width: Int, mark: String) -> String {
    guard columns(text) > width else { return text }
    guard width > 0 else { return "" }
    var kept = ""
    var used = 0
    for scalar in text.unicodeScalars {
      used += scalar.terminalColumns
      // The last column is the mark's.
      if used > width - 1 { break }
      kept.unicodeScalars.append(scalar)
    }
    return kept + mark
  }

  /// As much of a cleaned name as fits, with a mark in the place of what was taken out of its middle: what tells names
  /// from each other often stands at the end.
  static func cutInMiddle(_ name: String, to width: Int, mark: String) -> String {
    guard columns(name) > width, width >= 6 else { return cut(name, to: width, mark: mark) }
    let head = cut(name, to: width / 3 + 1, mark: mark)
    var tail: [Unicode.Scalar] = []
    var used = columns(head)
    for scalar in name.unicodeScalars.reversed() {
      used += scalar.terminalColumns
      if used > width { break }
      tail.append(scalar)
    }
    // An accent without its letter would stand on the mark.
    while let last = tail.last, last.isMark { tail.removeLast() }
    var text = head
    text.unicodeScalars.append(contentsOf: tail.reversed())
    return text
  }

  /// A cleaned text in lines, broken at spaces where there are some.
  static func wrapped(_ text: String, to width: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, columns(line) + 1 + columns(word) > width {
        lines.append(line)
        line = ""
      }
      line += line.isEmpty ? String(word) : " \(word)"
    }
    return line.isEmpty ? lines : lines + [line]
  }

  /// More accents than this on one letter are no language's.
  private static let mostMarks = 2

  private static let inASCII: [Unicode.Scalar: String] = [
    "…": "...", "→": "->", "–": "-", "—": "-", "−": "-", "’": "'", "‘": "'", "“": "\"", "”": "\"", "•": "*",
  ]
}

extension Unicode.Scalar {
  /// How many columns a terminal needs for it, at most: two where East Asian Width is wide or full (UAX #11) or where
  /// it is an emoji, none where it stands on the one before.
  fileprivate var terminalColumns: Int {
    if value < 0x300 { return 1 }
    if isMark { return 0 }
    if properties.isEmojiPresentation { return 2 }
    return Self.wide.contains { $0.contains(value) } ? 2 : 1
  }

  // Whole blocks: what is narrow in them, or not assigned, is shown a column too wide.
  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115f, 0x231a...0x231b, 0x2329...0x232a, 0x2630...0x2637, 0x268a...0x268f, 0x2e80...0x303e,
    0x3041...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe10...0xfe19, 0xfe30...0xfe6f,
    0xff01...0xff60, 0xffe0...0xffe6, 0x16fe0...0x18dff, 0x1aff0...0x1b2ff, 0x1d300...0x1d37f, 0x1f000...0x1faff,
    0x20000...0x3fffd,
  ]

  /// True for accents that are put onto the letter before.
  fileprivate var isMark: Bool {
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark: !isVariationSelector
    default: false
    }
  }

  /// True for what only tells how its neighbours are drawn: nothing is lost without it.
  fileprivate var isJoiner: Bool {
    value == 0x200c || value == 0x200d || value == 0xad || isVariationSelector
  }

  private var isVariationSelector: Bool {
    (0xfe00...0xfe0f).contains(value) || (0xe0100...0xe01ef).contains(value)
  }

  fileprivate var isSpace: Bool {
    value == 0x09 || value == 0x0a || properties.generalCategory == .spaceSeparator
  }

  fileprivate var isForbidden: Bool {
    switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }
}
