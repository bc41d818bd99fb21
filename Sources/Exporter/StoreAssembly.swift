import Configuration
import Layouts
import Outbox
package import Stores
import SystemCalls

extension ExporterConfiguration {
  /// The stores of the configuration: one per database, however many outboxes it holds.
  ///
  /// - Parameter connectsAtOnce: whether databases are connected to before they are asked for anything.
  func stores(connectsAtOnce: Bool = false, now: @escaping @Sendable () -> Timestamp) -> [any OutboxStore] {
    var databases: [StoreAddress: [OutboxDefinition]] = [:]
    for outbox in outboxes { databases[outbox.address, default: []].append(outbox) }
    var stores: [any OutboxStore] = []
    for outbox in outboxes {
      switch outbox.address {
      case .postgresql:
        guard let definitions = databases.removeValue(forKey: outbox.address) else { continue }
        stores.append(
          PostgreSQLStore(definitions, limits: postgreSQLLimits, connectsAtOnce: connectsAtOnce, now: now))
      case .sqlite:
        stores.append(SQLiteStore(outbox, timeLimit: timeouts.statement, lockLimit: timeouts.lock, now: now))
      case .files: stores.append(DirectoryStore(outbox, timeLimit: timeouts.statement, now: now))
      }
    }
    return stores
  }

  /// What bounds the exporter in a PostgreSQL database.
  package var postgreSQLLimits: PostgreSQLLimits {
    PostgreSQLLimits(connect: timeouts.connect, statement: timeouts.statement, lock: timeouts.lock)
  }
}
