/// What libcurl's callbacks write into while a request runs.
final class ResponseCollector {
  /// Header lines beyond this are refused: no honest answer has them.
  private static let headLimit = 256 << 10

  var deadline = HTTPDeadline()
  private(set) var status = 0
  private(set) var headers: [HTTPHeader] = []
  private(set) var body: [UInt8] = []
  private(set) var isHeadComplete = false
  private(set) var isTooLarge = false
  private var headSize = 0

  func reset() {
    status = 0
    headers = []
    body = []
    isHeadComplete = false
    isTooLarge = false
    headSize = 0
  }

  /// False ends the transfer.
  func takeBody(_ bytes: RawSpan) -> Bool {
    guard body.count + bytes.byteCount <= HTTPConnection.responseLimit else {
      isTooLarge = true
      body = []
      return false
    }
    unsafe bytes.withUnsafeBytes { unsafe body.append(contentsOf: $0) }
    return true
  }

  /// False ends the transfer. Compressed, nothing at all can take any number of bytes.
  func hasRoom(forCompressed count: Int) -> Bool {
    isTooLarge = isTooLarge || count > HTTPConnection.responseLimit
    return !isTooLarge
  }

  /// Takes one line of a response head or of the trailers. False ends the transfer.
  func takeHeaderLine(_ bytes: RawSpan) -> Bool {
    headSize += bytes.byteCount
    guard headSize <= Self.headLimit else {
      isTooLarge = true
      return false
    }
    let line = unsafe bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    if line.hasPrefix("HTTP/"), !isHeadComplete {
      // The head of an interim answer (100, 103) is replaced by the final one.
      headers = []
      status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    } else if line.allSatisfy(\.isNewline) {
      isHeadComplete = status >= 200
    } else if let colon = line.firstIndex(of: ":") {
      let value = String(line[line.index(after: colon)...]).trimmingSpaces()
      headers.append(HTTPHeader(line[..<colon].lowercased(), value))
    }
    return true
  }
}
