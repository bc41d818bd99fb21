import Layouts
import Outbox
import SQLiteClient
import Stores
import SystemCalls
import TestSupport
import Testing

/// An SQLite file with a ledger, read through the real store, and a connection of an application to it.
final class SQLiteLedgerFixture {
  let path: String
  let application: SQLiteConnection
  /// All that was counted since the fixture was made, by destination.
  private(set) var total = Movements()
  /// The last reading.
  private(set) var last: AccountingReading?
  private let layout: Layout
  private let suffix: String?
  private let objective: Objective?
  private let directory: TemporaryDirectory
  private var mark: AccountingMark?
  private var store: SQLiteStore

  /// - Parameters:
  ///   - suffix: the queue that is watched, where the layout has several.
  init(
    _ layout: Layout, _ schema: String, suffix: String? = nil, objective: Duration? = nil, journalMode: String = "WAL"
  ) throws {
    self.layout = layout
    self.suffix = suffix
    self.objective = objective.map { Objective(age: $0, target: 0.99) }
    directory = try TemporaryDirectory()
    path = directory.path + "/outbox.sqlite"
    application = try SQLiteConnection(path: path, access: .readWrite)
    try application.execute("PRAGMA journal_mode = \(journalMode); PRAGMA synchronous = OFF")
    try application.execute(schema)
    store = Self.store(path, layout, self.objective)
  }

  private static func store(_ path: String, _ layout: Layout, _ objective: Objective?) -> SQLiteStore {
    SQLiteStore(
      OutboxDefinition(name: "o", address: .sqlite(path: path), layout: layout, objective: objective),
      now: { Timestamp(seconds: Double(SystemClock.wallNanoseconds()) / 1e9) })
  }

  /// The ledgers of the file, for who installs them.
  func installations() throws -> [LedgerInstallation] {
    try LedgerInstallation.all(
      of: OutboxDefinition(name: "o", address: .sqlite(path: path), layout: layout),
      limits: PostgreSQLLimits(lock: .milliseconds(200)))
  }

  /// The ledger of the queue that is watched.
  func installation() throws -> LedgerInstallation {
    try #require(try installations().first { $0.outbox.name == (suffix.map { "o/\($0)" } ?? "o") })
  }

  /// Installs the ledger and begins to count.
  func begin() async throws {
    #expect(try installation().install(grantingTo: nil))
    try await sample()
    #expect(last?.mark.method == .ledger, "\(String(describing: last))")
  }

  /// Ends the exporter and begins another one, with what was kept.
  func restart() async {
    await store.close()
    store = Self.store(path, layout, objective)
  }

  /// Samples once.
  @discardableResult
  func sample() async throws -> OutboxSample {
    let name = suffix.map { "o/\($0)" } ?? "o"
    let samples = await store.sample(SampleRequest(marks: mark.map { [name: $0] } ?? [:]))
    let sample = try #require(samples.first { $0.outbox.name == name }, "\(samples)")
    last = sample.accounting
    if let accounting = sample.accounting {
      mark = accounting.mark
      for (destination, counts) in accounting.movements?.destinations ?? [:] {
        total.destinations[destination, default: Movements.Counts()].add(counts)
      }
    }
    return sample
  }

  /// Runs statements and expects that they are counted as these movements.
  func expect(_ statements: String, _ expected: [String], sourceLocation: SourceLocation = #_sourceLocation)
    async throws
  {
    try application.execute(statements)
    let sample = try await sample()
    let reading = try #require(
      sample.accounting, "\(String(describing: sample.failure))", sourceLocation: sourceLocation)
    #expect(reading.restart == nil, sourceLocation: sourceLocation)
    #expect(reading.notice == nil, sourceLocation: sourceLocation)
    let counted = lines(reading.movements ?? Movements())
    #expect(counted == expected.sorted(), "\(statements)", sourceLocation: sourceLocation)
  }

  /// Runs statements and expects that counting begins anew.
  func expectRestart(_ statements: String, _ reason: String, sourceLocation: SourceLocation = #_sourceLocation)
    async throws
  {
    try application.execute(statements)
    try await sample()
    #expect(last?.movements == nil, sourceLocation: sourceLocation)
    #expect(last?.restart?.contains(reason) == true, "\(String(describing: last))", sourceLocation: sourceLocation)
  }

  /// The first column of the first row of a statement of the application's.
  func value(_ statement: String) throws -> Int64? { try application.integer(statement) }

  /// Everything that the file's schema says.
  func schema() throws -> [String] {
    var lines: [String] = []
    try application.query("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2") { row in
      lines.append("\(row.text(0) ?? "") \(row.text(1) ?? "") \(row.text(2) ?? "") \(row.text(3) ?? "")")
    }
    return lines
  }

  /// The number of each movement so far, by destination and kind.
  var counts: [String: Int] {
    var counts: [String: Int] = [:]
    for (destination, moved) in total.destinations {
      let figures =
        [("enqueued", moved.enqueued), ("requeued", moved.requeued)]
        + moved.dispositions.map { ($0.key.rawValue, $0.value) }
      for (kind, count) in figures where count != 0 { counts["\(destination) \(kind)"] = count }
    }
    return counts
  }

  /// A line for each kind of movement, sorted.
  private func lines(_ movements: Movements) -> [String] {
    movements.destinations.flatMap { destination, counts in
      let figures = [
        ("enqueued", counts.enqueued), ("requeued", counts.requeued), ("measured", counts.durations.count),
        ("discarded late", counts.discardedLate), ("requeued late", counts.requeuedLate),
      ]
      return (figures + counts.dispositions.map { ($0.key.rawValue, $0.value) }).filter { $0.1 != 0 }
        .map { "\(destination) \($0.0) \($0.1)" }
    }.sorted()
  }
}

/// PraisonAI's outbox as its library makes it.
let praisonAISchema = """
  CREATE TABLE outbound_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, idempotency_key TEXT NOT NULL UNIQUE, target TEXT NOT NULL,
    payload TEXT NOT NULL, metadata TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0, last_attempt REAL, error TEXT, sent_at REAL);
  CREATE INDEX idx_status ON outbound_queue (status);
  CREATE INDEX idx_ts ON outbound_queue (ts);
  CREATE INDEX idx_sent_at ON outbound_queue (sent_at);
  """

/// Writes events into PraisonAI's outbox: ids from...through, waiting for a while already.
func praisonAIEvents(_ ids: ClosedRange<Int>, waiting seconds: Int = 0, to target: String = "telegram:1") -> String {
  """
  INSERT INTO outbound_queue (id, ts, idempotency_key, target, payload, metadata)
  WITH RECURSIVE i(n) AS (VALUES (\(ids.lowerBound)) UNION ALL SELECT n + 1 FROM i WHERE n < \(ids.upperBound))
  SELECT n, (julianday('now') - 2440587.5) * 86400.0 - \(seconds), 'k' || n, '\(target)', '{}', '{}' FROM i;
  """
}
