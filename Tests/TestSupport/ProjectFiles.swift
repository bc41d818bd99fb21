import Glibc

/// The files of this project as text, for tests that hold the sources to the house rules or compare a document with
/// the code.
package enum ProjectFiles {
  /// The package's directory, without a slash at the end.
  package static let root = String(#filePath.dropLast("/Tests/TestSupport/ProjectFiles.swift".utf8.count))

  /// Every file below a directory of the package, relative to the package and sorted; what builds leave behind is not
  /// among them.
  package static func all(under directory: String = "") throws -> [String] {
    let ignored = [".build", ".git", ".swiftpm", ".venv", "__pycache__", "Package.resolved"]
    let prune = ignored.flatMap { ["-name", $0, "-o"] }.dropLast()
    let listing = try run(
      "find", ["./" + directory, "("] + prune + [")", "-prune", "-o", "-type", "f", "-print"], directory: root)
    guard listing.code == 0 else { throw Unreadable(path: directory, reason: listing.error) }
    return listing.output.split(separator: "\n").map { String($0.dropFirst("./".count)) }.sorted()
  }

  /// The text of one file, named relative to the package.
  package static func text(of path: String) throws -> String {
    let absolute = "\(root)/\(path)"
    guard let text = contents(of: absolute) else { throw Unreadable(path: absolute, reason: "it cannot be opened") }
    return text
  }

  /// The bytes of one file, named relative to the package.
  package static func bytes(of path: String) throws -> [UInt8] {
    guard let bytes = fileBytes(of: "\(root)/\(path)") else {
      throw Unreadable(path: path, reason: "it cannot be opened")
    }
    return bytes
  }

  /// Replaces one file, named relative to the package: for what is generated from the code and committed.
  package static func write(_ text: String, to path: String) throws {
    let absolute = "\(root)/\(path)"
    guard let file = unsafe fopen(absolute, "w") else {
      throw Unreadable(path: absolute, reason: "it cannot be written")
    }
    defer { unsafe fclose(file) }
    unsafe fputs(text, file)
  }

  /// A file or directory of the project that cannot be read.
  package struct Unreadable: Error, CustomStringConvertible {
    let path: String
    let reason: String
    package var description: String { "cannot read \(path): \(reason)" }
  }
}

/// The content of a file as text; nil where it cannot be opened.
package func contents(of path: String) -> String? {
  fileBytes(of: path).map { String(decoding: $0, as: UTF8.self) }
}

private func fileBytes(of path: String) -> [UInt8]? {
  guard let file = unsafe fopen(path, "r") else { return nil }
  defer { unsafe fclose(file) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = unsafe chunk.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, file) }
    if count == 0 { break }
    bytes.append(contentsOf: chunk[..<count])
  }
  return bytes
}
