import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// Two costs, two rhythms, on a real server; the clock that the rhythm goes by is the test's own. Expected values come
/// from SQL written for the test and run through psql.
@Suite(withPostgreSQL)
struct RhythmPostgreSQLTests {
  private func database(_ sql: String = PostgreSQLSampleLayout.rows) throws -> TemporaryDatabase {
    try TemporaryPostgres.shared().createDatabase(PostgreSQLSampleLayout.schema + sql)
  }

  @Test func `between two counts the head tells of every age while few events wait`() async throws {
    let watched = RarelyCounted(try database())
    let sample = try await watched.third()
    let head = try #require(sample.head, "\(sample)")
    #expect(head.isComplete)
    let ages = head.ages.map {
      "\($0.destination)|\($0.retry ? "t" : "f")|\(milliseconds(head.storeTime, minus: $0.oldest))"
    }
    #expect(
      ages.sorted().joined(separator: "\n")
        == (try watched.database.psql(
          """
          SELECT "Topic" COLLATE "C", attempts > 0, floor(extract(epoch FROM min(due_at)) * 1000) FROM outbox
          WHERE status <> 'sent' AND due_at <= now() GROUP BY 1, 2 ORDER BY 1, 2
          """)))
    #expect(
      head.stuckAges.map { "\($0.key.rawValue) \(milliseconds(head.storeTime, minus: $0.value))" }
        == [
          "lease_expired "
            + (try watched.database.psql(
              """
              SELECT floor(extract(epoch FROM min(locked_until)) * 1000) FROM outbox
              WHERE status = 'sending' AND locked_until <= now()
              """))
        ])
    #expect(sample.intervals?.head == .seconds(15))
  }

  @Test func `of a long queue the head tells what its first events prove, and nothing else`() async throws {
    let watched = RarelyCounted(
      try database(
        """
        INSERT INTO outbox (status, "Topic", attempts, due_at)
        SELECT 'pending', CASE WHEN i = 1000 THEN 'late' WHEN i % 2 = 0 THEN 'mail' ELSE 'push' END, 0,
          now() - interval '1 hour' + i * interval '1 second'
        FROM generate_series(1, 1000) i;
        ANALYZE outbox;

        """))
    let head = try #require(try await watched.third().head)
    #expect(!head.isComplete)
    // `late` has one event, the youngest, and nothing was seen of it.
    #expect(head.ages.map(\.destination) == ["mail", "push"])
    #expect(
      head.ages.map { milliseconds(head.storeTime, minus: $0.oldest) }.joined(separator: "\n")
        == (try watched.database.psql(
          """
          SELECT floor(extract(epoch FROM min(due_at)) * 1000) FROM outbox WHERE "Topic" <> 'late' GROUP BY "Topic"
          ORDER BY "Topic"
          """)))
    #expect(head.stuckAges == [.leaseExpired: .zero])
  }

  @Test func `where tried events are out of order the head tells of the rest, and of the stuck that it has seen`()
    async throws
  {
    let watched = RarelyCounted(
      try TemporaryPostgres.shared().createDatabase(
        PlannedOutbox.relaycast.schema
          + """
          INSERT INTO pending_events (id, workspace_id, event_type, attempts, last_error, created_at, process_after)
          SELECT i, 'w', 'type' || i % 2, CASE i WHEN 50 THEN 1 WHEN 300 THEN 5 ELSE 0 END, CASE i WHEN 50 THEN 'HTTP 503' END,
            now() - interval '3 hours', now() - interval '1 hour' + i * interval '1 second'
          FROM generate_series(1, 1000) i;
          ANALYZE pending_events;

          """), .relaycast)
    let head = try #require(try await watched.third().head)
    #expect(!head.isComplete)
    #expect(head.ages.map { "\($0.destination) \($0.retry)" } == ["type0 false", "type1 false"])
    #expect(
      head.ages.map { milliseconds(head.storeTime, minus: $0.oldest) }.joined(separator: "\n")
        == (try watched.database.psql(
          """
          SELECT floor(extract(epoch FROM min(process_after)) * 1000) FROM pending_events WHERE attempts = 0
          GROUP BY event_type ORDER BY event_type
          """)))
    // The one that has used all of its attempts stands behind those that are read.
    #expect(head.stuckAges.isEmpty)
    try watched.database.psql(
      "UPDATE pending_events SET process_after = now() - interval '59 minutes 30 seconds' WHERE attempts = 5")
    let again = try #require(try await RarelyCounted(watched.database, .relaycast).third().head)
    #expect(
      again.stuckAges.map { "\($0.key) \(milliseconds(again.storeTime, minus: $0.value))" }
        == [
          "attemptsExhausted "
            + (try watched.database.psql(
              "SELECT floor(extract(epoch FROM process_after) * 1000) FROM pending_events WHERE attempts = 5"))
        ])
  }

  @Test func `without an index for it there is no look at the head, and the store still answers`() async throws {
    let watched = RarelyCounted(
      try database(PostgreSQLSampleLayout.rows + "DROP INDEX outbox_by_status;"))
    for sample in [try await watched.third(), try await watched.sample()] {
      #expect(sample.isGood && sample.head?.tellsNothing == true)
      #expect(sample.intervals?.head == sample.intervals?.counts)
    }
  }

  private static let deadRows = """
    ALTER TABLE outbox SET (autovacuum_enabled = off);
    INSERT INTO outbox (status, due_at)
    SELECT 'pending', now() - interval '1 hour' + i * interval '100 milliseconds' FROM generate_series(1, 20000) i;
    ANALYZE outbox;
    DELETE FROM outbox WHERE id <= 18000;

    """

  @Test func `a head of dead rows is passed over once it is known where the living begin`() async throws {
    let watched = RarelyCounted(try database(Self.deadRows))
    #expect(try await watched.third().head?.isComplete == false)
    // 100 rows of the table and the index's path to them: the 18,000 dead ones have 133 blocks and 78 of the index.
    let buffers = try await watched.buffersOfTheHead()
    #expect(buffers.bounded < 30 && buffers.unbounded > 60, "\(buffers)")
  }

  @Test func `on a replica too, where no scan may mark what is dead`() async throws {
    let primary = try TemporaryPostgres()
    let database = try primary.createDatabase(PostgreSQLSampleLayout.schema + Self.deadRows)
    let replica = try TemporaryPostgres(replicaOf: primary)
    let copy = TemporaryDatabase(name: database.name, server: replica)
    let watched = RarelyCounted(copy, primary: database)
    let sample = try await watched.third()
    #expect(sample.head?.isComplete == false && sample.head?.replicaLag != nil)
    // Every dead row is looked up in the table again, however often it was found dead.
    let buffers = try await watched.buffersOfTheHead()
    #expect(buffers.bounded < 30 && buffers.unbounded > 200, "\(buffers)")
  }

  /// The planner's statistics are missing, or of when the table was small: it is not asked.
  @Test(arguments: ["", "INSERT INTO outbox (status, due_at) VALUES ('sent', now()); ANALYZE outbox;"])
  func `a count that would take too long is estimated from some blocks, and says so`(before: String) async throws {
    let watched = RarelyCounted(
      try database(
        before + """
          INSERT INTO outbox (status, "Topic", attempts, payload, due_at)
          SELECT (ARRAY['pending', 'sent'])[1 + i % 2]::outbox_status, (ARRAY['mail', 'push', 'sms'])[1 + i % 3], i % 5 / 4,
            repeat('x', 900), now() - i * interval '1 second'
          FROM generate_series(1, 24000) i;

          """))
    let exact = try #require(try await watched.sample().snapshot)
    #expect(exact.exact && !exact.isEstimate && exact.depth(.ready) == 12000)
    let estimate = try #require(try await watched.sample(after: 240).snapshot)
    #expect(estimate.isEstimate && !estimate.exact)
    #expect(estimate.depths.map(\.destination) == exact.depths.map(\.destination))
    for (guess, truth) in zip(estimate.depths, exact.depths) {
      #expect(abs(guess.count - truth.count) * 4 < truth.count, "\(guess) for \(truth)")
    }
    #expect(estimate.depth != exact.depth)
    let median = try #require(estimate.ages.first?.median?.seconds)
    #expect(abs(median - 12000) < 2400)
  }

  /// `scripts/bench backlog` does the same with five million events, and asks what it costs.
  @Test func `of a backlog that grows every figure is exact at its time, or says that it is not`() async throws {
    let watched = RarelyCounted(try database(""))
    let (batches, size, topics) = (30, 2000, 20)
    var seen: [String: Int] = [:]
    var oldest: [String] = []
    for batch in 1...batches {
      let database = watched.database
      let writing = Task.detached {
        try database.psql(
          """
          INSERT INTO outbox ("Topic", due_at)
          SELECT 'topic' || i % \(topics), now() + i * interval '1 microsecond' FROM generate_series(1, \(size)) i
          """)
      }
      // Every third is a count, then an estimate is due, then the head.
      let sample = try await watched.sample(share: 1e-9 * Double((batch + 2) / 3))
      try await _ = writing.value
      // The first ones stay the oldest.
      if batch == 1 {
        oldest = try database.psql(
          "SELECT \"Topic\", floor(extract(epoch FROM min(due_at)) * 1000) FROM outbox GROUP BY 1"
        ).split(separator: "\n").map(String.init).sorted()
      }
      switch sample.result {
      case .failure(let failure): throw failure
      case .success(.counts(let snapshot)) where snapshot.isEstimate:
        seen["estimate", default: 0] += 1
        #expect(!snapshot.exact)
      case .success(.counts(let snapshot)):
        seen["counts", default: 0] += 1
        // One transaction is under way meanwhile: all of it is there, or nothing.
        #expect(snapshot.exact && [(batch - 1) * size, batch * size].contains(snapshot.depth))
        #expect(snapshot.depths.allSatisfy { $0.count * topics == snapshot.depth })
      case .success(.head(let head)):
        seen["head", default: 0] += 1
        let known = head.ages.map { "\($0.destination)|\(milliseconds(head.storeTime, minus: $0.oldest))" }
        #expect(known.count == topics && known.sorted() == oldest, "\(head)")
      }
    }
    #expect(seen == ["counts": 10, "estimate": 10, "head": 10])
  }

  @Test func `a small table is estimated from all of its blocks`() async throws {
    let watched = RarelyCounted(try database())
    let exact = try #require(try await watched.sample().snapshot)
    let estimate = try #require(try await watched.sample(after: 240).snapshot)
    #expect(estimate.isEstimate)
    #expect(estimate.depths == exact.depths && estimate.dead.map(\.count) == exact.dead.map(\.count))
    #expect(estimate.stuck.map(\.count) == exact.stuck.map(\.count))
  }

  @Test func `a count that runs into its time limit is replaced by an estimate in the same cycle`() async throws {
    let database = try database(
      """
      INSERT INTO outbox (payload) SELECT repeat('x', 900) FROM generate_series(1, 24000) i;

      """)
    // A row that the first estimate will not read holds up whoever reads all of them.
    let unread = try database.psql(
      """
      SELECT min(id) FROM outbox WHERE id NOT IN (SELECT id FROM outbox TABLESAMPLE SYSTEM (
        (100 * 2000 / (pg_relation_size('outbox') / current_setting('block_size')::float8))) REPEATABLE (1))
      """)
    var limits = PostgreSQLLimits()
    limits.statement = .milliseconds(500)
    let layout = PostgreSQLSampleLayout.layout(
      rows: "{status} = 'pending' AND CASE WHEN {id} = \(unread) THEN pg_sleep(60) IS NULL ELSE true END")
    let sample = try await RarelyCounted(database, layout, limits: limits).sample(share: 0.01)
    let snapshot = try #require(sample.snapshot, "\(sample)")
    #expect(snapshot.isEstimate)
    #expect(abs(snapshot.depth(.ready) - 24000) < 3000)
    let once = await PostgreSQLSampleLayout.store(database.conninfo(), layout, limits: limits).sample(SampleRequest())
    #expect(once.first?.snapshot?.isEstimate == true)
  }
}
