import Layouts
import Outbox
import SampleSQL
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL) struct `History in PostgreSQL` {
  private func store(
    _ database: TemporaryDatabase, user: String = "postgres", layout: Layout = .aiHummer,
    limits: PostgreSQLLimits = PostgreSQLLimits()
  ) -> PostgreSQLStore {
    PostgreSQLStore(
      [
        OutboxDefinition(
          name: "o", address: .postgresql(Secret(database.conninfo(user: user))), layout: layout,
          objective: Objective(age: .milliseconds(70), target: 0.99))
      ],
      limits: limits, now: { Timestamp(seconds: 1_800_000_000) })
  }

  @Test(arguments: [UInt64.random(in: 0...UInt64.max), 1])
  func `concurrent sessions are counted once, over restarts and repeated requests`(seed: UInt64) async throws {
    var chance = SeededChance(seed: seed)
    let workers = try AiHummerWorkers()
    let totals = MovementTotals()
    var store = store(workers.database)
    totals.add(await store.sample(totals.request))
    for _ in 0..<3 {
      let sessions = try (0..<4).map { _ in
        try workers.start(seed: Double.random(in: -1...1, using: &chance), steps: 300)
      }
      while sessions.contains(where: { $0.isRunning }) {
        switch Int.random(in: 0..<6, using: &chance) {
        case 0: store = self.store(workers.database)
        case 1: _ = await store.sample(totals.request)
        default: break
        }
        totals.add(await store.sample(totals.request))
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...60, using: &chance)))
      }
      for session in sessions { #expect(session.wait() == 0, "\(session.standardError)") }
      totals.add(await store.sample(totals.request))
      #expect(totals.lines == (try workers.truth()), "seed \(seed)")
      try workers.requeue()
      totals.add(await store.sample(totals.request))
      #expect(totals.lines == (try workers.truth()), "seed \(seed)")
    }
    #expect(totals.unbalanced.isEmpty, "seed \(seed): \(totals.unbalanced)")
    #expect(totals.restarts.isEmpty && totals.notices.isEmpty)
    let bounds = DeliveryBounds(objective: .milliseconds(70)).kept
    let below = bounds.indices.map { index in
      totals.durations.counts.reduce(0) { $1.key <= index ? $0 + $1.value : $0 }
    }
    #expect(below == (try workers.deliveries(upTo: bounds)), "seed \(seed)")
  }

  /// The role that the README describes: it sees neither what others run nor since when.
  private func plainRole(_ database: TemporaryDatabase) async throws -> String {
    let role = database.server.uniqueName("exporter")
    try database.psql("CREATE ROLE \(role) LOGIN")
    let grants = try #require(
      try await store(database, user: role).statements(eventIDs: false).first?.result.get().grants)
    try database.psql(grants.joined(separator: ";"))
    return role
  }

  @Test func `a transaction that commits long after its times is counted once`() async throws {
    let workers = try AiHummerWorkers()
    try workers.database.psql(
      "INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 9)")
    let store = store(
      workers.database, user: try await plainRole(workers.database),
      limits: PostgreSQLLimits(clockAllowance: .milliseconds(20)))
    let totals = MovementTotals()
    totals.add(await store.sample(totals.request))
    let session = try await workers.open(
      "UPDATE outbox SET status = 'delivered', delivered_at = now(), updated_at = now() WHERE id <= 3")
    // Others go on meanwhile, and their deliveries push the window along.
    for id in 4...6 {
      try await Task.sleep(for: .milliseconds(300))
      try workers.database.psql("UPDATE outbox SET status = 'delivered', delivered_at = now() WHERE id = \(id)")
      totals.add(await store.sample(totals.request))
      #expect(totals.lines == ["mail delivered \(id - 3)"])
    }
    try workers.commit()
    #expect(session.wait() == 0, "\(session.standardError)")
    totals.add(await store.sample(totals.request))
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail delivered 6"])
    #expect(totals.unbalanced.isEmpty, "\(totals.unbalanced)")
  }

  @Test func `what is pruned or cancelled hides nothing that commits late, be their times equal to the microsecond`()
    async throws
  {
    let workers = try AiHummerWorkers()
    let store = store(workers.database, user: try await plainRole(workers.database))
    let totals = MovementTotals()
    let finish = "status = 'delivered', delivered_at = (SELECT min(created_at) FROM outbox) + interval '1 s'"
    try workers.database.psql("INSERT INTO outbox (id, channel) SELECT i, 'mail' FROM generate_series(1, 5) i")
    totals.add(await store.sample(totals.request))
    try await Task.sleep(for: .milliseconds(1_100))
    try workers.database.psql(
      "UPDATE outbox SET \(finish) WHERE id IN (1, 2); INSERT INTO outbox (id, channel, created_at) "
        + "SELECT i, 'mail', min(created_at) + interval '1 s' FROM outbox, generate_series(11, 12) i GROUP BY i")
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail delivered 2", "mail enqueued 2"])
    let session = try await workers.open(
      "UPDATE outbox SET \(finish) WHERE id IN (3, 4);"
        + "INSERT INTO outbox (id, channel, created_at) SELECT 13, channel, created_at FROM outbox WHERE id = 12")
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail delivered 2", "mail enqueued 2"])
    // Both are gone before what commits late is seen, and after they were seen themselves.
    try workers.database.psql("DELETE FROM outbox WHERE id IN (1, 2, 11)")
    try workers.commit()
    #expect(session.wait() == 0, "\(session.standardError)")
    for _ in 0..<2 { totals.add(await store.sample(totals.request)) }
    #expect(totals.lines == ["mail delivered 4", "mail enqueued 3", "mail unseen 1"])
    #expect(totals.durations.count == 4)
    #expect(totals.unbalanced.isEmpty, "\(totals.unbalanced)")
  }

  @Test(arguments: [400, 5])
  func `of what was delivered in great number none is told from another, and all of it is counted`(
    before: Int
  ) async throws {
    let workers = try AiHummerWorkers()
    let store = store(workers.database)
    var mark = try #require(await store.sample(SampleRequest(marks: [:])).first?.accounting?.mark)
    mark = mark.older(seconds: 1_000)
    try workers.deliver(100_001, ago: before)
    try workers.deliver(10)
    var counts = Movements.Counts()
    for more in [0, 3] {
      try workers.deliver(more)
      let reading = try #require(await store.sample(SampleRequest(marks: ["o": mark])).first?.accounting)
      counts.add(try #require(reading.movements?.destinations["mail"]))
      mark = reading.mark
      guard more == 0 else { continue }
      // Where the many are from before the last half minute, the others are told apart still.
      let keys = mark.position.split(separator: "\n").filter { $0.hasPrefix("kf ") }
      #expect(keys.contains { $0.utf8.count > 80 } == (before > 30), "\(keys)")
      #expect(keys.allSatisfy { $0.utf8.count < 1_000 })
    }
    #expect(counts.dispositions == [.delivered: 100_014] && counts.enqueued == 100_014, "\(counts)")
  }

  private func sample(_ store: PostgreSQLStore, _ mark: AccountingMark?) async -> AccountingReading? {
    await store.sample(SampleRequest(marks: mark.map { ["o": $0] } ?? [:])).first?.accounting
  }

  @Test func `where more was delivered than can be counted in time counting begins anew`() async throws {
    let workers = try AiHummerWorkers()
    let store = store(workers.database, limits: PostgreSQLLimits(statement: .milliseconds(100)))
    let mark = try #require(await sample(store, nil)).mark.older(seconds: 1_000)
    try workers.deliver(300_000, ago: 900)
    var reading: AccountingReading?
    _ = await happens {
      reading = await sample(store, mark)
      return reading != nil
    }
    #expect(reading?.restart?.contains("more was delivered since the last count than can be counted") == true)
    #expect(reading?.movements == nil)
  }

  @Test func `a count that somebody else has kept waiting is taken again`() async throws {
    let workers = try AiHummerWorkers()
    let store = store(workers.database, limits: PostgreSQLLimits(statement: .seconds(1), lock: .seconds(60)))
    let mark = try #require(await sample(store, nil)).mark.older(seconds: 1_000)
    try workers.deliver(1_000, ago: 900)
    let held = try workers.database.holding("LOCK TABLE outbox")
    for _ in 0..<2 { #expect(await sample(store, mark) == nil) }
    try held.release()
    var reading: AccountingReading?
    _ = await happens {
      reading = await sample(store, mark)
      return reading != nil
    }
    #expect(reading?.movements?.destinations["mail"]?.dispositions == [.delivered: 1_000])
  }

  @Test func `a layout without an identifier counts its rows by their times`() async throws {
    let workers = try AiHummerWorkers()
    var layout = Layout.aiHummer
    for role in ["id", "dead_id"] { layout.queues[0].columns[role] = nil }
    for index in layout.queues[0].selections.indices { layout.queues[0].selections[index].id = nil }
    let store = store(workers.database, layout: layout)
    let totals = MovementTotals()
    totals.add(await store.sample(totals.request))
    for _ in 0..<3 {
      try workers.database.psql(
        """
        DELETE FROM outbox WHERE status = 'delivered';
        INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 4);
        """)
      totals.add(await store.sample(totals.request))
      try workers.database.psql("UPDATE outbox SET status = 'delivered', delivered_at = now() WHERE status = 'pending'")
      totals.add(await store.sample(totals.request))
    }
    // Rows of one transaction have the same times, and are as many as they are.
    #expect(totals.lines == ["mail enqueued 12", "mail delivered 12"])
    #expect(totals.restarts.isEmpty && totals.unbalanced.isEmpty, "\(totals.unbalanced)")
  }

  /// Such a row would be looked at in every sample for as long as it is young.
  @Test func `a delivered row with an extreme time is counted, and measured where it can be`() async throws {
    let workers = try AiHummerWorkers()
    let totals = MovementTotals()
    let store = store(workers.database)
    totals.add(await store.sample(totals.request))
    try workers.database.psql(
      """
      INSERT INTO outbox (channel, status, delivered_at, next_attempt_at, created_at)
      SELECT 'mail', 'delivered', clock_timestamp(), t::timestamptz, t::timestamptz
      FROM unnest(ARRAY['-infinity', '4714-11-24 BC', '1930-01-01', 'infinity', '294276-12-31']) t, generate_series(1, 4000);
      INSERT INTO outbox (channel, status, delivered_at) VALUES ('mail', 'delivered', 'infinity'), ('mail', 'delivered', '-infinity');
      """)
    for _ in 0..<2 {
      let samples = await store.sample(totals.request)
      #expect(samples.first?.failure == nil)
      totals.add(samples)
    }
    #expect(totals.lines.contains("mail delivered 20000"), "\(totals.lines)")
    // Those of 1930, whose microseconds add up to more than a whole number holds.
    #expect(totals.durations.count == 4000)
    #expect(totals.durations.sum.isFinite && totals.durations.sum > 8e12)
  }

  @Test func `a time of delivery that is set later, or again, counts as the README says`() async throws {
    let workers = try AiHummerWorkers()
    let store = store(workers.database)
    let totals = MovementTotals()
    func sample(after statements: String) async throws -> Set<String> {
      try workers.database.psql(statements)
      totals.add(await store.sample(totals.request))
      return totals.lines
    }
    _ = try await sample(after: "INSERT INTO outbox (channel) VALUES ('mail'), ('mail')")
    #expect(
      try await sample(after: "UPDATE outbox SET status = 'delivered', delivered_at = now() WHERE id = 1")
        == ["mail delivered 1"])
    #expect(
      try await sample(after: "UPDATE outbox SET delivered_at = now() WHERE id = 1")
        == ["mail delivered 2", "mail requeued 1"])
    #expect(
      try await sample(after: "UPDATE outbox SET status = 'delivered' WHERE id = 2")
        == ["mail delivered 2", "mail requeued 1", "mail unseen 1"])
    #expect(
      try await sample(after: "UPDATE outbox SET delivered_at = now() WHERE id = 2")
        == ["mail delivered 3", "mail requeued 2", "mail unseen 1"])
    #expect(totals.unbalanced.isEmpty)
  }

  @Test func `a prepared transaction that commits long after its times is counted once`() async throws {
    let server = try TemporaryPostgres(settings: ["max_prepared_transactions": "5"])
    let database = try server.createDatabase(
      AiHummerWorkers.schema + "INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 3)")
    let store = store(database, limits: PostgreSQLLimits(clockAllowance: .milliseconds(20)))
    let totals = MovementTotals()
    totals.add(await store.sample(totals.request))
    try database.psql(
      """
      BEGIN;
      UPDATE outbox SET status = 'delivered', delivered_at = now() WHERE id = 1;
      PREPARE TRANSACTION 'late';
      """)
    for _ in 0..<10 {
      try await Task.sleep(for: .milliseconds(100))
      totals.add(await store.sample(totals.request))
    }
    try database.psql("COMMIT PREPARED 'late'")
    totals.add(await store.sample(totals.request))
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail delivered 1"])
    #expect(totals.unbalanced.isEmpty)
  }

  /// Buffers that the statement of a first sample touches.
  private func buffers(_ database: TemporaryDatabase) async throws -> (count: Int, plan: String) {
    let message = try #require(
      try await store(database).statements(eventIDs: false).first?.result.get().accounting)
    let statements = message.split(separator: ";\n").map(String.init)
    let index = try #require(statements.firstIndex { $0.contains("'delivered'") })
    let explained = (statements[..<index] + ["EXPLAIN (ANALYZE, BUFFERS) " + statements[index]]).joined(
      separator: ";\n")
    let plan = try database.psql(explained)
    let shared = try #require(plan.split(separator: "\n").first { $0.contains("Buffers: shared") })
    let counts = shared.split(separator: " ").compactMap { word in
      word.hasPrefix("hit=") || word.hasPrefix("read=") ? Int(word.split(separator: "=")[1]) : nil
    }
    return (counts.reduce(0, +), plan)
  }

  @Test(arguments: [
    ("(delivered_at)", 500_000), ("(status, delivered_at)", 100_000),
    ("(delivered_at) WHERE status = 'delivered'", 100_000),
  ])
  func `the cost does not grow with what was delivered long ago`(index: String, rows: Int) async throws {
    func filled(_ count: Int) async throws -> (count: Int, plan: String) {
      let database = try TemporaryPostgres.shared().createDatabase(
        """
        \(AiHummerWorkers.schema)
        DROP INDEX outbox_delivered_at_idx; CREATE INDEX latest ON outbox \(index);
        INSERT INTO outbox (channel, status, created_at, delivered_at)
        SELECT 'mail', 'delivered', now() - interval '1 day', now() - n * interval '1 s' - interval '10 min'
        FROM generate_series(1, \(count)) n;
        INSERT INTO outbox (channel, status, delivered_at) SELECT 'mail', 'delivered', now() FROM generate_series(1, 20);
        VACUUM ANALYZE outbox;
        """)
      return try await buffers(database)
    }
    let few = try await filled(10_000)
    let many = try await filled(rows)
    // The index is a level deeper.
    #expect(many.count <= few.count + 12, "\(few)\n\(many)")
    #expect(many.count < 60, "\(many)")
    #expect(many.plan.contains("latest"), "\(many.plan)")
  }

  @Test(arguments: [
    "", "CREATE INDEX ON outbox (tenant_id, delivered_at)",
    "CREATE INDEX ON outbox (delivered_at) WHERE status = 'pending'",
  ])
  func `without an index the exporter says which, and uses statistics`(other: String) async throws {
    let database = try TemporaryPostgres.shared().createDatabase(
      AiHummerWorkers.schema + "DROP INDEX outbox_delivered_at_idx;" + other)
    let totals = MovementTotals()
    totals.add(await store(database).sample(totals.request))
    #expect(totals.marks["o"]?.method == .statistics)
    let notice = try #require(totals.notices.first)
    #expect(notice.contains(#"CREATE INDEX CONCURRENTLY ON "public"."outbox" ("delivered_at")"#), "\(notice)")
    try database.psql(String(try #require(notice.split(separator: ": ").last)))
    totals.add(await store(database).sample(totals.request))
    #expect(totals.marks["o"]?.method == .history)
    #expect(totals.restarts == ["movements are counted by history from now on instead of statistics"])
  }

  @Test func `a role that may not read the time of delivery is told so`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(AiHummerWorkers.schema)
    let role = database.server.uniqueName("exporter")
    try database.psql(
      """
      CREATE ROLE \(role) LOGIN;
      GRANT SELECT (id, channel, status, attempts, next_attempt_at, locked_at, created_at, updated_at)
      ON outbox TO \(role);
      """)
    let totals = MovementTotals()
    totals.add(await store(database, user: role).sample(totals.request))
    #expect(totals.marks["o"]?.method == .statistics)
    #expect(totals.notices.first?.contains("may not read delivered_at") == true, "\(totals.notices)")
    #expect(totals.unbalanced.isEmpty)
  }

  @Test func `another database and a restored one begin anew`() async throws {
    let first = try TemporaryPostgres.shared().createDatabase(AiHummerWorkers.schema)
    let second = try TemporaryPostgres.shared().createDatabase(AiHummerWorkers.schema)
    let totals = MovementTotals()
    totals.add(await store(first).sample(totals.request))
    totals.add(await store(second).sample(totals.request))
    #expect(totals.restarts.count == 1 && totals.restarts[0].contains("another database"))
    // A physical backup has the same identifiers, but has seen fewer transactions.
    let mark = try #require(totals.marks["o"])
    var lines = mark.position.split(separator: "\n").map(String.init)
    var head = lines[0].split(separator: " ").map(String.init)
    head[3] = "\(try #require(Int(head[3])) + 1_000_000)"
    lines[0] = head.joined(separator: " ")
    let later = AccountingMark(.history, lines.joined(separator: "\n"))
    let reading = await store(second).sample(SampleRequest(marks: ["o": later])).first?.accounting
    #expect(reading?.movements == nil && reading?.restart?.contains("backup") == true)
  }

  @Test func `what is kept stays small however busy the outbox is`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(AiHummerWorkers.schema)
    let store = store(database)
    let totals = MovementTotals()
    for _ in 0..<15 {
      try database.psql(
        """
        INSERT INTO outbox (channel, status, created_at, delivered_at)
        SELECT 'channel ' || n % 5, 'delivered', now() - n * interval '7 ms', now() FROM generate_series(1, 500) n
        """)
      totals.add(await store.sample(totals.request))
    }
    #expect(totals.counts.values.reduce(0) { $0 + ($1.dispositions[.delivered] ?? 0) } == 14 * 500)
    // Two words of eight letters for each row of the last half minute.
    #expect(try #require(totals.marks["o"]).position.utf8.count < 20_000 + 16 * 15 * 500)
  }
}
