import DedicatedThreads
package import Layouts
package import Outbox
import SystemCalls

/// The queue directories of one configured outbox: one, or all that match a glob. Each is an outbox of its own.
package actor DirectoryStore: OutboxStore {
  private let executor = PinnedThreadExecutor()
  private let definition: OutboxDefinition
  private let pattern: String
  private let timeLimit: Duration
  private let now: @Sendable () -> Timestamp
  private var readers: [String: DirectoryReader] = [:]
  private var inotify: Inotify?
  private var watches: DirectoryWatches?
  private var watched: [String: WatchedDirectory] = [:]

  /// The outboxes as they are configured.
  package nonisolated let configured: [WatchedOutbox]
  package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  /// A store over the definition's directory or directories. A tilde in the address has been replaced before.
  ///
  /// - Parameters:
  ///   - timeLimit: how long one sample of all directories may take.
  ///   - now: the wall clock; it is the store's clock too, as the files are stamped on the same host.
  package init(
    _ definition: OutboxDefinition, timeLimit: Duration = .seconds(5), now: @escaping @Sendable () -> Timestamp
  ) {
    guard case .files(let path) = definition.address else {
      preconditionFailure("a directory store needs the address of a directory")
    }
    self.definition = definition
    self.configured = [definition.watched()]
    self.pattern = path
    self.timeLimit = timeLimit
    self.now = now
  }

  package func sample(_ request: SampleRequest) async -> [OutboxSample] {
    let deadline = ContinuousClock.now + timeLimit
    guard let queue = definition.layout.directory else {
      return failed(SampleFailure(.schema, "the layout \(definition.layout.name) does not describe a directory"))
    }
    let paths: [String]
    do {
      paths = try directories()
    } catch {
      return failed(error)
    }
    guard let marks = request.marks else {
      stopWatching()
      return sample(paths, queue, deadline: deadline, eventIDs: request.eventIDs)
    }
    readers = [:]
    let watches = startWatching()
    watches.keep(paths)
    watched = Dictionary(
      uniqueKeysWithValues: paths.map { path in (path, watched[path] ?? watchedDirectory(path, queue, in: watches)) })
    return paths.map { path in
      let outbox = outbox(at: path)
      var reading: AccountingReading?
      var sample = timed(outbox) { () throws(SampleFailure) in
        // Forced: every path got its directory above.
        let (snapshot, found) = try watched[path]!.sample(
          since: marks[outbox.name], deadline: deadline, eventIDs: request.eventIDs, in: watches)
        reading = found
        return snapshot
      }
      sample.accounting = reading
      return sample
    }
  }

  private func sample(
    _ paths: [String], _ queue: DirectoryQueue, deadline: ContinuousClock.Instant, eventIDs: Bool
  ) -> [OutboxSample] {
    readers = Dictionary(uniqueKeysWithValues: paths.map { ($0, readers[$0] ?? reader($0, queue)) })
    return paths.map { path in
      timed(outbox(at: path)) { () throws(SampleFailure) in
        // Forced: every path got its reader above.
        try readers[path]!.sample(deadline: deadline, eventIDs: eventIDs)
      }
    }
  }

  private func reader(_ path: String, _ queue: DirectoryQueue) -> DirectoryReader {
    DirectoryReader(
      path: path, queue: queue, createdLazily: definition.layout.createdLazily, objective: definition.objective?.age,
      now: now)
  }

  // MARK: Watching

  private func watchedDirectory(
    _ path: String, _ queue: DirectoryQueue, in watches: DirectoryWatches
  ) -> WatchedDirectory {
    WatchedDirectory(
      watches.directory(path) {
        DirectoryWatch(
          path: path, queue: queue, reader: reader(path, queue), objective: definition.objective?.age, now: now)
      })
  }

  private func startWatching() -> DirectoryWatches {
    if let watches, inotify != nil { return watches }
    do {
      let inotify = try Inotify()
      self.inotify = inotify
      // Files may be gone soon after they came, and the kernel's queue is short: reports are taken as they come, not at the
      // next sample.
      let waiter = DirectoryWaiter()
      Task.detached { [weak self] in
        while await waiter.wait(for: inotify) {
          guard let self else { return }
          await self.takeReports()
        }
      }
      watches = DirectoryWatches(.success(inotify), keeping: watches)
    } catch {
      watches = DirectoryWatches(.failure(error), keeping: watches)
    }
    // Forced: it was set just now.
    return watches!
  }

  private func takeReports() {
    watches?.drain()
  }

  private func stopWatching() {
    inotify?.stop()
    (inotify, watches, watched) = (nil, nil, [:])
  }

  package func close() async {
    readers = [:]
    stopWatching()
  }

  private func directories() throws(SampleFailure) -> [String] {
    guard Glob.hasMagic(pattern) else { return [pattern] }
    let matches: [String]
    do {
      matches = try Glob.expand(pattern).filter(FileSystem.isDirectory)
    } catch {
      throw SampleFailure(error)
    }
    if matches.isEmpty {
      throw SampleFailure(
        .absent, "\(pattern): no directory matches", hint: "check the pattern in the DSN; quote it in the shell")
    }
    return matches
  }

  private func outbox(at path: String) -> WatchedOutbox {
    definition.watched(suffixes: Glob.hasMagic(pattern) ? [Glob.stem(of: path, pattern: pattern)] : [])
  }

  /// One failed sample for each directory that was seen last, or one under the configured name.
  private func failed(_ failure: SampleFailure) -> [OutboxSample] {
    let known = Set(readers.keys).union(watched.keys).sorted().map(outbox(at:))
    return (known.isEmpty ? [definition.watched()] : known).map { outbox in
      timed(outbox) { () throws(SampleFailure) in throw failure }
    }
  }

  private func timed(
    _ outbox: WatchedOutbox, _ sample: () throws(SampleFailure) -> Snapshot
  ) -> OutboxSample {
    let startedAt = now()
    let start = ContinuousClock.now
    let result = Result(catching: sample)
    return OutboxSample(
      outbox: outbox, startedAt: startedAt, duration: ContinuousClock.now - start, result: result)
  }

  deinit {
    inotify?.stop()
    executor.stop()
  }
}

/// Waits for the kernel's reports on a thread of its own.
private actor DirectoryWaiter {
  private let executor = PinnedThreadExecutor()

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  /// Waits until there is something to read; false once that was stopped.
  func wait(for inotify: Inotify) -> Bool { inotify.wait() }

  deinit {
    executor.stop()
  }
}
