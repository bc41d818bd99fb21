package import Accounting
import DedicatedThreads
package import Outbox
import SQLiteClient
import SystemCalls

/// Keeps what was counted between runs, on a thread of its own: a slow disk delays no sample.
package actor AccountKeeper {
  /// What is found at the start.
  package struct Found: Sendable {
    /// What earlier runs have counted, by outbox.
    package var accounts: [String: OutboxAccount] = [:]
    /// What an operator should know: why something begins anew, or cannot be kept.
    package var notices: [String] = []
  }

  private let executor = PinnedThreadExecutor()
  private let path: String
  private let current: CurrentMark
  private var file: AccountFile?
  private var problem: String?
  private var hasSaved = false
  private var isLost = false
  private var unsaved: [String: [String: Movements.Counts]] = [:]
  private var unsavedRestarts: [String: String] = [:]

  package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.unowned }

  /// A keeper of the file in a state directory.
  package init(directory: String) {
    path = Self.path(in: directory)
    current = CurrentMark(path: directory + "/accounts.current")
  }

  /// The file in a state directory.
  package static func path(in directory: String) -> String { directory + "/accounts.sqlite" }

  /// Opens the file.
  ///
  /// Accounts that begin or were kept in the future come from another host's clock, or from before the clock was set back;
  /// they begin anew, since no backend takes a series that starts after its points. So do those that are behind what was
  /// sent, because they could not be kept in the end.
  package func open(now: Timestamp) -> Found {
    var found = Found()
    do throws(SQLiteError) {
      let (file, notice) = try AccountFile.open(path, now: now)
      self.file = file
      if let notice { found.notices.append(notice) }
      isLost = file.isNew && current.isThere
      if isLost, notice == nil {
        found.notices.append("the counters kept in \(path) are gone, or it was emptied; all of them begin anew")
      }
      if let (trouble, reason) = staleness(of: file) {
        found.notices.append(
          "the counters kept in \(path) are older than those that were sent last, \(trouble); all of them begin anew")
        for name in file.found.keys { unsavedRestarts[name] = reason }
        return found
      }
      for (name, account) in file.found.sorted(by: { $0.key < $1.key }) {
        let isFuture = (file.keptAt[name] ?? now) > now.advanced(by: Self.tolerance)
        if isFuture || account.destinations.values.contains(where: { $0.start > now }) {
          found.notices.append(
            "\(name): the counters kept in \(path) are from the future; the clock was set back, or they come from another "
              + "host. They begin anew")
          unsavedRestarts[name] = "the kept counters were from the future"
        } else {
          found.accounts[name] = account
        }
      }
    } catch {
      current.remove()
      let text = cannotKeep(error)
      problem = text
      found.notices.append(text)
    }
    return found
  }

  /// Why what was found is not what was sent last; nil where it is.
  private func staleness(of file: AccountFile) -> (trouble: String, reason: String)? {
    guard !file.found.isEmpty else { return nil }
    guard current.isThere else { return ("which could not be kept", "the last counts could not be kept") }
    guard let last = current.last, let kept = file.keptAt.values.max(), kept.nanoseconds < last else { return nil }
    // SQLite leaves out what it cannot read of a damaged log, and everything after it, without a word.
    return ("which were lost with a part of the file's log, or it is an older copy", "the last counts were lost")
  }

  /// So far the clock may be behind the one that they were kept by: it is corrected now and then.
  private static let tolerance = Duration.seconds(5)

  /// Commits totals and marks, with what moved since the last commit for the history.
  ///
  /// - Returns: whether the marks now survive the exporter; whether the counters may be sent, which they may not while whoever
  ///   starts next would take older ones for the last; and what an operator should know if that has changed.
  package func save(
    _ accounts: [String: OutboxAccount], movements: [String: [String: Movements.Counts]],
    restarts: [String: String], at time: Timestamp
  ) -> (isDurable: Bool, mayBeSent: Bool, notice: String?) {
    for (name, destinations) in movements {
      for (destination, counts) in destinations {
        unsaved[name, default: [:]][destination, default: .init()].add(counts)
      }
    }
    if isLost { unsavedRestarts.merge(accounts.keys.map { ($0, "the counters kept before are gone") }) { $1 } }
    isLost = isLost && accounts.isEmpty
    unsavedRestarts.merge(restarts) { $1 }
    do throws(SQLiteError) {
      var damage: String?
      if file == nil {
        let (opened, notice) = try AccountFile.open(path, now: time)
        file = opened
        damage = notice ?? (hasSaved && opened.found.isEmpty ? "the counters kept in \(path) are gone" : nil)
      }
      try file?.save(accounts, movements: unsaved, restarts: unsavedRestarts, at: time)
      try current.write(file?.keptAt.values.max())
      unsaved = [:]
      unsavedRestarts = [:]
      let wasTrouble = problem != nil
      problem = nil
      hasSaved = hasSaved || !accounts.isEmpty
      if let damage {
        return (
          true, true, "\(damage); the counters go on and are kept there again, but the history for `report` begins anew"
        )
      }
      return (true, true, wasTrouble ? "the counters are kept in \(path) again; nothing was lost" : nil)
    } catch {
      // A file that was removed or replaced under us is opened anew.
      file = nil
      current.remove()
      let text = cannotKeep(error)
      defer { problem = text }
      return (false, !current.isThere, problem == text ? nil : text)
    }
  }

  /// Closes the file.
  package func close() { file = nil }

  private func cannotKeep(_ error: SQLiteError) -> String {
    let advice =
      switch error.kind {
      case .full: "make room on its file system"
      case .permission, .readOnly, .cannotOpen: "make the state directory writable"
      case .busy: "another program has locked it; nothing but the sidecar should write there"
      default: "check the disk and the file system"
      }
    let consequence =
      current.isThere
      ? "nor can that be noted there for whoever starts next, so they are not sent until it can"
      : "they go on in memory and begin anew after a restart"
    return "the counters cannot be kept in \(path): \(error); \(consequence): \(advice)"
  }

  deinit {
    executor.stop()
  }
}

/// A file beside the counters while they are what was sent last, which says when that was. Counters that go on in memory take
/// it away, which needs no room on a disk that is full: whoever starts next then knows that the file is behind.
private final class CurrentMark {
  private let path: String
  private var written: Int64?

  init(path: String) { self.path = path }

  var isThere: Bool { (try? FileSystem.status(path)) ?? nil != nil }

  /// When counters were kept last, in nanoseconds since 1970; nil where it is not told.
  var last: Int64? {
    (try? FileSystem.read(path, atMost: Self.width)).flatMap { Int64(String(decoding: $0.bytes, as: UTF8.self)) }
  }

  func write(_ time: Timestamp?) throws(SQLiteError) {
    guard let nanoseconds = time?.nanoseconds ?? (isThere ? nil : 0), nanoseconds != written else { return }
    // Always as wide, so that it can be written in place.
    let digits = "\(max(0, nanoseconds))"
    let text = String(repeating: "0", count: max(0, Self.width - digits.utf8.count)) + digits
    do throws(SystemError) {
      try FileSystem.overwrite(path, with: Array(text.utf8))
    } catch {
      throw SQLiteError(attempt: "mark the counters as current", message: "\(error)")
    }
    written = nanoseconds
  }

  func remove() {
    written = nil
    try? FileSystem.remove(path)
  }

  private static let width = 19
}
