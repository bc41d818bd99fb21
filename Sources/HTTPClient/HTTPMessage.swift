/// One header field. Its value may be a secret, so it shows itself without it.
package struct HTTPHeader: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
  /// The field's name; case does not matter.
  package var name: String
  /// The field's value.
  package var value: String

  /// A header field.
  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }

  /// The name alone.
  package var description: String { "\(name): ***" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(reflecting: description) }

  /// Whether the name is a token and the value has no line break or NUL (RFC 9110 §5.1, §5.5), so that nothing can be
  /// smuggled into a request.
  package var isValid: Bool {
    !name.isEmpty && name.utf8.allSatisfy(Self.isTokenByte)
      && value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }
  }

  private static func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }
}

/// What is asked of a server.
package struct HTTPRequest: Sendable {
  /// The request methods that the exporter needs.
  package enum Method: Sendable {
    /// Read. Has no body.
    case get
    /// Send a body.
    case post
  }

  /// What to do.
  package var method: Method
  /// Where, with scheme; only `http` and `https` are spoken.
  package var url: String
  /// Header fields beside those that the client itself sends. Where a name occurs twice, both are sent.
  package var headers: [HTTPHeader]
  /// The bytes of a POST.
  package var body: [UInt8]
  /// How long the whole exchange may take, connecting included; nil for no limit.
  package var timeout: Duration?

  /// A request.
  package init(
    _ method: Method, _ url: String, headers: [HTTPHeader] = [], body: [UInt8] = [], timeout: Duration? = .seconds(10)
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.timeout = timeout
  }
}

/// What a server answered: at least a complete response head.
package struct HTTPResponse: Sendable {
  /// The status code, 200 to 599 from an honest server.
  package var status: Int
  /// The header fields of the final response, in order, names in lower case.
  package var headers: [HTTPHeader]
  /// The body, decompressed.
  package var body: [UInt8]
  /// Why the body is not complete (cut off, timed out, not the gzip it says it is), or nil. The status stands anyway.
  package var bodyDefect: String?

  /// A response.
  package init(status: Int, headers: [HTTPHeader] = [], body: [UInt8] = [], bodyDefect: String? = nil) {
    self.status = status
    self.headers = headers
    self.body = body
    self.bodyDefect = bodyDefect
  }

  /// Every value of a header field, in order.
  package func values(_ name: String) -> [String] {
    let wanted = name.lowercased()
    return headers.filter { $0.name == wanted }.map(\.value)
  }

  /// The last value of a header field.
  package func value(_ name: String) -> String? { values(name).last }

  /// The media type in lower case, without parameters.
  package var mediaType: String? {
    value("content-type").map { text in
      String(text.prefix { $0 != ";" }).lowercased().trimmingSpaces()
    }
  }
}

extension String {
  /// The text without white space at either end.
  package func trimmingSpaces() -> String {
    guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace }) else {
      return ""
    }
    return String(self[first...last])
  }
}
