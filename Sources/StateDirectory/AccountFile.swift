package import Accounting
package import Outbox
package import SQLiteClient
import SystemCalls

/// The SQLite file with what was counted of every outbox's movements: the running totals with their marks, and the
/// history that `report` answers from.
///
/// Totals, marks and history are committed together and synchronised to the disk (write-ahead log, `synchronous=FULL`):
/// whatever instant the process ends at, the next one goes on from a mark that fits its totals.
package final class AccountFile {
  /// What was kept of each outbox, by its name, when the file was opened.
  package let found: [String: OutboxAccount]
  /// When each of them was kept last.
  package private(set) var keptAt: [String: Timestamp]
  /// True where there was no such file, or an empty one.
  package let isNew: Bool
  private let connection: SQLiteConnection
  private var saved: [String: OutboxAccount]
  private var rolledUpAt: Timestamp?

  static let version: Int64 = 1

  /// Opens the file and makes it where there is none. A damaged one is set aside under another name.
  ///
  /// - Returns: the file, and what an operator should know about a damaged one.
  /// - Throws: the file can be neither used nor replaced.
  package static func open(_ path: String, now: Timestamp) throws(SQLiteError) -> (AccountFile, notice: String?) {
    let cause: String
    do throws(SQLiteError) {
      return (try AccountFile(path), nil)
    } catch {
      guard [.corrupt, .notADatabase, .statement, .other].contains(error.kind) else { throw error }
      cause = "\(error)"
    }
    let aside = "\(path).damaged-\(now.nanoseconds / 1_000_000_000)"
    // The write-ahead log belongs to the file; a new file must not find it.
    for suffix in ["", "-wal", "-shm"] { try? FileSystem.move(path + suffix, to: aside + suffix) }
    let notice =
      "the counters kept in \(path) were damaged (\(cause)) and are set aside as \(aside); all of them begin anew"
    return (try AccountFile(path), notice)
  }

  private init(_ path: String) throws(SQLiteError) {
    connection = try SQLiteConnection(path: path, access: .readWrite, keepsStatements: true)
    // After a kill the first that opens the file, who may be a `report`, restores it from its log, and others wait.
    connection.setBusyTimeout(.seconds(10))
    try connection.execute(
      """
      PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 1048576;
      PRAGMA cache_size = -512
      """)
    isNew = try connection.integer("PRAGMA schema_version") == 0
    if isNew {
      try connection.execute("BEGIN IMMEDIATE; \(Self.schema); PRAGMA user_version = \(Self.version); COMMIT")
    }
    var check = ""
    try connection.query("PRAGMA quick_check(1)") { check = $0.text(0) ?? "" }
    guard check == "ok", try connection.integer("PRAGMA user_version") == Self.version else {
      throw SQLiteError(attempt: "use the file", message: check == "ok" ? "it is of another version" : check)
    }
    found = try Self.accounts(connection)
    var keptAt: [String: Timestamp] = [:]
    try connection.query("SELECT outbox, saved FROM accounts") { row in
      if let name = row.text(0), let time = row.integer(1) { keptAt[name] = Timestamp(nanoseconds: time) }
    }
    self.keptAt = keptAt
    saved = found
    connection.setBusyTimeout(.seconds(1))
  }

  /// Commits the totals, their marks, and what moved since the last time.
  ///
  /// - Parameters:
  ///   - movements: what moved, by outbox and destination.
  ///   - restarts: why the counting of an outbox began anew, by outbox. That it began at all is noted by itself.
  /// - Throws: nothing was committed; the next time commits the same totals, but not these movements in the history.
  package func save(
    _ accounts: [String: OutboxAccount], movements: [String: [String: Movements.Counts]], restarts: [String: String],
    at time: Timestamp
  ) throws(SQLiteError) {
    guard accounts != saved || !movements.isEmpty || !restarts.isEmpty else { return }
    let gone = saved.keys.filter { accounts[$0] == nil }
    let changed = accounts.filter { $0.value != saved[$0.key] }
    try connection.execute("BEGIN IMMEDIATE")
    do throws(SQLiteError) {
      for name in gone { try forget(name) }
      for (name, account) in changed { try write(account, of: name, at: time) }
      try add(movements, accounts, at: time)
      let first = accounts.keys.filter { saved[$0] == nil }.map { ($0, MovementHistory.beginning) }
      for (name, text) in restarts.merging(first, uniquingKeysWith: { reason, _ in reason }) {
        try connection.query(
          "INSERT INTO restarts (outbox, time, reason) VALUES (:o, :t, :r)",
          [":o": .text(name), ":t": .integer(time.wholeSeconds), ":r": .text(text)]
        ) { _ in }
      }
      try rollUp(at: time)
      try connection.execute("COMMIT")
    } catch {
      try? connection.execute("ROLLBACK")
      throw error
    }
    for name in gone { keptAt[name] = nil }
    for name in changed.keys { keptAt[name] = time }
    saved = accounts
  }

  private func forget(_ name: String) throws(SQLiteError) {
    for table in ["accounts", "totals"] {
      try connection.query("DELETE FROM \(table) WHERE outbox = :o", [":o": .text(name)]) { _ in }
    }
  }

  private func write(_ account: OutboxAccount, of name: String, at time: Timestamp) throws(SQLiteError) {
    let bounds = account.bounds
    var row: [String: SQLiteValue] = [
      ":o": .text(name), ":m": .text(account.mark.method.rawValue), ":p": .text(account.mark.position),
      ":t": .integer(time.nanoseconds),
    ]
    if let age = account.bounds.objectiveAge { row[":a"] = .integer(age.wholeNanoseconds) }
    try connection.query(
      """
      INSERT INTO accounts (outbox, method, position, objective, saved)
      VALUES (:o, :m, :p, \(account.bounds.objectiveAge == nil ? "NULL" : ":a"), :t)
      ON CONFLICT (outbox) DO UPDATE SET method = excluded.method, position = excluded.position,
        objective = excluded.objective, saved = excluded.saved
      """, row
    ) { _ in }
    let before = saved[name]?.destinations ?? [:]
    for destination in before.keys where account.destinations[destination] == nil {
      try connection.query(
        "DELETE FROM totals WHERE outbox = :o AND destination = :d", [":o": .text(name), ":d": .text(destination)]
      ) { _ in }
    }
    for (destination, totals) in account.destinations where before[destination] != totals {
      var values: [String: SQLiteValue] = [
        ":o": .text(name), ":d": .text(destination), ":start": .integer(totals.start.nanoseconds),
        ":on_time": .integer(Int64(totals.onTime)), ":late": .integer(Int64(totals.late)),
        ":late_departures": .integer(Int64(totals.lateDepartures)), ":returned": .integer(Int64(totals.returned)),
        ":overdue": .integer(Int64(totals.overdueAtStart)),
        ":durations": .text(KeptDurations.text(totals.totals.durations, bounds)),
        ":sum": .real(totals.totals.durations.sum),
      ]
      values.merge(Self.values(totals.totals)) { $1 }
      try connection.query(
        """
        INSERT OR REPLACE INTO totals (outbox, destination, start, on_time, late, late_departures, returned, overdue,
          durations, duration_sum, \(Self.counted))
        VALUES (:o, :d, :start, :on_time, :late, :late_departures, :returned, :overdue, :durations, :sum, \(Self.parameters))
        """, values
      ) { _ in }
    }
  }

  private func add(
    _ movements: [String: [String: Movements.Counts]], _ accounts: [String: OutboxAccount], at time: Timestamp
  ) throws(SQLiteError) {
    let slot = HistorySlot.recent.begin(of: time)
    let merged = Self.countedNames.map { "\($0) = \($0) + excluded.\($0)" }.joined(separator: ", ")
    for (name, destinations) in movements {
      guard let account = accounts[name] else { continue }
      for (destination, counts) in destinations {
        let key: [String: SQLiteValue] = [
          ":o": .text(name), ":d": .text(destination), ":slot": .integer(slot),
          ":width": .integer(HistorySlot.recent.rawValue), ":method": .text(account.mark.method.rawValue),
        ]
        try connection.query(
          """
          INSERT INTO movements (outbox, destination, method, slot, width, duration_sum, \(Self.counted))
          VALUES (:o, :d, :method, :slot, :width, :sum, \(Self.parameters))
          ON CONFLICT DO UPDATE SET duration_sum = duration_sum + excluded.duration_sum, \(merged)
          """,
          key.merging(Self.values(counts)) { $1 }.merging([":sum": .real(counts.durations.sum)]) { $1 }
        ) { _ in }
        for (bucket, count) in counts.durations.counts {
          try connection.query(
            """
            INSERT INTO durations (outbox, destination, method, slot, width, bound, count)
            VALUES (:o, :d, :method, :slot, :width, :bound, :count)
            ON CONFLICT DO UPDATE SET count = count + excluded.count
            """,
            key.merging(
              [":bound": .real(KeptDurations.bound(of: bucket, account.bounds)), ":count": .integer(Int64(count))]) {
                $1
              }
          ) { _ in }
        }
      }
    }
  }

  /// Puts old slots together into wider ones and throws the oldest away; once an hour is enough.
  private func rollUp(at time: Timestamp) throws(SQLiteError) {
    if let rolledUpAt, time.since(rolledUpAt) < .seconds(3600), time >= rolledUpAt { return }
    for slot in HistorySlot.allCases {
      let values: [String: SQLiteValue] = [
        ":width": .integer(slot.rawValue), ":wider": .integer(slot.wider?.rawValue ?? 1),
        ":before": .integer((slot.wider ?? slot).begin(of: time.advanced(by: .zero - slot.lifetime))),
      ]
      let old = "width = :width AND slot < :before"
      if slot.wider != nil {
        let sums = Self.countedNames.map { "sum(\($0))" }.joined(separator: ", ")
        let merged = Self.countedNames.map { "\($0) = \($0) + excluded.\($0)" }.joined(separator: ", ")
        try connection.query(
          """
          INSERT INTO movements (outbox, destination, method, slot, width, duration_sum, \(Self.counted))
          SELECT outbox, destination, method, slot / :wider * :wider, :wider, sum(duration_sum), \(sums)
          FROM movements WHERE \(old) GROUP BY 1, 2, 3, 4
          ON CONFLICT DO UPDATE SET duration_sum = duration_sum + excluded.duration_sum, \(merged)
          """, values
        ) { _ in }
        try connection.query(
          """
          INSERT INTO durations (outbox, destination, method, slot, width, bound, count)
          SELECT outbox, destination, method, slot / :wider * :wider, :wider, bound, sum(count)
          FROM durations WHERE \(old) GROUP BY 1, 2, 3, 4, 6
          ON CONFLICT DO UPDATE SET count = count + excluded.count
          """, values
        ) { _ in }
      }
      for table in ["movements", "durations"] {
        try connection.query("DELETE FROM \(table) WHERE \(old)", values.filter { $0.key != ":wider" }) { _ in }
      }
    }
    try connection.query(
      "DELETE FROM restarts WHERE time < :before",
      [":before": .integer(time.advanced(by: .zero - HistorySlot.day.lifetime).wholeSeconds)]
    ) { _ in }
    rolledUpAt = time
  }

  private static func accounts(_ connection: borrowing SQLiteConnection) throws(SQLiteError) -> [String: OutboxAccount]
  {
    var accounts: [String: OutboxAccount] = [:]
    try connection.query("SELECT outbox, method, position, objective FROM accounts") { row in
      guard let name = row.text(0), let method = row.text(1).flatMap(AccountingMethod.init) else { return }
      accounts[name] = OutboxAccount(
        mark: AccountingMark(method, row.text(2) ?? "", isDurable: true),
        objectiveAge: row.integer(3).map { .nanoseconds($0) })
    }
    try connection.query(
      """
      SELECT outbox, destination, start, on_time, late, late_departures, overdue, durations, duration_sum, returned,
        \(counted)
      FROM totals
      """
    ) { row in
      guard let name = row.text(0), let destination = row.text(1), let account = accounts[name] else { return }
      var counts = Self.counts(row, from: 10)
      counts.durations = KeptDurations.tally(row.text(7) ?? "", sum: row.double(8) ?? 0, account.bounds)
      accounts[name]?.destinations[destination] = DestinationAccount(
        start: Timestamp(nanoseconds: row.integer(2) ?? 0), totals: counts, onTime: Int(row.integer(3) ?? 0),
        late: Int(row.integer(4) ?? 0), lateDepartures: Int(row.integer(5) ?? 0),
        returned: Int(row.integer(9) ?? 0), overdueAtStart: Int(row.integer(6) ?? 0))
    }
    return accounts
  }
}
