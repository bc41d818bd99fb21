/// What the changes of a queue's rows mean to its ledger: which of them is a delivery, a failed attempt, a dead letter.
///
/// All are SQL templates of one row each. In ``failed`` and ``released`` the row is the one after the change, and
/// `{old:role}` means the row before it.
package struct LedgerRules: Sendable, Hashable {
  /// True for rows that still wait, whatever the time: the rows that the depth counts.
  package var waiting: String
  /// True for rows that were delivered and are kept; nil where the layout keeps none.
  package var delivered: String?
  /// True for dead-lettered rows of the main table; nil where there are none. What no longer waits and is neither
  /// delivered nor dead was discarded.
  package var dead: String?
  /// True where an attempt failed and the event will be tried again.
  package var failed: String?
  /// True where a claim expired or was given back without an attempt that failed.
  package var released: String?
  /// True for waiting rows whose deletion means that they were delivered; nil where it means that they were discarded.
  package var removed: String?
  /// True for waiting rows whose deletion means that they were given up for dead; looked at before ``removed``.
  package var buried: String?
  /// The table and columns that tell the destination, where it is in a row of another table; nil where the queue's own
  /// template does. Only a ledger in SQLite uses it: there a trigger must not name a second table of the application,
  /// or rebuilding that table would fail.
  package var parents: Parents?
  /// The time from which the wait of an event counts, in unix seconds.
  package var firstDue: String

  /// Rules.
  package init(
    waiting: String, delivered: String? = nil, dead: String? = nil, failed: String? = nil, released: String? = nil,
    removed: String? = nil, buried: String? = nil, parents: Parents? = nil, firstDue: String
  ) {
    self.waiting = waiting
    self.delivered = delivered
    self.dead = dead
    self.failed = failed
    self.released = released
    self.removed = removed
    self.buried = buried
    self.parents = parents
    self.firstDue = firstDue
  }

  /// Rows of another table that events belong to, and that tell their destination.
  package struct Parents: Sendable, Hashable {
    /// The role of the table.
    package var table: String
    /// The role of its column that events refer to.
    package var id: String
    /// The role of its column that holds the destination.
    package var destination: String
    /// SQL template of an event: the parent that it refers to.
    package var reference: String

    /// Rows of another table.
    package init(table: String, id: String, destination: String, reference: String) {
      self.table = table
      self.id = id
      self.destination = destination
      self.reference = reference
    }
  }
}
