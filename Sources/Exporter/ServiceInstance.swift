import CryptoClient
import SystemCalls

/// Why the state directory cannot be used.
package struct StateProblem: Error, Sendable, Hashable {
  /// What was tried, the cause, and what to do.
  package var message: String
}

/// What the sidecar keeps between runs: the lock that makes it the only one, and its identity.
package final class SidecarState {
  private var lock: Lock?
  private let instanceID: String?

  // A noncopyable lock inside an optional of a class needs a box of its own.
  private final class Lock {
    let file: FileLock
    init(_ file: consuming FileLock) { self.file = file }
  }

  /// Takes possession of the state directory; nothing is kept where there is none.
  ///
  /// - Throws: the directory cannot be made or written, or another sidecar uses it.
  package init(_ directory: String?) throws(StateProblem) {
    guard let directory else {
      instanceID = nil
      return
    }
    do {
      try FileSystem.makeDirectories(directory)
      lock = Lock(try FileLock(directory + "/sidecar.lock"))
      instanceID = try Self.keptInstanceID(directory + "/instance-id")
    } catch {
      throw StateProblem(
        message: error.kind == .locked
          ? "another sidecar uses the state directory \(directory); give each its own --state-dir"
          : "the state directory \(directory) cannot be used: \(error); point --state-dir to one that may be written")
    }
  }

  /// `service.instance.id`: the UUID kept in the state directory, else one made from host and outboxes, so that a
  /// restart continues the series of a backend that keeps this label.
  package func instance(outboxes: [String]) -> String {
    instanceID ?? NameBasedUUID.serviceInstance(identity(outboxes))
  }

  /// Gives the directory free.
  package func release() { lock = nil }

  private static func keptInstanceID(_ path: String) throws(SystemError) -> String {
    if try FileSystem.status(path) != nil {
      let kept = String(decoding: try FileSystem.read(path, atMost: 64).bytes.filter { $0 > 0x20 }, as: UTF8.self)
      // What a crash or an editor has left behind is no identity.
      if isUUID(kept) { return kept }
    }
    let id = NameBasedUUID.random(ThisProcess.randomBytes(16))
    try FileSystem.replace(path, with: Array(id.utf8))
    return id
  }

  private static func isUUID(_ text: String) -> Bool {
    let groups = text.split(separator: "-", omittingEmptySubsequences: false)
    return groups.map(\.utf8.count) == [8, 4, 4, 4, 12] && groups.joined().utf8.allSatisfy { $0 < 0x80 }
      && groups.joined().allSatisfy(\.isHexDigit)
  }
}

/// The identity of a `--once` run.
///
/// Two runs at the same time must not write to the same series, since a backend may refuse what comes out of order;
/// yet every run with an identity of its own would make new series for ever. So each run takes the lowest of a few
/// numbered places that is free.
package final class OnceState {
  private let directory: String?
  private var lock: Lock?

  private final class Lock {
    let file: FileLock
    init(_ file: consuming FileLock) { self.file = file }
  }

  /// The identity of a run with a state directory. One that cannot be used costs no more than a new identity.
  package init(_ directory: String?) { self.directory = directory }

  /// `service.instance.id` of this run, which takes its place for it.
  package func instance(outboxes: [String]) -> String {
    guard let place = takePlace() else { return NameBasedUUID.random(ThisProcess.randomBytes(16)) }
    return NameBasedUUID.serviceInstance(identity(outboxes) + "\nonce \(place)")
  }

  private func takePlace() -> Int? {
    guard let directory, (try? FileSystem.makeDirectories(directory)) != nil else { return nil }
    return (0..<64).first { number in
      guard let file = try? FileLock(directory + "/once-\(number).lock") else { return false }
      lock = Lock(file)
      return true
    }
  }

  /// Gives the place free, once everything is pushed.
  package func release() { lock = nil }
}

/// Host and outboxes, whatever order the configuration names them in.
private func identity(_ outboxes: [String]) -> String {
  ([ThisProcess.hostName] + outboxes.sorted()).joined(separator: "\n")
}
