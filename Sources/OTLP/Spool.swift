package import Outbox
internal import SQLiteClient

/// Where requests that were not delivered yet are kept, and how many.
package struct Spool: Sendable, Hashable {
  /// The SQLite file.
  package let path: String
  /// Bytes of requests, as they are sent, that are kept; beyond it the oldest are dropped and counted. The newest stays
  /// even where it alone is larger.
  package let byteLimit: Int

  /// A spool in a file.
  package init(path: String, byteLimit: Int = 64 << 20) {
    self.path = path
    self.byteLimit = byteLimit
  }

  /// The files of the spools of several destinations in a directory. A name depends on the endpoint without its
  /// secrets, so that a new token finds the old spool; further destinations with the same endpoint are numbered.
  package static func paths(in directory: String, _ destinations: [OTLPDestination]) -> [String] {
    var seen: [String: Int] = [:]
    return destinations.map { destination in
      let hash = UInt64(bitPattern: checksum(destination.shownEndpoint.utf8))
      let digits = String(hash, radix: 16)
      let name = "spool-" + String(repeating: "0", count: 16 - digits.count) + digits
      let number = seen[name, default: 0] + 1
      seen[name] = number
      return "\(directory)/\(name)\(number > 1 ? "-\(number)" : "").sqlite"
    }
  }
}

/// Why data points will never arrive: the attribute `outbox.drop.reason`.
package enum DropReason: String, Sendable, Hashable, CaseIterable {
  /// More waited than the limit allows.
  case full
  /// They waited longer than the limit allows.
  case tooOld = "too_old"
  /// The receiver answered that it will never take them.
  case rejected
  /// They are larger than a request may be, here or at the receiver.
  case tooLarge = "too_large"
  /// What the disk gave back is not what was kept.
  case corrupt
}

/// What the `outbox.spool.*` metrics say about a destination.
package struct SpoolObservation: Sendable, Hashable {
  /// Requests that wait.
  package var depth: Int
  /// How long the oldest has waited; zero where none waits.
  package var age: Duration
  /// Data points that were dropped since ``start``, for every reason.
  package var dropped: [DropReason: Int]
  /// Where the counts begin: when the spool was made, or, in memory, when the exporter was.
  package var start: Timestamp
}

extension SQLiteError {
  /// What to do about a spool that cannot be written.
  var advice: String {
    switch kind {
    case .full: "Make room on its file system"
    case .permission, .readOnly, .cannotOpen: "Make the state directory writable"
    case .busy: "Another program has locked it: nothing but the sidecar should write there"
    case .corrupt, .notADatabase: "A restart sets the damaged file aside"
    case .interrupted, .inputOutput, .statement, .other: "Check the disk and the file system"
    }
  }
}
