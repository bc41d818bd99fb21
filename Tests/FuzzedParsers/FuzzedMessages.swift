import Outbox

@testable import HTTPClient
@testable import OTLP

extension Rules {
  private static let protobuf = [HTTPHeader("content-type", "application/x-protobuf")]

  mutating func partialSuccess(_ bytes: [UInt8]) {
    _ = ServerMessage.partialSuccess(bytes)
    let response = HTTPResponse(status: 200, headers: Self.protobuf, body: bytes)
    let judged = DeliveryVerdict(response, endpoint: "http://c/v1/metrics", now: Self.now)
    verdict(judged)
    if case .delivered = judged {} else { hold(false, "a success is none: \(judged)") }
    // What is said comes back as it was said.
    let rejected = Int64(bitPattern: bytes.number)
    let said = Array(bytes.dropFirst(8)).text.filter { $0 != "\0" && !$0.unicodeScalars.contains("\0") }
    let message = Wire.message(1, Wire.varint(1, UInt64(bitPattern: rejected)) + Wire.bytes(2, Array(said.utf8)))
    let read = ServerMessage.partialSuccess(message)
    hold(
      read?.rejected == rejected && read?.message == said, "\(rejected), \(said) is read as \(String(describing: read))"
    )
  }

  mutating func status(_ bytes: [UInt8]) {
    _ = ServerMessage.status(bytes)
    for status in [400, 429, 503] {
      let response = HTTPResponse(status: status, headers: Self.protobuf, body: bytes)
      verdict(DeliveryVerdict(response, endpoint: "http://c/v1/metrics", now: Self.now))
    }
    let said = bytes.text.filter { !$0.unicodeScalars.contains("\0") }
    let message = Wire.varint(1, 14) + Wire.bytes(2, Array(said.utf8))
    hold(ServerMessage.status(message) == said, "\(said) is read otherwise")
  }

  mutating func json(_ bytes: [UInt8]) {
    let type = [HTTPHeader("content-type", "application/json")]
    for status in [200, 400, 503] {
      let response = HTTPResponse(status: status, headers: type, body: bytes)
      let judged = DeliveryVerdict(response, endpoint: "http://c/v1/metrics", now: Self.now)
      verdict(judged)
      if case .delivered = judged { hold(status == 200, "\(status) is a success") }
    }
    let rejected = Int64(bitPattern: bytes.number)
    let read = JSONServerMessage.partialSuccess(
      Array("{\"partialSuccess\":{\"rejectedDataPoints\":\"\(rejected)\"}}".utf8))
    hold(read?.rejected == rejected, "\(rejected) is read as \(String(describing: read))")
  }

  mutating func retryInfo(_ bytes: [UInt8]) {
    if let delay = ServerMessage.retryDelay(bytes) {
      hold(delay > .zero && delay <= .seconds(86_403), "a delay of \(delay)")
    }
    let seconds = Int64(bytes.number % 86_400)
    let nanoseconds = Int64(Array(bytes.dropFirst(8)).number % 1_000_000_000)
    let duration = Wire.varint(1, UInt64(seconds)) + Wire.varint(2, UInt64(nanoseconds))
    func any(_ type: String, _ value: [UInt8]) -> [UInt8] {
      Wire.message(3, Wire.bytes(1, Array("type.googleapis.com/google.rpc.\(type)".utf8)) + Wire.bytes(2, value))
    }
    let status = Wire.varint(1, 14) + any("BadRequest", bytes) + any("RetryInfo", Wire.message(1, duration))
    let expected = Duration.seconds(seconds) + .nanoseconds(nanoseconds)
    let read = ServerMessage.retryDelay(status)
    hold(read == (expected > .zero ? expected : nil), "\(expected) is read as \(String(describing: read))")
  }
}

/// The wire format of protobuf (protobuf.dev, "Encoding"), as far as it is needed here.
enum Wire {
  static func varint(_ field: UInt8, _ value: UInt64) -> [UInt8] { [field << 3] + number(value) }

  static func bytes(_ field: UInt8, _ value: [UInt8]) -> [UInt8] {
    [field << 3 | 2] + number(UInt64(value.count)) + value
  }

  static func message(_ field: UInt8, _ value: [UInt8]) -> [UInt8] { bytes(field, value) }

  private static func number(_ value: UInt64) -> [UInt8] {
    var (rest, bytes) = (value, [UInt8]())
    while rest >= 128 {
      bytes.append(UInt8(rest & 127) | 128)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}
