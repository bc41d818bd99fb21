import Glibc
import Synchronization

/// An HTTP proxy on a loopback port that makes tunnels (CONNECT), all of them to the same port whatever host is asked for.
package final class TunnelProxy: Sendable {
  private struct Content {
    var heads: [[String]] = []
    var sockets: Set<Int32> = []
  }

  private final class State: Sendable {
    let target: Int?
    let content = Mutex(Content())
    init(target: Int?) { self.target = target }
  }

  /// The port that it listens on.
  package let port: Int
  private let listener: Int32
  private let state: State

  /// Starts a proxy.
  ///
  /// - Parameter target: where its tunnels lead; nil refuses them with 407.
  package init(to target: Int?) {
    (listener, port) = listenOnLoopback()
    state = State(target: target)
    let (state, listener) = (state, listener)
    startThread {
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { break }
        _ = state.content.withLock { $0.sockets.insert(client) }
        startThread { Self.serve(client, state) }
      }
      close(listener)
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    for socket in state.content.withLock({ $0.sockets }) { shutdown(socket, Int32(SHUT_RDWR)) }
  }

  /// The lines of every request so far.
  package var heads: [[String]] { state.content.withLock { $0.heads } }

  private static func serve(_ client: Int32, _ state: State) {
    defer {
      _ = state.content.withLock { $0.sockets.remove(client) }
      close(client)
    }
    // libcurl waits for the answer before it goes on, so nothing comes after the head.
    var head: [UInt8] = []
    while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
      var byte: UInt8 = 0
      guard unsafe recv(client, &byte, 1, 0) == 1 else { return }
      head.append(byte)
    }
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n").map(String.init)
    state.content.withLock { $0.heads.append(lines) }
    guard let target = state.target, let server = connectToLoopback(target) else {
      let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
      return writeAll(Array((refusal + "Content-Length: 0\r\nConnection: close\r\n\r\n").utf8), to: client)
    }
    writeAll(Array("HTTP/1.1 200 Connection established\r\n\r\n".utf8), to: client)
    startThread {
      copy(server, to: client)
      shutdown(client, Int32(SHUT_RDWR))
    }
    copy(client, to: server)
    shutdown(server, Int32(SHUT_RDWR))
    close(server)
  }

  private static func copy(_ source: Int32, to destination: Int32) {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe recv(source, &chunk, chunk.count, 0)
      guard count > 0 else { return }
      writeAll(Array(chunk[..<count]), to: destination)
    }
  }
}
