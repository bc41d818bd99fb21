import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// What the exporter sends finds the waiting rows through the system's own indexes. `scripts/bench plans` has the same at
/// ten million rows, beside SQL that was written by hand.
@Suite(withPostgreSQL) struct `Plans in PostgreSQL` {
  private func filled(_ outbox: PlannedOutbox, before: String = "", after: String = "") throws -> LayoutFixture {
    try LayoutFixture(
      outbox.layout,
      [outbox.schema, before, outbox.delivered, outbox.active(PlannedOutbox.waiting), after].joined(separator: ";\n")
        + ";")
  }

  private func expectNoDeliveredRow(_ outbox: PlannedOutbox, _ fixture: LayoutFixture) async throws {
    let sent = try await fixture.sentStatements()
    #expect(sent.count >= 2)
    for statement in sent {
      #expect(!statement.scansTable(outbox.table), "\(statement.sql)\n\(statement.plan)")
      // The ids of `--once` are asked for in three ways.
      let isForIDs = statement.sql.contains("AS kind")
      #expect(
        statement.rowsRead(outbox.table) <= PlannedOutbox.activeCount * (isForIDs ? 3 : 1) + 30,
        "\(statement.sql)\n\(statement.plan)")
      if statement.sql.hasPrefix("SELECT d"), outbox.name != PlannedOutbox.joined.name {
        #expect(statement.buffers < 60, "\(statement.sql)\n\(statement.plan)")
        #expect(statement.readsIndexOnly(outbox.table) == outbox.isCovered, "\(statement.plan)")
      }
    }
  }

  @Test(arguments: PlannedOutbox.all) func `touch no delivered row`(outbox: PlannedOutbox) async throws {
    // What is not yet written for good is not yet known to be visible to all.
    let fixture = try filled(
      outbox, after: "SET synchronous_commit = on; CREATE TABLE written (); VACUUM ANALYZE \(outbox.table)")
    try await expectNoDeliveredRow(outbox, fixture)
    #expect(await fixture.samples().map { $0.snapshot?.depth ?? 0 }.reduce(0, +) > PlannedOutbox.activeCount / 2)
  }

  @Test(arguments: [PlannedOutbox.aiHummer, .aiHummer.withEnum, .unpublished])
  func `touch no delivered row of a table that was never analysed`(outbox: PlannedOutbox) async throws {
    let fixture = try filled(outbox)
    #expect(
      try fixture.database.psql("SELECT count(*) FROM pg_statistic WHERE starelid = '\(outbox.table)'::regclass") == "0"
    )
    try await expectNoDeliveredRow(outbox, fixture)
  }

  @Test(arguments: [PlannedOutbox.aiHummer, .kaireon.withEnum, .unpublished])
  func `touch no delivered row though the statistics are those of a backlog`(outbox: PlannedOutbox) async throws {
    // They stay when the table is emptied.
    let backlog = outbox.active(PlannedOutbox.finished)
    let fixture = try filled(outbox, before: "\(backlog); ANALYZE \(outbox.table); TRUNCATE \(outbox.table)")
    try await expectNoDeliveredRow(outbox, fixture)
    // PostgreSQL left to itself would.
    let left = try await fixture.sentStatements(["SET LOCAL enable_seqscan = on"])
    #expect(left.contains { $0.scansTable(outbox.table) })
  }

  @Test func `read a table without an index once, whatever number of states it has`() async throws {
    let outbox = PlannedOutbox.aiHummer
    let fixture = try filled(outbox, after: "DROP INDEX outbox_status_next_attempt_at_idx; VACUUM ANALYZE outbox")
    let figures = try #require(try await fixture.sentStatements().first { $0.sql.hasPrefix("SELECT d") })
    #expect(figures.rowsRead("outbox") == PlannedOutbox.deliveredCount + PlannedOutbox.activeCount, "\(figures.plan)")
  }
}
