import CNGHTTP2
import Glibc
import Synchronization

/// An HTTP/2 server without TLS on a loopback port that answers each request with the frames of a script, and remembers
/// what it got. It gives windows back as it reads, and acknowledges SETTINGS and PING.
package final class ScriptedHTTP2Server: Sendable {
  /// What happens to a request. The last step of a script is repeated.
  package enum Step: Sendable {
    /// These frames, in one write.
    case frames([HTTP2Frame])
    /// The same, and then the connection is closed.
    case framesAndClose([HTTP2Frame])
    /// Each frame in a write of its own.
    case slowly([HTTP2Frame])
    /// Nothing is answered; the connection stays open.
    case silence
    /// These frames over and over, until the client closes the connection.
    case flood([HTTP2Frame])
  }

  /// A request as it arrived.
  package struct Request: Sendable {
    /// The header fields in order.
    package var headers: [(name: String, value: String)] = []
    /// The content of all DATA frames.
    package var body: [UInt8] = []
    /// Which connection it came on, counted from 1.
    package var connection = 0

    /// The values of a header field.
    package func values(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }
  }

  private struct Content {
    var requests: [Request] = []
    var resets: [UInt32] = []
    var acknowledgements: [UInt8] = []
    var steps = 0
    var connections = 0
    var sockets: Set<Int32> = []
  }

  private final class State: Sendable {
    let script: [Step]
    let settings: [(UInt16, UInt32)]
    let givesWindows: Bool
    let listener: Int32
    let content = Mutex(Content())

    init(_ script: [Step], _ settings: [(UInt16, UInt32)], _ givesWindows: Bool, _ listener: Int32) {
      self.script = script
      self.settings = settings
      self.givesWindows = givesWindows
      self.listener = listener
    }

    func nextStep() -> Step {
      content.withLock { content in
        defer { content.steps += 1 }
        return script[min(content.steps, script.count - 1)]
      }
    }
  }

  private let state: State
  /// The port that it listens on.
  package let port: Int

  /// Starts a server.
  ///
  /// - Parameters:
  ///   - settings: what it announces (RFC 9113 §6.5.2).
  ///   - givesWindows: whether it lets the client send more than the first window.
  package init(_ script: [Step], settings: [(UInt16, UInt32)] = [], givesWindows: Bool = true) {
    let (listener, port) = listenOnLoopback()
    self.port = port
    state = State(script, settings, givesWindows, listener)
    let state = state
    startThread { Self.acceptConnections(state) }
  }

  /// What to call.
  package var url: String { "http://127.0.0.1:\(port)" }

  /// The complete requests so far.
  package var requests: [Request] { state.content.withLock { $0.requests } }

  /// The codes of the RST_STREAM frames so far.
  package var resets: [UInt32] { state.content.withLock { $0.resets } }

  /// The types of the frames that the client acknowledged: 4 for SETTINGS, 6 for PING.
  package var acknowledgements: [UInt8] { state.content.withLock { $0.acknowledgements } }

  /// Connections so far.
  package var connectionCount: Int { state.content.withLock { $0.connections } }

  deinit {
    shutdown(state.listener, Int32(SHUT_RDWR))
    for socket in state.content.withLock({ $0.sockets }) { shutdown(socket, Int32(SHUT_RDWR)) }
  }

  private static func acceptConnections(_ state: State) {
    while true {
      let socket = accept(state.listener, nil, nil)
      guard socket >= 0 else { break }
      let number = state.content.withLock { content in
        content.connections += 1
        content.sockets.insert(socket)
        return content.connections
      }
      startThread {
        serve(socket, number, state)
        _ = state.content.withLock { $0.sockets.remove(socket) }
        close(socket)
      }
    }
    close(state.listener)
  }

  private static func serve(_ socket: Int32, _ number: Int, _ state: State) {
    guard read(24, from: socket) == Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) else { return }
    writeAll(HTTP2Frame.settings(state.settings).encoded(for: 0), to: socket)
    var inflater: OpaquePointer?
    unsafe nghttp2_hd_inflate_new(&inflater)
    defer { unsafe nghttp2_hd_inflate_del(inflater) }
    var request = Request(connection: number)
    while let head = read(9, from: socket) {
      let length = head[..<3].reduce(0) { $0 << 8 | Int($1) }
      guard let payload = read(length, from: socket) else { return }
      let (type, flags) = (head[3], head[4])
      let stream = head[5...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      switch type {
      case 0:
        request.body += payload
        if !payload.isEmpty, state.givesWindows {
          let update = HTTP2Frame.bytes(UInt32(length))
          writeAll(
            HTTP2Frame(8, stream: 0, update).encoded(for: 0) + HTTP2Frame(8, stream: stream, update).encoded(for: 0),
            to: socket)
        }
      case 1: request.headers = unsafe inflate(payload, inflater!)
      case 3: state.content.withLock { $0.resets.append(payload.reduce(0) { $0 << 8 | UInt32($1) }) }
      case 4 where flags == 0, 6 where flags == 0:
        writeAll(HTTP2Frame(type, flags: 1, stream: 0, type == 4 ? [] : payload).encoded(for: 0), to: socket)
      case 4, 6: state.content.withLock { $0.acknowledgements.append(type) }
      default: break
      }
      guard type <= 1, flags & 1 == 1 else { continue }
      let complete = request
      state.content.withLock { $0.requests.append(complete) }
      request = Request(connection: number)
      switch state.nextStep() {
      case .frames(let frames): writeAll(frames.flatMap { $0.encoded(for: stream) }, to: socket)
      case .framesAndClose(let frames):
        writeAll(frames.flatMap { $0.encoded(for: stream) }, to: socket)
        // A socket that is closed with something unread takes back what it has sent.
        shutdown(socket, Int32(SHUT_WR))
        while read(1, from: socket) != nil {}
        return
      case .slowly(let frames):
        for frame in frames {
          writeAll(frame.encoded(for: stream), to: socket)
          usleep(2_000)
        }
      case .silence: break
      case .flood(let frames):
        let bytes = frames.flatMap { $0.encoded(for: stream) }
        while unsafe send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) > 0 {}
        return
      }
    }
  }

  private static func inflate(_ block: [UInt8], _ inflater: OpaquePointer) -> [(name: String, value: String)] {
    var fields: [(name: String, value: String)] = []
    var rest = block
    while true {
      var field = unsafe nghttp2_nv()
      var flags: Int32 = 0
      let count = unsafe nghttp2_hd_inflate_hd2(inflater, &field, &flags, rest, rest.count, 1)
      guard count >= 0 else { return fields }
      rest.removeFirst(count)
      if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
        let name = unsafe UnsafeBufferPointer(start: field.name, count: field.namelen)
        let value = unsafe UnsafeBufferPointer(start: field.value, count: field.valuelen)
        fields.append(unsafe (String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
      }
      if flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
        unsafe nghttp2_hd_inflate_end_headers(inflater)
        return fields
      }
    }
  }

  private static func read(_ count: Int, from socket: Int32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var received = 0
    while received < count {
      let part = unsafe bytes[received...].withUnsafeMutableBytes { unsafe recv(socket, $0.baseAddress, $0.count, 0) }
      guard part > 0 else { return nil }
      received += part
    }
    return bytes
  }
}
