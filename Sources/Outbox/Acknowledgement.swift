/// What somebody knows about dead letters that stay where they are, so that they do not hide new ones.
package struct Acknowledgement: Sendable, Hashable {
  /// So many dead events are known.
  package var dead: Int
  /// Whose they are; nil for the outbox's as a whole.
  package var destination: String?
  /// Why they may stay, e.g. a ticket.
  package var reason: String
  /// The last day on which that holds, as `2026-12-01`.
  package var until: String
  /// The end of that day, in UTC; from then on the events count again.
  package var end: Timestamp

  /// An acknowledgement.
  package init(dead: Int, destination: String? = nil, reason: String, until: String, end: Timestamp) {
    self.dead = dead
    self.destination = destination
    self.reason = reason
    self.until = until
    self.end = end
  }
}
