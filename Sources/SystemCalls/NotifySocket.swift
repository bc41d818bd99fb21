import Glibc

/// Where systemd wants to hear from a service of `Type=notify`: datagrams on a Unix socket (sd_notify(3), "Notes").
package struct NotifySocket: Sendable {
  private let address: sockaddr_un
  private let length: socklen_t
  private let name: String

  /// The socket that the variable NOTIFY_SOCKET names: a path, or an abstract name after `@`.
  ///
  /// - Throws: it is neither, or longer than an address of this kind can be.
  package init(_ name: String) throws(SystemError) {
    guard let first = name.utf8.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@") else {
      throw SystemError(code: EAFNOSUPPORT, call: "sendto", path: name)
    }
    // An abstract name begins with a NUL and has its length for an end, a path has a NUL (unix(7)).
    let isAbstract = first == UInt8(ascii: "@")
    let bytes = isAbstract ? [0] + name.utf8.dropFirst() : name.utf8 + [0]
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard bytes.count <= capacity else { throw SystemError(code: ENAMETOOLONG, call: "sendto", path: name) }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    self.address = address
    self.length = socklen_t(MemoryLayout<sockaddr_un>.size - capacity + bytes.count)
    self.name = name
  }

  /// Sends assignments, one a line: `READY=1`, `STATUS=…`. A manager that does not read is waited for a second at most.
  ///
  /// - Throws: nobody listens there, or the manager does not read.
  package func send(_ assignments: [String]) throws(SystemError) {
    let descriptor = try retrying("socket", name) {
      socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    }
    defer { close(descriptor) }
    var limit = timeval(tv_sec: 1, tv_usec: 0)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let bytes = Array(assignments.joined(separator: "\n").utf8)
    var address = address
    _ = try retrying("sendto", name) {
      unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
          unsafe sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), generic, length)
        }
      }
    }
  }
}
