import Layouts
import Outbox
import SQLiteClient
import Stores
import TestSupport
import Testing

@Suite struct `The ledger in SQLite counts each movement` {
  @Test(arguments: ["-9e999", "9e999", "-1e300"])
  func `without a latency from a time that is none`(_ time: String) async throws {
    let fixture = try SQLiteLedgerFixture(.praisonAI, praisonAISchema, objective: .seconds(60))
    try await fixture.begin()
    try await fixture.expect(
      """
      INSERT INTO outbound_queue (id, ts, idempotency_key, target, payload, metadata)
      VALUES (1, \(time), 'a', 'sms:1', '', '');
      UPDATE outbound_queue SET status = 'sent' WHERE id = 1;
      """, ["sms enqueued 1", "sms delivered 1"])
    #expect(fixture.total.destinations["sms"]?.durations.sum == 0)
  }

  @Test func `of PraisonAI's outbox`() async throws {
    let fixture = try SQLiteLedgerFixture(.praisonAI, praisonAISchema, objective: .seconds(60))
    try await fixture.begin()
    #expect(fixture.last?.movements == nil)
    #expect(fixture.last?.restart == nil)
    try await fixture.expect(
      praisonAIEvents(1...20, waiting: 70) + praisonAIEvents(21...21, to: "nowhere"),
      ["telegram enqueued 20", "default enqueued 1"])
    let now = "(julianday('now') - 2440587.5) * 86400.0"
    try await fixture.expect("UPDATE outbound_queue SET status = 'sending', last_attempt = \(now) WHERE id < 20", [])
    try await fixture.expect(
      "UPDATE outbound_queue SET status = 'sent', sent_at = \(now) WHERE id = 1",
      ["telegram delivered 1", "telegram measured 1"])
    try await fixture.expect(
      "UPDATE outbound_queue SET status = 'sent', sent_at = \(now) WHERE id IN (2, 3, 4)",
      ["telegram delivered 3", "telegram measured 3"])
    try await fixture.expect(
      "UPDATE outbound_queue SET status = 'failed', attempts = attempts + 1 WHERE id IN (5, 6)", ["telegram retried 2"])
    try await fixture.expect(
      "UPDATE outbound_queue SET status = 'permanent_failure', attempts = 3 WHERE id = 7", ["telegram dead 1"])
    try await fixture.expect(
      """
      UPDATE outbound_queue SET status = 'pending' WHERE id = 8; UPDATE outbound_queue SET status = 'recovered' WHERE id = 9;
      """, ["telegram released 2"])
    try await fixture.expect(
      """
      UPDATE outbound_queue SET last_attempt = \(now) - 400 WHERE id = 10;
      UPDATE outbound_queue SET last_attempt = \(now) WHERE id = 10;
      """, ["telegram released 1"])
    try await fixture.expect(
      "DELETE FROM outbound_queue WHERE id IN (11, 21)",
      ["telegram discarded 1", "telegram discarded late 1", "default discarded 1"])
    try await fixture.expect("DELETE FROM outbound_queue WHERE id IN (1, 2)", [])
    try await fixture.expect(
      "UPDATE outbound_queue SET status = 'pending' WHERE id IN (3, 7)",
      ["telegram requeued 2", "telegram requeued late 2"])
    try await fixture.expect(
      """
      INSERT INTO outbound_queue (id, ts, idempotency_key, target, payload, metadata, status)
      VALUES (30, \(now), 'a', 'sms:1', '', '', 'sent'), (31, \(now), 'b', 'sms:1', '', '', 'permanent_failure');
      """, ["sms enqueued 2", "sms delivered 1", "sms measured 1", "sms dead 1"])
    try await fixture.expect(
      "UPDATE outbound_queue SET status = 'pending' WHERE 0; DELETE FROM outbound_queue WHERE 0", [])
    let waiting = try fixture.value(
      "SELECT count(*) FROM outbound_queue WHERE status NOT IN ('sent', 'permanent_failure')")
    let depth = try await fixture.sample().snapshot?.depth
    #expect(depth.map(Int64.init) == waiting)
    #expect(fixture.total.destinations.values.reduce(0) { $0 + $1.depthChange } == depth)
    // All of them at once, which SQLite does row by row where there are triggers.
    try fixture.application.execute("DELETE FROM outbound_queue")
    try await fixture.sample()
    #expect(fixture.total.destinations.values.reduce(0) { $0 + $1.depthChange } == 0)
  }

  @Test func `of PraisonAI's dead-letter files`() async throws {
    let fixture = try SQLiteLedgerFixture(
      .praisonAI, "CREATE TABLE outbound_entries (id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL, platform TEXT)")
    try await fixture.begin()
    try await fixture.expect(
      "INSERT INTO outbound_entries (ts, platform) VALUES (1, 'slack'), (2, NULL); DELETE FROM outbound_entries",
      ["slack enqueued 1", "slack dead 1", "default enqueued 1", "default dead 1"])
  }

  @Test func `of OpenClaw's delivery queue`() async throws {
    let fixture = try SQLiteLedgerFixture(.openClaw, openClawSchema)
    try await fixture.begin()
    let now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    let queue = "outbound-prepared-v1"
    func events(_ ids: String, _ queue: String = queue) -> String {
      """
      INSERT INTO delivery_queue_entries (queue_name, id, status, channel, entry_json, enqueued_at, updated_at)
      SELECT '\(queue)', value, 'pending', 'telegram', '{"availableAt": "no number', \(now), \(now) FROM json_each('[\(ids)]');
      """
    }
    func set(_ values: String, _ id: Int) -> String {
      "UPDATE delivery_queue_entries SET \(values) WHERE id = '\(id)';"
    }
    try await fixture.expect(events("1,2,3,4,5,6,7,8"), ["telegram enqueued 8"])
    try await fixture.expect(events("90", "outbound-media-staging") + events("91", "session"), [])
    try await fixture.expect("UPDATE delivery_queue_entries SET recovery_state = 'producer_claimed' WHERE id < '8'", [])
    try await fixture.expect(set("recovery_state = NULL", 1), ["telegram released 1"])
    try await fixture.expect(
      "UPDATE delivery_queue_entries SET recovery_state = 'send_attempt_started' WHERE id IN ('2', '3', '4', '5')", [])
    try await fixture.expect(
      "DELETE FROM delivery_queue_entries WHERE id = '2'", ["telegram delivered 1", "telegram measured 1"])
    // A finished row is compacted: its channel goes.
    try await fixture.expect(
      set("status = 'completed', recovery_state = 'completed_permanent', channel = NULL, enqueued_at = \(now)", 3),
      ["telegram delivered 1", "telegram measured 1"])
    try await fixture.expect(
      set("retry_count = 1, recovery_state = NULL, last_error = 'x'", 4), ["telegram retried 1"])
    try await fixture.expect(set("status = 'failed', recovery_state = 'settlement_pending'", 5), [])
    try await fixture.expect("DELETE FROM delivery_queue_entries WHERE id = '5'", ["telegram dead 1"])
    try await fixture.expect(
      set("status = 'failed', recovery_state = 'completed_bounded', channel = NULL, failed_at = \(now)", 6),
      ["telegram dead 1"])
    try await fixture.expect("DELETE FROM delivery_queue_entries WHERE id IN ('6', '3')", [])
    try await fixture.expect("DELETE FROM delivery_queue_entries WHERE id = '8'", ["telegram discarded 1"])
    // An upsert fires what it comes to.
    try await fixture.expect(
      """
      INSERT INTO delivery_queue_entries (queue_name, id, status, entry_json, enqueued_at, updated_at)
      VALUES ('\(queue)', '4', 'pending', '{}', 0, 0)
      ON CONFLICT (queue_name, id) DO UPDATE SET retry_count = retry_count + 1
      """, ["telegram retried 1"])
    // A queue that nobody has heard of waits as unknown, from the moment on at which it is there.
    try await fixture.expect(events("92", "outbound-v9"), ["telegram enqueued 1"])
    try await fixture.expect("DELETE FROM delivery_queue_entries WHERE id = '92'", ["telegram discarded 1"])
  }

  @Test func `of Relaycast's events, whose success deletes`() async throws {
    let fixture = try SQLiteLedgerFixture(.relaycast, relaycastSchema, suffix: "pending_events")
    try fixture.application.execute("INSERT INTO workspaces VALUES ('w')")
    try await fixture.begin()
    let claim = "UPDATE pending_events SET attempts = attempts + 1, process_after = unixepoch() + 60"
    try await fixture.expect(
      """
      INSERT INTO pending_events (id, workspace_id, event_type, payload)
      SELECT value, 'w', 'message.created', '{}' FROM json_each('[1,2,3,4,5,6]')
      """, ["message.created enqueued 6"])
    try await fixture.expect("\(claim) WHERE id < '6'", [])
    try await fixture.expect(
      "DELETE FROM pending_events WHERE id = '1'", ["message.created delivered 1", "message.created measured 1"])
    try await fixture.expect(
      "UPDATE pending_events SET last_error = '503', process_after = unixepoch() + 30 WHERE id IN ('2', '3')",
      ["message.created retried 2"])
    try await fixture.expect("\(claim) WHERE id = '4'", ["message.created released 1"])
    try await fixture.expect("\(claim) WHERE id = '2'", [])
    try await fixture.expect(
      "UPDATE pending_events SET status = 'failed', last_error = '400', completed_at = unixepoch() WHERE id = '2'",
      ["message.created dead 1"])
    try await fixture.expect("DELETE FROM pending_events WHERE id IN ('2', '6')", ["message.created discarded 1"])
  }

  @Test func `of Relaycast's webhook deliveries, whose events tell where they go`() async throws {
    let fixture = try SQLiteLedgerFixture(.relaycast, relaycastSchema, suffix: "webhook_deliveries")
    try fixture.application.execute(
      """
      PRAGMA foreign_keys = ON; INSERT INTO workspaces VALUES ('w');
      INSERT INTO pending_events (id, workspace_id, event_type, payload) VALUES ('before', 'w', 'old', '{}');
      """)
    try await fixture.begin()
    try await fixture.expect(
      """
      INSERT INTO pending_events (id, workspace_id, event_type, payload)
      VALUES ('e', 'w', 'message.created', '{}'), ('f', 'w', 'file.added', '{}');
      INSERT INTO webhook_deliveries (id, event_id, subscription_id)
      VALUES (1, 'e', 's'), (2, 'e', 't'), (3, 'f', 's'), (4, 'before', 's'), (5, 'f', 't');
      """, ["message.created enqueued 2", "file.added enqueued 2", "old enqueued 1"])
    let claim =
      "UPDATE webhook_deliveries SET attempts = attempts + 1, last_error = NULL, next_attempt_at = unixepoch() + 60"
    try await fixture.expect("\(claim)", [])
    try await fixture.expect(
      "UPDATE webhook_deliveries SET status = 'succeeded', completed_at = unixepoch() WHERE id = '1'",
      ["message.created delivered 1", "message.created measured 1"])
    try await fixture.expect(
      "UPDATE webhook_deliveries SET last_error = '503', next_attempt_at = unixepoch() + 90 WHERE id = '2'",
      ["message.created retried 1"])
    try await fixture.expect("\(claim) WHERE id IN ('2', '3')", ["file.added released 1"])
    try await fixture.expect(
      "UPDATE webhook_deliveries SET status = 'dead_letter', completed_at = unixepoch() WHERE id = '3'",
      ["file.added dead 1"])
    try await fixture.expect(
      "UPDATE webhook_deliveries SET status = 'pending' WHERE id = '3'", ["file.added requeued 1"])
    // The events' deletion takes their deliveries with it; where they were going is still known.
    try await fixture.expect("DELETE FROM pending_events WHERE id = 'f'", ["file.added discarded 2"])
    try await fixture.expect(
      "UPDATE pending_events SET event_type = 'renamed' WHERE id = 'e'; DELETE FROM webhook_deliveries WHERE id = '2'",
      ["renamed discarded 1"])
    #expect(try fixture.value("SELECT count(*) FROM outbox_ledger_parents_of_webhook_deliveries") == 2)
  }

  @Test func `of Relaycast's deliveries to agents`() async throws {
    let fixture = try SQLiteLedgerFixture(.relaycast, relaycastSchema, suffix: "deliveries")
    try fixture.application.execute("INSERT INTO workspaces VALUES ('w')")
    try await fixture.begin()
    try await fixture.expect(
      """
      INSERT INTO deliveries (id, workspace_id, message_id, agent_id, seq, route_node_kind)
      SELECT value, 'w', value, 'a', value, 'cloud' FROM json_each('[1,2,3,4,5,6]')
      """, ["cloud enqueued 6"])
    try await fixture.expect(
      "UPDATE deliveries SET status = 'delivered', delivered_at = unixepoch(), dispatch_attempts = 1 WHERE id < '5'", []
    )
    try await fixture.expect(
      "UPDATE deliveries SET status = 'acked', acked_at = unixepoch() WHERE id = '1'",
      ["cloud delivered 1", "cloud measured 1"])
    try await fixture.expect(
      "UPDATE deliveries SET status = 'queued', available_at = unixepoch() + 60 WHERE id = '2'", ["cloud released 1"])
    try await fixture.expect(
      "UPDATE deliveries SET dispatch_attempts = dispatch_attempts + 1 WHERE id = '3'", ["cloud released 1"])
    try await fixture.expect(
      """
      UPDATE deliveries SET dispatch_attempts = dispatch_attempts + 1, last_dispatch_error = '503',
        next_attempt_at = unixepoch() + 30 WHERE id = '5'
      """, ["cloud retried 1"])
    try await fixture.expect(
      "UPDATE deliveries SET status = 'dead_lettered', dead_lettered_at = unixepoch() WHERE id = '3'", ["cloud dead 1"])
    try await fixture.expect("UPDATE deliveries SET status = 'failed' WHERE id = '4'", ["cloud dead 1"])
    try await fixture.expect("UPDATE deliveries SET status = 'queued' WHERE id = '4'", ["cloud requeued 1"])
    try await fixture.expect("DELETE FROM deliveries WHERE id IN ('1', '3', '6')", ["cloud discarded 1"])
  }
}
