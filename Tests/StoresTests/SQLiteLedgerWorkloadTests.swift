import Layouts
import Outbox
import SQLiteClient
import Stores
import SystemCalls
import TestSupport
import Testing

/// Several connections work on one file at random, and keep true counts of what they have committed.
@Suite struct `Under load the ledger in SQLite` {
  @Test func `equals the truth at every moment, whoever is restarted`() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var chance = SeededChance(seed: seed)
    let fixture = try SQLiteLedgerFixture(.praisonAI, praisonAISchema)
    try await fixture.begin()
    let workers = try (0..<4).map { _ in try SQLiteLedgerWorker(fixture.path) }
    var truth: [String: Int] = [:]
    for round in 1...250 {
      let worker = workers[Int.random(in: 0..<workers.count, using: &chance)]
      try worker.transaction(&chance, &truth)
      if Int.random(in: 0..<8, using: &chance) == 0 { await fixture.restart() }
      guard Int.random(in: 0..<3, using: &chance) == 0 else { continue }
      let sample = try await fixture.sample()
      #expect(fixture.last?.restart == nil, "seed \(seed), round \(round)")
      #expect(fixture.counts == truth.filter { $0.value != 0 }, "seed \(seed), round \(round)")
      let moved = fixture.total.destinations.values.reduce(0) { $0 + $1.depthChange }
      #expect(moved == sample.snapshot?.depth, "seed \(seed), round \(round)")
      guard fixture.last?.restart == nil else { break }
    }
  }
}

/// One connection of an application, which keeps true counts of what it has committed.
private final class SQLiteLedgerWorker {
  private let connection: SQLiteConnection
  private var moved: [String: Int] = [:]

  init(_ path: String) throws {
    connection = try SQLiteConnection(path: path, access: .readWrite)
    connection.setBusyTimeout(.seconds(5))
    try connection.execute("PRAGMA synchronous = OFF")
  }

  func transaction(_ chance: inout SeededChance, _ truth: inout [String: Int]) throws {
    moved = [:]
    try connection.execute("BEGIN IMMEDIATE")
    for _ in 0..<Int.random(in: 1...4, using: &chance) {
      let saved = moved
      let isUndone = Int.random(in: 0..<6, using: &chance) == 0
      if isUndone { try connection.execute("SAVEPOINT s") }
      try step(&chance)
      guard isUndone else { continue }
      try connection.execute("ROLLBACK TO s; RELEASE s")
      moved = saved
    }
    if Int.random(in: 0..<5, using: &chance) == 0 {
      try connection.execute("ROLLBACK")
    } else {
      try connection.execute("COMMIT")
      truth.merge(moved, uniquingKeysWith: +)
    }
  }

  private func step(_ chance: inout SeededChance) throws {
    let some = Int.random(in: 1...4, using: &chance)
    switch Int.random(in: 0..<16, using: &chance) {
    case 0...3:
      let platform = ["telegram", "slack", "sms"].randomElement(using: &chance) ?? "sms"
      try count(
        "enqueued",
        """
        INSERT INTO outbound_queue (ts, idempotency_key, target, payload, metadata)
        SELECT (julianday('now') - 2440587.5) * 86400, hex(randomblob(8)), '\(platform):' || value, '{}', '{}'
        FROM json_each('[\((0..<some).map(String.init).joined(separator: ","))]')
        """)
    case 4...6:
      try run("UPDATE outbound_queue SET status = 'sending' WHERE \(pick("status IN ('pending', 'failed')", some))")
    case 7...9: try count("delivered", change("status = 'sent'", "status = 'sending'", some))
    case 10: try count("retried", change("status = 'failed', attempts = attempts + 1", "status = 'sending'", some))
    case 11: try count("dead", change("status = 'permanent_failure'", "status = 'sending'", some))
    case 12: try count("released", change("status = 'pending'", "status = 'sending'", 1))
    case 13: try count("requeued", change("status = 'pending'", "status IN ('sent', 'permanent_failure')", 1))
    case 14: try count("discarded", "DELETE FROM outbound_queue WHERE \(pick("status = 'pending'", 1))")
    default: try run("DELETE FROM outbound_queue WHERE \(pick("status IN ('sent', 'permanent_failure')", some))")
    }
  }

  private func change(_ values: String, _ rows: String, _ limit: Int) -> String {
    "UPDATE outbound_queue SET \(values) WHERE \(pick(rows, limit))"
  }

  private func pick(_ rows: String, _ limit: Int) -> String {
    "id IN (SELECT id FROM outbound_queue WHERE \(rows) ORDER BY id LIMIT \(limit))"
  }

  private func run(_ statement: String) throws { try connection.execute(statement) }

  private func count(_ movement: String, _ statement: String) throws {
    let returning = statement + " RETURNING substr(target, 1, instr(target, ':') - 1)"
    var destinations: [String] = []
    try connection.query(returning) { row in destinations.append(row.text(0) ?? "") }
    for destination in destinations { moved["\(destination) \(movement)", default: 0] += 1 }
  }
}
