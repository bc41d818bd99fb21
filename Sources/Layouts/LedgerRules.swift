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
  /// The time from which the wait of an event counts, in unix seconds.
  package var firstDue: String

  /// Rules.
  package init(
    waiting: String, delivered: String? = nil, dead: String? = nil, failed: String? = nil, released: String? = nil,
    removed: String? = nil, firstDue: String
  ) {
    self.waiting = waiting
    self.delivered = delivered
    self.dead = dead
    self.failed = failed
    self.released = released
    self.removed = removed
    self.firstDue = firstDue
  }
}
