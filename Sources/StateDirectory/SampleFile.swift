import Assessment
import Outbox
import SQLiteClient
import SystemCalls

/// The SQLite file with the samples of earlier runs. Any number of processes may use it at the same time.
///
/// Nothing is synchronised to the disk: the end of the process loses nothing, the loss of power at worst the file, and
/// with it only the trend.
final class SampleFile {
  /// One sample as it is kept; its figures are nil where it failed.
  struct Entry {
    var startedAt: Timestamp
    var snapshot: Snapshot?
  }

  let connection: SQLiteConnection

  private static let version: Int64 = 1
  /// Longer than any transaction takes, and short for somebody who waits for a verdict.
  private static let patience = Duration.seconds(2)

  /// Opens the file, and makes it where there is none.
  ///
  /// - Throws: it cannot be opened, or is none.
  init(_ path: String) throws(SQLiteError) {
    connection = try SQLiteConnection(path: path, access: .readWrite, keepsStatements: true)
    connection.setBusyTimeout(Self.patience)
    // A journal that is made and removed changes the directory twice in every cycle.
    try connection.execute(
      """
      PRAGMA synchronous = OFF; PRAGMA journal_mode = PERSIST; PRAGMA journal_size_limit = 1048576;
      PRAGMA cache_size = -512
      """)
    if try connection.integer("PRAGMA user_version") != Self.version {
      try transaction { connection throws(SQLiteError) in
        // Somebody may have made it meanwhile.
        if try connection.integer("PRAGMA user_version") == Self.version { return }
        guard try connection.integer("SELECT count(*) FROM sqlite_schema") == 0 else { throw Self.otherVersion }
        try connection.execute(
          """
          CREATE TABLE samples (id INTEGER PRIMARY KEY, series TEXT NOT NULL, started INTEGER NOT NULL, figures TEXT);
          CREATE INDEX samples_by_series ON samples (series, id, started);
          PRAGMA user_version = \(Self.version)
          """)
      }
    }
  }

  /// What a file of another version of the exporter is.
  static let otherVersion = SQLiteError(attempt: "use the file", message: "it is of another version")

  /// The last samples of a series, oldest first, as they were added: the exporter's clock may have been set between two.
  ///
  /// - Throws: the file cannot be read.
  func entries(_ series: String) throws(SQLiteError) -> [Entry] {
    var entries: [Entry] = []
    try connection.query(
      "SELECT started, figures FROM samples WHERE series = :series ORDER BY id DESC LIMIT \(SampleWindow.capacity)",
      [":series": .text(series)]
    ) { row in
      let text = row.text(1)
      let snapshot = text.flatMap(KeptFigures.snapshot)
      // Figures that cannot be read are no failed sample.
      if text == nil || snapshot != nil {
        entries.append(Entry(startedAt: Timestamp(nanoseconds: row.integer(0) ?? 0), snapshot: snapshot))
      }
    }
    return entries.reversed()
  }

  /// Adds samples to their series, and forgets the oldest of each.
  ///
  /// - Parameter span: samples of any series outside of it are forgotten too, since they are no longer, or not yet, of use:
  ///   of outboxes that are gone, and from before a clock was set back.
  /// - Throws: nothing was added.
  func add(
    _ entries: [(series: String, entry: Entry)], _ rhythm: SampleRhythm, forgetting span: ClosedRange<Timestamp>? = nil
  ) throws(SQLiteError) {
    try transaction { connection throws(SQLiteError) in
      for (series, entry) in entries where try Self.isDue(entry.startedAt, series, rhythm, connection) {
        var parameters: [String: SQLiteValue] = [
          ":series": .text(series), ":started": .integer(entry.startedAt.nanoseconds),
        ]
        // A parameter without a value is NULL.
        if let snapshot = entry.snapshot { parameters[":figures"] = .text(KeptFigures.text(snapshot)) }
        try connection.query(
          "INSERT INTO samples (series, started, figures) VALUES (:series, :started, :figures)", parameters
        ) { _ in }
        try connection.query(
          """
          DELETE FROM samples WHERE series = :series AND id <=
            (SELECT id FROM samples WHERE series = :series ORDER BY id DESC LIMIT 1 OFFSET \(SampleWindow.capacity))
          """, [":series": .text(series)]
        ) { _ in }
      }
      guard let span else { return }
      try connection.query(
        "DELETE FROM samples WHERE started NOT BETWEEN :first AND :last",
        [":first": .integer(span.lowerBound.nanoseconds), ":last": .integer(span.upperBound.nanoseconds)]
      ) { _ in }
    }
  }

  /// What was kept of the costs of readings, by the name of the outbox and where it is.
  ///
  /// - Throws: the file cannot be read.
  func costs() throws(SQLiteError) -> [String: [ReadingCost]] {
    guard try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'costs'") == 1 else { return [:] }
    var costs: [String: [ReadingCost]] = [:]
    try connection.query("SELECT outbox, estimate, time, nanoseconds FROM costs") { row in
      let cost = ReadingCost(
        isEstimate: row.integer(1) == 1, seconds: Double(row.integer(3) ?? 0) / 1e9,
        time: Timestamp(nanoseconds: row.integer(2) ?? 0))
      costs[row.text(0) ?? "", default: []].append(cost)
    }
    return costs
  }

  /// Keeps what readings have cost, in the place of what those before have, and forgets those of long ago.
  ///
  /// - Throws: nothing was kept.
  func keep(_ costs: [(outbox: String, cost: ReadingCost)], since first: Timestamp) throws(SQLiteError) {
    try transaction { connection throws(SQLiteError) in
      // A file that was made before this table was has none.
      try connection.execute(
        """
        CREATE TABLE IF NOT EXISTS costs (outbox TEXT, estimate INTEGER, time INTEGER NOT NULL, nanoseconds INTEGER NOT NULL,
          PRIMARY KEY (outbox, estimate)) WITHOUT ROWID
        """)
      for (outbox, cost) in costs {
        try connection.query(
          "INSERT OR REPLACE INTO costs VALUES (:outbox, :estimate, :time, :nanoseconds)",
          [
            ":outbox": .text(outbox), ":estimate": .integer(cost.isEstimate ? 1 : 0),
            ":time": .integer(cost.time.nanoseconds), ":nanoseconds": .integer(Int64(cost.seconds * 1e9)),
          ]
        ) { _ in }
      }
      try connection.query("DELETE FROM costs WHERE time < :first", [":first": .integer(first.nanoseconds)]) { _ in }
    }
  }

  private static func isDue(
    _ time: Timestamp, _ series: String, _ rhythm: SampleRhythm, _ connection: borrowing SQLiteConnection
  ) throws(SQLiteError) -> Bool {
    guard rhythm.closest != nil else { return true }
    var times: [Double] = []
    try connection.query(
      "SELECT started FROM samples WHERE series = :series ORDER BY id DESC LIMIT 10", [":series": .text(series)]
    ) { times.append(Timestamp(nanoseconds: $0.integer(0) ?? 0).seconds) }
    guard let last = times.first else { return true }
    let steps = zip(times, times.dropFirst()).map { $0 - $1 }.filter { $0 > 0 }
    let passed = time.seconds - last
    // Where the clock was set back, nobody knows how much has passed.
    return passed < 0 || passed >= rhythm.spacing(steps)
  }

  private func transaction(
    _ body: (borrowing SQLiteConnection) throws(SQLiteError) -> Void
  ) throws(SQLiteError) {
    try connection.execute("BEGIN IMMEDIATE")
    do throws(SQLiteError) {
      try body(connection)
      try connection.execute("COMMIT")
    } catch {
      // SQLite may have rolled back by itself.
      try? connection.execute("ROLLBACK")
      throw error
    }
  }
}
