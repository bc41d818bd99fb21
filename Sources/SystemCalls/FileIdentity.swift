import Glibc

/// Which file a path leads to at the moment: a file that was replaced has another identity under the same name.
package struct FileIdentity: Sendable, Hashable {
  private let device: UInt64
  private let inode: UInt64

  /// The file that a path leads to; nil where there is none or the way to it is barred.
  package init?(path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }
}
