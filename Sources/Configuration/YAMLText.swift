/// A value that is written as YAML of the kind that the configuration reads: blocks, plain or double-quoted scalars.
indirect enum YAMLText {
  case scalar(String)
  /// A scalar without quotes, such as `null`.
  case keyword(String)
  case list([YAMLText])
  case mapping([(key: String, value: YAMLText)])

  /// The text, with a line end behind it.
  var text: String {
    var lines: [String] = []
    write(into: &lines, indentation: "")
    return lines.map { $0 + "\n" }.joined()
  }

  /// What fits behind a key or a dash.
  private var inline: String? {
    switch self {
    case .scalar(let text): Self.quoted(text)
    case .keyword(let word): word
    case .list(let items):
      Self.line(of: items)
    case .mapping(let entries): entries.isEmpty ? "{}" : nil
    }
  }

  /// A list in one line, where it is short enough to be read there.
  private static func line(of items: [YAMLText]) -> String? {
    guard items.allSatisfy(\.isScalar) else { return nil }
    let line = "[" + items.compactMap(\.inline).joined(separator: ", ") + "]"
    return line.utf8.count <= 80 ? line : nil
  }

  private var isScalar: Bool {
    switch self {
    case .scalar, .keyword: true
    case .list, .mapping: false
    }
  }

  private func write(into lines: inout [String], indentation: String) {
    if let inline {
      lines.append(indentation + inline)
      return
    }
    switch self {
    case .scalar, .keyword: break
    case .list(let items):
      for item in items {
        var nested: [String] = []
        item.write(into: &nested, indentation: indentation + "  ")
        nested[0] = indentation + "- " + nested[0].dropFirst(indentation.count + 2)
        lines += nested
      }
    case .mapping(let entries):
      for (key, value) in entries {
        if let inline = value.inline {
          lines.append("\(indentation)\(Self.quoted(key, isKey: true)): \(inline)")
        } else {
          lines.append("\(indentation)\(Self.quoted(key, isKey: true)):")
          value.write(into: &lines, indentation: indentation + "  ")
        }
      }
    }
  }

  private static func isPlain(_ text: String) -> Bool {
    func isWord(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "/"):
        true
      default: false
      }
    }
    guard let first = text.utf8.first, isWord(first), text.utf8.last != UInt8(ascii: " "),
      text.utf8.allSatisfy({
        isWord($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: " ")
      })
    else { return false }
    return text.utf8.count > 5 || !["null", "true", "false", "yes", "no", "on", "off"].contains(text.lowercased())
  }

  /// Quotes everything but plain words, and escapes `${`, which would be taken for a variable. Keys have no variables.
  private static func quoted(_ text: String, isKey: Bool = false) -> String {
    if isPlain(text) || text == "true" || text == "false" { return text }
    let isPrintable = text.utf8.allSatisfy { byte in
      (0x20..<0x7F).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
        && byte != UInt8(ascii: "$")
    }
    if isPrintable { return "\"\(text)\"" }
    var quoted = "\""
    let hasVariable = !isKey && text.utf8.contains(UInt8(ascii: "$"))
    for scalar in (hasVariable ? text.replacing("${", with: "$${") : text).unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      default:
        let value = scalar.value
        let isVisible =
          value >= 0x20 && !(0x7F...0xA0).contains(value) && ![0x2028, 0x2029, 0xFEFF].contains(value)
          && value & 0xFFFE != 0xFFFE
        if isVisible {
          quoted.unicodeScalars.append(scalar)
        } else {
          let digits = String(value, radix: 16, uppercase: true)
          quoted += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
        }
      }
    }
    return quoted + "\""
  }
}
