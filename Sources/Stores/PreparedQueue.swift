import Layouts
import Outbox
import SampleSQL

extension PostgreSQLQueues {
  /// One queue that is there, with everything that can be worked out before a sample.
  struct Prepared {
    /// Its place among the queues of the layout.
    let index: Int
    var suffix: String?
    var queue: TableQueue
    var schema: QueueSchema
    var query: SampleQuery
    /// Looks for values of the state column that the layout does not know, where that was not done yet.
    var search: String?
    /// How movements are counted; nil where they cannot be, and where nobody has asked for them.
    var accounting: PostgreSQLAccounting?
    /// Knows whether there is a ledger, which counts better.
    var ledger: PostgreSQLLedgerWatch
    /// Knows whether the first rows can be read alone.
    var head: PostgreSQLHead
    /// Knows what the last count found, as long as that is exact.
    let kept = PostgreSQLKeptCount()
  }
}

extension PostgreSQLQueues.Prepared {
  init(
    _ index: Int, _ queue: TableQueue, schema: QueueSchema, query: SampleQuery, _ ledger: PostgreSQLLedgerWatch
  ) {
    self.index = index
    self.ledger = ledger
    head = PostgreSQLHead(query)
    suffix = queue.suffix
    self.queue = queue
    self.schema = schema
    self.query = query
    search = query.states
  }

  /// True where the layout names events.
  var hasIDs: Bool { queue.selections.contains { $0.id != nil && schema.tables[$0.table] != nil } }

  /// The message of a sample with these statements, and what names a few events behind them.
  func message(counting statements: [String], eventIDs: Bool, _ limits: PostgreSQLLimits) -> String {
    let ids = eventIDs ? (try? query.eventIDs()).flatMap { $0 }.map { [$0] } ?? [] : []
    return PostgreSQLMessage.sample(statements + ids, limits)
  }
}
