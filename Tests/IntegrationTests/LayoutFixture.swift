import Layouts
import Outbox
import SampleSQL
import Stores
import TestSupport
import Testing

/// A database of a system that uses PostgreSQL, sampled through the real store.
///
/// Rows are written relative to `t`, the moment of the fixture, a whole second; ages are told as they were then. States
/// that time changes are minutes away from it.
struct LayoutFixture {
  let database: TemporaryDatabase
  let layout: Layout
  let moment: Timestamp

  init(_ layout: Layout, _ statements: String) throws {
    self.layout = layout
    database = try TemporaryPostgres.shared().createDatabase(
      "CREATE TABLE moment AS SELECT date_trunc('second', now()) AS t;" + statements)
    let seconds = try #require(Double(try database.psql("SELECT extract(epoch FROM t) FROM moment")))
    moment = Timestamp(seconds: seconds)
  }

  func samples(user: String = "postgres", eventIDs: Bool = false) async -> [OutboxSample] {
    let definition = OutboxDefinition(
      name: "o", address: .postgresql(Secret(database.conninfo(user: user))), layout: layout)
    let store = PostgreSQLStore(
      [definition], limits: PostgreSQLLimits(), now: { Timestamp(seconds: 1_800_000_000) })
    let samples = await store.sample(eventIDs: eventIDs)
    await store.close()
    return samples
  }

  func snapshot(user: String = "postgres", eventIDs: Bool = false) async throws -> Snapshot {
    let samples = await samples(user: user, eventIDs: eventIDs)
    #expect(samples.count == 1)
    return try #require(samples.first?.snapshot, "\(String(describing: samples.first?.failure))")
  }

  func expectFigures(_ expected: String, user: String = "postgres") async throws {
    let sampled = figureLines(try await snapshot(user: user), at: moment)
    let expected = figureLines(expected)
    #expect(
      sampled == expected,
      "only sampled \(sampled.subtracting(expected).sorted()), only expected \(expected.subtracting(sampled).sorted())")
  }

  /// The statements for the tables as they are in the database.
  func query() throws -> SampleQuery {
    let queue = try #require(layout.queues.first)
    var tables: [String: QueueSchema.Table] = [:]
    for (role, table) in queue.tables {
      let columns = try database.psql(
        """
        SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = to_regclass('\(SQLIdentifier.quotedPath(table.name))') AND attnum > 0 AND NOT attisdropped
        """
      ).split(separator: "\n").map { $0.split(separator: "|").map(String.init) }
      if columns.isEmpty { continue }
      tables[role] = .init(
        reference: SQLIdentifier.quotedPath(table.name),
        columns: Dictionary(columns.map { ($0[0], $0[1]) }, uniquingKeysWith: { first, _ in first }),
        indexedColumns: ["status"])
    }
    return try SampleQuery(queue: queue, schema: QueueSchema(tables: tables), dialect: .postgresql)
  }

  /// How many rows of the main table the statements of one sample read, by EXPLAIN ANALYZE.
  func rowsRead() throws -> Int {
    let query = try query()
    let name = try #require(layout.queues.first?.tables[TableQueue.mainTable]?.name)
    var read = 0
    for statement in [query.figures, query.eventIDs, query.states].compactMap({ $0 }) {
      // Each node on the table, its rows and those that its filter removed, times its loops.
      read += try #require(
        Int(
          try database.psql(
            """
            CREATE TEMP TABLE plan (j jsonb);
            DO $do$ DECLARE j json; BEGIN
              EXECUTE $q$EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) \(statement)$q$ INTO j;
              INSERT INTO plan VALUES (j);
            END $do$;
            SELECT COALESCE(sum(((node->>'Actual Rows')::numeric + COALESCE((node->>'Rows Removed by Filter')::numeric, 0)
                + COALESCE((node->>'Rows Removed by Index Recheck')::numeric, 0)) * (node->>'Actual Loops')::numeric), 0)::int
            FROM plan, jsonb_path_query(j, 'strict $.**') node
            WHERE jsonb_typeof(node) = 'object' AND node ? 'Actual Rows' AND node->>'Relation Name' = '\(name)';
            """)))
    }
    return read
  }
}
