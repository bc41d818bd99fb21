import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// A database that takes any bytes for text, as SQL_ASCII does.
@Suite(needs("otelcol")) struct `Rows that are no text` {
  @Test(withPostgreSQL) func `arrive as replacement characters, and a strict receiver takes them [153]`() async throws {
    let server = try TemporaryPostgres.shared()
    let name = server.uniqueName("bytes")
    try server.psql("CREATE DATABASE \(name) ENCODING SQL_ASCII TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    let database = TemporaryDatabase(name: name, server: server)
    try database.psql(
      """
      CREATE TABLE outbox_events(id text, status text, topic text, "createdAt" timestamp, "updatedAt" timestamp);
      CREATE INDEX ON outbox_events(status);
      INSERT INTO outbox_events VALUES
        ('x', 'pending', convert_from('\\xff6fc3'::bytea, 'SQL_ASCII'), now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC');
      """)
    let receiver = try OTLPReceiver.collector()
    let fixture = try CommandFixture()
    let configured = try fixture.configured(
      """
      outboxes: [{name: orders, dsn: "\(database.conninfo())", layout: kaireon, columns: {destination: topic}}]
      export: [{endpoint: "\(receiver.base)"}]
      """)
    let outcome = try fixture.run(["--once"] + configured)
    #expect(outcome.output.contains("Pushed "), "\(outcome)")
    #expect(
      await happens { receiver.output.contains("outbox.destination: Str(\u{fffd}o\u{fffd})") }, "\(receiver.output)")
  }
}

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
