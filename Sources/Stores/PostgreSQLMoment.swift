import PostgreSQLClient

/// Up to where a server had come when it read something: which transactions had ended, as one of its processes saw it.
///
/// Between two equal moments of which ``isSettled`` is true no transaction has ended that may have changed a row, in no
/// database of the server, and whatever was read in between has seen the same rows:
///
/// - A snapshot is `xmin:xmax:`, and then those between the two that go on. `xmax` is one more than the highest number of a
///   transaction that has ended, and only ever rises. One that has no number below `xmax` yet and ends makes it rise; where
///   `xmin` is `xmax`, no other is left. Those of replicas are not listed, so there nothing less will do. A transaction gets
///   its number before it changes anything, savepoints one of their own and a higher one, and a prepared one keeps its own.
/// - Both are taken as the first statement of a transaction in READ COMMITTED. What a later statement of it reads lies
///   between that moment and the next, and so between two equal ones, be it that it had to wait for a lock.
/// - Numbers can come back: behind a pooler, where the next server has lost the last transactions of the one before, or
///   after a crash. Neither has the process that answered before.
struct PostgreSQLMoment: Sendable, Hashable {
  private let snapshot: String
  private let process: String

  /// Reads the answer to ``PostgreSQLMessage/clock``; nil where there is none.
  init?(_ clock: PostgreSQLResult) {
    guard let snapshot = clock.text(0, 2), let process = clock.text(0, 3) else { return nil }
    self.snapshot = snapshot
    self.process = process
  }

  /// True where every transaction had ended that began before another one ended.
  var isSettled: Bool {
    let parts = snapshot.split(separator: ":", omittingEmptySubsequences: false)
    return parts.count == 3 && parts[0] == parts[1]
  }

  /// Transactions from here on had not ended.
  var ceiling: UInt64? { snapshot.split(separator: ":").dropFirst().first.flatMap { UInt64($0) } }
}
