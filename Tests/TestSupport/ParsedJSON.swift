/// A JSON text as values, to read what real servers answer. Numbers keep their text.
package indirect enum ParsedJSON: Sendable, Hashable {
  case null
  case bool(Bool)
  case number(String)
  case string(String)
  case array([ParsedJSON])
  case object([String: ParsedJSON])

  /// A text that is not JSON.
  package struct Malformed: Error {
    let offset: Int
  }

  /// Reads a JSON text.
  package init(_ text: String) throws {
    var reader = Reader(bytes: Array(text.utf8))
    self = try reader.value()
    reader.skipSpaces()
    guard reader.position == reader.bytes.count else { throw Malformed(offset: reader.position) }
  }

  /// The value of an object's key.
  package subscript(_ key: String) -> ParsedJSON? {
    if case .object(let members) = self { members[key] } else { nil }
  }

  /// The elements of an array; none of anything else.
  package var elements: [ParsedJSON] { if case .array(let elements) = self { elements } else { [] } }

  /// The members of an object; none of anything else.
  package var members: [String: ParsedJSON] { if case .object(let members) = self { members } else { [:] } }

  /// The text of a string or number.
  package var text: String? {
    switch self {
    case .string(let text), .number(let text): text
    default: nil
    }
  }

  private struct Reader {
    let bytes: [UInt8]
    var position = 0

    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpaces() {
      while let byte = next, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { position += 1 }
    }

    mutating func take(_ character: Character) -> Bool {
      skipSpaces()
      guard next == character.asciiValue else { return false }
      position += 1
      return true
    }

    mutating func expect(_ text: String) throws {
      for byte in text.utf8 {
        guard next == byte else { throw Malformed(offset: position) }
        position += 1
      }
    }

    mutating func value() throws -> ParsedJSON {
      skipSpaces()
      switch next.map({ Character(Unicode.Scalar($0)) }) {
      case "n":
        try expect("null")
        return .null
      case "t":
        try expect("true")
        return .bool(true)
      case "f":
        try expect("false")
        return .bool(false)
      case "\"": return .string(try string())
      case "[": return try array()
      case "{": return try object()
      default: return try number()
      }
    }

    mutating func array() throws -> ParsedJSON {
      try expect("[")
      var elements: [ParsedJSON] = []
      if take("]") { return .array([]) }
      repeat { elements.append(try value()) } while take(",")
      guard take("]") else { throw Malformed(offset: position) }
      return .array(elements)
    }

    mutating func object() throws -> ParsedJSON {
      try expect("{")
      var members: [String: ParsedJSON] = [:]
      if take("}") { return .object([:]) }
      repeat {
        skipSpaces()
        let key = try string()
        guard take(":") else { throw Malformed(offset: position) }
        members[key] = try value()
      } while take(",")
      guard take("}") else { throw Malformed(offset: position) }
      return .object(members)
    }

    mutating func number() throws -> ParsedJSON {
      let start = position
      while let byte = next, "+-.0123456789eE".utf8.contains(byte) { position += 1 }
      let text = String(decoding: bytes[start..<position], as: UTF8.self)
      guard Double(text) != nil else { throw Malformed(offset: start) }
      return .number(text)
    }

    mutating func string() throws -> String {
      try expect("\"")
      var units: [UInt16] = []
      var plain: [UInt8] = []
      var text = ""
      func flush(_ units: inout [UInt16], _ plain: inout [UInt8], _ text: inout String) {
        text += String(decoding: units, as: UTF16.self) + String(decoding: plain, as: UTF8.self)
        units = []
        plain = []
      }
      while let byte = next, byte != UInt8(ascii: "\"") {
        position += 1
        guard byte == UInt8(ascii: "\\") else {
          if !units.isEmpty { flush(&units, &plain, &text) }
          plain.append(byte)
          continue
        }
        guard let escape = next else { break }
        position += 1
        if escape == UInt8(ascii: "u") {
          guard position + 4 <= bytes.count,
            let unit = UInt16(String(decoding: bytes[position..<(position + 4)], as: UTF8.self), radix: 16)
          else { throw Malformed(offset: position) }
          position += 4
          if !plain.isEmpty { flush(&units, &plain, &text) }
          units.append(unit)
        } else {
          let meanings: [Character: Character] = [
            "n": "\n", "t": "\t", "r": "\r", "b": "\u{8}", "f": "\u{c}", "\"": "\"", "\\": "\\", "/": "/",
          ]
          guard let meaning = meanings[Character(Unicode.Scalar(escape))] else { throw Malformed(offset: position) }
          if !units.isEmpty { flush(&units, &plain, &text) }
          plain += Array(String(meaning).utf8)
        }
      }
      try expect("\"")
      flush(&units, &plain, &text)
      return text
    }
  }
}
