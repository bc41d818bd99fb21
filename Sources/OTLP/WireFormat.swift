/// Protobuf's wire format as far as OTLP's metrics need it (protobuf documentation, "Encoding"). Fields are written in the
/// order of their numbers, and those with their default value are left out, as protobuf's own encoders do.
extension [UInt8] {
  /// How the value of a field is written.
  enum WireType: UInt8 {
    case varint = 0
    case eightBytes = 1
    case bytes = 2
  }

  /// Every field of OTLP's metrics has a number below 16, so its tag is one byte.
  private static func tag(_ field: UInt8, _ type: WireType) -> UInt8 { field << 3 | type.rawValue }

  mutating func appendVarint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(rest))
  }

  mutating func appendEightBytes(_ value: UInt64) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  /// A fixed64, sfixed64 or double by its bits; written even where it is zero.
  mutating func appendField(_ field: UInt8, bits: UInt64) {
    append(Self.tag(field, .eightBytes))
    appendEightBytes(bits)
  }

  /// A uint32, bool or enum.
  mutating func appendField(_ field: UInt8, varint value: UInt64) {
    guard value != 0 else { return }
    append(Self.tag(field, .varint))
    appendVarint(value)
  }

  /// A sint32.
  mutating func appendField(_ field: UInt8, zigZag value: Int) {
    appendField(field, varint: UInt64(bitPattern: Int64(value << 1 ^ value >> 63)))
  }

  /// What stands before a message, or before anything else that is written with its length.
  mutating func appendHeader(_ field: UInt8, count: Int) {
    append(Self.tag(field, .bytes))
    appendVarint(UInt64(count))
  }

  /// A message, or anything else that is written with its length; also where it is empty.
  mutating func appendField(_ field: UInt8, _ content: [UInt8]) {
    appendHeader(field, count: content.count)
    append(contentsOf: content)
  }

  /// A packed list of fixed64 or double by their bits.
  mutating func appendField(_ field: UInt8, packed numbers: some Collection<UInt64>) {
    guard !numbers.isEmpty else { return }
    appendHeader(field, count: 8 * numbers.count)
    for bits in numbers { appendEightBytes(bits) }
  }

  /// A text; an empty one is left out.
  mutating func appendField(_ field: UInt8, _ text: String, limit: Int = .max) {
    if !text.isEmpty { appendField(field, Self.text(text, limit: limit)) }
  }

  /// A text, cut at a scalar boundary at or before the limit. U+0000, at which C ends a text, becomes U+FFFD.
  static func text(_ text: String, limit: Int = .max) -> [UInt8] {
    let bytes = [UInt8](text.utf8).cut(at: limit)
    guard bytes.contains(0) else { return bytes }
    let replaced = String(decoding: bytes, as: UTF8.self).unicodeScalars.map { $0 == "\0" ? "\u{fffd}" : String($0) }
    return [UInt8](replaced.joined().utf8).cut(at: limit)
  }

  private func cut(at limit: Int) -> [UInt8] {
    guard count > limit else { return self }
    var end = limit
    while end > 0, self[end] & 0xc0 == 0x80 { end -= 1 }
    return [UInt8](self[..<end])
  }
}
