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
    var kept: [String: DirectoryReader] = [:]
    for path in paths {
      kept[path] =
        readers[path]
        ?? DirectoryReader(path: path, queue: queue, createdLazily: definition.layout.createdLazily, now: now)
    }
    readers = kept
    return paths.map { path in
      timed(outbox(at: path)) { () throws(SampleFailure) in
        // Forced: a reader was made above for every path.
        try kept[path]!.sample(deadline: deadline, eventIDs: request.eventIDs)
      }
    }
  }

  package func close() async {
    readers = [:]
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
    let known = readers.keys.sorted().map(outbox(at:))
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
    executor.stop()
  }
}
