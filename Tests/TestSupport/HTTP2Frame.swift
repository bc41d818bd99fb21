/// A frame of HTTP/2 (RFC 9113 §4.1) as a scripted server sends it.
package struct HTTP2Frame: Sendable {
  /// The type (RFC 9113 §6).
  package var type: UInt8
  /// The flags, by type.
  package var flags: UInt8
  /// The stream; nil is that of the request.
  package var stream: UInt32?
  /// What follows the nine bytes of the head.
  package var payload: [UInt8]

  /// A frame.
  package init(_ type: UInt8, flags: UInt8 = 0, stream: UInt32? = nil, _ payload: [UInt8] = []) {
    self.type = type
    self.flags = flags
    self.stream = stream
    self.payload = payload
  }

  /// DATA.
  package static func data(_ bytes: [UInt8], end: Bool = false) -> HTTP2Frame {
    HTTP2Frame(0, flags: end ? 1 : 0, bytes)
  }

  /// HEADERS with literal fields that are not indexed (RFC 7541 §6.2.2).
  package static func headers(_ fields: [(String, String)], end: Bool = false) -> HTTP2Frame {
    HTTP2Frame(1, flags: end ? 5 : 4, fieldBlock(fields))
  }

  /// RST_STREAM.
  package static func reset(_ code: UInt32) -> HTTP2Frame { HTTP2Frame(3, bytes(code)) }

  /// SETTINGS.
  package static func settings(_ values: [(UInt16, UInt32)]) -> HTTP2Frame {
    HTTP2Frame(4, stream: 0, values.flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] + bytes($1) })
  }

  /// PING.
  package static let ping = HTTP2Frame(6, stream: 0, [1, 2, 3, 4, 5, 6, 7, 8])

  /// GOAWAY without an error.
  package static func goAway(lastStream: UInt32) -> HTTP2Frame {
    HTTP2Frame(7, stream: 0, bytes(lastStream) + bytes(0))
  }

  /// A list of fields in literal form.
  package static func fieldBlock(_ fields: [(String, String)]) -> [UInt8] {
    fields.flatMap { [0] + text($0) + text($1) }
  }

  /// The bytes on the wire, for the stream of a request.
  func encoded(for request: UInt32) -> [UInt8] {
    let length = Self.bytes(UInt32(payload.count)).dropFirst()
    return Array(length) + [type, flags] + Self.bytes(stream ?? request) + payload
  }

  static func bytes(_ number: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } }

  private static func text(_ text: String) -> [UInt8] {
    let length = text.utf8.count
    // An integer with a prefix of seven bits (RFC 7541 §5.1).
    if length < 127 { return [UInt8(length)] + text.utf8 }
    var rest = length - 127
    var prefix: [UInt8] = [127]
    while rest >= 128 {
      prefix.append(UInt8(rest & 127) | 128)
      rest >>= 7
    }
    return prefix + [UInt8(rest)] + text.utf8
  }
}

extension [HTTP2Frame] {
  /// The answer to a unary call: head, one message, trailers. Further trailers may follow the status.
  package static func answer(
    status: String = "0", message: [UInt8] = [0, 0, 0, 0, 0], head: [(String, String)] = [],
    trailers: [(String, String)] = []
  ) -> [HTTP2Frame] {
    [
      .headers([(":status", "200"), ("content-type", "application/grpc")] + head), .data(message),
      .headers([("grpc-status", status)] + trailers, end: true),
    ]
  }

  /// An answer that is nothing but a status ("Trailers-Only").
  package static func status(_ status: String, _ trailers: [(String, String)] = []) -> [HTTP2Frame] {
    [
      .headers(
        [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", status)] + trailers, end: true)
    ]
  }
}
