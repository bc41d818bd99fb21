package import Outbox

extension OutboxSample {
  /// All figures of a sample that has to have them.
  ///
  /// - Throws: why there are none.
  package func counted() throws -> Snapshot {
    switch result {
    case .success(.counts(let snapshot)): return snapshot
    case .success(.head): throw OnlyTheHead(outbox: outbox.name)
    case .failure(let failure): throw failure
    }
  }

  private struct OnlyTheHead: Error {
    var outbox: String
  }
}
