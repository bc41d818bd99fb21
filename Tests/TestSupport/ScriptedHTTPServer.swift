import Glibc
import Synchronization

/// An HTTP/1.1 server on a loopback port that does with each request what a script says, and remembers what it got.
package final class ScriptedHTTPServer: Sendable {
  /// What happens to a request. The last step of a script is repeated.
  package enum Step: Sendable {
    /// An answer with a Content-Length; the connection stays open.
    case answer(Int, headers: [(String, String)] = [], body: [UInt8] = [])
    /// The same, and then the connection is closed without notice.
    case answerAndClose(Int)
    /// The same as `answer`, once `release()` was called.
    case answerWhenReleased(Int)
    /// These bytes as they are; then the connection is closed.
    case raw([UInt8])
    /// The request is read and the connection closed.
    case close
    /// The connection is closed before a request is read.
    case closeAtOnce
    /// These bytes before anything is read, as a server writes to a client that speaks TLS; nothing more.
    case rawAtOnce([UInt8])
    /// The request is read and never answered; the connection stays open.
    case silence
  }

  /// A request as it arrived.
  package struct Request: Sendable {
    /// The method of the request line.
    package var method: String
    /// The target of the request line.
    package var target: String
    /// The header fields, names in lower case.
    package var headers: [(name: String, value: String)]
    /// The body, as sent.
    package var body: [UInt8]
    /// Which connection it came on, counted from 1.
    package var connection: Int

    /// The values of a header field.
    package func values(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }
  }

  private final class State: Sendable {
    struct Content {
      var requests: [Request] = []
      var steps = 0
      var connections = 0
      var sockets: Set<Int32> = []
      var isReleased = false
      var isStopped = false
    }

    let script: [Step]
    let listener: Int32
    let content = Mutex(Content())

    init(_ script: [Step], listener: Int32) {
      self.script = script
      self.listener = listener
    }

    func nextStep() -> Step {
      content.withLock { content in
        defer { content.steps += 1 }
        return script[min(content.steps, script.count - 1)]
      }
    }

    /// What is written before a request is read, after which none is.
    var answerBeforeRequest: [UInt8]? {
      content.withLock { content in
        let bytes: [UInt8]? =
          switch script[min(content.steps, script.count - 1)] {
          case .closeAtOnce: []
          case .rawAtOnce(let bytes): bytes
          default: nil
          }
        if bytes != nil { content.steps += 1 }
        return bytes
      }
    }
  }

  private let state: State
  /// The port that it listens on.
  package let port: Int

  /// Starts a server.
  package init(_ script: [Step]) {
    let (listener, port) = listenOnLoopback()
    self.port = port
    state = State(script, listener: listener)
    let state = state
    startThread { Self.acceptConnections(state) }
  }

  /// The URL of a path on this server.
  package func url(_ path: String = "/v1/metrics") -> String { "http://127.0.0.1:\(port)\(path)" }

  /// The requests so far.
  package var requests: [Request] { state.content.withLock { $0.requests } }

  /// Connections so far.
  package var connectionCount: Int { state.content.withLock { $0.connections } }

  /// Lets the requests go on that wait in `answerWhenReleased`.
  package func release() { state.content.withLock { $0.isReleased = true } }

  deinit {
    let sockets = state.content.withLock { content in
      content.isStopped = true
      return content.sockets
    }
    // Wakes the thread that accepts; it closes the listener.
    shutdown(state.listener, Int32(SHUT_RDWR))
    for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
  }

  private static func acceptConnections(_ state: State) {
    while true {
      let connection = accept(state.listener, nil, nil)
      guard connection >= 0 else { break }
      let number = state.content.withLock { content in
        content.connections += 1
        content.sockets.insert(connection)
        return content.connections
      }
      startThread {
        serve(connection, number, state)
        _ = state.content.withLock { $0.sockets.remove(connection) }
        close(connection)
      }
    }
    close(state.listener)
  }

  private static func serve(_ connection: Int32, _ number: Int, _ state: State) {
    if let bytes = state.answerBeforeRequest {
      writeAll(bytes, to: connection)
      if !bytes.isEmpty { waitForEnd(connection) }
      return
    }
    var received: [UInt8] = []
    while let request = readRequest(connection, &received, number) {
      state.content.withLock { $0.requests.append(request) }
      switch state.nextStep() {
      case .answer(let status, let headers, let body):
        writeAll(response(status, headers, body), to: connection)
      case .answerAndClose(let status):
        writeAll(response(status, [], []), to: connection)
        return
      case .answerWhenReleased(let status):
        while !state.content.withLock({ $0.isReleased || $0.isStopped }) { usleep(1_000) }
        writeAll(response(status, [], []), to: connection)
      case .raw(let bytes):
        writeAll(bytes, to: connection)
        return
      case .close, .closeAtOnce, .rawAtOnce:
        return
      case .silence:
        waitForEnd(connection)
        return
      }
    }
  }

  /// Until the client gives up.
  private static func waitForEnd(_ connection: Int32) {
    var byte: UInt8 = 0
    while unsafe recv(connection, &byte, 1, 0) > 0 {}
  }

  private static func response(_ status: Int, _ headers: [(String, String)], _ body: [UInt8]) -> [UInt8] {
    var head = "HTTP/1.1 \(status) Scripted\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    // These have no body and no length (RFC 9110 §6.4.1).
    if status != 204, status != 304 { head += "Content-Length: \(body.count)\r\n" }
    return Array((head + "\r\n").utf8) + body
  }

  private static func readRequest(_ connection: Int32, _ received: inout [UInt8], _ number: Int) -> Request? {
    var headEnd: Int?
    var bodyLength = 0
    var request = Request(method: "", target: "", headers: [], body: [], connection: number)
    while true {
      if headEnd == nil, let end = endOfHead(received) {
        headEnd = end
        let lines = String(decoding: received[..<end], as: UTF8.self).split(separator: "\r\n")
        let words = lines[0].split(separator: " ").map(String.init)
        request.method = words[0]
        request.target = words.count > 1 ? words[1] : ""
        for line in lines.dropFirst() {
          guard let colon = line.firstIndex(of: ":") else { continue }
          let value = line[line.index(after: colon)...].drop { $0 == " " }
          request.headers.append((line[..<colon].lowercased(), String(value)))
        }
        bodyLength = request.values("content-length").first.flatMap { Int($0) } ?? 0
      }
      if let end = headEnd, received.count >= end + bodyLength {
        request.body = Array(received[end..<(end + bodyLength)])
        received.removeFirst(end + bodyLength)
        return request
      }
      var chunk = [UInt8](repeating: 0, count: 65_536)
      let count = unsafe recv(connection, &chunk, chunk.count, 0)
      guard count > 0 else { return nil }
      received += chunk[..<count]
    }
  }

  private static func endOfHead(_ bytes: [UInt8]) -> Int? {
    let mark: [UInt8] = [13, 10, 13, 10]
    guard bytes.count >= 4 else { return nil }
    return (0...(bytes.count - 4)).first { bytes[$0..<($0 + 4)].elementsEqual(mark) }.map { $0 + 4 }
  }
}
