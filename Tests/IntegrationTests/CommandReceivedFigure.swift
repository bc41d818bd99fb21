/// A data point in the body of a request, read with nothing but the rules of the wire format (protobuf.dev, "Encoding")
/// and the field numbers of OTLP: independent of the code that wrote it.
struct ReceivedFigure {
  let metric: String
  let attributes: [String: String]
  /// The number; nil for a histogram.
  let value: Double?
  /// Nanoseconds since 1970; 0 where there is none.
  let start: UInt64
  let time: UInt64
  /// True for the point that ends a series ("no recorded value").
  let isEnd: Bool

  /// Every point of an ExportMetricsServiceRequest.
  static func all(in body: [UInt8]) -> [ReceivedFigure] {
    // resource_metrics 1, scope_metrics 2, metrics 2; then name 1, and gauge 5, sum 7 or histogram 9 with data_points 1.
    messages(1, in: body[...]).flatMap { messages(2, in: $0) }.flatMap { messages(2, in: $0) }.flatMap { metric in
      let name = messages(1, in: metric).first.map { String(decoding: $0, as: UTF8.self) } ?? ""
      let numbers = (messages(5, in: metric) + messages(7, in: metric)).flatMap { messages(1, in: $0) }
      let histograms = messages(9, in: metric).flatMap { messages(1, in: $0) }
      return numbers.map { point(name, $0, attributes: 7, flags: 8) }
        + histograms.map { point(name, $0, attributes: 9, flags: 10) }
    }
  }

  private static func point(_ name: String, _ bytes: ArraySlice<UInt8>, attributes: UInt64, flags: UInt64)
    -> ReceivedFigure
  {
    let fields = fields(of: bytes)
    var value: Double?
    // In a number's point 4 is a double and 6 an integer; a histogram has other things there.
    for case (let field, .fixed(let bits)) in fields where attributes == 7 && (field == 4 || field == 6) {
      value = field == 4 ? Double(bitPattern: bits) : Double(Int64(bitPattern: bits))
    }
    var pairs: [String: String] = [:]
    for pair in messages(attributes, in: bytes) {
      let key = messages(1, in: pair).first.map { String(decoding: $0, as: UTF8.self) } ?? ""
      for case (let field, let content) in messages(2, in: pair).flatMap(Self.fields) {
        switch content {
        case .bytes(let text): pairs[key] = String(decoding: text, as: UTF8.self)
        case .number(let number): pairs[key] = field == 2 ? "\(number == 1)" : "\(number)"
        case .fixed: break
        }
      }
    }
    let isEnd = fields.contains { field, content in
      if case .number(let number) = content { field == flags && number & 1 == 1 } else { false }
    }
    func instant(_ number: UInt64) -> UInt64 {
      for case (number, .fixed(let nanoseconds)) in fields { return nanoseconds }
      return 0
    }
    return ReceivedFigure(
      metric: name, attributes: pairs, value: value, start: instant(2), time: instant(3), isEnd: isEnd)
  }

  private enum Content {
    case number(UInt64)
    case fixed(UInt64)
    case bytes(ArraySlice<UInt8>)
  }

  private static func messages(_ number: UInt64, in bytes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    fields(of: bytes).compactMap { field, content in
      if case .bytes(let message) = content, field == number { message } else { nil }
    }
  }

  private static func fields(of bytes: ArraySlice<UInt8>) -> [(UInt64, Content)] {
    var rest = bytes
    var fields: [(UInt64, Content)] = []
    while !rest.isEmpty {
      let tag = varint(&rest)
      switch tag & 7 {
      case 0: fields.append((tag >> 3, .number(varint(&rest))))
      case 1:
        fields.append((tag >> 3, .fixed(rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })))
        rest = rest.dropFirst(8)
      case 2:
        let count = Int(varint(&rest))
        fields.append((tag >> 3, .bytes(rest.prefix(count))))
        rest = rest.dropFirst(count)
      default: rest = rest.dropFirst(4)
      }
    }
    return fields
  }

  private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while let byte = rest.popFirst() {
      value |= UInt64(byte & 0x7f) << shift
      shift += 7
      if byte & 0x80 == 0 { break }
    }
    return value
  }
}
