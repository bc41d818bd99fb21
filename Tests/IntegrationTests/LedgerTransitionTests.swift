import Layouts
import Outbox
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL) struct `The ledger counts each movement` {
  @Test func `of AiHummer's outbox`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer, objective: .seconds(60))
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    #expect(fixture.last?.movements == nil)
    #expect(fixture.last?.restart == nil)
    try await fixture.expect(
      """
      INSERT INTO outbox (id, channel, created_at) SELECT i, 'mail', now() - interval '70 s' FROM generate_series(1, 20) i;
      INSERT INTO outbox (id) VALUES (21);
      """, ["mail enqueued 20", "default enqueued 1"])
    try await fixture.expect("UPDATE outbox SET status = 'sending', locked_at = now() WHERE id < 20", [])
    try await fixture.expect(
      "UPDATE outbox SET status = 'delivered' WHERE id = 1", ["mail delivered 1", "mail measured 1"])
    try await fixture.expect(
      "UPDATE outbox SET status = 'delivered' WHERE id IN (2, 3, 4)", ["mail delivered 3", "mail measured 3"])
    try await fixture.expect("UPDATE outbox SET status = 'failed', attempts = 1 WHERE id = 5", ["mail retried 1"])
    try await fixture.expect(
      "UPDATE outbox SET status = 'pending', attempts = attempts + 1, next_attempt_at = now() WHERE id IN (5, 6)",
      ["mail retried 2"])
    try await fixture.expect("UPDATE outbox SET status = 'dead', attempts = 3 WHERE id = 7", ["mail dead 1"])
    try await fixture.expect("UPDATE outbox SET status = 'pending', locked_at = NULL WHERE id = 8", ["mail released 1"])
    try await fixture.expect(
      """
      UPDATE outbox SET locked_at = now() - interval '400 s' WHERE id = 9; UPDATE outbox SET locked_at = now() WHERE id = 9;
      """, ["mail released 1"])
    try await fixture.expect("UPDATE outbox SET locked_at = clock_timestamp() WHERE id = 9", [])
    try await fixture.expect("DELETE FROM outbox WHERE id = 10", ["mail discarded 1", "mail discarded late 1"])
    try await fixture.expect("DELETE FROM outbox WHERE id = 21", ["default discarded 1"])
    try await fixture.expect("DELETE FROM outbox WHERE status IN ('delivered', 'dead') AND id < 3", [])
    try await fixture.expect(
      "UPDATE outbox SET status = 'pending' WHERE id IN (3, 7)", ["mail requeued 2", "mail requeued late 2"])
    try await fixture.expect(
      """
      BEGIN; INSERT INTO outbox_dlq (id, channel) SELECT id, channel FROM outbox WHERE id = 11;
      DELETE FROM outbox WHERE id = 11; COMMIT;
      """, ["mail dead 1"])
    try await fixture.expect(
      "WITH d AS (DELETE FROM outbox WHERE id IN (12, 13) RETURNING id, channel) INSERT INTO outbox_dlq SELECT * FROM d",
      ["mail dead 2"])
    try await fixture.expect(
      """
      BEGIN; INSERT INTO outbox (id, channel) VALUES (11, 'mail'); DELETE FROM outbox_dlq WHERE id = 11; COMMIT;
      """, ["mail requeued 1"])
    try await fixture.expect("DELETE FROM outbox_dlq", [])
    try await fixture.expect(
      "INSERT INTO outbox (id, channel, status) VALUES (30, 'sms', 'dead'), (31, 'sms', 'delivered')",
      ["sms dead 1", "sms delivered 1", "sms enqueued 2", "sms measured 1"])
    try await fixture.expect(
      """
      INSERT INTO outbox (id, channel, status) VALUES (32, 'sms', 'pending'), (33, 'sms', 'dead'), (34, 'push', 'delivered'),
        (35, 'sms', 'failed')
      """,
      ["push delivered 1", "push enqueued 1", "push measured 1", "sms dead 1", "sms enqueued 3"])
    try await fixture.expect(
      "INSERT INTO outbox (id, channel) VALUES (5, 'mail') ON CONFLICT (id) DO UPDATE SET status = 'delivered'",
      ["mail delivered 1", "mail measured 1"])
    try await fixture.expect(
      """
      INSERT INTO outbox (id, channel) VALUES (40, 'fax'), (41, 'fax'), (42, 'fax');
      UPDATE outbox SET status = 'dead', channel = NULL WHERE id = 40;
      UPDATE outbox SET status = 'dead', channel = NULL WHERE id IN (41, 42);
      UPDATE outbox SET status = 'pending', channel = 'push' WHERE id = 40;
      UPDATE outbox SET status = 'pending', channel = 'push' WHERE id IN (41, 42)
      """, ["fax dead 3", "fax enqueued 3", "push requeued 3"])
    try await fixture.expect("UPDATE outbox SET status = 'pending' WHERE false; DELETE FROM outbox WHERE false", [])
    let waiting = try fixture.database.psql("SELECT count(*) FROM outbox WHERE status NOT IN ('delivered', 'dead')")
    let sample = try await fixture.sample()
    #expect("\(sample.snapshot?.depth ?? -1)" == waiting)
    #expect("\(fixture.total.destinations.values.reduce(0) { $0 + $1.depthChange })" == waiting)
    try fixture.database.psql("TRUNCATE outbox")
    try await fixture.sample()
    #expect(fixture.total.destinations.values.reduce(0) { $0 + $1.depthChange } == 0)
  }

  @Test func `by whatever objective there is, with the triggers that are there`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer, objective: .seconds(100))
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    for age in [100, 50, 20, 80] {
      await fixture.restart(objective: .seconds(age))
      try await fixture.expect(
        "INSERT INTO outbox (channel, created_at) VALUES ('mail', now() - interval '70 s'); DELETE FROM outbox",
        ["mail enqueued 1", "mail discarded 1"] + (age < 70 ? ["mail discarded late 1"] : []))
      #expect(fixture.last?.notice == nil)
    }
  }

  @Test func `of KaireonAI's outbox`() async throws {
    let fixture = try LedgerFixture(.kaireon, LedgerSchemas.kaireon)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    try await fixture.expect(
      "INSERT INTO outbox_events (id, status, topic) SELECT i, 'pending', 'orders' FROM generate_series(1, 9) i",
      ["orders enqueued 9"])
    try await fixture.expect("UPDATE outbox_events SET status = 'processing'", [])
    try await fixture.expect(
      "UPDATE outbox_events SET status = 'published' WHERE id = '1'", ["orders delivered 1", "orders measured 1"])
    try await fixture.expect(
      """
      UPDATE outbox_events SET status = 'pending', "retryCount" = 1 WHERE id IN ('2', '3')
      """, ["orders retried 2"])
    try await fixture.expect("UPDATE outbox_events SET status = 'pending' WHERE id = '4'", ["orders released 1"])
    try await fixture.expect(
      """
      BEGIN; DELETE FROM outbox_events WHERE id = '5';
      INSERT INTO dead_letter_events (id, topic) VALUES ('dle_5', 'orders'); COMMIT;
      """, ["orders dead 1"])
    try await fixture.expect("UPDATE outbox_events SET status = 'failed' WHERE id = '6'", ["orders dead 1"])
    try await fixture.expect("DELETE FROM outbox_events WHERE id IN ('6', '7')", ["orders discarded 1"])
    try await fixture.expect(
      """
      BEGIN; DELETE FROM dead_letter_events;
      INSERT INTO outbox_events (id, status, topic) VALUES ('5', 'pending', 'orders'); COMMIT;
      """, ["orders requeued 1"])
    #expect(fixture.total.destinations["orders"]?.depthChange == 6)
  }

  @Test func `a dead letter in a table of its own is told from what else leaves in its transaction by the destination`()
    async throws
  {
    let fixture = try LedgerFixture(.kaireon, LedgerSchemas.kaireon)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    func insertion(_ ids: String, _ topic: String) -> String {
      "INSERT INTO outbox_events (id, status, topic) SELECT i, 'pending', '\(topic)' FROM generate_series(\(ids)) i"
    }
    try await fixture.expect(
      "\(insertion("1, 9", "mail")); \(insertion("10, 14", "sms")); \(insertion("15, 16", "fax"))",
      ["mail enqueued 9", "sms enqueued 5", "fax enqueued 2"])
    try await fixture.expect(
      """
      BEGIN; DELETE FROM outbox_events WHERE topic = 'mail' AND id <> '9';
      WITH d AS (DELETE FROM outbox_events WHERE id IN ('10', '11') RETURNING *)
      INSERT INTO dead_letter_events (id, topic) SELECT 'dle_' || id, topic FROM d; COMMIT;
      """, ["mail discarded 8", "sms dead 2"])
    // One that has lost its destination, or got another, is one of those that are left.
    try await fixture.expect(
      """
      BEGIN; DELETE FROM outbox_events WHERE id IN ('12', '15');
      INSERT INTO dead_letter_events (id, topic) VALUES ('a', 'sms'), ('b', NULL); COMMIT;
      """, ["sms dead 1", "fax dead 1"])
    try await fixture.expect(
      """
      BEGIN; DELETE FROM outbox_events WHERE id = '16';
      INSERT INTO dead_letter_events (id, topic) VALUES ('c', 'fax.dead'); COMMIT;
      """, ["fax dead 1"])
    // What comes back has the destination of a dead letter that goes, or that one has lost it.
    try await fixture.expect(
      "BEGIN; DELETE FROM dead_letter_events WHERE id = 'a'; \(insertion("20, 20", "push")); COMMIT",
      ["push enqueued 1"])
    try await fixture.expect(
      """
      BEGIN; \(insertion("21, 22", "sms")); \(insertion("23, 23", "mail")); \(insertion("24, 24", "mail"));
      DELETE FROM dead_letter_events WHERE id IN ('dle_10', 'dle_11', 'b'); COMMIT;
      """, ["sms requeued 2", "mail requeued 1", "mail enqueued 1"])
    // Without the column that names it there is no destination any more, and nothing is lost.
    try fixture.database.psql("ALTER TABLE dead_letter_events DROP COLUMN topic")
    try await fixture.expect(
      "BEGIN; DELETE FROM outbox_events WHERE id = '13'; INSERT INTO dead_letter_events (id) VALUES ('d'); COMMIT;",
      ["sms dead 1"])
    #expect(fixture.restarts.isEmpty)
  }

  @Test func `of Relaycast's events, whose success deletes`() async throws {
    let fixture = try LedgerFixture(.relaycast, LedgerSchemas.relaycast)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    let claim = "UPDATE pending_events SET attempts = attempts + 1, process_after = now() + interval '60 s'"
    try await fixture.expect(
      """
      INSERT INTO pending_events (id, event_type) SELECT i, 'message.created' FROM generate_series(1, 6) i
      """, ["message.created enqueued 6"])
    try await fixture.expect("\(claim) WHERE id < '6'", [])
    try await fixture.expect(
      "DELETE FROM pending_events WHERE id = '1'", ["message.created delivered 1", "message.created measured 1"])
    try await fixture.expect(
      """
      UPDATE pending_events SET last_error = '503', process_after = now() + interval '30 s' WHERE id IN ('2', '3')
      """, ["message.created retried 2"])
    try await fixture.expect("\(claim) WHERE id = '4'", ["message.created released 1"])
    try await fixture.expect("\(claim) WHERE id = '2'", [])
    try await fixture.expect(
      "UPDATE pending_events SET status = 'failed', last_error = '400', completed_at = now() WHERE id = '2'",
      ["message.created dead 1"])
    try await fixture.expect("DELETE FROM pending_events WHERE id IN ('2', '6')", ["message.created discarded 1"])
  }

  @Test func `of a table with a hostile name in a schema of its own, and of its partitions`() async throws {
    var layout = Layout.aiHummer
    layout.queues[0].tables["events"] = TableName(#""odd ""schema"."out'box $ledger$; --""#)
    layout.queues[0].tables["dead"] = TableName("none", optional: true)
    let fixture = try LedgerFixture(
      layout,
      #"""
      CREATE SCHEMA "odd ""schema";
      CREATE TABLE "odd ""schema"."out'box $ledger$; --" (
        id bigint, channel text, status text NOT NULL DEFAULT 'pending', attempts integer NOT NULL DEFAULT 0,
        locked_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now()) PARTITION BY LIST (channel);
      CREATE TABLE "odd ""schema".a PARTITION OF "odd ""schema"."out'box $ledger$; --" FOR VALUES IN ('a');
      CREATE TABLE "odd ""schema".b PARTITION OF "odd ""schema"."out'box $ledger$; --" FOR VALUES IN ('b');
      """#)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    let table = #""odd ""schema"."out'box $ledger$; --""#
    try await fixture.expect(
      "INSERT INTO \(table) (id, channel) VALUES (1, 'a'), (2, 'b'), (3, 'a')", ["a enqueued 2", "b enqueued 1"])
    try await fixture.expect(
      "UPDATE \(table) SET status = 'delivered', channel = 'b' WHERE id < 3",
      ["a delivered 1", "a measured 1", "b delivered 1", "b measured 1"])
    #expect(try fixture.installation().remove())
    #expect(try fixture.database.psql("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == "0")
  }
}
