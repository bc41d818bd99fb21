internal import HTTPClient

/// One request on an HTTP/2 connection and what has come back so far.
final class HTTP2Stream {
  let headers: [(name: String, value: String, isSecret: Bool)]
  /// What is still to be sent.
  var body: ArraySlice<UInt8>

  private(set) var status: Int?
  private(set) var head: [HTTPHeader] = []
  private(set) var trailers: [HTTPHeader] = []
  private(set) var received: [UInt8] = []
  /// The stream ended with this code (RFC 9113 §7); 0 is an orderly end.
  private(set) var endCode: UInt32?
  private(set) var isTooLarge = false
  private var isHeadComplete = false

  init(headers: [(name: String, value: String, isSecret: Bool)], body: [UInt8]) {
    self.headers = headers
    self.body = body[...]
  }

  func takeHeader(_ name: String, _ value: String) {
    if name == ":status" {
      // The head of an interim answer is replaced by the final one.
      status = Int(value)
      head = []
    } else if isHeadComplete {
      trailers.append(HTTPHeader(name, value))
    } else {
      head.append(HTTPHeader(name, value))
    }
  }

  func endHeaders() { isHeadComplete = isHeadComplete || (status ?? 0) >= 200 }

  /// False where the answer is larger than it may be; what says so is not waited for.
  func takeData(_ bytes: RawSpan) -> Bool {
    unsafe bytes.withUnsafeBytes { unsafe received.append(contentsOf: $0) }
    let claimed = isGRPC && received.count >= 5 ? GRPCFrame.length(received) : 0
    isTooLarge = received.count > HTTPConnection.responseLimit + 5 || claimed > HTTPConnection.responseLimit
    if isTooLarge { received = [] }
    return !isTooLarge
  }

  func end(_ code: UInt32) { endCode = code }

  /// Nothing of the answer has arrived.
  var isUnanswered: Bool { status == nil }

  var isGRPC: Bool { head.last { $0.name == "content-type" }?.value.hasPrefix("application/grpc") ?? false }
}
