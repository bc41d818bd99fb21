import Layouts
import Outbox
import SQLiteClient
import Stores
import SystemCalls
import TestSupport
import Testing

@Suite struct `History in SQLite` {
  private let directory: TemporaryDirectory
  private let path: String
  private let clock = TestClock(1_800_000_000)

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/outbox.sqlite"
  }

  private func store(_ layout: Layout = .praisonAI) -> SQLiteStore {
    SQLiteStore(
      OutboxDefinition(
        name: "bots", address: .sqlite(path: path), layout: layout,
        objective: Objective(age: .seconds(7), target: 0.99)),
      now: { [clock] in clock.now })
  }

  @Test(arguments: [UInt64.random(in: 0...UInt64.max), 1, 2])
  func `every movement is counted once, over restarts and repeated requests`(seed: UInt64) async throws {
    var chance = SeededChance(seed: seed)
    let worker = try PraisonAIWorker(path: path)
    let totals = MovementTotals()
    var store = store()
    totals.add(await store.sample(totals.request))
    for _ in 0..<200 {
      for _ in 0..<Int.random(in: 0..<12, using: &chance) {
        // Many clocks stand still for a while: equal times are usual.
        if Bool.random(using: &chance) { clock.advance(.milliseconds(Int.random(in: 1...4_000, using: &chance))) }
        try worker.act(at: clock.now.seconds, &chance)
      }
      if Int.random(in: 0..<10, using: &chance) == 0 {
        // What came back and what was deleted cannot be told apart if both happen between two samples.
        totals.add(await store.sample(totals.request))
        if Bool.random(using: &chance) { try worker.requeue(&chance) } else { try worker.cancel(&chance) }
      }
      switch Int.random(in: 0..<6, using: &chance) {
      case 0: store = self.store()
      case 1: _ = await store.sample(totals.request)
      default: break
      }
      totals.add(await store.sample(totals.request))
      #expect(totals.lines == movementLines(worker.truth), "seed \(seed)")
    }
    #expect(totals.unbalanced.isEmpty, "seed \(seed): \(totals.unbalanced)")
    #expect(totals.restarts.isEmpty && totals.notices.isEmpty)
    expect(totals.durations, toCount: worker.durations, "seed \(seed)")
  }

  private func expect(_ tally: DurationTally, toCount durations: [Double], _ comment: Comment) {
    let bounds = DeliveryBounds(objective: .seconds(7)).kept
    for (index, bound) in bounds.enumerated() {
      let below = tally.counts.reduce(0) { $1.key <= index ? $0 + $1.value : $0 }
      // To the microsecond: binary fractions of large times are not exact.
      #expect(below == durations.count { ($0 * 1e6).rounded() <= (bound * 1e6).rounded() }, "at \(bound), \(comment)")
    }
    #expect(abs(tally.sum - durations.reduce(0, +)) < 0.001, comment)
  }

  @Test func `a commit that comes long after its times is counted once`() async throws {
    var chance = SeededChance(seed: 1)
    let worker = try PraisonAIWorker(path: path)
    for _ in 0..<5 { try worker.enqueue("mail", at: clock.now.seconds) }
    let store = store()
    let totals = MovementTotals()
    totals.add(await store.sample(totals.request))
    clock.advance(.milliseconds(15_000))
    try worker.deliver(at: clock.now.seconds, &chance)
    totals.add(await store.sample(totals.request))
    try worker.execute("BEGIN IMMEDIATE")
    for _ in 0..<3 { try worker.deliver(at: clock.now.seconds, &chance) }
    for _ in 0..<40 {
      clock.advance(.milliseconds(15_000))
      totals.add(await store.sample(totals.request))
      #expect(totals.lines == ["mail delivered 1"])
    }
    try worker.execute("COMMIT")
    clock.advance(.milliseconds(15_000))
    totals.add(await store.sample(totals.request))
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail delivered 4"])
    #expect(totals.unbalanced.isEmpty)
  }

  @Test func `a delivered row with an extreme time is counted, and measured where it can be`() async throws {
    let worker = try PraisonAIWorker(path: path)
    let totals = MovementTotals()
    let store = store()
    totals.add(await store.sample(totals.request))
    clock.advance(.milliseconds(15_000))
    for (index, time) in ["-9e12", "-1e300", "-9e999", "9e999", "9e12", "1e300", "-1300000000"].enumerated() {
      try worker.execute(
        """
        INSERT INTO outbound_queue (id, ts, idempotency_key, target, payload, metadata, status, sent_at)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
        SELECT \(index) * 10000 + i, \(time), '\(index)-' || i, 'mail:1', '', '', 'sent', \(clock.now.seconds) FROM n
        """)
    }
    for _ in 0..<2 {
      clock.advance(.milliseconds(15_000))
      let samples = await store.sample(totals.request)
      #expect(samples.first?.failure == nil)
      totals.add(samples)
    }
    #expect(totals.lines.contains("mail delivered 28000"), "\(totals.lines)")
    // Those of 1928, whose microseconds add up to more than a whole number holds.
    #expect(totals.durations.count == 4000)
    #expect(totals.durations.sum.isFinite && totals.durations.sum > 8e12)
  }

  @Test func `what is pruned or cancelled hides nothing that commits late at the same time`() async throws {
    let worker = try PraisonAIWorker(path: path)
    for _ in 0..<5 { try worker.enqueue("mail", at: clock.now.seconds) }
    let store = store()
    let totals = MovementTotals()
    totals.add(await store.sample(totals.request))
    clock.advance(.milliseconds(15_000))
    let time = clock.now.seconds
    func deliver(_ ids: String) throws {
      try worker.execute("UPDATE outbound_queue SET status = 'sent', sent_at = \(time) WHERE id IN (\(ids))")
    }
    try deliver("1, 2")
    for _ in 0..<2 { try worker.enqueue("mail", at: time) }
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail delivered 2", "mail enqueued 2"])
    clock.advance(.milliseconds(15_000))
    try worker.execute("DELETE FROM outbound_queue WHERE id IN (1, 6)")
    try deliver("3")
    try worker.enqueue("mail", at: time)
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail delivered 3", "mail enqueued 3", "mail unseen 1"])
    #expect(totals.unbalanced.isEmpty)
  }

  @Test func `beyond three hundred thousand rows the older ones are only counted`() async throws {
    let worker = try PraisonAIWorker(path: path)
    let store = store()
    let totals = MovementTotals()
    func enqueue(_ count: Int) throws {
      try worker.execute(
        """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
        INSERT INTO outbound_queue (ts, idempotency_key, target)
        SELECT \(clock.now.seconds), hex(randomblob(12)), 'mail:1' FROM n
        """)
    }
    totals.add(await store.sample(totals.request))
    for count in [1_000, 310_000, 2_000] {
      clock.advance(.milliseconds(5_000))
      try enqueue(count)
      totals.add(await store.sample(totals.request))
    }
    // Those that are told apart still are: one goes and another one of its time comes.
    try worker.execute("DELETE FROM outbound_queue WHERE id = (SELECT max(id) FROM outbound_queue)")
    try enqueue(1)
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail enqueued 313001", "mail unseen 1"])
    #expect(totals.unbalanced.isEmpty)
    #expect(try #require(totals.marks["bots"]).position.utf8.count < 100_000)
  }

  private func deliver(_ count: Int, _ worker: PraisonAIWorker) throws {
    try worker.execute(
      """
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
      INSERT INTO outbound_queue (ts, idempotency_key, target, status, sent_at)
      SELECT \(clock.now.seconds), hex(randomblob(12)), 'mail:1', 'sent', \(clock.now.seconds) FROM n
      """)
  }

  @Test(arguments: [400, 5])
  func `of what was delivered in great number none is told from another, and all of it is counted`(
    before: Int
  ) async throws {
    let worker = try PraisonAIWorker(path: path)
    let store = store()
    let totals = MovementTotals()
    for _ in 0..<2 {
      totals.add(await store.sample(totals.request))
      clock.advance(.seconds(20))
    }
    try deliver(100_001, worker)
    clock.advance(.seconds(before))
    try deliver(10, worker)
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail delivered 100011", "mail enqueued 100011"])
    // Where the many are from before the last half minute, the others are told apart still.
    let keys = try #require(totals.marks["bots"]).position.split(separator: "\n").filter { $0.hasPrefix("kf ") }
    #expect(keys.contains { $0.utf8.count > 80 } == (before > 30), "\(keys)")
    #expect(keys.allSatisfy { $0.utf8.count < 1_000 })
    try deliver(3, worker)
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail delivered 100014", "mail enqueued 100014"])
    #expect(totals.unbalanced.isEmpty && totals.restarts.isEmpty)
  }

  @Test func `where more was delivered than can be counted in time counting begins anew`() async throws {
    let worker = try PraisonAIWorker(path: path)
    let store = SQLiteStore(
      OutboxDefinition(name: "bots", address: .sqlite(path: path), layout: .praisonAI), timeLimit: .milliseconds(100),
      now: { [clock] in clock.now })
    let totals = MovementTotals()
    totals.add(await store.sample(totals.request))
    clock.advance(.seconds(20))
    try deliver(300_000, worker)
    clock.advance(.seconds(400))
    let begins = await happens {
      totals.add(await store.sample(totals.request))
      return !totals.restarts.isEmpty
    }
    #expect(begins)
    #expect(
      totals.restarts.first?.contains("more was delivered since the last count than can be counted") == true,
      "\(totals.restarts)")
    try deliver(2, worker)
    let counts = await happens {
      totals.add(await store.sample(totals.request))
      return totals.lines == ["mail delivered 2", "mail enqueued 2"]
    }
    #expect(counts, "\(totals.lines)")
  }

  @Test func `what commits late is counted once among thousands of destinations, too`() async throws {
    let worker = try PraisonAIWorker(path: path)
    let store = store()
    let totals = MovementTotals()
    try worker.enqueue("late", at: clock.now.seconds)
    for _ in 0..<8 {
      try worker.execute(
        """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
        INSERT INTO outbound_queue (ts, idempotency_key, target, status, sent_at)
        SELECT \(clock.now.seconds), hex(randomblob(12)), 'channel ' || i || ':1', 'sent', \(clock.now.seconds) FROM n
        """)
      totals.add(await store.sample(totals.request))
      clock.advance(.seconds(5))
    }
    try worker.execute(
      "UPDATE outbound_queue SET status = 'sent', sent_at = \(clock.now.seconds - 25) WHERE target LIKE 'late:%'")
    totals.add(await store.sample(totals.request))
    #expect(totals.lines.filter { $0.hasPrefix("late ") } == ["late delivered 1"])
    let sum = totals.counts.values.reduce(0) { $0 + ($1.dispositions[.delivered] ?? 0) }
    #expect(sum == 7 * 1_500 + 1 && totals.unbalanced.isEmpty)
  }

  @Test func `pruning that is faster than sampling takes away what it prunes`() async throws {
    var chance = SeededChance(seed: 1)
    let worker = try PraisonAIWorker(path: path)
    let store = store()
    let totals = MovementTotals()
    totals.add(await store.sample(totals.request))
    for _ in 0..<10 { try worker.enqueue("mail", at: clock.now.seconds) }
    totals.add(await store.sample(totals.request))
    clock.advance(.milliseconds(15_000))
    for _ in 0..<6 { try worker.deliver(at: clock.now.seconds, &chance) }
    try worker.execute(
      "DELETE FROM outbound_queue WHERE id IN (SELECT id FROM outbound_queue WHERE status = 'sent' LIMIT 4)")
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail enqueued 10", "mail delivered 2", "mail unseen 4"])
    #expect(totals.unbalanced.isEmpty)
  }

  @Test func `the cost does not grow with what was delivered long ago`() async throws {
    let worker = try PraisonAIWorker(path: path)
    func stepsOfDelivered() async throws -> Set<String> {
      let statement = try #require(try await store().statements(eventIDs: false).first?.result.get().accounting)
      let connection = try SQLiteConnection(path: path, access: .readOnly)
      var steps: [String] = []
      try connection.query("EXPLAIN QUERY PLAN \(statement)") { row in steps.append(row.text(3) ?? "") }
      return Set(steps.filter { $0.contains("sent_at") })
    }
    let steps: Set = ["SEARCH e USING INDEX idx_sent_at (sent_at>?)"]
    #expect(try await stepsOfDelivered() == steps)
    try worker.execute("ANALYZE")
    #expect(try await stepsOfDelivered() == steps)
  }

  @Test func `without an index the exporter says which, and counts what can be seen`() async throws {
    var chance = SeededChance(seed: 1)
    let worker = try PraisonAIWorker(path: path)
    try worker.execute("DROP INDEX idx_sent_at")
    let totals = MovementTotals()
    let store = store()
    totals.add(await store.sample(totals.request))
    for _ in 0..<4 { try worker.enqueue("mail", at: clock.now.seconds) }
    for _ in 0..<3 { try worker.deliver(at: clock.now.seconds, &chance) }
    totals.add(await store.sample(totals.request))
    #expect(totals.marks["bots"]?.method == .statistics)
    #expect(totals.lines == ["mail enqueued 4", "mail unseen 3"])
    #expect(totals.notices.count == 1)
    let notice = try #require(totals.notices.first)
    #expect(notice.contains(#"CREATE INDEX outbound_queue_sent_at ON "outbound_queue" ("sent_at")"#), "\(notice)")
    // What the notice says can be run as it is.
    try worker.execute(String(try #require(notice.split(separator: ": ").last)))
    totals.add(await store.sample(totals.request))
    #expect(totals.marks["bots"]?.method == .history)
    #expect(totals.restarts == ["movements are counted by history from now on instead of statistics"])
    try worker.deliver(at: clock.now.seconds, &chance)
    totals.add(await store.sample(totals.request))
    #expect(totals.lines == ["mail enqueued 4", "mail unseen 3", "mail delivered 1"])
  }

  @Test(arguments: [
    "CREATE INDEX i ON outbound_queue (sent_at) WHERE status = 'sent'",
    "CREATE INDEX i ON outbound_queue (status, sent_at)", "CREATE INDEX i ON outbound_queue (sent_at DESC)",
  ])
  func `an index serves that leads to the latest delivered rows`(index: String) async throws {
    let worker = try PraisonAIWorker(path: path)
    try worker.execute("DROP INDEX idx_sent_at; \(index)")
    let totals = MovementTotals()
    totals.add(await store().sample(totals.request))
    #expect(totals.marks["bots"]?.method == .history)
  }

  @Test(arguments: [
    "CREATE INDEX i ON outbound_queue (sent_at) WHERE status = 'pending'",
    "CREATE INDEX i ON outbound_queue (target, sent_at)",
  ])
  func `an index does not serve that leads elsewhere`(index: String) async throws {
    let worker = try PraisonAIWorker(path: path)
    try worker.execute("DROP INDEX idx_sent_at; \(index)")
    let totals = MovementTotals()
    totals.add(await store().sample(totals.request))
    #expect(totals.marks["bots"]?.method == .statistics)
  }

  @Test func `a mark that does not fit begins anew and says why`() async throws {
    let worker = try PraisonAIWorker(path: path)
    try worker.enqueue("mail", at: clock.now.seconds)
    let totals = MovementTotals()
    totals.add(await store().sample(totals.request))
    let good = try #require(totals.marks["bots"])
    func restart(_ mark: AccountingMark) async -> AccountingReading? {
      await store().sample(SampleRequest(marks: ["bots": mark])).first?.accounting
    }
    let damaged = await restart(AccountingMark(.history, "not a mark"))
    #expect(damaged?.movements == nil && damaged?.restart?.contains("damaged") == true)
    let other = await restart(AccountingMark(.ledger, "7"))
    #expect(other?.restart == "movements are counted by history from now on instead of ledger")
    let fits = await restart(good)
    #expect(fits?.movements == Movements() && fits?.restart == nil)
    clock.advance(.milliseconds(-60_000))
    let early = await restart(good)
    #expect(early?.movements == nil && early?.restart == "the store's clock was set back")
    clock.advance(.milliseconds(60_000))
    _ = try PraisonAIWorker(path: path + ".new")
    try FileSystem.move(path + ".new", to: path)
    for rest in ["-wal", "-shm"] { try? FileSystem.remove(path + rest) }
    let replaced = await restart(good)
    #expect(replaced?.movements == nil && replaced?.restart?.contains("another database") == true)
  }
}
