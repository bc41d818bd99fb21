import Glibc

/// Which file a path leads to at the moment: a file that was replaced has another identity under the same name.
package struct FileIdentity: Sendable, Hashable {
  private let device: UInt64
  private let inode: UInt64

  /// What tells the file from another one of its name even after a restart, when a device may have got another number.
  package var text: String { "\(inode)" }

  /// Why a path leads nowhere.
  package enum Missing: Error, Sendable, Hashable {
    /// There is no such file or directory.
    case notThere
    /// A directory on the way may not be searched.
    case barred
    /// Anything else, as the operating system numbers it.
    case other(errorNumber: Int32)
  }

  /// The file that a path leads to.
  ///
  /// - Throws: the path leads nowhere.
  package init(path: String) throws(Missing) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      switch errno {
      case ENOENT, ENOTDIR: throw .notThere
      case EACCES: throw .barred
      default: throw .other(errorNumber: errno)
      }
    }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }
}
