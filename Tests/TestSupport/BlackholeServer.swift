import Glibc

/// A server on the loopback address that takes connections and never says a word.
///
/// The kernel completes the handshake of whatever waits in the backlog, so nobody has to accept it.
package final class BlackholeServer {
  /// Where it listens.
  package let port: Int
  private let descriptor: Int32

  /// Starts listening.
  package init() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let port = freePort()
    let isBound = unsafe withLoopback(port: port) { address, length in unsafe bind(descriptor, address, length) == 0 }
    guard isBound && listen(descriptor, 100) == 0 else {
      close(descriptor)
      throw CannotListen(port: port, code: errno)
    }
    self.descriptor = descriptor
    self.port = port
  }

  /// The port was taken in the meantime.
  package struct CannotListen: Error {
    let port: Int
    let code: Int32
  }

  deinit {
    close(descriptor)
  }
}
