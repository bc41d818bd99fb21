import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// A value in a row must stay a value, however the database reads backslashes.
@Suite struct `Unexpected rows in PostgreSQL` {
  @Test(withPostgreSQL, arguments: ["on", "off"])
  func `are counted, and nothing in them is run`(standardStrings: String) async throws {
    let server = try TemporaryPostgres.shared()
    let database = try server.createDatabase()
    let attack =
      "\\') ) events ) c GROUP BY 1) g; COMMIT; BEGIN; CREATE TABLE owned(i int); COMMIT; SELECT 1 FROM (SELECT 1 -- "
    try database.psql(
      """
      ALTER DATABASE \(database.name) SET standard_conforming_strings = \(standardStrings);
      CREATE TABLE outbox_events(id text, status text, topic text, "createdAt" timestamp, "updatedAt" timestamp);
      CREATE INDEX ON outbox_events(status);
      INSERT INTO outbox_events SELECT 'x', s, 't', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC' FROM unnest(ARRAY[
        'pending', $q$a\\b$q$, $q$it's$q$, $q$\(attack)$q$, NULL]) s;
      """)
    let store = PostgreSQLStore(
      [
        OutboxDefinition(
          name: "o", address: .postgresql(Secret(database.conninfo())), layout: .kaireon)
      ], now: { Timestamp(seconds: 1_800_000_000) })
    let snapshot = try #require(await store.sample(eventIDs: true).first?.snapshot)
    #expect(snapshot.depth(.unknown) == 4)
    #expect(snapshot.depth == 5)
    #expect(try database.psql("SELECT to_regclass('owned') IS NULL") == "t")
  }
}
