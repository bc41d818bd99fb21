import TestSupport

/// Relaycast's and OpenClaw's SQLite databases and OpenClaw's directory, with events in every state, and what
/// hand-written SQL says of them. All times are far from the moment at which they would make an event change.
struct EndToEndSQLiteStores {
  let directory: TemporaryDirectory
  /// Unix seconds that all times are relative to.
  let base: Int

  private var relaycast: String { directory.path + "/relaycast.sqlite" }
  private var openClaw: String { directory.path + "/openclaw.sqlite" }

  /// The entries below `outboxes:`.
  var configuration: String {
    """
      - {name: relay, dsn: "sqlite:\(relaycast)", layout: relaycast}
      - {name: claw, dsn: "sqlite:\(openClaw)", layout: openclaw}
      - {name: claw-files, dsn: "files:\(directory.path)/delivery-queue", layout: openclaw-files}

    """
  }

  init(in directory: TemporaryDirectory, base: Int) throws {
    self.directory = directory
    self.base = base
    _ = try EndToEndSQL.sqlite(relaycast, "PRAGMA journal_mode=WAL;\n" + Self.relaycastRows(base))
    _ = try EndToEndSQL.sqlite(openClaw, "PRAGMA journal_mode=WAL;\n" + Self.openClawRows(base))
    try writeFiles()
  }

  func figures(environment: String) throws -> [EndToEndFigures] {
    func sql(_ path: String, _ events: String, _ outbox: String, _ reasons: [String]) throws -> EndToEndFigures {
      EndToEndFigures(
        try EndToEndSQL.sqlite(path, EndToEndSQL.figures(events, now: EndToEndSQL.sqliteClock)), outbox: outbox,
        stuckReasons: reasons, environment: environment)
    }
    // Those of all tables of the layout.
    let relayReasons = ["lease_expired", "attempts_exhausted", "unclaimable"]
    return [
      try sql(relaycast, Self.pendingEvents, "relay/pending_events", relayReasons),
      try sql(relaycast, Self.webhookDeliveries, "relay/webhook_deliveries", relayReasons),
      try sql(relaycast, Self.deliveries, "relay/deliveries", relayReasons),
      try sql(openClaw, Self.openClawEvents, "claw", ["lease_expired", "unclaimable"]),
      EndToEndFigures(
        fileLines, outbox: "claw-files", stuckReasons: ["lease_expired", "attempts_exhausted", "unclaimable"],
        environment: environment),
    ]
  }

  // MARK: - Relaycast

  private static func relaycastRows(_ base: Int) -> String {
    """
    CREATE TABLE workspaces (id TEXT PRIMARY KEY NOT NULL);
    CREATE TABLE pending_events (
      id TEXT PRIMARY KEY NOT NULL, workspace_id TEXT NOT NULL, event_type TEXT NOT NULL, payload TEXT NOT NULL,
      status TEXT DEFAULT 'pending' NOT NULL, attempts INTEGER DEFAULT 0 NOT NULL,
      max_attempts INTEGER DEFAULT 5 NOT NULL, last_error TEXT, created_at INTEGER NOT NULL,
      process_after INTEGER NOT NULL, completed_at INTEGER, webhook_initialized INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX idx_pending_events_status ON pending_events (status, process_after);
    CREATE TABLE webhook_deliveries (
      id TEXT PRIMARY KEY NOT NULL, event_id TEXT NOT NULL, subscription_id TEXT NOT NULL,
      status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at INTEGER NOT NULL,
      last_error TEXT, last_status INTEGER, created_at INTEGER NOT NULL, completed_at INTEGER);
    CREATE INDEX idx_webhook_deliveries_due ON webhook_deliveries(status, next_attempt_at);
    CREATE TABLE deliveries (
      id TEXT PRIMARY KEY NOT NULL, workspace_id TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'queued',
      available_at INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER, expires_at INTEGER, delivered_at INTEGER,
      acked_at INTEGER, dead_lettered_at INTEGER, route_node_kind TEXT, dispatch_attempts INTEGER NOT NULL DEFAULT 0,
      next_attempt_at INTEGER);
    CREATE INDEX idx_deliveries_status ON deliveries(workspace_id, status, created_at);
    INSERT INTO workspaces VALUES ('w1'), ('w2');
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 119)
    INSERT INTO pending_events
    SELECT 'e' || i, 'w1', CASE WHEN i % 4 = 3 THEN 'agent.joined' ELSE 'message.created' END, 'secret',
      CASE i % 10 WHEN 7 THEN 'failed' WHEN 8 THEN 'completed' WHEN 9 THEN 'paused' ELSE 'pending' END,
      i % 6, 5, CASE WHEN i % 3 = 0 THEN 'HTTP 503' END, \(base) - 50000 - 37 * i,
      \(base) + CASE WHEN i % 2 = 0 THEN -900 - 11 * i ELSE 3600 + i END,
      CASE WHEN i % 10 = 7 AND i % 4 = 3 THEN \(base) - 5000 - i END, 0
    FROM n;
    UPDATE pending_events SET created_at = 86400, process_after = 86400 WHERE id IN ('e0', 'e12');
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
    INSERT INTO webhook_deliveries
    SELECT 'd' || i, 'e' || (i * 7 % 120), 's' || i,
      CASE i % 8 WHEN 4 THEN 'succeeded' WHEN 5 THEN 'failed' WHEN 6 THEN 'dead_letter' WHEN 7 THEN 'replaying'
        ELSE 'pending' END,
      i % 5, \(base) + CASE WHEN i % 3 = 0 THEN -700 - i ELSE 7200 END, CASE WHEN i % 5 > 2 THEN 'HTTP 500' END, 500,
      \(base) - 40000 - 13 * i, CASE WHEN i % 2 = 0 THEN \(base) - 3000 - i END
    FROM n;
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 89)
    INSERT INTO deliveries
    SELECT 'm' || i, CASE WHEN i % 2 = 0 THEN 'w1' ELSE 'w2' END,
      CASE i % 9 WHEN 5 THEN 'delivered' WHEN 6 THEN 'acked' WHEN 7 THEN 'failed' WHEN 8 THEN 'dead_lettered'
        ELSE 'queued' END,
      CASE i % 4 WHEN 1 THEN \(base) - 600 - i WHEN 2 THEN \(base) + 5000 END, \(base) - 30000 - 17 * i,
      CASE WHEN i % 5 = 0 THEN \(base) - 20000 - i END, \(base) + CASE WHEN i % 11 = 0 THEN -300 - i ELSE 9000 END,
      NULL, NULL, CASE WHEN i % 9 = 8 THEN \(base) - 1000 - i END, CASE WHEN i % 3 > 0 THEN 'http_push' END, i % 4,
      CASE WHEN i % 4 > 1 THEN \(base) + CASE WHEN i % 8 > 3 THEN 6000 ELSE -400 END END
    FROM n;
    """
  }

  private static let pendingEvents = """
    SELECT event_type AS dest,
      CASE WHEN status = 'failed' THEN 'dead' WHEN status <> 'pending' THEN 'unknown'
        WHEN process_after <= now THEN 'ready'
        WHEN attempts > 0 AND (last_error IS NULL OR attempts >= max_attempts) THEN 'claimed'
        ELSE 'scheduled' END AS state,
      CASE WHEN status <> 'pending' THEN 0
        WHEN process_after > now AND (last_error IS NULL OR attempts >= max_attempts) THEN attempts > 1
        ELSE attempts > 0 END AS retry,
      CASE WHEN status = 'failed' THEN COALESCE(completed_at, created_at) WHEN attempts > 0 THEN created_at
        ELSE process_after END AS due,
      'attempts_exhausted' AS reason,
      CASE WHEN status = 'pending' AND attempts >= max_attempts THEN process_after END AS since
    FROM pending_events CROSS JOIN clock WHERE status <> 'completed'
    """

  private static let webhookDeliveries = """
    SELECT p.event_type AS dest,
      CASE WHEN d.status IN ('failed', 'dead_letter') THEN 'dead' WHEN d.status <> 'pending' THEN 'unknown'
        WHEN d.next_attempt_at <= now THEN 'ready' WHEN d.attempts > 0 AND d.last_error IS NULL THEN 'claimed'
        ELSE 'scheduled' END AS state,
      CASE WHEN d.status <> 'pending' THEN 0 WHEN d.next_attempt_at > now AND d.last_error IS NULL THEN d.attempts > 1
        ELSE d.attempts > 0 END AS retry,
      CASE WHEN d.status <> 'pending' THEN COALESCE(d.completed_at, d.created_at)
        WHEN d.attempts > 0 THEN d.created_at ELSE d.next_attempt_at END AS due,
      'unclaimable' AS reason,
      CASE WHEN d.status = 'pending' AND p.status <> 'pending' AND d.next_attempt_at <= now THEN d.next_attempt_at END
        AS since
    FROM webhook_deliveries d JOIN pending_events p ON p.id = d.event_id CROSS JOIN clock WHERE d.status <> 'succeeded'
    """

  private static let deliveries = """
    SELECT route_node_kind AS dest,
      CASE WHEN status IN ('failed', 'dead_lettered') THEN 'dead' WHEN status = 'delivered' THEN 'claimed'
        WHEN COALESCE(available_at, 0) > now OR COALESCE(next_attempt_at, 0) > now THEN 'scheduled' ELSE 'ready' END
        AS state,
      CASE status WHEN 'queued' THEN dispatch_attempts > 0 OR delivered_at IS NOT NULL ELSE dispatch_attempts > 1 END
        AS retry,
      CASE WHEN status IN ('failed', 'dead_lettered') THEN COALESCE(dead_lettered_at, updated_at, created_at)
        WHEN status = 'queued' AND dispatch_attempts = 0 AND delivered_at IS NULL
          THEN COALESCE(available_at, created_at)
        ELSE created_at END AS due,
      CASE status WHEN 'queued' THEN 'unclaimable' ELSE 'lease_expired' END AS reason,
      CASE WHEN status IN ('queued', 'delivered') THEN expires_at END AS since
    FROM deliveries CROSS JOIN clock WHERE status <> 'acked'
    """

  // MARK: - OpenClaw

  private static func openClawRows(_ base: Int) -> String {
    """
    CREATE TABLE delivery_queue_entries (
      queue_name TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, entry_kind TEXT, session_key TEXT, channel TEXT,
      target TEXT, account_id TEXT, retry_count INTEGER NOT NULL DEFAULT 0, last_attempt_at INTEGER, last_error TEXT,
      recovery_state TEXT, platform_send_started_at INTEGER, entry_json TEXT NOT NULL, enqueued_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL, failed_at INTEGER, PRIMARY KEY (queue_name, id)) STRICT;
    CREATE INDEX idx_delivery_queue_pending ON delivery_queue_entries(queue_name, status, enqueued_at, id);
    CREATE INDEX idx_delivery_queue_failed ON delivery_queue_entries(queue_name, status, failed_at, id);
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 139)
    INSERT INTO delivery_queue_entries(queue_name, id, status, channel, target, retry_count, last_attempt_at,
      recovery_state, platform_send_started_at, entry_json, enqueued_at, updated_at, failed_at)
    SELECT
      CASE WHEN i % 14 = 13 THEN 'outbound-preparing-v1' WHEN i % 7 = 6 THEN 'outbound-prepared-v1' ELSE 'outbound' END,
      'x' || i, CASE i % 10 WHEN 8 THEN 'failed' WHEN 9 THEN 'completed' ELSE 'pending' END,
      CASE WHEN i % 10 < 8 THEN CASE WHEN i % 3 = 0 THEN 'slack' ELSE 'telegram' END END, '+49 151 1234567', i % 4,
      CASE WHEN i % 4 > 0 THEN (\(base) - CASE WHEN i % 4 = 3 THEN 60 ELSE 9000 END) * 1000 + i END,
      CASE i % 10 WHEN 4 THEN 'producer_claimed' WHEN 5 THEN 'send_attempt_started' WHEN 6 THEN 'unknown_after_send'
        WHEN 7 THEN 'a_new_state' WHEN 8 THEN CASE WHEN i % 4 = 0 THEN 'settlement_pending' END END,
      CASE WHEN i % 10 IN (5, 6) THEN (\(base) - 800 - i) * 1000 + 125 END,
      CASE WHEN i % 10 = 4
        THEN '{"availableAt": ' || ((\(base) + CASE WHEN i % 4 = 0 THEN 4000 ELSE -100 - i END) * 1000) || ', "to": "somebody"}' ELSE '{}' END,
      (\(base) - 20000 - 19 * i) * 1000 + 250, (\(base) - 10000 - i) * 1000,
      CASE WHEN i % 10 = 8 THEN (\(base) - 7000 - i) * 1000 + 500 END
    FROM n;
    UPDATE delivery_queue_entries SET enqueued_at = 0 WHERE id IN ('x1', 'x20');
    """
  }

  private static let openClawEvents = """
    SELECT channel AS dest,
      CASE WHEN status = 'failed' AND recovery_state = 'settlement_pending' THEN 'parked'
        WHEN status = 'failed' THEN 'dead'
        WHEN queue_name LIKE '%preparing%' THEN 'parked'
        WHEN recovery_state IN ('producer_claimed', 'send_attempt_started', 'unknown_after_send') THEN 'claimed'
        WHEN recovery_state IS NOT NULL THEN 'unknown'
        WHEN last_attempt_at / 1000.0 + CASE retry_count WHEN 0 THEN 5 WHEN 1 THEN 25 WHEN 2 THEN 120 ELSE 600 END > now
          THEN 'scheduled'
        ELSE 'ready' END AS state,
      CASE WHEN status = 'failed' THEN 1 ELSE retry_count > 0 END AS retry,
      CASE status WHEN 'failed' THEN failed_at ELSE enqueued_at END / 1000.0 AS due,
      CASE recovery_state WHEN 'unknown_after_send' THEN 'unclaimable' ELSE 'lease_expired' END AS reason,
      CASE WHEN status = 'failed' OR queue_name LIKE '%preparing%' THEN NULL
        WHEN recovery_state = 'producer_claimed' THEN json_extract(entry_json, '$.availableAt') / 1000.0
        WHEN recovery_state IN ('send_attempt_started', 'unknown_after_send')
          THEN COALESCE(last_attempt_at, platform_send_started_at) / 1000.0 + 300 END AS since
    FROM delivery_queue_entries CROSS JOIN clock WHERE status <> 'completed'
    """

  // MARK: - OpenClaw's files

  private func writeFiles() throws {
    func event(_ name: String, _ fields: String, modified: Int) throws {
      let text = #"{"id": "\#(name)", "to": "+4915112345678", \#(fields), "payloads": [{"text": "secret"}]}"#
      try directory.write(text, to: "delivery-queue/\(name).json")
      _ = try run("touch", ["-d", "@\(base - modified)", "\(directory.path)/delivery-queue/\(name).json"])
    }
    func before(_ seconds: Int) -> String { "\(base - seconds)250" }
    try event("a", #""channel": "telegram", "enqueuedAt": \#(before(500)), "retryCount": 0"#, modified: 500)
    try event("b", #""channel": "telegram", "enqueuedAt": \#(before(400)), "retryCount": 0"#, modified: 400)
    try event(
      "c",
      #""channel": "telegram", "enqueuedAt": \#(before(9000)), "retryCount": 2, "lastAttemptAt": \#(before(8000))"#,
      modified: 8000)
    try event(
      "d", #""channel": "slack", "enqueuedAt": \#(before(9500)), "retryCount": 4, "lastAttemptAt": \#(before(60))"#,
      modified: 60)
    try event(
      "e", #""channel": "slack", "enqueuedAt": \#(before(9600)), "retryCount": 5, "lastAttemptAt": \#(before(7000))"#,
      modified: 7000)
    try event(
      "f",
      #""channel": "slack", "enqueuedAt": \#(before(3000)), "retryCount": 0, "recoveryState": "unknown_after_send""#,
      modified: 2000)
    try event("g", #""channel": "slack", "enqueuedAt": 86400000, "retryCount": 0"#, modified: 2000)
    try event(
      "failed/h",
      #""channel": "slack", "enqueuedAt": \#(before(9900)), "retryCount": 5, "lastAttemptAt": \#(before(6000))"#,
      modified: 5000)
    try event("failed/i", #""channel": "mail", "enqueuedAt": \#(before(9900)), "retryCount": 0"#, modified: 5500)
    try directory.write("{half", to: "delivery-queue/j.json")
    try directory.write("{}", to: "delivery-queue/k.delivered")
    try directory.write("{}", to: "delivery-queue/l.json.4711.tmp")
  }

  private var fileLines: String {
    func at(_ seconds: Int, _ milliseconds: Int = 250) -> Int { (base - seconds) * 1_000_000 + milliseconds * 1_000 }
    return """
      depth|telegram|ready|false|2
      depth|telegram|ready|true|1
      depth|slack|scheduled|true|1
      depth|slack|ready|true|1
      depth|slack|claimed|false|1
      depth|slack|ready|false|1
      depth|default|unknown|false|1
      age|telegram|oldest|false|\(at(500))
      age|telegram|p50|false|\(at(400))
      age|telegram|p99|false|\(at(500))
      age|telegram|oldest|true|\(at(9000))
      age|telegram|p50|true|\(at(9000))
      age|telegram|p99|true|\(at(9000))
      age|slack|oldest|true|\(at(9600))
      age|slack|p50|true|\(at(9500))
      age|slack|p99|true|\(at(9600))
      age|slack|oldest|false|\(at(3000))
      age|slack|p50|false|\(at(3000))
      age|slack|p99|false|\(at(3000))
      stuck|slack|attempts_exhausted||1
      stuck_age||attempts_exhausted||\(at(7000 - 600))
      stuck|slack|unclaimable||1
      stuck_age||unclaimable||\(at(2000 - 300, 0))
      dlq|slack|||1
      dlq|mail|||1
      dlq_age||||\(at(6000))
      implausible||||1
      """
  }
}
