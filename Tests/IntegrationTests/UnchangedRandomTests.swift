import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// What one exporter says that counts only where something may have changed, beside another that counts anew at every
/// sample, and beside what the writers say that they did. All from one seed.
@Suite(withPostgreSQL, .serialized)
struct UnchangedRandomTests {
  /// Statements of one transaction, with what they do to the truth.
  private static func work(_ chance: inout SeededChance) -> String {
    let topic = ["mail", "sms"].randomElement(using: &chance) ?? ""
    let count = Int.random(in: 1...3, using: &chance)
    let picked =
      "(SELECT id FROM outbox_events WHERE status = 'pending' ORDER BY id LIMIT \(count) FOR UPDATE SKIP LOCKED)"
    func update(_ set: String, _ kind: String?) -> String {
      let update = "UPDATE outbox_events SET \(set) WHERE id IN \(picked)"
      return kind.map { "WITH u AS (\(update) RETURNING 1) INSERT INTO truth SELECT '\($0)' FROM u" } ?? update
    }
    switch Int.random(in: 0..<8, using: &chance) {
    case 0, 1, 2:
      let future = Int.random(in: -2000...900, using: &chance)
      return """
        INSERT INTO outbox_events (topic, "createdAt") SELECT '\(topic)', (clock_timestamp() + interval '\(future) ms') AT TIME ZONE 'UTC'
        FROM generate_series(1, \(count)); INSERT INTO truth SELECT 'enqueued' FROM generate_series(1, \(count))
        """
    case 3:
      let left = Int.random(in: 0...900, using: &chance)
      return update(
        "status = 'processing', \"updatedAt\" = (clock_timestamp() - interval '300 s' + interval '\(left) ms') AT TIME ZONE 'UTC'",
        nil)
    case 4:
      return update("status = 'published', \"publishedAt\" = clock_timestamp() AT TIME ZONE 'UTC'", "delivered")
    case 5: return update("status = 'failed', \"updatedAt\" = clock_timestamp() AT TIME ZONE 'UTC'", "dead")
    case 6: return "INSERT INTO other VALUES (1)"
    default:
      return "SAVEPOINT s; DELETE FROM outbox_events WHERE id IN \(picked); ROLLBACK TO s; INSERT INTO other VALUES (2)"
    }
  }

  /// Another one in every run; `OUTBOX_UNCHANGED_SEEDS` takes more of them.
  private static let seeds = (0..<(Int(currentEnvironment()["OUTBOX_UNCHANGED_SEEDS"] ?? "") ?? 1)).map { _ in
    UInt64.random(in: 0...UInt64.max)
  }

  @Test(arguments: CountedTable.allCases, seeds)
  func `whatever happens, what is not counted again is what would be counted`(method: CountedTable, seed: UInt64)
    async throws
  {
    var chance = SeededChance(seed: seed)
    let outbox = try QuietOutbox(method)
    let database = outbox.database
    var open: [CommittingSession] = []
    var sleeping: [ChildProcess] = []
    var prepared: [String] = []
    var (samples, compared) = (0, 0)
    try await outbox.sample()
    // While a transaction stays open every sample counts: a run goes on until enough of them have not.
    func isShown() -> Bool { samples - outbox.counts > samples / 20 + 5 && compared > samples / 2 }
    for step in 0..<200 {
      if step > 0, step % 40 == 0, isShown() { break }
      switch Int.random(in: 0..<12, using: &chance) {
      case 0, 1: try database.psql("BEGIN; \(Self.work(&chance)); COMMIT")
      case 2: if method != .statistics { try database.psql("BEGIN; \(Self.work(&chance)); ROLLBACK") }
      case 3 where open.count < 2: open.append(try outbox.open(Self.work(&chance)))
      case 4, 10: if !open.isEmpty { try open.remove(at: Int.random(in: 0..<open.count, using: &chance)).commit() }
      case 5:
        // Commits while the exporter looks, or between two looks.
        let wait = Double.random(in: 0...0.2, using: &chance)
        sleeping.append(
          try ChildProcess(
            "psql", ["-d", database.conninfo(), "-X", "-q", "-f", "-"],
            input: "BEGIN;\n\(Self.work(&chance));\nSELECT pg_sleep(\(wait));\nCOMMIT;\n"))
      case 6 where prepared.isEmpty:
        let name = "\(database.name)_\(step)"
        try database.psql("BEGIN; \(Self.work(&chance)); PREPARE TRANSACTION '\(name)'")
        prepared.append(name)
      case 7, 11: if let name = prepared.popLast() { try database.psql("COMMIT PREPARED '\(name)'") }
      case 8: outbox.clock.advance(seconds: Int64.random(in: 0...70, using: &chance))
      case 9: try await Task.sleep(for: .milliseconds(Int.random(in: 0...300, using: &chance)))
      default: break
      }
      for _ in 0..<Int.random(in: 1...5, using: &chance) {
        let before = try await outbox.truth()
        let snapshot = try await outbox.sample()
        let after = try await outbox.truth()
        samples += 1
        // Where something has changed between the two, it may be before the sample or after it.
        guard before.isLike(after) else { continue }
        compared += 1
        #expect(snapshot.isLike(before), "seed \(seed), step \(step):\n\(snapshot)\n\(before)")
      }
    }
    for session in open { try session.commit() }
    for session in sleeping { #expect(session.wait() == 0, "\(session.standardError)") }
    for name in prepared { try database.psql("COMMIT PREPARED '\(name)'") }
    try await outbox.sample()
    let truth = try truth(in: database, method)
    let isCounted = try await happens(within: .seconds(20)) {
      try await outbox.sample()
      return totals(of: outbox) == truth
    }
    #expect(isCounted, "seed \(seed): \(totals(of: outbox)) \(truth)")
    #expect(
      outbox.totals.unbalanced.isEmpty && outbox.totals.restarts.isEmpty, "seed \(seed): \(outbox.totals.unbalanced)")
    #expect(outbox.totals.marks["o"]?.method.rawValue == method.rawValue)
    print("seed \(seed), \(method): \(outbox.counts) counts in \(samples) samples, \(compared) of them compared")
    #expect(isShown(), "seed \(seed): what is unchanged is counted all the same")
  }

  private func totals(of outbox: QuietOutbox) -> Set<String> {
    var sum = Movements.Counts()
    for counts in outbox.totals.counts.values { sum.add(counts) }
    var truth = ["enqueued": sum.enqueued, "requeued": sum.requeued]
    for (disposition, count) in sum.dispositions { truth[disposition.rawValue] = count }
    return movementLines(truth)
  }

  private func truth(in database: TemporaryDatabase, _ method: CountedTable) throws -> Set<String> {
    // Statistics do not tell a delivery from any other end.
    let kind = method == .statistics ? "CASE kind WHEN 'delivered' THEN 'unseen' ELSE kind END" : "kind"
    return Set(
      try database.psql("SELECT k || ' ' || count(*) FROM (SELECT \(kind) AS k FROM truth) t GROUP BY k")
        .split(separator: "\n").map(String.init))
  }
}
