import Glibc

/// A socket that a service of systemd sends its notifications to, as the manager binds it: on a path, or under an
/// abstract name.
package final class NotificationSocket {
  /// What NOTIFY_SOCKET has to be.
  package let name: String
  private let descriptor: Int32

  /// Binds the socket. An abstract name begins with `@`.
  package init(_ name: String) {
    self.name = name
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(name.utf8)
    if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 } else { bytes.append(0) }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let code = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        unsafe bind(descriptor, generic, length)
      }
    }
    precondition(code == 0, "cannot bind \(name): \(errno)")
  }

  /// The next notification, its assignments in order; nil where none comes in time.
  package func next(within limit: Duration = .seconds(30)) -> [String]? {
    var readiness = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&readiness, 1, Int32(limit.components.seconds * 1_000)) == 1 else { return nil }
    var buffer = [UInt8](repeating: 0, count: 4_096)
    let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
    guard count >= 0 else { return nil }
    return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").map(String.init)
  }

  deinit {
    close(descriptor)
    if !name.hasPrefix("@") { unsafe unlink(name) }
  }
}
