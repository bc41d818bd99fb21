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
  private let objective: Duration?
  private let now: @Sendable () -> Timestamp
  private var parser: DirectoryFileParser?
  private var remembered: [FileName: Remembered] = [:]
  private var hasBeenThere = false

  /// A reader of one directory.
  ///
  /// - Parameters:
  ///   - createdLazily: a directory that is missing beside others is not in use yet, and empty.
  ///   - objective: the age beyond which waiting events are counted as overdue; nil counts none.
  ///   - now: the wall clock of the host, which is the store's clock.
  package init(
    path: String, queue: DirectoryQueue, createdLazily: Bool, objective: Duration? = nil,
    now: @escaping @Sendable () -> Timestamp
  ) {
    self.objective = objective
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
    let scan = try scan(deadline: deadline)
    // The clock is read last: no event that was read can have been written later.
    return tally(live: scan.live.values, dead: scan.dead.values, missing: scan.isMissing, eventIDs: eventIDs)
  }

  /// The figures of events that were read.
  func tally(
    live: some Sequence<DirectoryEvent>, dead: some Sequence<DirectoryEvent>, missing: Bool, eventIDs: Bool
  ) -> Snapshot {
    if missing { return Snapshot(storeTime: now(), missingPath: path) }
    var tally = DirectoryTally(queue, now: now(), objective: objective)
    for event in live { tally.countLive(event) }
    for event in dead { tally.countDead(event) }
    return tally.snapshot(eventIDs: eventIDs)
  }

  /// Reads what is in the directory.
  ///
  /// - Parameter pause: called between files every now and then.
  /// - Throws: as ``sample(deadline:eventIDs:)``.
  func scan(deadline: ContinuousClock.Instant, pause: () -> Void = {}) throws(SampleFailure) -> DirectoryScan {
    guard try status(of: path) != nil else { return try notThere() }
    hasBeenThere = true
    var fresh: [FileName: Remembered] = [:]
    defer { remembered = fresh }
    var scan = DirectoryScan()
    let (live, dead, marks) = try list()
    scan.marks = marks
    do {
      var gone: Set<FileName> = []
      for (count, name) in live.enumerated() {
        if let event = try read(name, in: path, deadline, &fresh) { scan.live[name] = event } else { gone.insert(name) }
        if count % 64 == 63 { pause() }
      }
      // What left while the files were read may have died; what came back from the dead is alive.
      for (count, name) in dead.union(gone).subtracting(scan.live.keys).enumerated() {
        if let event = try read(name, in: deadPath, deadline, &fresh) { scan.dead[name] = event }
        if count % 64 == 63 { pause() }
      }
      return scan
    } catch {
      // The next sample goes on where this one ended.
      let there = Set(
        live.map { FileName("\(path)/\($0.text)") } + dead.map { FileName("\(deadPath)/\($0.text)") })
      fresh.merge(remembered.filter { there.contains($0.key) }) { new, _ in new }
      throw error
    }
  }

  /// What a file says now, wherever it is; nil where it is not there, or cannot be read.
  func glance(at path: String, as name: FileName) -> DirectoryEvent? {
    guard let status = try? FileSystem.status(path, followingLinks: false), status.kind != .directory else {
      return nil
    }
    return try? interpret(path, status, name: name).event
  }

  private var deadPath: String { "\(path)/\(queue.deadDirectory)" }

  private func notThere() throws(SampleFailure) -> DirectoryScan {
    if hasBeenThere {
      throw SampleFailure(
        .absent, "\(path) is not there any more", hint: "it was removed, or its file system was unmounted")
    }
    if createdLazily && FileSystem.isDirectory(parent(of: path)) {
      return DirectoryScan(isMissing: true)
    }
    throw SampleFailure(
      .absent, "\(path): no such directory",
      hint: "check the path in the DSN, and that the exporter sees the application's file system")
  }

  /// The names of live and dead events, and of those with a mark. A directory that changes while it is listed is listed
  /// again, a few times: a name that is there all the while must not be missed.
  private func list() throws(SampleFailure) -> (live: Set<FileName>, dead: Set<FileName>, marks: Set<FileName>) {
    var live: Set<FileName> = []
    var dead: Set<FileName> = []
    var marks: Set<FileName> = []
    for _ in 0..<3 {
      let before = try status(of: path)
      for name in try names(in: path) {
        switch queue.meaning(of: name) {
        case .event: live.insert(FileName(name))
        case .delivered(let event): marks.insert(event)
        case .nothing: break
        }
      }
      if try status(of: deadPath) != nil {
        dead.formUnion(try names(in: deadPath).filter { queue.meaning(of: $0) == .event }.map(FileName.init))
      }
      if try status(of: path) == before { break }
    }
    return (live, dead, marks)
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
        entry.kind == .directory ? nil : entry.name
      }
    } catch {
      throw SampleFailure(error)
    }
  }

  /// One event; nil where the file has left, or is a directory.
  private func read(
    _ name: FileName, in directory: String, _ deadline: ContinuousClock.Instant, _ fresh: inout [FileName: Remembered]
  ) throws(SampleFailure) -> DirectoryEvent? {
    if ContinuousClock.now >= deadline {
      throw SampleFailure(
        .timeout, "\(path): not all files could be read in time",
        hint: "the next sample goes on where this one ended; if it persists, the file system is slow")
    }
    let path = "\(directory)/\(name.text)"
    do {
      guard let status = try FileSystem.status(path, followingLinks: false), status.kind != .directory else {
        return nil
      }
      let key = FileName(path)
      if let known = remembered[key], known.isSettled, known.inode == status.inode, known.size == status.size,
        known.modified == status.modifiedNanoseconds
      {
        fresh[key] = known
        return event(name, status, known.content)
      }
      let (found, event) = try interpret(path, status, name: name)
      if status.kind == .regular { fresh[key] = Remembered(found, event.content, now: now()) }
      return event
    } catch {
      if (error as? SystemError)?.kind == .notFound { return nil }
      throw (error as? SystemError).map { SampleFailure($0) } ?? SampleFailure(.other, "\(path): \(error)")
    }
  }

  private func interpret(
    _ path: String, _ status: FileStatus, name: FileName
  ) throws -> (file: FileStatus, event: DirectoryEvent) {
    guard status.kind == .regular else { return (status, event(name, status, .malformed)) }
    let read = try FileSystem.read(path, atMost: Self.largestFile, regularOnly: true)
    let content: DirectoryEvent.Content = read.isTruncated ? .unread : try parse(read.bytes)
    return (read.status, event(name, read.status, content))
  }

  private func event(_ name: FileName, _ file: FileStatus, _ content: DirectoryEvent.Content) -> DirectoryEvent {
    DirectoryEvent(
      name: String(name.text.dropLast(queue.fileSuffix.count)),
      modified: Timestamp(nanoseconds: file.modifiedNanoseconds), content: content)
  }

  private func parse(_ bytes: [UInt8]) throws(SQLiteError) -> DirectoryEvent.Content {
    let parser = if let made = self.parser { made } else { try DirectoryFileParser(queue.fields) }
    self.parser = parser
    guard let fields = try parser.parse(bytes) else { return .malformed }
    return .fields(fields)
  }
}

/// What was in a queue directory when it was read.
struct DirectoryScan {
  /// Events that wait.
  var live: [FileName: DirectoryEvent] = [:]
  /// Dead-lettered events that do not wait as well.
  var dead: [FileName: DirectoryEvent] = [:]
  /// Events with a mark that they were delivered.
  var marks: Set<FileName> = []
  /// True for a queue that was not made yet.
  var isMissing = false
}

/// The directory that holds a path, seen as text.
func parent(of path: String) -> String {
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
