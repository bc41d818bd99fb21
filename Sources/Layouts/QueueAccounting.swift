/// What the rows of a queue say of the movements in it.
package struct QueueAccounting: Sendable, Hashable {
  /// The role of the main table's column that says when an event was written. It never changes, in a dead or delivered
  /// row neither where ``delivered`` is given.
  package var created: String?
  /// SQL template: how many attempts of a waiting or delivered row ended with the promise of another one.
  package var retries: String?
  /// The same for a dead row of the main table; nil where it does not differ.
  package var deadRetries: String?
  /// The delivered rows, where the system keeps them and says when each was delivered.
  package var delivered: Delivered?

  /// What rows say; nothing unless it is named.
  package init(
    created: String? = nil, retries: String? = nil, deadRetries: String? = nil, delivered: Delivered? = nil
  ) {
    self.created = created
    self.retries = retries
    self.deadRetries = deadRetries
    self.delivered = delivered
  }

  /// Delivered rows of the main table.
  package struct Delivered: Sendable, Hashable {
    /// SQL template that picks them.
    package var rows: String
    /// The role of the column that says when each was delivered.
    package var finished: String
    /// SQL template of the first due time, in unix seconds; the duration of the delivery begins there.
    package var since: String

    /// Delivered rows.
    package init(rows: String, finished: String, since: String) {
      self.rows = rows
      self.finished = finished
      self.since = since
    }
  }
}
