package import HTTPClient

/// A unary call.
package struct GRPCCall: Sendable {
  /// `/package.Service/Method`.
  package var path: String
  /// Metadata of the caller's; names are sent in lower case, values are treated as secrets.
  package var metadata: [HTTPHeader]
  /// The encoded message.
  package var message: [UInt8]
  /// The message is a gzip member.
  package var isCompressed: Bool
  /// How long the whole call may take, connecting included; nil for no limit.
  package var timeout: Duration?

  /// A call.
  package init(
    _ path: String, metadata: [HTTPHeader] = [], message: [UInt8], isCompressed: Bool = false,
    timeout: Duration? = .seconds(10)
  ) {
    self.path = path
    self.metadata = metadata
    self.message = message
    self.isCompressed = isCompressed
    self.timeout = timeout
  }

  /// A time limit as `grpc-timeout` (gRPC over HTTP/2, "Timeout"): at most eight digits and a unit.
  package static func timeoutText(_ limit: Duration) -> String {
    let (seconds, attoseconds) = limit.components
    if seconds >= 100_000 { return "\(min(seconds, 99_999_999))S" }
    return "\(max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000))m"
  }
}

/// How a call ended, told by the server or by what became of the stream.
package struct GRPCAnswer: Sendable, Hashable {
  /// The status.
  package var status: GRPCStatus
  /// What the server says about it, decoded.
  package var message: String
  /// `grpc-status-details-bin`, decoded: a google.rpc.Status. Empty where there is none.
  package var details: [UInt8]
  /// The message of the answer, decompressed.
  package var response: [UInt8]

  /// An answer.
  package init(_ status: GRPCStatus, message: String = "", details: [UInt8] = [], response: [UInt8] = []) {
    self.status = status
    self.message = message
    self.details = details
    self.response = response
  }

  /// What a stream that has ended amounts to (gRPC over HTTP/2, "Responses" and "Errors").
  init(_ stream: HTTP2Stream) {
    // Where there is no message, status and headers are one ("Trailers-Only").
    let trailers = stream.trailers.isEmpty ? stream.head : stream.trailers
    func value(_ name: String) -> String? { trailers.last { $0.name == name }?.value }
    guard let code = value("grpc-status") else {
      self.init(withoutStatus: stream)
      return
    }
    self.init(
      .unknown, message: MetadataText.percentDecoded(value("grpc-message") ?? ""),
      details: value("grpc-status-details-bin").flatMap { MetadataText.base64Decoded($0) } ?? [])
    // Int would read a sign too.
    let isNumber = code.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard isNumber, let known = Int(code).flatMap({ GRPCStatus(rawValue: $0) }) else {
      message = "the status \(code)" + (message.isEmpty ? "" : ": \(message)")
      return
    }
    status = known
    guard known == .ok else { return }
    let encoding = stream.head.last { $0.name == "grpc-encoding" }?.value
    do throws(GRPCFrame.Defect) {
      // A call that ended well without a message did what it was asked to.
      response = try GRPCFrame.content(stream.received, encoding: encoding)
    } catch {
      status = .internal
      switch error {
      case .notOneMessage: message = "the answer is not one message"
      case .unknownCompression: message = "the answer is compressed in a way that was not asked for"
      case .notGzip: message = "the answer is not the gzip that it says it is, or is too large"
      }
    }
  }

  private init(withoutStatus stream: HTTP2Stream) {
    if let code = stream.endCode, code != 0 {
      self.init(GRPCStatus(streamErrorCode: code), message: "the server ended the call with error \(code)")
    } else if let httpStatus = stream.status, httpStatus != 200 {
      let text = String(decoding: stream.received.prefix(2000), as: UTF8.self)
      self.init(
        GRPCStatus(httpStatus: httpStatus), message: "HTTP status \(httpStatus)" + (text.isEmpty ? "" : ": \(text)"))
    } else if !stream.isGRPC {
      let text = String(decoding: stream.received.prefix(2000), as: UTF8.self)
      self.init(.unknown, message: "what answers does not speak gRPC" + (text.isEmpty ? "" : ": \(text)"))
    } else {
      self.init(.unknown, message: "the answer ended without a status")
    }
  }
}
