import Glibc

/// Patterns over paths, as the shell writes them: `*`, `?`, `[…]` (glob(7)). A backslash and a tilde are ordinary
/// characters; to match a character that has a meaning, write it in brackets.
package enum Glob {
  /// True for a pattern; false for a plain path.
  package static func hasMagic(_ pattern: String) -> Bool { pattern.contains(where: isMagic) }

  /// The directory that every match is in: what stands before the first component with a special character. Empty for
  /// the working directory. Of a plain path, the directory that holds it.
  package static func fixedPrefix(_ pattern: String) -> String {
    let fixed = pattern.prefix { !isMagic($0) }
    guard let slash = fixed.lastIndex(of: "/") else { return "" }
    let directory = fixed[..<slash]
    return directory.allSatisfy { $0 == "/" } ? "/" : String(directory)
  }

  /// The paths that match, in byte order; empty where none does.
  ///
  /// - Throws: a directory that had to be searched cannot be read, so that there may be matches nobody can see.
  package static func expand(_ pattern: String) throws(SystemError) -> [String] {
    var found = unsafe glob_t()
    defer { unsafe globfree(&found) }
    errno = 0
    // What is not there, or is no directory, holds no match. Everything else hides matches and ends the search.
    let code = unsafe glob(
      pattern, GLOB_NOESCAPE, { _, error in error == ENOENT || error == ENOTDIR ? 0 : 1 }, &found)
    switch code {
    case 0:
      let paths = unsafe (0..<Int(found.gl_pathc)).map { index in
        unsafe String(cString: found.gl_pathv[index]!)
      }
      return paths.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    case GLOB_NOMATCH: return []
    case GLOB_NOSPACE: throw SystemError(code: ENOMEM, call: "glob", path: pattern)
    default: throw SystemError(code: errno == 0 ? EIO : errno, call: "glob", path: pattern)
    }
  }

  private static func isMagic(_ character: Character) -> Bool {
    character == "*" || character == "?" || character == "["
  }
}
