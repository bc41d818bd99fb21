import Layouts
import Outbox
import TestSupport
import Testing

/// Random rows in every combination, sampled by the generated statements and classified one by one in Swift.
///
/// Set `LAYOUT_TEST_SEED` to the printed seed to see the same rows again.
@Suite struct `Random rows` {
  private static let now = 1_800_000_000_000
  private let rounds = 25
  private let rowsInARound = 60

  private func generator(_ name: String) -> SeededGenerator {
    let given = currentEnvironment()["LAYOUT_TEST_SEED"].flatMap { UInt64($0) }
    let seed = given ?? UInt64.random(in: 0...UInt64.max)
    print("random rows of \(name): LAYOUT_TEST_SEED=\(seed)")
    return SeededGenerator(seed: seed)
  }

  /// Compares at three moments: the rows as written, and twice more while nobody writes.
  private func compare(
    _ database: LayoutDatabase, _ suffix: String? = nil, at start: Timestamp, _ comment: String,
    classify: (_ now: Int) throws -> [ClassifiedEvent]
  ) async throws {
    for moved in [0, 1_000, 59_000] {
      database.clock.advance(.milliseconds(moved))
      let now = Int(database.clock.now.since(start).wholeNanoseconds / 1_000_000) + Self.now
      let sampled = figureLines(try await database.snapshot(suffix))
      let expected = figureLines(try classify(now), now: now)
      #expect(
        sampled == expected,
        """
        \(comment), \(now - Self.now) ms later: only sampled \(sampled.subtracting(expected).sorted()), \
        only expected \(expected.subtracting(sampled).sorted())
        """
      )
    }
  }

  @Test func `of OpenClaw are counted as its rules say`() async throws {
    var random = generator("openclaw")
    let database = try LayoutDatabase(.openClaw)
    try database.write(openClawSchema)
    // The queue that is not known is there from the start, since unknown ones are looked for hourly.
    let known = "('outbound-unheard-of', 'x', 'pending', NULL, NULL, 0, NULL, NULL, '{}', 1799999000000, 0, NULL)"
    for round in 1...rounds {
      let rows = (0..<rowsInARound).map { openClawRow("\($0)", &random) }
      try database.write(
        "DELETE FROM delivery_queue_entries; INSERT INTO delivery_queue_entries(queue_name, id, status, channel, "
          + "recovery_state, retry_count, last_attempt_at, platform_send_started_at, entry_json, enqueued_at, "
          + "updated_at, failed_at) VALUES \(([known] + rows).joined(separator: ","))")
      let start = database.clock.now
      try await compare(database, at: start, "round \(round)") { now in
        try database.rows(
          """
          SELECT queue_name, status, channel, recovery_state, retry_count, last_attempt_at, platform_send_started_at,
            entry_json, enqueued_at, updated_at, failed_at FROM delivery_queue_entries
          """, columns: 11
        ).compactMap { classifyOpenClaw($0, now: now) }
      }
      database.clock.advance(Timestamp(seconds: 1_800_000_000).since(database.clock.now))
    }
  }

  @Test func `of Relaycast's events are counted as its rules say`() async throws {
    var random = generator("relaycast pending_events")
    let database = try relaycast()
    for round in 1...rounds {
      let rows = (0..<rowsInARound).map { id in
        let status = pick(["pending", "pending", "pending", "pending", "failed", "completed"], &random)
        let last = pick(["NULL", "'HTTP 503'"], &random)
        let attempts = pick([0, 0, 1, 2, 4, 5, 6], &random)
        let created = seconds(&random, implausible: true)
        let due = seconds(&random, implausible: attempts == 0)
        return "('\(id)', 'w', '\(pick(["a", "b"], &random))', '{}', '\(status)', \(attempts), "
          + "\(pick([5, 5, 1, 32], &random)), \(last), \(created), \(due), \(pick(["NULL", seconds(&random)], &random)))"
      }
      try database.write(
        "DELETE FROM pending_events; INSERT INTO pending_events(id, workspace_id, event_type, payload, status, "
          + "attempts, max_attempts, last_error, created_at, process_after, completed_at) VALUES "
          + rows.joined(separator: ","))
      let start = database.clock.now
      try await compare(database, "pending_events", at: start, "round \(round)") { now in
        try database.rows(
          """
          SELECT event_type, status, attempts, max_attempts, last_error, created_at, process_after, completed_at
          FROM pending_events
          """, columns: 8
        ).compactMap { classifyPendingEvent($0, now: now) }
      }
      database.clock.advance(Timestamp(seconds: 1_800_000_000).since(database.clock.now))
    }
  }

  @Test func `of Relaycast's webhooks are counted as its rules say`() async throws {
    var random = generator("relaycast webhook_deliveries")
    let database = try relaycast()
    try database.write(
      """
      INSERT INTO pending_events(id, workspace_id, event_type, payload, status) VALUES
        ('p', 'w', 'a', '{}', 'pending'), ('q', 'w', 'b', '{}', 'failed'), ('r', 'w', 'b', '{}', 'pending');
      """)
    for round in 1...rounds {
      let rows = (0..<rowsInARound).map { id in
        let status = pick(["pending", "pending", "pending", "succeeded", "failed", "dead_letter"], &random)
        return "('\(id)', '\(pick(["p", "q", "r"], &random))', 's\(id)', '\(status)', "
          + "\(pick([0, 1, 2, 7], &random)), \(seconds(&random)), \(pick(["NULL", "'HTTP 503'"], &random)), "
          + "\(seconds(&random)), \(pick(["NULL", seconds(&random)], &random)))"
      }
      try database.write(
        "DELETE FROM webhook_deliveries; INSERT INTO webhook_deliveries(id, event_id, subscription_id, status, attempts, "
          + "next_attempt_at, last_error, created_at, completed_at) VALUES \(rows.joined(separator: ","))")
      let start = database.clock.now
      try await compare(database, "webhook_deliveries", at: start, "round \(round)") { now in
        try database.rows(
          """
          SELECT e.event_type, e.status, d.status, d.attempts, d.last_error, d.created_at, d.next_attempt_at,
            d.completed_at FROM webhook_deliveries d LEFT JOIN pending_events e ON e.id = d.event_id
          """, columns: 8
        ).compactMap { classifyWebhookDelivery($0, now: now) }
      }
      database.clock.advance(Timestamp(seconds: 1_800_000_000).since(database.clock.now))
    }
  }

  @Test func `of Relaycast's deliveries are counted as its rules say`() async throws {
    var random = generator("relaycast deliveries")
    let database = try relaycast()
    for round in 1...rounds {
      let rows = (0..<rowsInARound).map { id in
        let status = pick(["queued", "queued", "delivered", "acked", "failed", "dead_lettered"], &random)
        let optional = (0..<6).map { _ in pick(["NULL", seconds(&random)], &random) }.joined(separator: ", ")
        return "('\(id)', 'w', 'm\(id)', 'a', '\(status)', \(id), \(pick(["NULL", "'ws'", "''"], &random)), "
          + "\(pick([0, 1, 2], &random)), \(seconds(&random)), \(optional))"
      }
      try database.write(
        "DELETE FROM deliveries; INSERT INTO deliveries(id, workspace_id, message_id, agent_id, status, seq, "
          + "route_node_kind, dispatch_attempts, created_at, available_at, next_attempt_at, expires_at, delivered_at, "
          + "dead_lettered_at, updated_at) VALUES \(rows.joined(separator: ","))")
      let start = database.clock.now
      try await compare(database, "deliveries", at: start, "round \(round)") { now in
        try database.rows(
          """
          SELECT route_node_kind, status, dispatch_attempts, created_at, available_at, next_attempt_at, expires_at,
            delivered_at, dead_lettered_at, updated_at FROM deliveries
          """, columns: 10
        ).compactMap { classifyDelivery($0, now: now) }
      }
      database.clock.advance(Timestamp(seconds: 1_800_000_000).since(database.clock.now))
    }
  }

  private func relaycast() throws -> LayoutDatabase {
    let database = try LayoutDatabase(.relaycast)
    try database.write(relaycastSchema)
    try database.write("INSERT INTO workspaces(id) VALUES ('w');")
    return database
  }
}

// MARK: - Rows

private func pick<Value>(_ values: [Value], _ random: inout SeededGenerator) -> Value {
  values[Int.random(in: 0..<values.count, using: &random)]
}

/// A time around the clock: often exactly at an edge, sometimes impossible.
private func seconds(_ random: inout SeededGenerator, implausible: Bool = true) -> String {
  let edges = [0, 0, -1, 1, -5, -25, -60, 30, 60, -300, -301, -299, -600, -3_600, 600, -90_000]
  let odd = [-1_800_000_000, -1_799_999_000, -1_900_000_000, 4_000_000_000]
  if implausible && Int.random(in: 0..<12, using: &random) == 0 { return "\(1_800_000_000 + pick(odd, &random))" }
  return "\(1_800_000_000 + pick(edges, &random))"
}

private func milliseconds(_ random: inout SeededGenerator) -> String {
  seconds(&random) + pick(["000", "000", "001", "999"], &random)
}

private func openClawRow(_ id: String, _ random: inout SeededGenerator) -> String {
  let queue = pick(
    [
      "outbound", "outbound", "outbound-prepared-v1", "outbound-session-generation-v1", "outbound-preparing-v1",
      "outbound-legacy-preparing-v1", "outbound-prepared-migration-v1", "outbound-media-staging", "session",
      "outbound-unheard-of",
    ], &random)
  let recovery = pick(
    [
      "NULL", "NULL", "NULL", "'producer_claimed'", "'producer_claimed'", "'send_attempt_started'",
      "'unknown_after_send'", "'settlement_pending'", "'completed_permanent'", "'completed_bounded'", "'new'",
    ], &random)
  let entry = pick(["{}", "{\"availableAt\": \(Int(milliseconds(&random)) ?? 0)}", "{oops", ""], &random)
  let values = [
    "'\(queue)'", "'\(id)'", "'\(pick(["pending", "pending", "pending", "failed", "completed"], &random))'",
    pick(["NULL", "''", "'slack'", "'telegram'"], &random), recovery, "\(Int.random(in: 0...5, using: &random))",
    pick(["NULL", milliseconds(&random)], &random), pick(["NULL", milliseconds(&random)], &random), "'\(entry)'",
    milliseconds(&random), milliseconds(&random), pick(["NULL", milliseconds(&random)], &random),
  ]
  return "(\(values.joined(separator: ", ")))"
}

// MARK: - Rules

/// delivery-queue-sqlite.ts: queue, status, channel, recovery_state, retry_count, last_attempt_at,
/// platform_send_started_at, entry_json, enqueued_at, updated_at, failed_at; milliseconds.
private func classifyOpenClaw(_ row: [String?], now: Int) -> ClassifiedEvent? {
  let queue = row[0] ?? ""
  let channel = row[2]
  let recovery = row[3]
  let retries = Int(row[4] ?? "") ?? 0
  let lastAttempt = row[5].flatMap { Int($0) }
  let sendStarted = row[6].flatMap { Int($0) }
  let enqueued = row[8].flatMap { Int($0) }
  let updated = row[9].flatMap { Int($0) }
  if queue == "outbound-media-staging" || queue == "session" { return nil }
  if queue == "outbound-unheard-of" { return ClassifiedEvent(destination: channel, state: .unknown) }
  switch row[1] {
  case "completed": return nil
  case "failed":
    if recovery == "settlement_pending" { return ClassifiedEvent(destination: channel, state: .parked, retry: true) }
    return ClassifiedEvent(destination: channel, state: .dead, firstDue: row[10].flatMap { Int($0) })
  default: break
  }
  if queue.contains("preparing") || queue.contains("migration") {
    return ClassifiedEvent(destination: channel, state: .parked, retry: retries > 0)
  }
  let fiveMinutesLater = (lastAttempt ?? sendStarted ?? updated).map { $0 + 300_000 }
  switch recovery {
  case nil:
    guard retries > 0 || lastAttempt != nil else {
      return ClassifiedEvent(destination: channel, state: .ready, firstDue: enqueued)
    }
    let delay = [5_000, 25_000, 120_000, 600_000][min(retries, 3)]
    let due = (lastAttempt ?? enqueued).map { $0 + delay }
    return ClassifiedEvent(
      destination: channel, state: due.map { $0 > now } ?? false ? .scheduled : .ready, retry: true,
      firstDue: enqueued, until: due)
  case "producer_claimed":
    var lease = updated.map { $0 + 60_000 }
    if let entry = row[7], let field = entry.firstRange(of: "\"availableAt\": ") {
      lease = Int(entry[field.upperBound...].dropLast())
    }
    return ClassifiedEvent(
      destination: channel, state: .claimed, retry: retries > 0, firstDue: enqueued, stuck: (.leaseExpired, lease))
  case "send_attempt_started":
    return ClassifiedEvent(
      destination: channel, state: .claimed, retry: retries > 0, firstDue: enqueued,
      stuck: (.leaseExpired, fiveMinutesLater))
  case "unknown_after_send":
    return ClassifiedEvent(
      destination: channel, state: .claimed, retry: retries > 0, firstDue: enqueued,
      stuck: (.unclaimable, fiveMinutesLater))
  default:
    return ClassifiedEvent(destination: channel, state: .unknown, retry: retries > 0)
  }
}

private func time(_ text: String?) -> Int? { text.flatMap { Int($0) }.map { $0 * 1_000 } }

/// eventQueue.ts: event_type, status, attempts, max_attempts, last_error, created_at, process_after, completed_at.
private func classifyPendingEvent(_ row: [String?], now: Int) -> ClassifiedEvent? {
  let attempts = Int(row[2] ?? "") ?? 0
  let maximum = Int(row[3] ?? "") ?? 0
  let created = time(row[5])
  let due = time(row[6])
  if row[1] == "completed" { return nil }
  if row[1] == "failed" {
    return ClassifiedEvent(destination: row[0], state: .dead, firstDue: time(row[7]) ?? created)
  }
  let isLate = due.map { $0 <= now } ?? false
  if attempts == 0 {
    return ClassifiedEvent(
      destination: row[0], state: isLate ? .ready : .scheduled, retry: false, firstDue: due, until: due)
  }
  if attempts >= maximum {
    // Claimed for the last time; nobody claims it again.
    return ClassifiedEvent(
      destination: row[0], state: isLate ? .ready : .claimed, retry: attempts > 1 || isLate, firstDue: created,
      until: isLate ? nil : due, stuck: (.attemptsExhausted, due))
  }
  if row[4] == nil {
    return ClassifiedEvent(
      destination: row[0], state: isLate ? .ready : .claimed, retry: attempts > 1 || isLate, firstDue: created,
      until: due)
  }
  return ClassifiedEvent(
    destination: row[0], state: isLate ? .ready : .scheduled, retry: true, firstDue: created, until: due)
}

/// eventDelivery.ts: event's type and status; status, attempts, last_error, created_at, next_attempt_at, completed_at.
private func classifyWebhookDelivery(_ row: [String?], now: Int) -> ClassifiedEvent? {
  let attempts = Int(row[3] ?? "") ?? 0
  let created = time(row[5])
  let due = time(row[6])
  switch row[2] {
  case "succeeded": return nil
  case "failed", "dead_letter":
    return ClassifiedEvent(destination: row[0], state: .dead, firstDue: time(row[7]) ?? created)
  default: break
  }
  let isLate = due.map { $0 <= now } ?? false
  let isHeld = attempts > 0 && row[4] == nil
  return ClassifiedEvent(
    destination: row[0], state: isLate ? .ready : isHeld ? .claimed : .scheduled,
    retry: isHeld && !isLate ? attempts > 1 : attempts > 0, firstDue: attempts > 0 ? created : due, until: due,
    stuck: row[1] == "pending" ? nil : (.unclaimable, due))
}

/// delivery.ts: route_node_kind, status, dispatch_attempts, created_at, available_at, next_attempt_at, expires_at,
/// delivered_at, dead_lettered_at, updated_at.
private func classifyDelivery(_ row: [String?], now: Int) -> ClassifiedEvent? {
  let attempts = Int(row[2] ?? "") ?? 0
  let created = time(row[3])
  let expires = time(row[6])
  switch row[1] {
  case "acked": return nil
  case "failed", "dead_lettered":
    return ClassifiedEvent(destination: row[0], state: .dead, firstDue: time(row[8]) ?? time(row[9]) ?? created)
  case "delivered":
    return ClassifiedEvent(
      destination: row[0], state: .claimed, retry: attempts > 1, firstDue: created, stuck: (.leaseExpired, expires))
  default:
    let wasTried = attempts > 0 || row[7] != nil
    let due = [time(row[4]), time(row[5])].compactMap { $0 }.max()
    return ClassifiedEvent(
      destination: row[0], state: due.map { $0 > now } ?? false ? .scheduled : .ready, retry: wasTried,
      firstDue: wasTried ? created : time(row[4]) ?? created, until: due, stuck: (.unclaimable, expires))
  }
}
