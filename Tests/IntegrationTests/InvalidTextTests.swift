import PostgreSQLClient
import TestSupport
import Testing

/// SQLite keeps any bytes for text, and so does a database of PostgreSQL in SQL_ASCII.
@Suite(needs("otelcol")) struct `Rows that are no text` {
  @Test func `arrive as replacement characters, and a strict receiver takes them [153]`() async throws {
    let receiver = try OTLPReceiver.collector()
    let fixture = try CommandFixture()
    let outbox = try fixture.writeOutbox(
      more: "INSERT INTO outbound_queue (id, target, ts) VALUES ('x', CAST(X'FF6FC33A31' AS TEXT), unixepoch() - 5)")
    let outcome = try fixture.run(["--once", "--endpoint", receiver.base] + outbox)
    #expect(outcome.output.contains("Pushed "), "\(outcome)")
    #expect(
      await happens { receiver.output.contains("outbox.destination: Str(\u{fffd}o\u{fffd})") }, "\(receiver.output)")
  }

  @Test(withPostgreSQL, arguments: ["grpc", "http/protobuf", "http/json"])
  func `of PostgreSQL in SQL_ASCII arrive too, those that look alike then added up [153]`(transport: String)
    async throws
  {
    // Two topics that differ in a byte that is no text, and one that is text in UTF-8.
    let database = try TemporaryPostgres.shared().createDatabase(
      """
      CREATE TABLE outbox_events (
        id text PRIMARY KEY, status text NOT NULL, topic text, "createdAt" timestamp(3) NOT NULL,
        "updatedAt" timestamp(3) NOT NULL);
      CREATE INDEX ON outbox_events (status, "updatedAt");
      INSERT INTO outbox_events SELECT i, 'pending', t, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
        FROM (VALUES ('1', E'\\xFFo\\xC3'), ('2', E'\\xFEo\\xC3'), ('3', E'Z\\xC3\\xBCrich')) AS rows (i, t);
      """, encoding: "SQL_ASCII")
    let receiver = try OTLPReceiver.collector(transport == "grpc" ? .grpc : .http)
    let fixture = try CommandFixture()
    let outcome = try fixture.run(
      ["--once", "--layout", "kaireon", "--endpoint", receiver.base],
      environment: ["OUTBOX_DSN": database.conninfo(), "OTEL_EXPORTER_OTLP_PROTOCOL": transport])
    #expect(outcome.output.contains("Pushed "), "\(outcome)")
    #expect(
      await happens {
        receiver.output.contains("outbox.destination: Str(\u{fffd}o\u{fffd})")
          && receiver.output.contains("outbox.destination: Str(Zürich)")
      }, "\(receiver.output)")
    let json = try fixture.run(
      ["--once", "--no-push", "--format", "json", "--layout", "kaireon"],
      environment: ["OUTBOX_DSN": database.conninfo()])
    let depth = try ParsedJSON(json.output)["outboxes"]?.elements[0]["depth"]
    #expect(depth != nil && "\(json.output)".contains("\u{fffd}o\u{fffd}"), "\(json.output)")
  }

  @Test(withPostgreSQL) func `of PostgreSQL cost one round trip more, once for a connection`() throws {
    let server = try TemporaryPostgres.shared()
    for (encoding, expected) in [("SQL_ASCII", "SQL_ASCII"), ("UTF8", "UTF8"), ("LATIN1", "UTF8")] {
      let database = try server.createDatabase(encoding: encoding)
      try server.psql("ALTER DATABASE \(database.name) SET log_statement = 'all'")
      var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
      let results = try connection.query("SHOW client_encoding", within: .seconds(10))
      #expect(results == [PostgreSQLResult(rows: [[expected]])])
      #expect(database.loggedMessages().count == (encoding == "SQL_ASCII" ? 2 : 1), "\(database.loggedMessages())")
    }
  }
}
