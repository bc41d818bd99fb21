/// Protobuf's wire format as far as OTLP's metrics need it (protobuf documentation, "Encoding"). Fields are written in the
/// order of their numbers, and those with their default value are left out, as protobuf's own encoders do. A message stands
/// behind its length, so everything is measured before it is written.
enum WireFormat {
  /// How the value of a field is written.
  enum FieldType: UInt8 {
    case varint = 0
    case eightBytes = 1
    case bytes = 2
  }

  /// Every field of OTLP's metrics has a number below 16, so its tag is one byte.
  static func tag(_ field: UInt8, _ type: FieldType) -> UInt8 { field << 3 | type.rawValue }

  /// The size of a fixed64, sfixed64 or double with its tag.
  static let eightByteField = 9

  static func size(varint value: UInt64) -> Int { (UInt64.bitWidth - (value | 1).leadingZeroBitCount + 6) / 7 }

  /// The size of a field that is left out where it is zero.
  static func fieldSize(varint value: UInt64) -> Int { value == 0 ? 0 : 1 + size(varint: value) }

  /// The size of a message inside another one, or of anything else with its length: tag, length, content.
  static func enclosed(_ size: Int) -> Int { 1 + self.size(varint: UInt64(size)) + size }

  /// The size of a packed list of fixed64 or double.
  static func packedSize(_ count: Int) -> Int { count == 0 ? 0 : enclosed(8 * count) }

  /// The size of a text, which is left out where it is empty.
  static func textSize(_ text: String) -> Int { text.isEmpty ? 0 : enclosed(text.utf8.count) }

  /// A sint32 as the varint that it is written as.
  static func zigZag(_ value: Int) -> UInt64 { UInt64(bitPattern: Int64(value << 1 ^ value >> 63)) }
}

// Inlined, so that where the next byte goes is kept in a register.
extension OutputSpan<UInt8> {
  @inline(__always) mutating func appendVarint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }

  @inline(__always) private mutating func appendEightBytes(_ value: UInt64) {
    append(UInt8(truncatingIfNeeded: value))
    append(UInt8(truncatingIfNeeded: value >> 8))
    append(UInt8(truncatingIfNeeded: value >> 16))
    append(UInt8(truncatingIfNeeded: value >> 24))
    append(UInt8(truncatingIfNeeded: value >> 32))
    append(UInt8(truncatingIfNeeded: value >> 40))
    append(UInt8(truncatingIfNeeded: value >> 48))
    append(UInt8(truncatingIfNeeded: value >> 56))
  }

  /// A fixed64, sfixed64 or double by its bits; written even where it is zero.
  mutating func appendField(_ field: UInt8, bits: UInt64) {
    append(WireFormat.tag(field, .eightBytes))
    appendEightBytes(bits)
  }

  /// A uint32, bool or enum.
  mutating func appendField(_ field: UInt8, varint value: UInt64) {
    guard value != 0 else { return }
    append(WireFormat.tag(field, .varint))
    appendVarint(value)
  }

  /// What stands before a message of so many bytes, or before anything else that is written with its length.
  mutating func appendHeader(_ field: UInt8, count: Int) {
    append(WireFormat.tag(field, .bytes))
    appendVarint(UInt64(count))
  }

  /// A packed list of fixed64.
  mutating func appendField(_ field: UInt8, packed numbers: [UInt64]) {
    guard !numbers.isEmpty else { return }
    appendHeader(field, count: 8 * numbers.count)
    for number in numbers { appendEightBytes(number) }
  }

  /// A packed list of double.
  mutating func appendField(_ field: UInt8, packed numbers: [Double]) {
    guard !numbers.isEmpty else { return }
    appendHeader(field, count: 8 * numbers.count)
    for number in numbers { appendEightBytes(number.bitPattern) }
  }

  /// A text; an empty one is left out.
  mutating func appendField(_ field: UInt8, _ text: String) {
    let bytes = text.utf8.span
    guard !bytes.isEmpty else { return }
    appendHeader(field, count: bytes.count)
    for index in bytes.indices { append(bytes[index]) }
  }
}

extension String {
  /// True where a text can be sent as it is: no longer than the limit and without U+0000, at which C ends a text.
  func isSound(limit: Int = .max) -> Bool {
    let bytes = utf8.span
    guard bytes.count <= limit else { return false }
    var least = UInt8.max
    for index in bytes.indices { least = min(least, bytes[index]) }
    return least > 0
  }

  /// The text with U+FFFD in the place of U+0000, cut at a scalar boundary at or before the limit.
  func sound(limit: Int = .max) -> String {
    if isSound(limit: limit) { return self }
    var sound = ""
    var size = 0
    for scalar in unicodeScalars {
      let scalar = scalar == "\0" ? "\u{fffd}" : scalar
      size += UTF8.width(scalar)
      if size > limit { break }
      sound.unicodeScalars.append(scalar)
    }
    return sound
  }
}
