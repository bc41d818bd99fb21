import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// Dead letters in a table of their own: what goes there leaves the outbox, and what comes back is inserted anew.
@Suite(withPostgreSQL) struct DeadLetterTableTests {
  /// What is counted of AiHummer's outbox with such a table.
  private final class Counted {
    let totals = MovementTotals()
    private let database: TemporaryDatabase
    private let store: PostgreSQLStore

    init(_ more: String = "") async throws {
      database = try TemporaryPostgres.shared().createDatabase(
        AiHummerWorkers.schema + more
          + "CREATE TABLE outbox_dlq (id bigint, channel text, failed_at timestamptz, created_at timestamptz);")
      store = PostgreSQLStore(
        [OutboxDefinition(name: "o", address: .postgresql(Secret(database.conninfo())), layout: .aiHummer)],
        now: { Timestamp(seconds: 1_800_000_000) })
      try database.waitUntilLeft()
      totals.add(await store.sample(totals.request))
    }

    func sample(after statements: String) async throws -> Set<String> {
      try database.psql(statements)
      totals.add(await store.sample(totals.request))
      #expect(totals.unbalanced.isEmpty && totals.restarts.isEmpty, "\(totals.unbalanced)")
      return Set(totals.lines.map { $0.replacing("mail ", with: "") })
    }
  }

  @Test(arguments: ["now()", "now() - interval '1 day'"])
  func `what comes back from a table of dead letters with its old times is inserted, and counts once`(created: String)
    async throws
  {
    // Without the index that history takes.
    let counted = try await Counted("DROP INDEX outbox_delivered_at_idx;")
    _ = try await counted.sample(
      after: "INSERT INTO outbox (channel, created_at) SELECT 'mail', \(created) FROM generate_series(1, 20)")
    var lines = try await counted.sample(
      after: """
        WITH gone AS (DELETE FROM outbox RETURNING *)
        INSERT INTO outbox_dlq SELECT id, channel, clock_timestamp(), created_at FROM gone
        """)
    #expect(lines == ["enqueued 20", "dead 20"])
    lines = try await counted.sample(
      after: """
        WITH back AS (DELETE FROM outbox_dlq RETURNING *)
        INSERT INTO outbox (channel, created_at) SELECT channel, created_at FROM back
        """)
    #expect(lines == ["enqueued 40", "dead 20"])
    // One that is among the dead of the table itself is not inserted.
    _ = try await counted.sample(after: "UPDATE outbox SET status = 'dead', updated_at = clock_timestamp()")
    lines = try await counted.sample(after: "UPDATE outbox SET status = 'pending'")
    #expect(lines == ["enqueued 60", "dead 40"])
    lines = try await counted.sample(
      after: """
        INSERT INTO outbox (id, channel) SELECT i, 'mail' FROM generate_series(1001, 1010) i;
        DELETE FROM outbox WHERE id > 1000
        """)
    #expect(lines == ["enqueued 70", "dead 40", "unseen 10"])
  }

  @Test func `what comes and is moved among the dead letters between two samples has come and died`() async throws {
    let counted = try await Counted()
    let bury = { (count: Int) in
      """
      WITH gone AS (DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id DESC LIMIT \(count)) RETURNING *)
      INSERT INTO outbox_dlq SELECT id, channel, clock_timestamp(), created_at FROM gone;
      """
    }
    let exhume = """
      WITH back AS (DELETE FROM outbox_dlq WHERE id = (SELECT min(id) FROM outbox_dlq) RETURNING *)
      INSERT INTO outbox (channel, created_at) SELECT channel, now() - interval '1 day' FROM back;
      """
    let insert = "INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 3);"
    #expect(try await counted.sample(after: insert + bury(2)) == ["enqueued 3", "dead 2"])
    #expect(try await counted.sample(after: exhume) == ["enqueued 3", "dead 2", "requeued 1"])
    #expect(try await counted.sample(after: insert + bury(3) + exhume) == ["enqueued 6", "dead 5", "requeued 2"])
    // One that had been seen waiting has not come once more.
    #expect(try await counted.sample(after: bury(1)) == ["enqueued 6", "dead 6", "requeued 2"])
  }
}
