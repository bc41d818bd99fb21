import Layouts
import Outbox
import SQLiteClient
import Stores
import TestSupport
import Testing

/// Two costs, two rhythms, on a real file. Expected values come from SQL written for the test.
@Suite struct `SQLite rhythms` {
  private let directory: TemporaryDirectory
  private let store: SQLiteStore
  private let clock = TestClock(1_800_000_000)
  private var path: String { directory.path + "/outbox.sqlite" }

  init() throws {
    directory = try TemporaryDirectory()
    store = SQLiteStore(
      OutboxDefinition(name: "o", address: .sqlite(path: directory.path + "/outbox.sqlite"), layout: Self.layout),
      now: { [clock] in clock.now })
  }

  private static let layout = Layout(
    name: "plain", summary: "A queue for tests.", systems: [.sqlite],
    queues: [
      TableQueue(
        tables: ["events": TableName("events")],
        columns: [
          "id": .column("id"), "status": .column("status"), "channel": .column("channel"),
          "attempts": .column("attempts"), "created": .column("created_at", encoding: .unixSeconds),
          "lease": .column("lease", encoding: .unixSeconds),
        ],
        stateColumn: "status", knownStates: ["pending", "claimed", "sent", "dead"], destination: "{channel}",
        selections: [
          Selection(rows: "{status} = 'pending'", state: .ready, retry: "{attempts} > 0", since: "{created.seconds}"),
          Selection(
            rows: "{status} = 'claimed'", state: .claimed, retry: "{attempts} > 0", since: "{created.seconds}",
            stuck: .init(.leaseExpired, since: "{lease.seconds}")),
          Selection(rows: "{status} = 'dead'", state: .dead, since: "{created.seconds}"),
        ])
    ])

  private func write(_ sql: String) throws {
    let connection = try SQLiteConnection(path: path, access: .readWrite)
    try connection.execute(sql)
  }

  private func number(_ sql: String) throws -> Int {
    Int(try SQLiteConnection(path: path, access: .readOnly).integer(sql) ?? -1)
  }

  private func create(_ count: Int, index: Bool = true) throws {
    try write(
      """
      CREATE TABLE events (id INTEGER PRIMARY KEY, status TEXT NOT NULL, channel TEXT, attempts INTEGER NOT NULL,
        created_at INTEGER NOT NULL, lease INTEGER);
      CREATE TABLE others (x);
      \(index ? "CREATE INDEX by_status ON events (status, created_at);" : "")
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
      INSERT INTO events SELECT i,
        CASE i % 10 WHEN 0 THEN 'sent' WHEN 1 THEN 'dead' WHEN 2 THEN 'claimed' ELSE 'pending' END,
        CASE WHEN i = 7 THEN 'rare' WHEN i % 3 = 0 THEN 'mail' ELSE 'push' END, i % 7 = 0, 1800000000 - i, 1799999990 + i % 20
      FROM n;
      """)
  }

  /// A sample of a store whose counts are always too dear, of a file that has just changed.
  private func sample() async throws -> OutboxSample {
    try write("INSERT INTO others VALUES (1)")
    let budget = SampleBudget(share: 1e-9, interval: .microseconds(1))
    return try #require(await store.sample(SampleRequest(budget: budget)).first)
  }

  private func third() async throws -> OutboxSample {
    #expect(try await sample().snapshot?.isEstimate == false)
    #expect(try await sample().snapshot?.isEstimate == true)
    return try await sample()
  }

  @Test func `between two counts the head tells of every age while few events wait`() async throws {
    try create(110)
    let head = try #require(try await third().head)
    #expect(head.isComplete)
    let known = head.ages.map { "\($0.destination) \($0.retry) \(Int($0.oldest.seconds))" }
    var expected: [String] = []
    for channel in ["mail", "push", "rare"] {
      for retry in [0, 1] {
        let oldest = try number(
          """
          SELECT 1800000000 - min(created_at) FROM events WHERE status IN ('pending', 'claimed')
            AND channel = '\(channel)' AND attempts = \(retry)
          """)
        if oldest >= 0 { expected.append("\(channel) \(retry == 1) \(oldest)") }
      }
    }
    #expect(known == expected)
    #expect(head.stuckAges.mapValues(\.seconds) == [.leaseExpired: 8])
    #expect(try number("SELECT 1800000000 - min(lease) FROM events WHERE status = 'claimed'") == 8)
  }

  @Test func `of a long queue the head tells what its first events prove, and nothing else`() async throws {
    try create(5000)
    let sample = try await third()
    let head = try #require(sample.head)
    #expect(!head.isComplete)
    #expect(
      head.ages.map { "\($0.destination) \($0.retry)" } == ["mail false", "mail true", "push false", "push true"])
    #expect(
      Int(head.ages[0].oldest.seconds)
        == (try number(
          """
          SELECT 1800000000 - min(created_at) FROM events WHERE status IN ('pending', 'claimed') AND channel = 'mail'
            AND attempts = 0
          """)))
    // More claims than are read, in another order than that of their leases: nothing is said of them.
    #expect(head.stuckAges.isEmpty)
    #expect(sample.intervals?.counts == .seconds(240))
  }

  @Test func `without an index for it there is no look at the head`() async throws {
    try create(100, index: false)
    let sample = try await third()
    #expect(sample.isGood && sample.head?.tellsNothing == true)
  }

  @Test func `an estimate stands for the whole file, from rows of every part of it`() async throws {
    try create(60_000)
    #expect(try await sample().snapshot?.exact == true)
    let estimate = try #require(try await sample().snapshot)
    #expect(estimate.isEstimate && !estimate.exact)
    for (state, status) in [(EventState.ready, "pending"), (.claimed, "claimed")] {
      let truth = try number("SELECT count(*) FROM events WHERE status = '\(status)'")
      #expect(abs(estimate.depth(state) - truth) * 10 < truth, "\(estimate.depth(state)) for \(truth)")
    }
    let dead = try number("SELECT count(*) FROM events WHERE status = 'dead'")
    #expect(abs(estimate.deadCount - dead) * 10 < dead)
  }

  @Test func `an estimate counts no movements, and the next count has all of them`() async throws {
    try create(100)
    let totals = MovementTotals()
    totals.add(await store.sample(totals.request))
    let budget = SampleBudget(share: 1e-9, interval: .microseconds(1))
    for id in 101...102 {
      try write("INSERT INTO events VALUES (\(id), 'pending', 'mail', 0, 1800000000, NULL)")
      let sample = try #require(await store.sample(SampleRequest(marks: totals.marks, budget: budget)).first)
      let snapshot = try #require(sample.snapshot)
      // Its depth is no count, and nothing that is counted goes with it.
      #expect(snapshot.exact == (sample.accounting != nil))
      #expect(snapshot.exact == (id == 101))
      if snapshot.exact { totals.add([sample]) }
    }
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail enqueued 2"])
    #expect(totals.unbalanced.isEmpty, "\(totals.unbalanced)")
  }

  @Test func `a file that has not changed is known exactly whatever its share is`() async throws {
    try create(5000)
    let budget = SampleBudget(share: 1e-9, interval: .seconds(15))
    for _ in 0..<3 {
      #expect(await store.sample(SampleRequest(budget: budget)).first?.snapshot?.exact == true)
    }
  }
}
