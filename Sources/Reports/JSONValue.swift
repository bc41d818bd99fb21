/// A JSON document to be written. Object keys keep their order, so that the output is stable.
package indirect enum JSONValue: Sendable, Hashable {
  /// `null`.
  case null
  /// A truth value.
  case bool(Bool)
  /// A whole number.
  case int(Int)
  /// A number; written as `null` where JSON has none for it (NaN, infinity).
  case number(Double)
  /// Text.
  case string(String)
  /// A list.
  case array([JSONValue])
  /// Keys with values, in order.
  case object([(String, JSONValue)])

  package static func == (left: JSONValue, right: JSONValue) -> Bool { left.text == right.text }

  package func hash(into hasher: inout Hasher) { hasher.combine(text) }

  /// The document, indented by two spaces (RFC 8259).
  package var text: String {
    var text = ""
    write(into: &text, indentation: "")
    return text
  }

  private func write(into text: inout String, indentation: String) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .int(let value): text += String(value)
    case .number(let value):
      // Swift writes the shortest digits that read back as the same number, in a form that JSON knows too.
      text += !value.isFinite ? "null" : value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
    case .string(let value): Self.write(value, into: &text)
    case .array(let values):
      Self.write("[", "]", values.map { (nil, $0) }, into: &text, indentation)
    case .object(let pairs):
      Self.write("{", "}", pairs.map { (Optional($0.0), $0.1) }, into: &text, indentation)
    }
  }

  private static func write(
    _ open: String, _ close: String, _ items: [(key: String?, value: JSONValue)], into text: inout String,
    _ indentation: String
  ) {
    guard !items.isEmpty else {
      text += open + close
      return
    }
    text += open
    for (index, item) in items.enumerated() {
      text += (index == 0 ? "\n" : ",\n") + indentation + "  "
      if let key = item.key {
        write(key, into: &text)
        text += ": "
      }
      item.value.write(into: &text, indentation: indentation + "  ")
    }
    text += "\n" + indentation + close
  }

  private static func write(_ string: String, into text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7f:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
