import Glibc
import Synchronization

/// A proxy in front of a server on a Unix socket, that can be made to answer as badly as networks and servers do.
package final class TroubledProxy: Sendable {
  /// What happens to what the server answers.
  package enum Trouble: Sendable {
    /// It is passed on.
    case none
    /// A byte a second is passed on.
    case byteASecond
    /// The first half of what comes at once is passed on, and then nothing any more.
    case stopsInTheMiddle
  }

  /// Where it listens, on the loopback address.
  package let port: Int
  private let state: State

  private final class State: Sendable {
    struct Content {
      var trouble = Trouble.none
      var sockets: Set<Int32> = []
      var isStopped = false
    }

    let server: String
    let listener: Int32
    let content = Mutex(Content())

    init(server: String, listener: Int32) {
      self.server = server
      self.listener = listener
    }

    var trouble: Trouble { content.withLock { $0.trouble } }
    var isStopped: Bool { content.withLock { $0.isStopped } }
  }

  /// Starts it.
  package init(before server: TemporaryPostgres) {
    let (listener, port) = listenOnLoopback()
    self.port = port
    state = State(server: "\(server.socketDirectory)/.s.PGSQL.\(server.port)", listener: listener)
    let state = state
    startThread { Self.acceptConnections(state) }
  }

  /// From now on answers are passed on so.
  package func begin(_ trouble: Trouble) { state.content.withLock { $0.trouble = trouble } }

  /// A conninfo through the proxy.
  package func conninfo(_ database: TemporaryDatabase) -> String {
    "host=127.0.0.1 port=\(port) dbname=\(database.name) user=postgres"
  }

  deinit {
    let sockets = state.content.withLock { content in
      content.isStopped = true
      return content.sockets
    }
    shutdown(state.listener, Int32(SHUT_RDWR))
    for socket in sockets { shutdown(socket, Int32(SHUT_RDWR)) }
  }

  private static func acceptConnections(_ state: State) {
    while true {
      let client = accept(state.listener, nil, nil)
      guard client >= 0 else { break }
      guard let server = connectToUnixSocket(state.server) else {
        close(client)
        continue
      }
      state.content.withLock { $0.sockets.formUnion([client, server]) }
      startThread {
        pass(from: client, to: server) { bytes in writeAll(bytes, to: server) }
        shutdown(server, Int32(SHUT_RDWR))
      }
      startThread {
        pass(from: server, to: client) { bytes in answer(bytes, to: client, state) }
        shutdown(client, Int32(SHUT_RDWR))
        // Both directions have ended, or end now; the descriptors stay until the proxy goes, so that none is used twice.
      }
    }
    close(state.listener)
  }

  private static func pass(from source: Int32, to sink: Int32, _ forward: ([UInt8]) -> Void) {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe recv(source, &chunk, chunk.count, 0)
      guard count > 0 else { return }
      forward(Array(chunk[..<count]))
    }
  }

  private static func answer(_ bytes: [UInt8], to client: Int32, _ state: State) {
    switch state.trouble {
    case .none:
      writeAll(bytes, to: client)
    case .byteASecond:
      for byte in bytes where !state.isStopped {
        writeAll([byte], to: client)
        usleep(1_000_000)
      }
    case .stopsInTheMiddle:
      writeAll(Array(bytes.prefix(bytes.count / 2)), to: client)
      while !state.isStopped { usleep(50_000) }
    }
  }
}

/// A connected stream socket, or nil.
private func connectToUnixSocket(_ path: String) -> Int32? {
  let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8.prefix(107))) }
  let isConnected = unsafe withUnsafePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
      unsafe connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
    }
  }
  if isConnected { return descriptor }
  close(descriptor)
  return nil
}
