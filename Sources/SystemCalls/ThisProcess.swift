import CSystem
import Glibc

/// This process and the machine it runs on.
package enum ThisProcess {
  /// The process id.
  package static var id: Int32 { getpid() }

  /// The commit that the program was built from; `unknown` where the build did not say.
  package static let sourceRevision = unsafe String(cString: csystem_source_revision())

  /// The machine's name; empty where it has none.
  package static var hostName: String {
    var name = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&name, name.count - 1) == 0 else { return "" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The directory that relative paths begin at; empty where it is gone.
  package static var workingDirectory: String {
    guard let path = unsafe getcwd(nil, 0) else { return "" }
    defer { unsafe free(path) }
    return unsafe String(cString: path)
  }

  /// Lets all threads share one pool of memory, before they start: the C library gives each a pool of its own, up to eight
  /// a processor, and each keeps what was freed in it (mallopt(3), M_ARENA_MAX).
  package static func sharePoolOfMemory() { _ = mallopt(M_ARENA_MAX, 1) }

  /// Gives memory that was freed back to the operating system (malloc_trim(3)).
  package static func returnFreedMemory() { _ = malloc_trim(0) }

  /// Takes the program's code out of its memory. What runs again is read from its file again, so that only that stays which
  /// a cycle needs: starting takes several times as much (madvise(2), MADV_DONTNEED).
  package static func releaseCode() { csystem_release_code() }

  /// Ends the process at once. What the libraries would tidy up behind it, the operating system does.
  package static func end(with code: Int32) -> Never { _exit(code) }

  /// Leaves the process to its other threads.
  package static func waitForTheEnd() -> Never {
    while true { pause() }
  }

  /// Stops the process, as a watched Ctrl-Z would have; comes back once somebody lets it go on.
  package static func suspend() { csystem_suspend() }

  /// The environment at this moment. Where a variable is set twice, the first one counts, as in getenv(3).
  package static var environment: [String: String] {
    var variables: [String: String] = [:]
    var cursor = unsafe environ
    while let entry = unsafe cursor.pointee {
      let text = unsafe String(cString: entry)
      if let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")) {
        let name = String(text[..<equals])
        if variables[name] == nil { variables[name] = String(text[text.index(after: equals)...]) }
      }
      unsafe cursor += 1
    }
    return variables
  }

  /// Bytes that nobody can guess, from the operating system.
  package static func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }
}
