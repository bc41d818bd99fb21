package import Accounting
package import Outbox
package import SQLiteClient

extension MovementHistory {
  /// Reads what a state directory has kept, while a sidecar may be writing there.
  ///
  /// - Parameters:
  ///   - since: the history begins with the slot that holds this time.
  /// - Throws: there is no such file, or it cannot be read.
  package init(directory: String, since: Timestamp, until: Timestamp) throws(SQLiteError) {
    let connection = try SQLiteConnection(path: AccountKeeper.path(in: directory), access: .readOnly)
    connection.setBusyTimeout(.seconds(5))
    guard try connection.integer("PRAGMA user_version") == AccountFile.version else {
      throw SQLiteError(attempt: "read the history", message: "the file is of another version")
    }
    try connection.execute("BEGIN")
    // A slot counts where it has not ended before the time; the widest one that is cut decides where the history begins.
    let overlapping: [String: SQLiteValue] = [":since": .integer(since.nanoseconds / 1_000_000_000)]
    let first = try Self.firstSlot(connection, overlapping)
    var durations: [Key: [Double: Int]] = [:]
    try connection.query(
      """
      SELECT outbox, destination, method, bound, sum(count) FROM durations WHERE slot + width > :since
      GROUP BY 1, 2, 3, 4
      """, overlapping
    ) { row in
      guard let key = Key(row), let bound = row.double(3), let count = row.integer(4) else { return }
      durations[key, default: [:]][bound] = Int(count)
    }
    var entries: [Entry] = []
    let sums = AccountFile.countedNames.map { "sum(\($0))" }.joined(separator: ", ")
    try connection.query(
      """
      SELECT outbox, destination, method, \(sums) FROM movements WHERE slot + width > :since
      GROUP BY 1, 2, 3 ORDER BY 1, 3, 2
      """, overlapping
    ) { row in
      guard let key = Key(row), let method = AccountingMethod(rawValue: key.method) else { return }
      let summary = MovementSummary(
        method: method, counts: AccountFile.counts(row, from: 3), durations: durations[key] ?? [:])
      entries.append(Entry(outbox: key.outbox, destination: key.destination, summary: summary))
    }
    var restarts: [Restart] = []
    try connection.query(
      "SELECT outbox, time, reason FROM restarts WHERE time >= :since ORDER BY time, outbox", overlapping
    ) { row in
      restarts.append(
        Restart(
          outbox: row.text(0) ?? "", time: Timestamp(seconds: Double(row.integer(1) ?? 0)), reason: row.text(2) ?? ""))
    }
    var methods: [String: AccountingMethod] = [:]
    try connection.query("SELECT outbox, method FROM accounts") { row in
      if let name = row.text(0) { methods[name] = row.text(1).flatMap(AccountingMethod.init) }
    }
    try connection.execute("COMMIT")
    self.init(
      since: first.map { min($0, since) } ?? since, until: until, entries: entries, restarts: restarts,
      methods: methods)
  }

  private static func firstSlot(
    _ connection: borrowing SQLiteConnection, _ parameters: [String: SQLiteValue]
  ) throws(SQLiteError) -> Timestamp? {
    var first: Int64?
    try connection.query("SELECT min(slot) FROM movements WHERE slot + width > :since", parameters) { row in
      first = row.integer(0)
    }
    return first.map { Timestamp(seconds: Double($0)) }
  }

  private struct Key: Hashable {
    var outbox: String
    var destination: String
    var method: String

    init?(_ row: borrowing SQLiteStatement) {
      guard let outbox = row.text(0), let destination = row.text(1), let method = row.text(2) else { return nil }
      self.outbox = outbox
      self.destination = destination
      self.method = method
    }
  }
}
