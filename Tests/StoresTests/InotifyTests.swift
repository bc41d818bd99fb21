import SystemCalls
import TestSupport
import Testing

/// The kernel's reports about directories.
@Suite struct InotifyTests {
  private let all: Inotify.Interest = [.arrivals, .departures, .writes]

  @Test func `what happens in a directory is reported in its order, and reading does not wait`() throws {
    let directory = try TemporaryDirectory()
    let inotify = try Inotify()
    #expect(try inotify.read().isEmpty)
    let watch = try inotify.watch(directory.path, for: all)
    #expect(try inotify.watch("\(directory.path)/.", for: all) == watch)
    try directory.write("x", to: "a")
    try FileSystem.move("\(directory.path)/a", to: "\(directory.path)/b")
    try FileSystem.remove("\(directory.path)/b")
    try FileSystem.makeDirectories("\(directory.path)/c")
    _ = try run("sh", ["-c", "printf x > \"$(printf '\(directory.path)/\\377')\""])
    #expect(inotify.wait(atMost: .zero))
    let changes = try inotify.read()
    #expect(changes.map(\.kind) == [.made, .written, .movedAway, .movedHere, .removed, .made, .made, .written])
    #expect(changes.map(\.name) == ["a", "a", "a", "b", "b", "c", nil, nil])
    #expect(changes.map(\.isDirectory) == [false, false, false, false, false, true, false, false])
    #expect(changes.allSatisfy { $0.watch == watch })
    #expect(changes[2].cookie != 0 && changes[2].cookie == changes[3].cookie && changes[4].cookie == 0)
    #expect(try inotify.read().isEmpty)
  }

  @Test func `the end of a directory and of a watch is reported`() throws {
    let directory = try TemporaryDirectory()
    for name in ["removed", "moved", "ended"] { try FileSystem.makeDirectories("\(directory.path)/\(name)") }
    let inotify = try Inotify()
    let removed = try inotify.watch("\(directory.path)/removed", for: .arrivals)
    let moved = try inotify.watch("\(directory.path)/moved", for: .arrivals)
    let ended = try inotify.watch("\(directory.path)/ended", for: .arrivals)
    try FileSystem.removeDirectory("\(directory.path)/removed")
    try FileSystem.move("\(directory.path)/moved", to: "\(directory.path)/there")
    inotify.end(ended)
    let changes = try inotify.read()
    #expect(changes.map(\.kind) == [.directoryGone, .watchEnded, .directoryGone, .watchEnded])
    #expect(changes.map(\.watch) == [removed, removed, moved, ended])
  }

  @Test func `what cannot be watched says why`() throws {
    let directory = try TemporaryDirectory()
    let inotify = try Inotify()
    func failure(_ path: String) -> SystemError? {
      do {
        _ = try inotify.watch(path, for: .arrivals)
        return nil
      } catch {
        return error
      }
    }
    #expect(failure("\(directory.path)/missing")?.kind == .notFound)
    try directory.write("x", to: "file")
    #expect(failure("\(directory.path)/file")?.kind == .notADirectory)
    #expect(failure("\(directory.path)/file")?.inotifyLimit == nil)
    // ENOSPC, EMFILE
    #expect(SystemError(code: 28, call: "inotify_add_watch").inotifyLimit?.contains("max_user_watches") == true)
    #expect(SystemError(code: 24, call: "inotify_init1").inotifyLimit?.contains("max_user_instances") == true)
    #expect(SystemError(code: 28, call: "write").inotifyLimit == nil)
  }

  @Test func `waiting ends when it is stopped, and does not begin again`() async throws {
    let inotify = try Inotify()
    #expect(inotify.wait(atMost: .milliseconds(1)))
    let waiting = Task.detached { inotify.wait() }
    inotify.stop()
    #expect(await waiting.value == false)
    #expect(!inotify.wait() && !inotify.wait(atMost: .zero))
  }

  @Test func `local file systems are not shared`() {
    #expect(!FileSystem.isShared("/proc") && !FileSystem.isShared("/missing") && !FileSystem.isShared("/tmp"))
  }
}
