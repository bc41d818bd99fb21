import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// An outbox in a server in which nothing happens but what the test does, with an exporter and with another one that is new
/// at every sample and so has to count.
final class QuietOutbox {
  let database: TemporaryDatabase
  let clock = ManualClock()
  let totals = MovementTotals()
  private let layout: Layout
  private let objective: Objective?
  private var store: PostgreSQLStore

  /// A server of its own: whatever commits in another test would be seen. None of its tests may run beside another.
  static func server() throws -> TemporaryPostgres { try onlyServer.get() }
  private static let onlyServer = Result { try TemporaryPostgres(settings: ["max_prepared_transactions": "5"]) }

  /// - Parameter conninfo: where the exporter connects; the database itself if nil.
  init(
    _ sql: String, _ layout: Layout = PostgreSQLSampleLayout.layout(), objective: Duration? = nil,
    server: TemporaryPostgres? = nil, conninfo: ((TemporaryDatabase) -> String)? = nil
  ) throws {
    database = try (server ?? Self.server()).createDatabase(sql)
    try database.psql("ALTER DATABASE \(database.name) SET log_statement = 'all'")
    self.layout = layout
    self.objective = objective.map { Objective(age: $0, target: 0.99) }
    store = Self.store(conninfo?(database) ?? database.conninfo(), layout, self.objective, clock)
  }

  /// The same outbox in another server.
  init(_ other: QuietOutbox, in server: TemporaryPostgres) {
    database = TemporaryDatabase(name: other.database.name, server: server)
    layout = other.layout
    objective = other.objective
    store = Self.store(database.conninfo(), layout, objective, clock)
  }

  private static func store(
    _ conninfo: String, _ layout: Layout, _ objective: Objective?, _ clock: ManualClock
  ) -> PostgreSQLStore {
    PostgreSQLStore(
      [OutboxDefinition(name: "o", address: .postgresql(Secret(conninfo)), layout: layout, objective: objective)],
      now: { Timestamp(seconds: 1_800_000_000) }, monotonicNanoseconds: { clock.nanoseconds }, spread: { 1 })
  }

  /// A sample, with the movements since the last one.
  @discardableResult
  func sample(budget: SampleBudget? = nil) async throws -> Snapshot {
    var request = totals.request
    request.budget = budget
    // As after a restart: what was counted is kept, and the journal of a ledger may be emptied.
    request.marks = request.marks?.mapValues { AccountingMark($0.method, $0.position, isDurable: true) }
    let samples = await store.sample(request)
    totals.add(samples)
    return try #require(samples.first).counted()
  }

  /// What has moved since a mark; nil for one that nobody knows.
  func reading(from mark: AccountingMark?) async -> AccountingReading? {
    await store.sample(SampleRequest(marks: mark.map { ["o": $0] } ?? [:])).first?.accounting
  }

  /// What another exporter counts, that has never seen the outbox.
  func truth() async throws -> Snapshot {
    let store = Self.store(database.conninfo() + " application_name=truth", layout, objective, ManualClock())
    let samples = await store.sample(SampleRequest())
    await store.close()
    return try #require(samples.first).counted()
  }

  /// How often the exporter has counted, of how many messages that it has sent.
  var counts: Int { messages.count { $0.contains("GROUPING SETS") } }
  var messages: [String] { database.loggedMessages() }

  /// Samples until the exporter has seen that nothing happens.
  func settle() async throws {
    for _ in 0..<3 { try await sample() }
  }

  /// Samples once and expects a count or none, and the figures to be right.
  @discardableResult
  func expectSample(counts expected: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Snapshot {
    let before = counts
    let snapshot = try await sample()
    #expect(counts - before == expected, sourceLocation: sourceLocation)
    let truth = try await truth()
    #expect(snapshot.isLike(truth), "\(snapshot)\n\(truth)", sourceLocation: sourceLocation)
    #expect(snapshot.exact && totals.unbalanced.isEmpty, "\(totals.unbalanced)", sourceLocation: sourceLocation)
    return snapshot
  }

  /// A session that has run statements in a transaction, which stays open until ``CommittingSession/commit()``.
  func open(_ statements: String) throws -> CommittingSession { try CommittingSession(statements, database) }
}

/// A transaction that another session keeps open until it is to commit.
final class CommittingSession {
  private let gate: HeldTransaction
  private let client: ChildProcess

  init(_ statements: String, _ database: TemporaryDatabase) throws {
    let key = UInt32.random(in: 1...999_999_999)
    gate = try database.holding("SELECT pg_advisory_xact_lock(\(key))")
    client = try ChildProcess(
      "psql",
      ["-d", "\(database.conninfo()) application_name=open\(key)", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
      input: "BEGIN;\n\(statements);\nSELECT pg_advisory_xact_lock(\(key));\nCOMMIT;\n")
    let waiting =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'open\(key)' AND wait_event_type = 'Lock'"
    let isOpen = try eventually { try database.psql(waiting) == "1" }
    #expect(isOpen, "\(client.standardError)")
  }

  func commit() throws {
    try gate.release()
    #expect(client.wait() == 0, "\(client.standardError)")
  }
}

extension Snapshot {
  /// True where all figures are the same, and all times to which ages go back, as far as the clocks tell them.
  func isLike(_ other: Snapshot) -> Bool {
    guard implausible == other.implausible, overdue == other.overdue else { return false }
    let (own, others) = (moments, other.moments)
    return counted == other.counted && own.keys == others.keys
      && own.allSatisfy { abs($0.value - (others[$0.key] ?? .infinity)) < 2e-6 }
  }

  private var counted: [String] {
    depths.map { "\($0.destination) \($0.state) \($0.retry) \($0.count)" }
      + stuck.map { "\($0.destination) \($0.reason) \($0.count)" } + dead.map { "\($0.destination) \($0.count)" }
  }

  private var moments: [String: Double] {
    var moments: [String: Double] = [:]
    func add(_ name: String, _ age: Duration?) { moments[name] = age.map { storeTime.seconds - $0.seconds } }
    for age in ages {
      let name = "\(age.destination) \(age.retry)"
      add("\(name) oldest", age.oldest)
      add("\(name) median", age.median)
      add("\(name) p99", age.p99)
    }
    for stuck in stuck { add("\(stuck.destination) \(stuck.reason)", stuck.oldest) }
    for dead in dead { add("\(dead.destination) dead", dead.oldest) }
    return moments
  }
}
