package import Outbox

/// One database or directory, which may hold several outboxes. Samples of one store never overlap; stores never wait
/// for each other.
package protocol OutboxStore: Sendable {
  /// Samples every outbox of the store, within the store's own deadline, and counts what moved where the request asks.
  ///
  /// Never throws: what cannot be read is a sample too, with the reason in it. A store that cannot be reached answers
  /// with one failed sample for each outbox it is known to hold, or one under the configured name.
  func sample(_ request: SampleRequest) async -> [OutboxSample]

  /// The outboxes as they are configured, before the store is known to hold several of each.
  nonisolated var configured: [WatchedOutbox] { get }

  /// The most time that a sample takes, where the store itself sees to it; nil where it cannot, as a file system may hold
  /// whoever asks it for ever.
  nonisolated var longestSample: Duration? { get }

  /// Ends the connection. The store may be sampled again, and then connects anew.
  func close() async
}

extension OutboxStore {
  /// Nobody sees to it that a sample ends.
  package nonisolated var longestSample: Duration? { nil }

  /// Samples the figures of every outbox, and nothing of what moved.
  package func sample(eventIDs: Bool) async -> [OutboxSample] { await sample(SampleRequest(eventIDs: eventIDs)) }
}
