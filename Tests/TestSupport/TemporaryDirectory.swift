import Glibc

/// A directory that is removed with everything in it when it goes out of use.
package final class TemporaryDirectory: Sendable {
  /// Its absolute path, without a slash at the end.
  package let path: String

  /// Makes a directory that only this user, or everybody, may enter.
  package init(openToAll: Bool = false) throws {
    var template = Array("/tmp/outbox-exporter-test.XXXXXX".utf8CString)
    guard unsafe template.withUnsafeMutableBufferPointer({ unsafe mkdtemp($0.baseAddress!) != nil }) else {
      throw CannotMake(code: errno)
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if openToAll { unsafe chmod(path, 0o777) }
  }

  /// No directory could be made.
  package struct CannotMake: Error {
    let code: Int32
  }

  /// Writes a file below the directory; parents are made as needed.
  package func write(_ text: String, to name: String) throws {
    try write(Array(text.utf8), to: name)
  }

  /// Writes a file below the directory; parents are made as needed.
  package func write(_ bytes: [UInt8], to name: String) throws {
    let parts = name.split(separator: "/")
    var parent = path
    for part in parts.dropLast() {
      parent += "/" + part
      unsafe mkdir(parent, 0o755)
    }
    guard let file = unsafe fopen("\(path)/\(name)", "w") else { throw CannotMake(code: errno) }
    defer { unsafe fclose(file) }
    _ = unsafe bytes.withUnsafeBytes { unsafe fwrite($0.baseAddress, 1, $0.count, file) }
  }

  /// The content of a file below the directory; empty where there is none.
  package func read(_ name: String) -> String {
    contents(of: "\(path)/\(name)") ?? ""
  }

  /// True where there is something of that name below the directory.
  package func exists(_ name: String) -> Bool { unsafe access("\(path)/\(name)", F_OK) == 0 }

  /// Removes a file below the directory; nothing happens where there is none.
  package func remove(_ name: String) { unsafe unlink("\(path)/\(name)") }

  deinit {
    // The path is mkdtemp's own: nothing in it means anything to a shell.
    _ = unsafe system("rm -rf -- \(path)")
  }
}
