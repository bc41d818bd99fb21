import Layouts
import Outbox
import Stores
import TestSupport
import Testing

@Suite(withPostgreSQL) struct `A ledger with more to read than one sample takes` {
  @Test func `catches up where there is more to read than one sample takes, and a loss in it begins one new count`()
    async throws
  {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    try await fixture.sample()
    let many = "INSERT INTO outbox (channel) SELECT 'mail' FROM generate_series(1, 110000);"
    try fixture.database.psql(many)
    try fixture.database.psql(many)
    // The loss lies behind what the first sample reads.
    try fixture.database.psql("INSERT INTO outbox_ledger.losses (journal, sqlstate) VALUES ('public.outbox', '42P01')")
    try fixture.database.psql("INSERT INTO outbox (channel) VALUES ('push')")
    #expect(try await fixture.movements() == ["mail enqueued 220000"])
    try await fixture.sample()
    #expect(fixture.last?.restart?.contains("1 change could not be written") == true)
    #expect(fixture.last?.movements == nil)
    try await fixture.expect("INSERT INTO outbox (channel) VALUES ('fax')", ["fax enqueued 1"])
  }

  /// A reader without a state directory never comes back after its end; one that has lost its own may.
  @Test func `is emptied without a reader that kept nothing and was not seen for an hour`() async throws {
    let fixture = try LedgerFixture(.aiHummer, LedgerSchemas.aiHummer)
    #expect(try fixture.installation().install(grantingTo: nil))
    let journal = try fixture.database.psql("SELECT quote_ident(journal) FROM outbox_ledger.watched")
    func rows(after samples: Int) async throws -> Int {
      for _ in 0..<samples {
        try fixture.database.psql("INSERT INTO outbox (channel) VALUES ('mail')")
        try await fixture.sample(transient: true)
      }
      return try #require(Int(try fixture.database.psql("SELECT count(*) FROM outbox_ledger.\(journal)")))
    }
    func readers() throws -> String {
      try fixture.database.psql("SELECT regexp_replace(reader, '-.*', '') FROM outbox_ledger.readers ORDER BY 1")
    }
    for (reader, minutes) in [("transient-ended", 59), ("lost", 61)] {
      try fixture.database.psql(
        """
        INSERT INTO outbox_ledger.readers
        SELECT journal, '\(reader)', '3', now() - interval '\(minutes) minutes' FROM outbox_ledger.watched
        """)
    }
    #expect(try await rows(after: 30) == 30)
    #expect(try readers() == "lost\ntransient\ntransient")
    try fixture.database.psql("DELETE FROM outbox_ledger.readers WHERE reader = 'lost'")
    #expect(try await rows(after: 30) == 60)
    try fixture.database.psql(
      "UPDATE outbox_ledger.readers SET seen = seen - interval '2 minutes' WHERE reader = 'transient-ended'")
    #expect(try await rows(after: 30) < 30)
    #expect(try readers() == "transient")
  }
}
