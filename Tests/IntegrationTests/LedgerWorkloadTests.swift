import Layouts
import Outbox
import PostgreSQLClient
import Stores
import TestSupport
import Testing

/// Transactions of many connections that overlap at random, and the true counts of those that were committed.
@Suite(withPostgreSQL) struct `Under load the ledger` {
  @Test func `equals the truth, however late transactions commit`() async throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed \(seed)")
    var chance = Chance(state: seed)
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    let workers = try (0..<32).map { _ in try LedgerWorker(fixture.database) }
    var truth: [String: Int] = [:]
    for round in 1...1500 {
      let worker = workers[Int.random(in: 0..<workers.count, using: &chance)]
      try worker.step(&chance, &truth)
      if round % 50 == 0 { try await fixture.sample() }
      if round % 200 == 0 { await fixture.restart() }
      if round % 500 == 0 {
        for worker in workers { try worker.end(committing: Bool.random(using: &chance), &truth) }
        try await fixture.sample()
        let expected = truth.filter { $0.value != 0 }.map { "\($0.key) \($0.value)" }.sorted()
        let counted = movementLines(fixture.total).filter { !$0.contains("measured") && !$0.contains("late") }
        #expect(counted == expected, "seed \(seed), round \(round)")
      }
    }
    let server = fixture.database.server
    #expect(
      try fixture.database.psql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == "0")
    let lost = server.log.split(separator: "\n").filter {
      $0.contains(fixture.database.name) && $0.contains("outbox_ledger: a movement is lost")
    }
    #expect(lost.isEmpty)
    #expect(try fixture.database.psql("SELECT count(*) FROM outbox_ledger.losses") == "0")
  }
}

/// SplitMix64.
private struct Chance: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// One connection of an application, which keeps true counts of what it has committed.
private final class LedgerWorker {
  private var connection: PostgreSQLConnection
  private var isOpen = false
  private var pending: [String: Int] = [:]
  private var saved: [String: Int]?
  private var mayMove = true

  init(_ database: TemporaryDatabase) throws {
    connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
  }

  func step(_ chance: inout Chance, _ truth: inout [String: Int]) throws {
    if !isOpen {
      _ = try query("BEGIN")
      isOpen = true
      mayMove = Bool.random(using: &chance)
    }
    let some = Int.random(in: 1...4, using: &chance)
    switch Int.random(in: 0..<20, using: &chance) {
    case 0...3:
      let channel = ["mail", "sms", "push"].randomElement(using: &chance) ?? "mail"
      let rows = try query(
        "INSERT INTO outbox (channel) SELECT '\(channel)' FROM generate_series(1, \(some)) RETURNING channel")
      count(rows, "enqueued")
    case 4...6: _ = try change("status IN ('pending', 'failed')", some, "status = 'sending', locked_at = now()")
    case 7...9: count(try change("status = 'sending'", some, "status = 'delivered'"), "delivered")
    case 10, 11: count(try change("status = 'sending'", some, "status = 'failed', attempts = attempts + 1"), "retried")
    case 12: count(try change("status = 'sending'", some, "status = 'dead'"), "dead")
    case 13: count(try change("status IN ('dead', 'delivered')", 1, "status = 'pending'"), "requeued")
    case 14: count(try change("status = 'sending'", some, "status = 'pending'"), "released")
    case 15:
      let rows = try query(
        "DELETE FROM outbox WHERE id IN (\(Self.pick("status = 'pending'", some))) RETURNING channel"
      )
      // Which of the events that leave at once are the dead letters cannot be seen, so the two are kept apart.
      if mayMove, rows.rowCount > 0 {
        _ = try query("INSERT INTO outbox_dlq (channel) SELECT 'x' FROM generate_series(1, \(rows.rowCount))")
        count(rows, "dead")
      } else {
        count(rows, "discarded")
      }
    case 16: _ = try query("DELETE FROM outbox WHERE id IN (\(Self.pick("status IN ('delivered', 'dead')", some)))")
    case 17:
      if saved == nil {
        _ = try query("SAVEPOINT s")
        saved = pending
      } else {
        _ = try query("ROLLBACK TO SAVEPOINT s; RELEASE SAVEPOINT s")
        pending = saved ?? [:]
        saved = nil
      }
    default: try end(committing: Int.random(in: 0..<4, using: &chance) > 0, &truth)
    }
  }

  func end(committing: Bool, _ truth: inout [String: Int]) throws {
    guard isOpen else { return }
    _ = try query(committing ? "COMMIT" : "ROLLBACK")
    if committing { truth.merge(pending, uniquingKeysWith: +) }
    pending = [:]
    saved = nil
    isOpen = false
  }

  private func change(_ rows: String, _ limit: Int, _ assignment: String) throws -> PostgreSQLResult {
    try query("UPDATE outbox SET \(assignment) WHERE id IN (\(Self.pick(rows, limit))) RETURNING channel")
  }

  private static func pick(_ rows: String, _ limit: Int) -> String {
    "SELECT id FROM outbox WHERE \(rows) ORDER BY id LIMIT \(limit) FOR UPDATE SKIP LOCKED"
  }

  private func count(_ rows: PostgreSQLResult, _ movement: String) {
    for row in 0..<rows.rowCount { pending["\(rows.text(row, 0) ?? "") \(movement)", default: 0] += 1 }
  }

  private func query(_ statement: String) throws -> PostgreSQLResult {
    try #require(try connection.query(statement, within: .seconds(20)).last)
  }
}
