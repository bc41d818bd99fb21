import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// When something began that has an age, in milliseconds since the Unix epoch as psql tells them.
func milliseconds(_ time: Timestamp, minus age: Duration) -> String {
  "\(Int64(((time.seconds - age.seconds) * 1000).rounded(.down)))"
}

/// A store whose counts are put off: they cost more than their share, whatever they cost.
struct RarelyCounted {
  let database: TemporaryDatabase
  let store: PostgreSQLStore
  let clock = ManualClock()
  private let primary: TemporaryDatabase?

  /// - Parameter primary: where the database is copied from, if it is a copy.
  init(
    _ database: TemporaryDatabase, _ layout: Layout = PostgreSQLSampleLayout.layout(),
    limits: PostgreSQLLimits = PostgreSQLLimits(), primary: TemporaryDatabase? = nil
  ) {
    self.database = database
    self.primary = primary
    store = PostgreSQLSampleLayout.store(database.conninfo(), layout, limits: limits, clock: clock)
  }

  /// - Parameter share: another one begins anew with the costs that are known.
  func sample(after seconds: Int64 = 15, share: Double = 1e-9) async throws -> OutboxSample {
    clock.advance(seconds: seconds)
    try happen()
    let budget = SampleBudget(share: share, interval: .seconds(15))
    return try #require(await store.sample(SampleRequest(budget: budget)).first)
  }

  /// Where nothing happens all figures are known in every cycle, and there are no rhythms.
  private func happen() throws {
    try (primary ?? database).psql("CREATE TEMP TABLE happened ()")
    guard let primary else { return }
    let written = try primary.psql("SELECT pg_current_wal_insert_lsn()")
    #expect(try eventually { try database.psql("SELECT pg_last_wal_replay_lsn() >= '\(written)'") == "t" })
  }

  /// The first sample counts, the second one estimates, as the counts are far too dear; the third looks at the head.
  func third() async throws -> OutboxSample {
    #expect(try await sample().snapshot?.isEstimate == false)
    #expect(try await sample().snapshot?.isEstimate == true)
    return try await sample()
  }

  /// The message of a look; nil where none tells anything before the next count.
  func look() async throws -> String? {
    try await store.statements(eventIDs: false).first?.result.get().head
  }

  /// The blocks that the statement of a look touches, from where it begins and from the beginning of the index.
  ///
  /// - Parameter beginning: what the line begins with that says where.
  func buffersOfTheHead(
    _ beginning: String = #"AND e."due_at" >= to_timestamp("#
  ) async throws -> (bounded: Int, unbounded: Int) {
    let shown = try #require(try await look())
    #expect(shown.contains(beginning), "\(shown)")
    let select = String(try #require(shown.split(separator: ";").dropFirst(10).first))
    let everything = select.split(separator: "\n").filter { !$0.contains(beginning) }.joined(separator: "\n")
    return (try buffers(select), try buffers(everything))
  }

  private func buffers(_ select: String) throws -> Int {
    let settings = "SET enable_seqscan = off; SET enable_bitmapscan = off; "
    let plan = try database.psql("\(settings)EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) \(select)")
    // The first line with buffers is that of the whole statement.
    let line = try #require(plan.split(separator: "\n").first { $0.contains("Buffers:") }, "\(plan)")
    return line.split(separator: " ").reduce(0) { sum, word in
      guard word.hasPrefix("hit=") || word.hasPrefix("read=") else { return sum }
      return sum + (Int(word.drop { $0 != "=" }.dropFirst()) ?? 0)
    }
  }
}
