import DedicatedThreads
package import Layouts
package import Outbox
import SystemCalls

/// An outbox in an SQLite file, or one in each file of a glob. Files are opened read-only and are never written.
package actor SQLiteStore: SQLStore {
  private let executor = PinnedThreadExecutor()
  private let definition: OutboxDefinition
  private let pattern: String
  private let now: @Sendable () -> Timestamp
  private let limits: SQLiteFile.Limits
  private var files: [String: SQLiteFile] = [:]

  /// The outboxes as they are configured.
  package nonisolated let configured: [WatchedOutbox]
  package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  /// A store over the definition's file or files.
  ///
  /// - Parameters:
  ///   - timeLimit: how long the sample of one file may take.
  ///   - lockLimit: how long it waits for another process's lock.
  ///   - now: the wall clock; in SQLite it is the store's clock too, as both run on one host.
  package init(
    _ definition: OutboxDefinition, timeLimit: Duration = .seconds(5), lockLimit: Duration = .milliseconds(500),
    now: @escaping @Sendable () -> Timestamp
  ) {
    guard case .sqlite(let path) = definition.address else {
      preconditionFailure("an SQLite store needs an SQLite address")
    }
    self.definition = definition
    self.configured = [definition.watched()]
    self.pattern = path
    self.now = now
    self.limits = SQLiteFile.Limits(sample: timeLimit, busy: lockLimit)
  }

  package func sample(_ request: SampleRequest) async -> [OutboxSample] {
    let paths: [String]
    do {
      paths = try SQLitePaths.matching(pattern)
    } catch {
      let known = files.sorted { $0.key < $1.key }.flatMap { path, file in
        file.knownSuffixes.map { outbox(path: path, queue: $0) }
      }
      return (known.isEmpty ? [definition.watched()] : known).map {
        OutboxSample(outbox: $0, startedAt: now(), duration: .zero, result: .failure(error))
      }
    }
    for path in files.keys where !paths.contains(path) { files.removeValue(forKey: path)?.close() }
    return paths.flatMap { sample(path: $0, request) }
  }

  package func statements(eventIDs: Bool, role: String?) async -> [OutboxStatements] {
    do throws(SampleFailure) {
      return try SQLitePaths.matching(pattern).flatMap { path -> [OutboxStatements] in
        let file = file(path)
        return file.statements(at: now(), eventIDs: eventIDs).map { (outbox(path: path, queue: $0), $1) }
      }
    } catch {
      return [(definition.watched(), .failure(error))]
    }
  }

  private func outbox(path: String, queue: String?) -> WatchedOutbox {
    let stem = Glob.hasMagic(pattern) ? Glob.stem(of: path, pattern: pattern) : nil
    return definition.watched(suffixes: [stem, queue].compactMap { $0 })
  }

  private func sample(path: String, _ request: SampleRequest) -> [OutboxSample] {
    let startedAt = now()
    let began = SystemClock.monotonicNanoseconds()
    let file = file(path)
    files[path] = file
    let outcomes = file.sample(
      at: startedAt,
      .init(
        eventIDs: request.eventIDs,
        mark: { queue in request.marks.map { $0[self.outbox(path: path, queue: queue).name] } },
        budget: request.budget))
    let duration = Duration.nanoseconds(SystemClock.monotonicNanoseconds() - began)
    return outcomes.map { outcome in
      OutboxSample(
        outbox: outbox(path: path, queue: outcome.suffix), startedAt: startedAt, duration: duration,
        figures: outcome.result, intervals: outcome.intervals, accounting: outcome.accounting)
    }
  }

  private func file(_ path: String) -> SQLiteFile {
    files[path]
      ?? SQLiteFile(path: path, layout: definition.layout, objective: definition.objective?.age, limits: limits)
  }

  package func close() async {
    for file in files.values { file.close() }
    files = [:]
  }

  deinit {
    executor.stop()
  }
}
