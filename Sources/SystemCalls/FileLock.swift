import Glibc

/// A lock that one process at a time can hold, e.g. on the directory with what is kept between runs. The operating
/// system releases it when the process ends, however it ends; the empty file stays.
package struct FileLock: ~Copyable {
  private let file: FileDescriptor

  /// Takes the lock; the file is made where there is none.
  ///
  /// - Throws: `kind` is `locked` where another process, or another lock of this one, holds it (flock(2)).
  package init(_ path: String) throws(SystemError) {
    let opened = try FileDescriptor(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    _ = try retrying("flock", path) { flock(opened.number, LOCK_EX | LOCK_NB) }
    file = opened
  }

  deinit {
    // Closing alone would leave the lock to a child process that has not come to its program yet.
    flock(file.number, LOCK_UN)
  }
}
