import Glibc

extension FileSystem {
  /// Makes a directory and those above it that are missing.
  ///
  /// - Parameter permissions: of every directory that is made; existing ones keep theirs.
  /// - Throws: one of them cannot be made, or is something else than a directory.
  package static func makeDirectories(_ path: String, permissions: UInt32 = 0o700) throws(SystemError) {
    var ancestor = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/") {
      ancestor += "/" + part
      guard unsafe mkdir(ancestor, permissions) != 0 else { continue }
      // Looking what is there sets errno anew.
      let code = errno
      if !isDirectory(ancestor) {
        throw SystemError(code: code == EEXIST ? ENOTDIR : code, call: "mkdir", path: ancestor)
      }
    }
  }

  /// Sets a file's modification time to now; makes an empty file where there is none.
  ///
  /// - Throws: the file can neither be opened nor made.
  package static func touch(_ path: String) throws(SystemError) {
    let file = try FileDescriptor(path, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK, mode: 0o644)
    _ = try retrying("futimens", path) { futimens(file.number, nil) }
  }

  /// Writes the first bytes of a file in place, and makes it where there is none. It needs no room that the file has not
  /// already, and does not wait for the disk.
  ///
  /// - Throws: the file can neither be opened nor made, or not be written.
  package static func overwrite(_ path: String, with bytes: [UInt8]) throws(SystemError) {
    let file = try FileDescriptor(path, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK, mode: 0o644)
    try file.write(bytes, to: path)
  }

  /// Writes a whole file so that a reader sees the old content or the new one, never a part, even after a crash.
  ///
  /// - Throws: the file cannot be written; the old content then stays.
  package static func replace(
    _ path: String, with bytes: [UInt8], permissions: UInt32 = 0o600
  ) throws(SystemError) {
    let temporary = "\(path).\(getpid()).tmp"
    do {
      let file = try FileDescriptor(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: permissions)
      try file.write(bytes, to: temporary)
      _ = try retrying("fsync", temporary) { fsync(file.number) }
      _ = try retrying("rename", path) { unsafe rename(temporary, path) }
    } catch {
      unsafe unlink(temporary)
      throw error
    }
  }

  /// Gives a file another name in its file system; a file that has that name is replaced.
  ///
  /// - Throws: the file is not there, or may not be renamed.
  package static func move(_ path: String, to newPath: String) throws(SystemError) {
    _ = try retrying("rename", path) { unsafe rename(path, newPath) }
  }

  /// Removes an empty directory; one that is not there is no error.
  ///
  /// - Throws: the directory cannot be removed, or is not empty.
  package static func removeDirectory(_ path: String) throws(SystemError) {
    if unsafe rmdir(path) != 0 && errno != ENOENT { throw SystemError(code: errno, call: "rmdir", path: path) }
  }

  /// Removes a file; one that is not there is no error.
  ///
  /// - Throws: the file cannot be removed.
  package static func remove(_ path: String) throws(SystemError) {
    if unsafe unlink(path) != 0 && errno != ENOENT { throw SystemError(code: errno, call: "unlink", path: path) }
  }
}
