import Layouts
import Outbox
import SQLiteClient
import Stores
import TestSupport
import Testing

@Suite struct `The life of a ledger in SQLite` {
  private func begun() async throws -> SQLiteLedgerFixture {
    let fixture = try SQLiteLedgerFixture(.praisonAI, praisonAISchema)
    try await fixture.begin()
    return fixture
  }

  @Test func `it leaves nothing when it is removed`() throws {
    let fixture = try SQLiteLedgerFixture(.relaycast, relaycastSchema)
    let before = try fixture.schema()
    let ledgers = try fixture.installations()
    #expect(ledgers.map(\.outbox.name) == ["o/pending_events", "o/webhook_deliveries", "o/deliveries"])
    for ledger in ledgers {
      #expect(try ledger.status().state == .absent)
      #expect(try ledger.install(grantingTo: nil))
      #expect(try !ledger.install(grantingTo: nil))
      let status = try ledger.status()
      #expect(status.state == .installed && status.problems.isEmpty && status.size == "1 row")
    }
    for ledger in ledgers {
      #expect(try ledger.remove())
      #expect(try !ledger.remove())
    }
    #expect(try fixture.schema() == before)
  }

  @Test func `it is what its printed text makes`() throws {
    let fixture = try SQLiteLedgerFixture(.relaycast, relaycastSchema)
    let before = try fixture.schema()
    let ledgers = try fixture.installations()
    // The removal is commented out: the whole installs.
    for ledger in ledgers {
      try fixture.application.execute(try ledger.text(grantingTo: nil))
      #expect(try ledger.status().state == .installed)
    }
    for ledger in ledgers {
      let removal = try ledger.text(grantingTo: nil).split(separator: "-- Remove;")[1].split(separator: "\n")
        .dropFirst()
      try fixture.application.execute(removal.map { String($0.dropFirst("-- ".count)) }.joined(separator: "\n"))
    }
    #expect(try fixture.schema() == before)
  }

  @Test func `it is not installed while somebody writes, nor where it does not fit`() throws {
    let fixture = try SQLiteLedgerFixture(.praisonAI, praisonAISchema)
    let before = try fixture.schema()
    try fixture.application.execute("BEGIN IMMEDIATE")
    #expect(throws: SampleFailure.self) { try fixture.installation().install(grantingTo: nil) }
    try fixture.application.execute("COMMIT")
    #expect(try fixture.schema() == before)
    var layout = Layout.praisonAI
    layout.queues[0].ledger?.failed = "no_such_function({attempts})"
    let odd = try SQLiteLedgerFixture(layout, praisonAISchema)
    #expect(throws: SampleFailure.self) { try odd.installation().install(grantingTo: nil) }
    #expect(try odd.schema() == before)
    layout.queues[0].ledger?.failed = "{attempts} > (SELECT 1 FROM {table:events})"
    let other = try SQLiteLedgerFixture(layout, praisonAISchema)
    #expect(throws: SampleFailure.self) { try other.installations() }
  }

  @Test(arguments: [
    (
      "DROP TRIGGER outbox_ledger_update_of_outbound_queue",
      "the trigger outbox_ledger_update_of_outbound_queue is missing"
    ),
    (
      """
      BEGIN; CREATE TABLE new_queue AS SELECT * FROM outbound_queue; DROP TABLE outbound_queue;
      ALTER TABLE new_queue RENAME TO outbound_queue; COMMIT
      """, "built anew"
    ),
    (
      """
      DROP TRIGGER outbox_ledger_delete_of_outbound_queue;
      CREATE TRIGGER outbox_ledger_delete_of_outbound_queue AFTER DELETE ON outbound_queue BEGIN SELECT 1; END
      """, "a table was altered under its triggers"
    ),
    ("DROP TABLE outbox_ledger", "its row in outbox_ledger is missing"),
    ("ALTER TABLE outbox_ledger_of_outbound_queue ADD COLUMN more", "has other columns"),
    ("ALTER TABLE outbox_ledger_of_outbound_queue RENAME TO elsewhere", "is missing"),
  ])
  func `what is broken is said, begins a new count, and is mended by installing`(
    _ mischief: String, _ said: String
  ) async throws {
    let fixture = try await begun()
    try fixture.application.execute(praisonAIEvents(1...3) + mischief)
    // Nobody has told the store: the schema of the file has.
    try await fixture.sample()
    #expect(fixture.last?.mark.method != .ledger)
    #expect(fixture.last?.restart?.contains("instead of ledger") == true)
    #expect(fixture.last?.notice?.contains(said) == true, "\(String(describing: fixture.last?.notice))")
    #expect(fixture.last?.notice?.contains("ledger install") == true)
    let status = try fixture.installation().status()
    #expect(status.state == .broken)
    #expect(status.problems.contains { $0.contains(said) })
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    #expect(fixture.last?.mark.method == .ledger)
    #expect(fixture.last?.movements == nil)
    try await fixture.expect("DELETE FROM outbound_queue WHERE id = 3", ["telegram discarded 1"])
  }

  @Test func `installing anew begins a new count`() async throws {
    let fixture = try await begun()
    try fixture.application.execute(praisonAIEvents(1...3))
    #expect(try fixture.installation().remove())
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.expectRestart("", "installed anew")
  }

  @Test func `a ledger of another form of the layout is read, and said to be`() async throws {
    let fixture = try await begun()
    var layout = Layout.praisonAI
    layout.queues[0].ledger?.failed = "{attempts} > {old:attempts}"
    let definition = OutboxDefinition(name: "o", address: .sqlite(path: fixture.path), layout: layout)
    let ledger = try #require(try LedgerInstallation.all(of: definition, limits: PostgreSQLLimits()).first)
    #expect(try ledger.status().state == .outdated)
    let store = SQLiteStore(definition, now: { Timestamp(seconds: 1_800_000_000) })
    let reading = try #require(await store.sample(SampleRequest(marks: [:])).first?.accounting)
    #expect(reading.mark.method == .ledger)
    #expect(reading.notice?.contains("another form of the layout") == true)
    #expect(try ledger.install(grantingTo: nil))
    #expect(try ledger.status().state == .installed)
  }

  @Test func `a table that was renamed takes its ledger along, which is found and removed`() async throws {
    let fixture = try await begun()
    try fixture.application.execute("ALTER TABLE outbound_queue RENAME TO queue2")
    var layout = Layout.praisonAI
    layout.queues[0].tables["events"] = TableName("queue2")
    let definition = OutboxDefinition(name: "o", address: .sqlite(path: fixture.path), layout: layout)
    let ledger = try #require(try LedgerInstallation.all(of: definition, limits: PostgreSQLLimits()).first)
    #expect(try ledger.status().state == .broken)
    #expect(try ledger.status().problems.first?.contains("made for the table outbound_queue") == true)
    #expect(try ledger.remove())
    #expect(try fixture.schema().filter { $0.contains("outbox_ledger") } == [])
  }

  @Test func `a table that was dropped leaves a ledger, which another's removal finds`() async throws {
    let fixture = try SQLiteLedgerFixture(.relaycast, relaycastSchema)
    for ledger in try fixture.installations() { #expect(try ledger.install(grantingTo: nil)) }
    try fixture.application.execute("DROP TABLE deliveries")
    let left = try fixture.installations()
    #expect(left.map(\.outbox.name) == ["o/pending_events", "o/webhook_deliveries"])
    for ledger in left { #expect(try ledger.remove()) }
    #expect(try fixture.schema().filter { $0.contains("outbox_ledger") } == [])
  }

  @Test func `a table that was the only one leaves a ledger, which is found and removed`() throws {
    let fixture = try SQLiteLedgerFixture(.praisonAI, praisonAISchema)
    #expect(try fixture.installation().install(grantingTo: nil))
    try fixture.application.execute("DROP TABLE outbound_queue")
    let left = try fixture.installation()
    #expect(try left.status().problems.contains { $0.contains("outbound_queue, which is not there any more") })
    #expect(throws: SampleFailure.self) { try left.install(grantingTo: nil) }
    #expect(try left.remove())
    #expect(try fixture.schema().filter { $0.contains("outbox_ledger") } == [])
    #expect(throws: SampleFailure.self) { try fixture.installation() }
  }

  @Test func `a table of the application that is called like the ledger's is left alone`() throws {
    let fixture = try SQLiteLedgerFixture(.praisonAI, praisonAISchema + "CREATE TABLE outbox_ledger (mine);")
    let before = try fixture.schema()
    #expect(throws: SampleFailure.self) { try fixture.installation().install(grantingTo: nil) }
    #expect(try !fixture.installation().remove())
    #expect(try fixture.schema() == before)
  }

  // MARK: - The journal

  @Test func `the journal keeps what a reader may want, and no more`() async throws {
    let fixture = try await begun()
    let journal = "outbox_ledger_of_outbound_queue"
    try fixture.application.execute("UPDATE \(journal) SET id = 1000 WHERE id = 1")
    // A week ago a hundred rows were written.
    try fixture.application.execute(
      praisonAIEvents(1...100) + "UPDATE \(journal) SET at = at - 8 * 86400000 WHERE id <= 1090")
    #expect(try fixture.value("SELECT count(*) FROM \(journal)") == 101)
    try fixture.application.execute(praisonAIEvents(101...300))
    #expect(try fixture.value("SELECT min(id) FROM \(journal)") == 1091)
    #expect(try fixture.value("SELECT max(id) FROM \(journal)") == 1300)
    // Many in a short time, as one row with a number far ahead makes it.
    try fixture.application.execute("UPDATE \(journal) SET id = 500000 WHERE id = 1300; \(praisonAIEvents(301...500))")
    #expect(try fixture.value("SELECT min(id) FROM \(journal)") == 500_000)
    #expect(try fixture.value("SELECT count(*) FROM \(journal)") == 201)
  }

  @Test func `a reader that was away for too long begins anew, and one that was not goes on`() async throws {
    let fixture = try await begun()
    let journal = "outbox_ledger_of_outbound_queue"
    try await fixture.expect(praisonAIEvents(1...10), ["telegram enqueued 10"])
    try fixture.application.execute(praisonAIEvents(11...20))
    // The row that was read last may go; the one after it may not.
    try fixture.application.execute("DELETE FROM \(journal) WHERE id <= 11")
    await fixture.restart()
    try await fixture.expect("", ["telegram enqueued 10"])
    try fixture.application.execute(praisonAIEvents(21...30))
    await fixture.restart()
    try await fixture.expectRestart("DELETE FROM \(journal) WHERE id <= 22", "was not read for longer")
    try await fixture.expect("DELETE FROM outbound_queue WHERE id = 1", ["telegram discarded 1"])
  }

  @Test func `a file that was restored from a copy begins a new count, also where it has gone on since`() async throws {
    let fixture = try await begun()
    try await fixture.expect(praisonAIEvents(1...5), ["telegram enqueued 5"])
    try fixture.application.execute("VACUUM INTO '\(fixture.path)-copy'; \(praisonAIEvents(6...8))")
    try await fixture.sample()
    // The same content under another life: fewer rows first, then other ones.
    let back = "DELETE FROM outbox_ledger_of_outbound_queue WHERE id > 6; DELETE FROM outbound_queue WHERE id > 5;"
    try fixture.application.execute("DELETE FROM outbound_queue WHERE id > 5")
    try await fixture.sample()
    try fixture.application.execute(back)
    await fixture.restart()
    try await fixture.expectRestart("", "restored from a copy")
    try await fixture.expect(praisonAIEvents(6...7), ["telegram enqueued 2"])
    try fixture.application.execute(
      """
      DELETE FROM outbox_ledger_of_outbound_queue WHERE id > 7; DELETE FROM outbound_queue WHERE id = 7;
      DELETE FROM outbox_ledger_of_outbound_queue WHERE id > 7; \(praisonAIEvents(7...7))
      UPDATE outbox_ledger_of_outbound_queue SET at = at + 60000 WHERE id = 8;
      """)
    await fixture.restart()
    try await fixture.expectRestart(praisonAIEvents(9...9), "restored from a copy")
  }

  @Test func `what the triggers did not see is noticed`() async throws {
    let fixture = try await begun()
    try await fixture.expect(praisonAIEvents(1...5), ["telegram enqueued 5"])
    try fixture.application.execute("DELETE FROM outbox_ledger_of_outbound_queue WHERE id = 4")
    try await fixture.expectRestart(
      "DELETE FROM outbound_queue WHERE id = 1; UPDATE outbox_ledger_of_outbound_queue SET kind = 'r' WHERE kind = 'c'",
      "1 event left without the ledger's triggers")
    try await fixture.expect("DELETE FROM outbound_queue WHERE id = 2", ["telegram discarded 1"])
    // A state that nobody has heard of is in the depth as soon as it is in the movements.
    try await fixture.expect("UPDATE outbound_queue SET status = 'lost' WHERE id = 3", [])
    try await fixture.expect("DELETE FROM outbound_queue WHERE id = 3", ["telegram discarded 1"])
  }

  @Test func `a mark that is damaged or of another method begins a new count`() async throws {
    let fixture = try await begun()
    let definition = OutboxDefinition(name: "o", address: .sqlite(path: fixture.path), layout: .praisonAI)
    let store = SQLiteStore(definition, now: { Timestamp(seconds: 1_800_000_000) })
    for mark in [AccountingMark(.ledger, "what"), AccountingMark(.history, "1 2 3")] {
      let reading = try #require(await store.sample(SampleRequest(marks: ["o": mark])).first?.accounting)
      #expect(reading.restart != nil)
      #expect(reading.movements == nil)
      #expect(reading.mark.method == .ledger)
    }
  }
}
