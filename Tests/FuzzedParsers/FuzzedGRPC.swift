import Outbox

@testable import GRPCClient
@testable import HTTPClient
@testable import OTLP

extension Rules {
  mutating func grpcMessage(_ bytes: [UInt8]) {
    let decoded = MetadataText.percentDecoded(bytes.text)
    // A byte that is no text becomes three.
    hold(decoded.utf8.count <= 3 * bytes.text.utf8.count, "\(decoded.utf8.count) bytes of \(bytes.count)")
    line(excerpt(decoded), limit: 301)
    let text = bytes.text
    hold(MetadataText.percentDecoded(Self.percentEncoded(text)) == text, "\(text) does not come back")
  }

  mutating func binaryMetadata(_ bytes: [UInt8]) {
    if let decoded = MetadataText.base64Decoded(bytes.text) {
      hold(decoded.count <= bytes.text.utf8.count, "\(decoded.count) bytes of \(bytes.count)")
      _ = ServerMessage.retryDelay(decoded)
    }
    guard !bytes.isEmpty else { return }
    let text = Self.base64(bytes)
    for form in [text, text + String(repeating: "=", count: (4 - text.count % 4) % 4), "*,\(text)"] {
      hold(MetadataText.base64Decoded(form) == bytes, "\(form) does not come back")
    }
  }

  mutating func grpcFrame(_ bytes: [UInt8]) {
    for encoding in [nil, "gzip", "br"] {
      do throws(GRPCFrame.Defect) {
        let content = try GRPCFrame.content(bytes, encoding: encoding)
        hold(content.count <= max(bytes.count, HTTPConnection.responseLimit), "\(content.count) bytes")
      } catch {}
    }
    hold(
      (try? GRPCFrame.content(GRPCFrame.message(bytes, isCompressed: false), encoding: nil)) == bytes, "not the same")
    let compressed = GRPCFrame.message(HTTPClient.gzip(bytes), isCompressed: true)
    hold((try? GRPCFrame.content(compressed, encoding: "gzip")) == bytes, "not the same from gzip")
  }

  /// Lines of `name: value`; behind an empty one the bytes of DATA up to a line that is a dot, and then the trailers.
  mutating func grpcAnswer(_ bytes: [UInt8]) {
    let stream = HTTP2Stream(headers: [], body: [])
    var rest = bytes.lines[...]
    func takeFields() {
      while let line = rest.popFirst(), !line.isEmpty {
        let parts = line.split(separator: 58, maxSplits: 1, omittingEmptySubsequences: false).map { Array($0).text }
        // Names of pseudo fields begin with the colon.
        if line.first == 58 {
          let parts = line.dropFirst().split(separator: 58, maxSplits: 1).map { Array($0).text.trimmingSpaces() }
          if parts.count == 2 { stream.takeHeader(":\(parts[0])", parts[1]) }
        } else if parts.count == 2 {
          stream.takeHeader(parts[0].lowercased(), parts[1].trimmingSpaces())
        }
      }
      stream.endHeaders()
    }
    takeFields()
    while let line = rest.popFirst(), line != [46] {
      guard unsafe stream.takeData(line.span.bytes) else { break }
    }
    hold(stream.received.count <= HTTPConnection.responseLimit + 5, "\(stream.received.count) bytes are kept")
    takeFields()
    for code in [UInt32(0), 7, 11, UInt32(truncatingIfNeeded: bytes.number)] {
      stream.end(code)
      answer(stream)
    }
  }

  mutating func http2(_ bytes: [UInt8]) {
    let server = ByteScript(bytes)
    let session = HTTP2Session(server, url: "http://c:4317")
    let stream = HTTP2Stream(
      headers: [
        (":method", "POST", false), (":scheme", "http", false), (":path", "/s/m", false), (":authority", "c", false),
        ("te", "trailers", false),
      ], body: [0, 0, 0, 0, 0])
    do throws(HTTPError) {
      try session.exchange(stream, until: nil, HTTPDeadline())
      answer(stream)
    } catch {
      verdict(DeliveryVerdict(error, endpoint: "http://c:4317"))
    }
    let head = (stream.head + stream.trailers).reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    // What is no text grows to three times its size.
    hold(head <= 3 * 2 * 65_536, "\(head) bytes of fields are kept")
    hold(stream.received.count <= HTTPConnection.responseLimit + 5, "\(stream.received.count) bytes are kept")
    _ = session.isUsable()
  }

  private mutating func answer(_ stream: HTTP2Stream) {
    let answer = GRPCAnswer(stream)
    hold(answer.response.count <= max(stream.received.count, HTTPConnection.responseLimit), "the message is too large")
    let judged = DeliveryVerdict(answer)
    verdict(judged)
    if case .delivered = judged { hold(answer.status == .ok, "\(answer.status) is a success") }
  }

  private static func percentEncoded(_ text: String) -> String {
    text.utf8.map { byte in
      if (0x20...0x7e).contains(byte), byte != 0x25 { return String(Unicode.Scalar(byte)) }
      return "%" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16, uppercase: true)
    }.joined()
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var (text, bits, count) = ("", UInt32(0), 0)
    for byte in bytes {
      (bits, count) = ((bits << 8 | UInt32(byte)) & 0xffff, count + 8)
      while count >= 6 {
        count -= 6
        text.append(digits[Int(bits >> count & 63)])
      }
    }
    if count > 0 { text.append(digits[Int(bits << (6 - count) & 63)]) }
    return text
  }
}

/// A server that has said all that it will say. How much comes at once is told by the first byte.
private final class ByteScript: ByteStream {
  private var rest: ArraySlice<UInt8>
  private let chunk: Int

  init(_ bytes: [UInt8]) {
    chunk = 1 + Int(bytes.first ?? 255) * 64
    rest = bytes.dropFirst()
  }

  func send(_ bytes: ArraySlice<UInt8>) -> Int { bytes.count }

  func receive() -> [UInt8]? {
    let next = Array(rest.prefix(chunk))
    rest = rest.dropFirst(chunk)
    return next.isEmpty ? nil : next
  }

  func wait(toSend: Bool, atMost limit: Duration) {}
}
