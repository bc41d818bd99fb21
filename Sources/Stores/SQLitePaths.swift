import Outbox
import SystemCalls

/// The files that an SQLite address means.
enum SQLitePaths {
  /// The path itself, or what is there of a glob.
  static func matching(_ pattern: String) throws(SampleFailure) -> [String] {
    guard Glob.hasMagic(pattern) else { return [pattern] }
    let matches: [String]
    do {
      matches = try Glob.expand(pattern)
    } catch {
      throw SampleFailure(error)
    }
    if matches.isEmpty {
      throw SampleFailure(
        .absent, "\(pattern): no file matches", hint: "check the pattern in the DSN; quote it in the shell")
    }
    return matches
  }
}
