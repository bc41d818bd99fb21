/// Up to where a reader has counted a ledger in SQLite. There is one writer at a time, so the numbers of a journal are
/// the order in which its rows were committed.
package struct SQLiteLedgerMark: Sendable, Hashable {
  /// Which ledger it was: another one has other rows.
  package var installation: String
  /// The number of the last row that was counted.
  package var id: Int64
  /// When that row was written, in milliseconds since the Unix epoch: in a file that was restored from a copy, another
  /// row may have its number.
  package var writtenAt: Int64
  /// How many events waited at that moment.
  package var depth: Int

  /// A mark.
  package init(installation: String, id: Int64, writtenAt: Int64, depth: Int) {
    self.installation = installation
    self.id = id
    self.writtenAt = writtenAt
    self.depth = depth
  }

  /// Reads ``text``; nil where it is none.
  package init?(_ text: String) {
    let parts = text.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 4, !parts[0].isEmpty, let id = Int64(parts[1]), let writtenAt = Int64(parts[2]),
      let depth = Int(parts[3])
    else { return nil }
    self.init(installation: String(parts[0]), id: id, writtenAt: writtenAt, depth: depth)
  }

  /// The mark as it is kept.
  package var text: String { "\(installation) \(id) \(writtenAt) \(depth)" }
}
