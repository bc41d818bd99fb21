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
}
