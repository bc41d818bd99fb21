import Outbox

@testable import GRPCClient
@testable import HTTPClient
@testable import OTLP

/// A parser of what a server sends, and what has to hold whatever the bytes are. That it comes to its end without a trap is
/// one thing; the rest is said where it is checked.
package enum FuzzedParser: String, CaseIterable, Sendable {
  /// The header `Retry-After`: one value a line.
  case retryAfter = "retry-after"
  /// A response head, line by line, and a body behind the empty line; what becomes of the answer.
  case httpResponse = "http-response"
  /// A gzip member.
  case gzip = "gzip"
  /// An ExportMetricsServiceResponse with its partial success.
  case partialSuccess = "partial-success"
  /// A google.rpc.Status in the body of an HTTP answer.
  case status = "status"
  /// The same messages in JSON.
  case json = "json"
  /// A google.rpc.RetryInfo in the details of a google.rpc.Status.
  case retryInfo = "retry-info"
  /// `grpc-message`, percent-encoded.
  case grpcMessage = "grpc-message"
  /// A value of binary metadata, base64.
  case binaryMetadata = "binary-metadata"
  /// The framing of gRPC's messages.
  case grpcFrame = "grpc-frame"
  /// The head, message and trailers of a gRPC answer, a field a line; what becomes of the answer.
  case grpcAnswer = "grpc-answer"
  /// The bytes that an HTTP/2 server sends.
  case http2 = "http2"

  /// Lets the parser have the bytes.
  ///
  /// - Returns: what does not hold; nil where all is well.
  package func problem(with bytes: [UInt8]) -> String? {
    var rules = Rules()
    switch self {
    case .retryAfter: rules.retryAfter(bytes)
    case .httpResponse: rules.httpResponse(bytes)
    case .gzip: rules.gzip(bytes)
    case .partialSuccess: rules.partialSuccess(bytes)
    case .status: rules.status(bytes)
    case .json: rules.json(bytes)
    case .retryInfo: rules.retryInfo(bytes)
    case .grpcMessage: rules.grpcMessage(bytes)
    case .binaryMetadata: rules.binaryMetadata(bytes)
    case .grpcFrame: rules.grpcFrame(bytes)
    case .grpcAnswer: rules.grpcAnswer(bytes)
    case .http2: rules.http2(bytes)
    }
    return rules.problem
  }
}

/// What has to hold, and the first thing that does not.
struct Rules {
  static let now = Timestamp(nanoseconds: 1_800_000_000_123_456_789)
  private(set) var problem: String?

  mutating func hold(_ condition: Bool, _ rule: @autoclosure () -> String) {
    if !condition, problem == nil { problem = rule() }
  }

  /// Whatever a server asks for, the exporter neither spins nor sleeps longer than five minutes; and what is logged of its
  /// words is one short line.
  mutating func verdict(_ verdict: DeliveryVerdict) {
    switch verdict {
    case .delivered(_, let message): line(message, limit: 301)
    case .drop(let failure): self.failure(failure)
    case .retry(let failure, let wish):
      self.failure(failure)
      for (failures, random) in [(1, 0.0), (1, 0.999), (50, 0.999)] {
        let delay = RetryPolicy().delay(failures: failures, serverDelay: wish, random: random)
        hold(delay >= .milliseconds(500) && delay <= .seconds(300), "waits \(delay)")
      }
    }
  }

  private mutating func failure(_ failure: DeliveryFailure) {
    // The excerpt, and the advice around it.
    line(failure.message, limit: 1000)
    hold(failure.errorType.utf8.count <= 32, "the error type is \(failure.errorType)")
  }

  mutating func line(_ text: String, limit: Int) {
    hold(text.unicodeScalars.count <= limit, "\(text.unicodeScalars.count) characters are said")
    let unprintable: [Unicode.GeneralCategory] = [.control, .format, .lineSeparator, .paragraphSeparator]
    hold(
      !text.unicodeScalars.contains { unprintable.contains($0.properties.generalCategory) },
      "what is said is not one printable line")
  }
}

extension [UInt8] {
  var text: String { String(decoding: self, as: UTF8.self) }

  /// The lines, without their ends.
  var lines: [[UInt8]] { split(separator: 10, omittingEmptySubsequences: false).map(Array.init) }

  /// The first eight bytes as a number; fewer are filled up with zeros.
  var number: UInt64 { prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }
}
