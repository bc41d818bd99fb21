import Glibc

/// What the operating system refused to do.
package struct SystemError: Error, Sendable, Hashable {
  /// What a caller can act on.
  package enum Kind: Sendable, Hashable {
    /// The file, or a directory on the way to it, is not there.
    case notFound
    /// The process may not do this.
    case permission
    /// Something on the way to the file is no directory, or the file is none.
    case notADirectory
    /// Another process holds the lock.
    case locked
    /// The file system is read-only.
    case readOnly
    /// The disk, or the user's share of it, is full.
    case full
    /// The file is not of the kind that was asked for: a directory, a pipe, a symbolic link.
    case wrongKind
    /// A network file system or a device does not answer.
    case unreachable
    /// Anything else.
    case other
  }

  /// The error number, `errno` of the call.
  package var code: Int32
  /// The system call that failed.
  package var call: String
  /// What it was called on; empty where there is no path.
  package var path: String

  /// An error of a system call.
  package init(code: Int32, call: String, path: String = "") {
    self.code = code
    self.call = call
    self.path = path
  }

  /// What a caller can act on.
  package var kind: Kind {
    switch code {
    case ENOENT: .notFound
    case EACCES, EPERM: .permission
    case ENOTDIR: .notADirectory
    case EWOULDBLOCK where call == "flock": .locked
    case EROFS: .readOnly
    case ENOSPC, EDQUOT: .full
    case EISDIR, ELOOP, ENXIO: .wrongKind
    case EIO, ESTALE, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, ENOTCONN: .unreachable
    default: .other
    }
  }

  /// The operating system's words for the error number, e.g. "Permission denied".
  package var reason: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard unsafe strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension SystemError: CustomStringConvertible {
  package var description: String { path.isEmpty ? "\(call): \(reason)" : "\(call) \(path): \(reason)" }
}

/// Repeats a call that a signal interrupted, and turns its error number into an error.
///
/// - Throws: the call answered with a negative number.
func retrying<Number: SignedInteger>(
  _ call: String, _ path: String = "", _ body: () -> Number
) throws(SystemError) -> Number {
  while true {
    let result = body()
    if result >= 0 { return result }
    if errno != EINTR { throw SystemError(code: errno, call: call, path: path) }
  }
}

/// An open file; closed when it goes out of use.
struct FileDescriptor: ~Copyable {
  let number: Int32

  init(_ path: String, _ flags: Int32, mode: mode_t = 0) throws(SystemError) {
    number = try retrying("open", path) { unsafe open(path, flags | O_CLOEXEC, mode) }
  }

  init(owning number: Int32) {
    self.number = number
  }

  borrowing func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
    try writeAll(bytes, to: number, path: path)
  }

  deinit {
    close(number)
  }
}

/// Writes every byte, however often the call is interrupted or cut short.
///
/// - Throws: the descriptor takes no more.
func writeAll(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(SystemError) {
  var start = 0
  while start < bytes.count {
    let count = unsafe bytes.withUnsafeBytes { buffer in
      unsafe write(descriptor, buffer.baseAddress! + start, buffer.count - start)
    }
    if count >= 0 {
      start += count
    } else if errno == EAGAIN {
      // Somebody made the terminal or pipe non-blocking: wait until it takes more.
      var readiness = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      unsafe poll(&readiness, 1, -1)
    } else if errno != EINTR {
      throw SystemError(code: errno, call: "write", path: path)
    }
  }
}
