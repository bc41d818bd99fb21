package import Layouts
package import Outbox
import SQLiteClient
import SystemCalls

/// Samples one queue directory. It remembers what unchanged files say, so that an idle directory costs one `lstat` for
/// each file; what it remembers is bounded by what is in the directory.
package final class DirectoryReader {
  /// Larger files are not read. A message of text is a thousandth of this.
  package static let largestFile = 1 << 20

  private struct Remembered {
    let inode: UInt64
    let size: Int64
    let modified: Int64
    let content: DirectoryEvent.Content
    /// False where the file was so young that it could be written again without its times changing.
    let isSettled: Bool

    init(_ file: FileStatus, _ content: DirectoryEvent.Content, now: Timestamp) {
      inode = file.inode
      size = file.size
      modified = file.modifiedNanoseconds
      self.content = content
      // File systems stamp files with a clock that ticks every few milliseconds, some every two seconds.
      isSettled = now.since(Timestamp(nanoseconds: modified)) > .seconds(2)
    }
  }

  private let path: String
  private let queue: DirectoryQueue
  private let createdLazily: Bool
  private let now: @Sendable () -> Timestamp
  private var parser: DirectoryFileParser?
  private var remembered: [String: Remembered] = [:]
  private var hasBeenThere = false

  /// A reader of one directory.
  ///
  /// - Parameters:
  ///   - createdLazily: a directory that is missing beside others is not in use yet, and empty.
  ///   - now: the wall clock of the host, which is the store's clock.
  package init(
    path: String, queue: DirectoryQueue, createdLazily: Bool, now: @escaping @Sendable () -> Timestamp
  ) {
    self.path = path
    self.queue = queue
    self.createdLazily = createdLazily
    self.now = now
  }

  /// Samples the directory.
  ///
  /// A file that leaves while this runs is counted where it went to, or not at all; that is the queue's daily life.
  ///
  /// - Throws: anything that would make the figures wrong: no permission, no directory, out of time.
  package func sample(deadline: ContinuousClock.Instant, eventIDs: Bool) throws(SampleFailure) -> Snapshot {
    guard try status(of: path) != nil else { return try notThere() }
    hasBeenThere = true
    var fresh: [String: Remembered] = [:]
    defer { remembered = fresh }
    let (live, dead) = try list()
    do {
      var gone: Set<String> = []
      var events: [DirectoryEvent] = []
      for name in live {
        if let event = try read(name, in: path, deadline, &fresh) { events.append(event) } else { gone.insert(name) }
      }
      let present = Set(live).subtracting(gone)
      let deadDirectory = "\(path)/\(queue.deadDirectory)"
      var letters: [DirectoryEvent] = []
      // What left while the files were read may have died; what came back from the dead is alive.
      for name in dead.union(gone).subtracting(present) {
        if let event = try read(name, in: deadDirectory, deadline, &fresh) { letters.append(event) }
      }
      // The clock is read last: no event that was read can have been written later.
      var tally = DirectoryTally(queue, now: now())
      for event in events { tally.countLive(event) }
      for event in letters { tally.countDead(event) }
      return tally.snapshot(eventIDs: eventIDs)
    } catch {
      // The next sample goes on where this one ended.
      let there = Set(live.map { "\(path)/\($0)" } + dead.map { "\(path)/\(queue.deadDirectory)/\($0)" })
      fresh.merge(remembered.filter { there.contains($0.key) }) { new, _ in new }
      throw error
    }
  }

  private func notThere() throws(SampleFailure) -> Snapshot {
    if hasBeenThere {
      throw SampleFailure(
        .absent, "\(path) is not there any more", hint: "it was removed, or its file system was unmounted")
    }
    if createdLazily && FileSystem.isDirectory(parent(of: path)) {
      return Snapshot(storeTime: now(), missingPath: path)
    }
    throw SampleFailure(
      .absent, "\(path): no such directory",
      hint: "check the path in the DSN, and that the exporter sees the application's file system")
  }

  /// The names of live and dead events. A directory that changes while it is listed is listed again, a few times: a
  /// name that is there all the while must not be missed.
  private func list() throws(SampleFailure) -> (live: Set<String>, dead: Set<String>) {
    var live: Set<String> = []
    var dead: Set<String> = []
    for _ in 0..<3 {
      let before = try status(of: path)
      live.formUnion(try names(in: path))
      if try status(of: "\(path)/\(queue.deadDirectory)") != nil {
        dead.formUnion(try names(in: "\(path)/\(queue.deadDirectory)"))
      }
      if try status(of: path) == before { break }
    }
    return (live, dead)
  }

  private func status(of directory: String) throws(SampleFailure) -> FileStatus? {
    let status: FileStatus?
    do {
      status = try FileSystem.status(directory)
    } catch {
      throw SampleFailure(error)
    }
    if let status, status.kind != .directory {
      throw SampleFailure(
        .schema, "\(directory): not a directory",
        hint: "the DSN of a queue directory names the directory itself, not a file in it")
    }
    return status
  }

  private func names(in directory: String) throws(SampleFailure) -> [String] {
    do {
      return try FileSystem.list(directory).compactMap { entry in
        entry.name.hasSuffix(queue.fileSuffix) && entry.kind != .directory ? entry.name : nil
      }
    } catch {
      throw SampleFailure(error)
    }
  }

  /// One event; nil where the file has left, or is a directory.
  private func read(
    _ name: String, in directory: String, _ deadline: ContinuousClock.Instant, _ fresh: inout [String: Remembered]
  ) throws(SampleFailure) -> DirectoryEvent? {
    if ContinuousClock.now >= deadline {
      throw SampleFailure(
        .timeout, "\(path): not all files could be read in time",
        hint: "the next sample goes on where this one ended; if it persists, the file system is slow")
    }
    let path = "\(directory)/\(name)"
    let file: FileStatus
    let content: DirectoryEvent.Content
    do {
      guard let status = try FileSystem.status(path, followingLinks: false), status.kind != .directory else {
        return nil
      }
      if let known = remembered[path], known.isSettled, known.inode == status.inode, known.size == status.size,
        known.modified == status.modifiedNanoseconds
      {
        (file, content) = (status, known.content)
        fresh[path] = known
      } else if status.kind == .regular {
        let read = try FileSystem.read(path, atMost: Self.largestFile, regularOnly: true)
        file = read.status
        content = read.isTruncated ? .unread : try parse(read.bytes)
        fresh[path] = Remembered(file, content, now: now())
      } else {
        (file, content) = (status, .malformed)
      }
    } catch {
      if (error as? SystemError)?.kind == .notFound { return nil }
      throw (error as? SystemError).map { SampleFailure($0) } ?? SampleFailure(.other, "\(path): \(error)")
    }
    return DirectoryEvent(
      name: String(name.dropLast(queue.fileSuffix.count)),
      modified: Timestamp(nanoseconds: file.modifiedNanoseconds), content: content)
  }

  private func parse(_ bytes: [UInt8]) throws(SQLiteError) -> DirectoryEvent.Content {
    let parser = if let made = self.parser { made } else { try DirectoryFileParser(queue.fields) }
    self.parser = parser
    guard let fields = try parser.parse(bytes) else { return .malformed }
    return .fields(fields)
  }
}

/// The directory that holds a path, seen as text.
private func parent(of path: String) -> String {
  let parts = path.split(separator: "/")
  let above = parts.dropLast().joined(separator: "/")
  return path.hasPrefix("/") ? "/" + above : above.isEmpty ? "." : above
}

extension SampleFailure {
  /// What a failed system call means for a sample.
  init(_ error: SystemError) {
    switch error.kind {
    case .permission:
      self.init(
        .permission, "\(error)", hint: "run the exporter as the user that owns the queue, or let it read there")
    case .notFound, .notADirectory: self.init(.absent, "\(error)")
    case .unreachable: self.init(.unreachable, "\(error)")
    default: self.init(.other, "\(error)")
    }
  }
}
