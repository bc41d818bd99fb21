import CSystem
import Glibc

/// What the operating system says about a file without opening it.
package struct FileStatus: Sendable, Hashable {
  /// The kinds of file that a caller tells apart.
  package enum Kind: Sendable, Hashable {
    /// A file with content.
    case regular
    /// A directory.
    case directory
    /// A symbolic link; only where links are not followed.
    case symbolicLink
    /// A pipe, a socket, a device.
    case special
  }

  /// The kind of file.
  package var kind: Kind
  /// Its size in bytes.
  package var size: Int64
  /// When its content was last written, in nanoseconds since 1970.
  package var modifiedNanoseconds: Int64
  /// Its number in the file system; a file that replaces another one has a different number.
  package var inode: UInt64
  /// Its permission bits.
  package var permissions: UInt32

  init(_ raw: stat) {
    kind =
      switch raw.st_mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFDIR: .directory
      case S_IFLNK: .symbolicLink
      default: .special
      }
    size = Int64(raw.st_size)
    modifiedNanoseconds = Int64(raw.st_mtim.tv_sec) * 1_000_000_000 + Int64(raw.st_mtim.tv_nsec)
    inode = UInt64(raw.st_ino)
    permissions = UInt32(raw.st_mode & 0o7777)
  }
}

/// What a file held when it was read.
package struct FileContent: Sendable, Hashable {
  /// Its bytes, up to the limit.
  package var bytes: [UInt8]
  /// True where the file holds more than the limit.
  package var isTruncated: Bool
  /// The file that was read, as it was when it was opened.
  package var status: FileStatus
}

/// One name in a directory.
package struct DirectoryEntry: Sendable, Hashable {
  /// The name, without the directory; bytes that are not UTF-8 are replaced.
  package var name: String
  /// The kind of file where the file system tells without another call.
  package var kind: FileStatus.Kind?
}

/// Reading files and directories.
package enum FileSystem {
  /// What is at a path; nil where nothing is.
  ///
  /// - Throws: the way to it cannot be walked.
  package static func status(_ path: String, followingLinks: Bool = true) throws(SystemError) -> FileStatus? {
    var raw = stat()
    do {
      _ = try retrying(followingLinks ? "stat" : "lstat", path) {
        unsafe followingLinks ? stat(path, &raw) : lstat(path, &raw)
      }
    } catch {
      if error.kind == .notFound || error.kind == .notADirectory { return nil }
      throw error
    }
    return FileStatus(raw)
  }

  /// True where a directory is at the path, or a link to one.
  package static func isDirectory(_ path: String) -> Bool {
    (try? status(path))??.kind == .directory
  }

  /// True where other hosts may write to the path's file system without this one's kernel seeing it: NFS, SMB, FUSE,
  /// virtiofs and their like.
  package static func isShared(_ path: String) -> Bool { unsafe csystem_is_shared(path) != 0 }

  /// Reads a file up to a limit in bytes.
  ///
  /// - Parameter regularOnly: refuses links, pipes and devices, which could lead elsewhere or never end.
  /// - Throws: the file cannot be opened or read.
  package static func read(
    _ path: String, atMost limit: Int, regularOnly: Bool = false
  ) throws(SystemError) -> FileContent {
    let file = try FileDescriptor(path, O_RDONLY | O_NOCTTY | (regularOnly ? O_NOFOLLOW | O_NONBLOCK : 0))
    var raw = stat()
    _ = try retrying("fstat", path) { unsafe fstat(file.number, &raw) }
    let status = FileStatus(raw)
    if status.kind == .directory { throw SystemError(code: EISDIR, call: "read", path: path) }
    if regularOnly && status.kind != .regular { throw SystemError(code: ENXIO, call: "open", path: path) }
    // One byte more than expected, so that a file of the known size ends in the same round.
    let expected = min(limit, Int(clamping: max(status.size, 4_095)))
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: expected + 1)
    while bytes.count <= limit {
      let count = try retrying("read", path) {
        unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(file.number, $0.baseAddress, $0.count) }
      }
      if count == 0 { return FileContent(bytes: bytes, isTruncated: false, status: status) }
      bytes.append(contentsOf: chunk[..<count])
    }
    bytes.removeLast(bytes.count - limit)
    return FileContent(bytes: bytes, isTruncated: true, status: status)
  }

  /// The names in a directory, in no order, without `.` and `..`.
  ///
  /// - Throws: the directory cannot be opened or read.
  package static func list(_ path: String) throws(SystemError) -> [DirectoryEntry] {
    guard let stream = unsafe opendir(path) else { throw SystemError(code: errno, call: "opendir", path: path) }
    defer { unsafe closedir(stream) }
    var entries: [DirectoryEntry] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else {
        if errno != 0 { throw SystemError(code: errno, call: "readdir", path: path) }
        return entries
      }
      let kind: FileStatus.Kind? =
        switch Int(unsafe entry.pointee.d_type) {
        case Int(DT_REG): .regular
        case Int(DT_DIR): .directory
        case Int(DT_LNK): .symbolicLink
        case Int(DT_UNKNOWN): nil
        default: .special
        }
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != "." && name != ".." { entries.append(DirectoryEntry(name: name, kind: kind)) }
    }
  }

  /// Waits until whoever changes the names in a directory at this moment is done with it. By then the kernel has reported
  /// the change, both halves of a move included: it does so before it lets go of the directory, which listing it takes too
  /// (Linux, fs/namei.c `do_renameat2`, fs/readdir.c `iterate_dir`). Nothing where the directory is not there.
  package static func awaitChanges(in path: String) {
    guard let stream = unsafe opendir(path) else { return }
    _ = unsafe readdir(stream)
    unsafe closedir(stream)
  }
}
