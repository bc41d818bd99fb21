import Layouts
import Outbox
import SampleSQL

/// One file of a queue directory, as far as anybody needs to know it.
struct DirectoryEvent: Sendable, Hashable {
  /// The file's name without its suffix: the identifier where the content has none.
  var name: String
  /// When the file's content was last written. A rename keeps it.
  var modified: Timestamp
  /// What the file says.
  var content: Content

  enum Content: Sendable, Hashable {
    /// A JSON object.
    case fields(DirectoryEventFields)
    /// Something else: half-written, damaged, a link.
    case malformed
    /// Too large to be read.
    case unread
  }

  /// The identifier that `--once` shows.
  var id: String {
    if case .fields(let fields) = content { fields.id ?? name } else { name }
  }

  /// The destination.
  var destination: String {
    if case .fields(let fields) = content {
      fields.destination ?? Snapshot.defaultDestination
    } else {
      Snapshot.defaultDestination
    }
  }
}

/// The few fields of an event that are not its message. No payload and no recipient is among them.
struct DirectoryEventFields: Sendable, Hashable {
  /// Its identifier.
  var id: String?
  /// When it was written.
  var created: Timestamp?
  /// Failed attempts so far.
  var attempts: Int
  /// When it was last tried.
  var lastAttempt: Timestamp?
  /// When it was handed to the far side.
  var claimed: Timestamp?
  /// What recovery thinks of it.
  var recoveryState: String?
  /// Where it goes.
  var destination: String?
}

extension DirectoryEventFields {
  /// True for an event that was tried before.
  var isRetry: Bool { attempts > 0 || lastAttempt != nil }

  /// True where a time cannot be: absent though every event has it, before the year 2000, or later than a writer's
  /// clock may be ahead.
  func isImplausible(now: Timestamp) -> Bool {
    guard let created, created.isPlausible(now: now) else { return true }
    return [lastAttempt, claimed].contains { $0.map { !$0.isPlausible(now: now) } ?? false }
  }

  /// Until when the event waits after its last failed attempt; nil where it was never tried, or nothing says when.
  func backoffEnd(_ queue: DirectoryQueue, now: Timestamp) -> Timestamp? {
    guard isRetry, !queue.backoff.isEmpty else { return nil }
    let start = [lastAttempt, created].compactMap { $0 }.first { $0.isPlausible(now: now) }
    return start?.advanced(by: queue.backoff[min(attempts, queue.backoff.count - 1)])
  }
}

extension Timestamp {
  /// 2000-01-01: no outbox is older, and what is was written in another unit or by a clock that was not set.
  private static let earliest = Timestamp(nanoseconds: 946_684_800_000_000_000)

  /// True for a time that an event can have: as in SQL stores, a writer's clock may be ahead a little.
  func isPlausible(now: Timestamp) -> Bool {
    self >= Timestamp.earliest && self <= now.advanced(by: .nanoseconds(Int64(SampleQuery.clockSkew * 1e9)))
  }
}
