import CSystem
import Glibc

/// What happens in directories, as the kernel reports it (inotify(7)). Reading never blocks and never takes more than a
/// bounded piece at a time; waiting may be done by another thread.
package final class Inotify: Sendable {
  /// A directory that is watched. The same directory under two paths is the same watch.
  package struct Watch: Sendable, Hashable {
    fileprivate let number: Int32
  }

  /// What is to be reported of a directory.
  package struct Interest: OptionSet, Sendable {
    /// The kernel's own bits, `IN_…`.
    package let rawValue: UInt32

    /// An interest of the kernel's own bits.
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Names that appear: made, linked, moved to here.
    package static let arrivals = Interest(rawValue: UInt32(IN_CREATE | IN_MOVED_TO))
    /// Names that go: removed, moved away.
    package static let departures = Interest(rawValue: UInt32(IN_DELETE | IN_MOVED_FROM))
    /// Files that were closed after they had been open for writing.
    package static let writes = Interest(rawValue: UInt32(IN_CLOSE_WRITE))
  }

  /// One report.
  package struct Change: Sendable, Hashable {
    /// The kinds of report.
    package enum Kind: Sendable, Hashable {
      /// A name was made: a new file, a link, a directory.
      case made
      /// A name was moved away; ``Change/cookie`` says with what it belongs together.
      case movedAway
      /// A name was moved to here, perhaps over another one.
      case movedHere
      /// A file was closed after it had been open for writing.
      case written
      /// A name was removed.
      case removed
      /// The directory itself was removed, moved or unmounted: its path may lead elsewhere now.
      case directoryGone
      /// Nothing more will be reported by this watch.
      case watchEnded
      /// The kernel's queue was full, and reports of all watches were lost.
      case overflow
    }

    /// Of which directory; nil for an overflow.
    package var watch: Watch?
    /// What happened.
    package var kind: Kind
    /// The same number for both halves of a move, else 0.
    package var cookie: UInt32
    /// True where the name is a directory's.
    package var isDirectory: Bool
    /// The name in the directory; nil where the report is about the directory itself, or the name is not UTF-8.
    package var name: String?
  }

  private static let bufferSize = 1 << 16

  private let queue: FileDescriptor
  private let stopped: FileDescriptor

  /// An instance that watches nothing yet.
  ///
  /// - Throws: the user has as many instances as `fs.inotify.max_user_instances` allows, or the process as many open
  ///   files as it may have (EMFILE).
  package init() throws(SystemError) {
    queue = FileDescriptor(
      owning: try retrying("inotify_init1") { inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC)) })
    stopped = FileDescriptor(owning: try retrying("eventfd") { eventfd(0, Int32(EFD_CLOEXEC)) })
  }

  /// Watches a directory. One that is watched already keeps its watch, and nothing is lost.
  ///
  /// - Throws: the directory is not there or may not be read, or the user watches as much as
  ///   `fs.inotify.max_user_watches` allows (ENOSPC).
  package func watch(_ path: String, for interest: Interest) throws(SystemError) -> Watch {
    let always = UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
    return Watch(
      number: try retrying("inotify_add_watch", path) {
        unsafe inotify_add_watch(queue.number, path, interest.rawValue | always)
      })
  }

  /// Ends a watch. Reports that are in the queue already still come.
  package func end(_ watch: Watch) {
    inotify_rm_watch(queue.number, watch.number)
  }

  /// Some of the reports that wait, in their order; none where none does.
  ///
  /// - Throws: the queue cannot be read any more.
  package func read() throws(SystemError) -> [Change] {
    var buffer = [UInt8](repeating: 0, count: Self.bufferSize)
    let count: Int
    do {
      count = try retrying("read", "inotify") {
        unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(queue.number, $0.baseAddress, $0.count) }
      }
    } catch {
      if error.code == EAGAIN { return [] }
      throw error
    }
    var changes: [Change] = []
    var start = 0
    while start < count {
      // struct inotify_event: wd, mask, cookie, len, then len bytes of name, padded with zeros.
      let header = unsafe buffer.withUnsafeBytes { bytes in
        (0..<4).map { unsafe bytes.loadUnaligned(fromByteOffset: start + $0 * 4, as: UInt32.self) }
      }
      let name = buffer[(start + 16)..<(start + 16 + Int(header[3]))].prefix { $0 != 0 }
      start += 16 + Int(header[3])
      guard let kind = Change.Kind(mask: header[1]) else { continue }
      let number = Int32(bitPattern: header[0])
      changes.append(
        Change(
          watch: number < 0 ? nil : Watch(number: number), kind: kind, cookie: header[2],
          isDirectory: header[1] & UInt32(IN_ISDIR) != 0,
          name: name.isEmpty ? nil : String(validating: name, as: UTF8.self)))
    }
    return changes
  }

  /// Waits until there is something to read, or the time is over; false once ``stop()`` was called.
  package func wait(atMost limit: Duration? = nil) -> Bool {
    var readiness = [
      pollfd(fd: queue.number, events: Int16(POLLIN), revents: 0),
      pollfd(fd: stopped.number, events: Int16(POLLIN), revents: 0),
    ]
    let milliseconds = limit.map { Int32($0 / .milliseconds(1)) } ?? -1
    while unsafe poll(&readiness, 2, milliseconds) < 0 && errno == EINTR {}
    return readiness[1].revents == 0
  }

  /// Ends the waiting, now and from now on.
  package func stop() {
    var one: UInt64 = 1
    _ = unsafe write(stopped.number, &one, 8)
  }
}

extension Inotify.Change.Kind {
  fileprivate init?(mask: UInt32) {
    let kinds: [(Int32, Self)] = [
      (IN_CREATE, .made), (IN_MOVED_FROM, .movedAway), (IN_MOVED_TO, .movedHere), (IN_CLOSE_WRITE, .written),
      (IN_DELETE, .removed), (IN_DELETE_SELF, .directoryGone), (IN_MOVE_SELF, .directoryGone),
      (IN_UNMOUNT, .directoryGone), (IN_IGNORED, .watchEnded), (IN_Q_OVERFLOW, .overflow),
    ]
    guard let kind = kinds.first(where: { mask & UInt32($0.0) != 0 }) else { return nil }
    self = kind.1
  }
}

extension SystemError {
  /// Which limit of inotify was reached and what to do about it; nil for any other error. The operating system's own words
  /// speak of disks and files.
  package var inotifyLimit: String? {
    switch (call, code) {
    case ("inotify_init1", EMFILE):
      "the user has as many inotify instances as fs.inotify.max_user_instances allows, or the process as many open files "
        + "as it may have: raise that with sysctl, or the limit of open files"
    case ("inotify_add_watch", ENOSPC):
      "the user watches as many directories as fs.inotify.max_user_watches allows: raise that with sysctl"
    default: nil
    }
  }
}
