import Outbox
import PostgreSQLClient
import Synchronization

/// A connection that is opened while the rest of the program is put together, for a run that ends with its first sample.
final class EarlyConnection: Sendable {
  private typealias Outcome = Result<PostgreSQLConnection, PostgreSQLError>

  private let outcome = Mutex<Outcome?>(nil)

  /// Opens it, or finds out why that does not work.
  func open(_ conninfo: Secret, within limit: Duration) {
    outcome.withLock { outcome in
      do throws(PostgreSQLError) {
        outcome = .success(try PostgreSQLConnection(to: conninfo.revealed, within: limit))
      } catch {
        outcome = .failure(error)
      }
    }
  }

  /// True for one that is open and waits to be taken.
  var isOpen: Bool {
    outcome.withLock { outcome in
      switch outcome {
      case .success: true
      case .failure: false
      case nil: false
      }
    }
  }

  /// What became of it, once; nil from then on, or where nobody opened it.
  func take() throws(PostgreSQLError) -> PostgreSQLConnection? {
    try outcome.withLock { $0.take() }?.get()
  }
}
