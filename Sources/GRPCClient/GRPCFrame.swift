internal import HTTPClient

/// The framing of messages (gRPC over HTTP/2, "Length-Prefixed-Message"): a flag, four bytes of length, the message.
enum GRPCFrame {
  static func message(_ bytes: [UInt8], isCompressed: Bool) -> [UInt8] {
    let length = UInt32(bytes.count)
    let prefix = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
    return [isCompressed ? 1 : 0] + prefix + bytes
  }

  /// The length that a frame claims; at least five bytes are needed.
  static func length(_ frame: [UInt8]) -> Int { frame[1...4].reduce(0) { $0 << 8 | Int($1) } }

  /// Why a frame has no message.
  enum Defect: Error {
    case notOneMessage
    case unknownCompression
    case notGzip
  }

  /// The message in what arrived; empty where nothing did.
  static func content(_ received: [UInt8], encoding: String?) throws(Defect) -> [UInt8] {
    if received.isEmpty { return [] }
    guard received.count >= 5, length(received) == received.count - 5 else { throw .notOneMessage }
    let message = received[5...]
    guard received[0] & 1 == 1 else { return Array(message) }
    guard encoding == "gzip" else { throw .unknownCompression }
    guard let plain = gunzip(message, limit: HTTPConnection.responseLimit) else { throw .notGzip }
    return plain
  }
}
