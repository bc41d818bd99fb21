import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// What fails costs the database as much as what does not: on a real server, the test's own clock, and a share of which a
/// tenth of a second takes a quarter of an hour.
@Suite(withPostgreSQL)
struct FailingCountTests {
  /// A function that works for a while wherever a row is looked at, and a row.
  private static let slow =
    PostgreSQLSampleLayout.schema
      + """
      CREATE FUNCTION slow(seconds float8) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(seconds); RETURN true; END $$;
      CREATE FUNCTION broken(value text) RETURNS integer LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(0.1); RETURN value::integer; END $$;
      INSERT INTO outbox ("Topic") VALUES ('mail');

      """

  private struct Watched {
    let database: TemporaryDatabase
    let store: PostgreSQLStore
    let clock = ManualClock()

    init(
      _ layout: Layout, _ sql: String = slow, names: [String] = ["orders"],
      limits: PostgreSQLLimits = PostgreSQLLimits()
    ) throws {
      database = try TemporaryPostgres.shared().createDatabase(sql)
      try database.psql("ALTER DATABASE \(database.name) SET log_statement = 'all'")
      store = PostgreSQLSampleLayout.store(database.conninfo(), layout, names: names, limits: limits, clock: clock)
    }

    /// Every sample of so many cycles, 15 s apart.
    func samples(_ cycles: Int) async throws -> [[OutboxSample]] {
      var samples: [[OutboxSample]] = []
      for _ in 0..<cycles {
        clock.advance(seconds: 15)
        // Where nothing happens nothing is counted.
        try database.psql("CREATE TEMP TABLE happened ()")
        let budget = SampleBudget(share: 1e-4, interval: .seconds(15))
        samples.append(await store.sample(SampleRequest(budget: budget)))
      }
      return samples
    }

    /// How often the server was sent something with a text in it.
    func sent(_ text: String) -> Int { database.loggedMessages().filter { $0.contains(text) }.count }
  }

  private static var limits: PostgreSQLLimits {
    var limits = PostgreSQLLimits()
    limits.statement = .milliseconds(100)
    return limits
  }

  @Test func `a view that cannot be counted in time is not read in every cycle, and not for an estimate either`()
    async throws
  {
    let watched = try Watched(
      PostgreSQLSampleLayout.layout(table: "slow_outbox"),
      Self.slow + "CREATE VIEW slow_outbox AS SELECT * FROM outbox WHERE slow(60);", limits: Self.limits)
    for sample in try await watched.samples(20).joined() {
      #expect(sample.failure?.reason == .timeout, "\(sample)")
    }
    #expect(watched.sent(#"FROM "public"."slow_outbox" e"#) + watched.sent(#"FROM "slow_outbox" e"#) == 1)
    #expect(watched.sent("TABLESAMPLE") == 0)
  }

  @Test func `a value that cannot be read fails in every cycle, and is read once`() async throws {
    let watched = try Watched(PostgreSQLSampleLayout.layout(destination: "broken({topic})::text"))
    let samples = try await watched.samples(12)
    for sample in samples.joined() { #expect(sample.failure?.reason == .other, "\(sample)") }
    // One count and one estimate in its place, each once more after another look at the catalogue: the value might have been
    // an enum's.
    #expect(watched.sent("broken(") == 4, "\(watched.sent("broken("))")
    try watched.database.psql(#"UPDATE outbox SET "Topic" = '7'"#)
    // An estimate comes every four minutes at the least, and tells that it is mended.
    #expect(try await watched.samples(17).joined().contains { $0.snapshot?.depths.first?.destination == "7" })
  }

  @Test func `an estimate that is not ready in time is not tried again in the next cycle`() async throws {
    let watched = try Watched(
      PostgreSQLSampleLayout.layout(rows: "{status} = 'pending' AND slow(60)"), limits: Self.limits)
    for sample in try await watched.samples(14).joined() {
      #expect(sample.failure?.reason == .timeout, "\(sample)")
    }
    // The count, first with the search for unknown states and then without, and the estimate that was to stand in for it.
    #expect(watched.sent("slow(60)") == 3, "\(watched.sent("slow(60)"))")
  }

  @Test func `what the client does not wait for is paid for once it is no accident`() async throws {
    var limits = PostgreSQLLimits()
    limits.roundTrip = .seconds(1)
    let watched = try Watched(
      PostgreSQLSampleLayout.layout(rows: "{status} = 'pending' AND slow(4)"), limits: limits)
    for sample in try await watched.samples(14).joined() { #expect(!sample.isGood) }
    // Two counts and two estimates: once each may be an accident, and both may be tried again after the second one.
    #expect((2...5).contains(watched.sent("slow(4)")), "\(watched.sent("slow(4)"))")
  }

  @Test func `of many dear queues one is counted at the start, and the others are estimated`() async throws {
    let names = (0..<5).map { "orders\($0)" }
    let watched = try Watched(
      PostgreSQLSampleLayout.layout(rows: "{status} = 'pending' AND slow(0.05)"), names: names)
    let first = try #require(try await watched.samples(1).first)
    #expect(first.map { $0.snapshot?.isEstimate } == [false, true, true, true, true])
    for sample in try await watched.samples(10).flatMap({ $0.dropFirst() }) {
      #expect(sample.isGood && sample.snapshot == nil, "\(sample.outbox.name)")
    }
  }

  @Test func `a sidecar that is started again waits as long as the one before would have`() async throws {
    let layout = PostgreSQLSampleLayout.layout(rows: "{status} = 'pending' AND slow(0.05)")
    let watched = try Watched(layout)
    let first = try #require(try await watched.samples(1).joined().first)
    let cost = try #require(first.costs.first, "\(first)")
    #expect(first.costs.count == 1 && !cost.isEstimate && cost.seconds >= 0.05)
    let estimate = ReadingCost(isEstimate: true, seconds: 0.05, time: cost.time)
    // A share of which the count took more than is saved in four minutes: the next figures are an estimate's.
    for (age, isCounted) in [(Int64(60), false), (100_000, true)] {
      let again = PostgreSQLStore(
        [OutboxDefinition(name: "orders", address: .postgresql(Secret(watched.database.conninfo())), layout: layout)],
        now: { cost.time.advanced(by: .seconds(age)) })
      let request = SampleRequest(
        budget: SampleBudget(share: 1e-4, interval: .seconds(15)),
        costs: ["orders": [cost, estimate], "others": [cost]])
      let sample = try #require(await again.sample(request).first)
      #expect(sample.isGood && (sample.snapshot?.isEstimate == false) == isCounted, "\(sample)")
      await again.close()
    }
  }

  @Test func `several locked tables keep the others waiting for no longer than one`() async throws {
    let names = ["a", "b", "c"]
    let watched = try Watched(
      PostgreSQLSampleLayout.layout(), names: names, limits: PostgreSQLLimits(lock: .milliseconds(300)))
    let locker = try watched.database.holding("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
    for sample in try await watched.samples(2).joined() { #expect(sample.failure?.reason == .lockTimeout) }
    func waited(_ milliseconds: Int) -> Int {
      watched.database.loggedMessages().filter {
        $0.contains("lock_timeout = \(milliseconds);") && $0.contains(#"outbox" e"#)
      }.count
    }
    #expect(waited(300) == 1 && waited(10) == 5, "\(waited(300)), \(waited(10))")
    try locker.release()
    for sample in try await watched.samples(1).joined() { #expect(sample.isGood) }
    for sample in try await watched.samples(1).joined() { #expect(sample.isGood) }
    #expect(waited(300) >= 4, "\(waited(300))")
  }
}
