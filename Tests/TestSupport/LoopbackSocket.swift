import Glibc

/// A socket that listens on a loopback port, and the port.
func listenOnLoopback() -> (listener: Int32, port: Int) {
  let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  unsafe withUnsafeMutablePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
      precondition(unsafe bind(listener, generic, length) == 0, "no loopback port is free")
      _ = unsafe getsockname(listener, generic, &length)
    }
  }
  listen(listener, 64)
  return (listener, Int(UInt16(bigEndian: address.sin_port)))
}

/// Sends all of it, or as much as the peer takes before it goes away.
func writeAll(_ bytes: [UInt8], to connection: Int32) {
  var sent = 0
  while sent < bytes.count {
    let count = unsafe bytes[sent...].withUnsafeBytes {
      unsafe send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    guard count > 0 else { return }
    sent += count
  }
}

/// Runs a closure on a thread of its own.
func startThread(_ body: @escaping @Sendable () -> Void) {
  final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  let context = unsafe Unmanaged.passRetained(Box(body)).toOpaque()
  var thread = pthread_t()
  let status = unsafe pthread_create(
    &thread, nil,
    { context in
      unsafe Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body()
      return nil
    }, context)
  precondition(status == 0, "cannot start a thread: \(status)")
  pthread_detach(thread)
}

/// A connection to a loopback port; nil where nobody listens.
func connectToLoopback(_ port: Int) -> Int32? {
  let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  address.sin_port = UInt16(port).bigEndian
  let status = unsafe withUnsafePointer(to: &address) { pointer in
    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      unsafe connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
  guard status == 0 else {
    close(connection)
    return nil
  }
  return connection
}
