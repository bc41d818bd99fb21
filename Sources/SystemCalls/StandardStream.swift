import CSystem
import Glibc

/// What the process prints to.
package enum StandardStream: Int32, Sendable {
  /// Results.
  case output = 1
  /// Everything that is no result.
  case error = 2

  /// Writes all of a text, unbuffered.
  ///
  /// - Throws: the reader has gone, or the disk is full.
  package func write(_ text: String) throws(SystemError) {
    try writeAll(Array(text.utf8), to: rawValue, path: self == .output ? "standard output" : "standard error")
  }

  /// True where a person may be looking.
  package var isTerminal: Bool { isatty(rawValue) == 1 }

  /// The terminal's size in characters; nil where there is no terminal or it does not say.
  package var size: (columns: Int, rows: Int)? {
    var columns: Int32 = 0
    var rows: Int32 = 0
    guard unsafe csystem_terminal_size(rawValue, &columns, &rows) == 0, columns > 0, rows > 0 else { return nil }
    return (Int(columns), Int(rows))
  }
}
