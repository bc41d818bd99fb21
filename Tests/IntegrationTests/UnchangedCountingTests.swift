import Layouts
import Outbox
import Stores
import TestSupport
import Testing

/// A table of KaireonAI by the way in which movements are counted from it. Its rows get older by their times alone.
enum CountedTable: String, CaseIterable {
  case statistics, history, ledger

  fileprivate var schema: String {
    """
    CREATE TABLE outbox_events (
      id bigserial PRIMARY KEY, status text NOT NULL DEFAULT 'pending', topic text, "retryCount" integer NOT NULL DEFAULT 0,
      "createdAt" timestamp NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'),
      "updatedAt" timestamp NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'), "publishedAt" timestamp);
    CREATE INDEX ON outbox_events (status, "updatedAt");
    CREATE TABLE truth (kind text);
    CREATE TABLE other (n int);
    \(self == .history ? "CREATE INDEX ON outbox_events (\"publishedAt\");" : "")

    """
  }
}

extension QuietOutbox {
  /// An outbox whose movements are counted in some way.
  convenience init(_ table: CountedTable) throws {
    try self.init(table.schema, .kaireon, objective: .milliseconds(700))
    guard table == .ledger else { return }
    let definition = OutboxDefinition(name: "o", address: .postgresql(Secret(database.conninfo())), layout: .kaireon)
    _ = try LedgerInstallation.all(of: definition, limits: PostgreSQLLimits()).first?.install(grantingTo: nil)
  }
}

/// Where nothing was written nothing has moved, and what had moved before is not lost.
@Suite(withPostgreSQL, .serialized)
struct UnchangedCountingTests {
  private let insertion = "INSERT INTO outbox_events (topic) VALUES ('mail')"

  @Test(arguments: CountedTable.allCases)
  func `where nothing was written nothing has moved, and the counting goes on from there`(table: CountedTable)
    async throws
  {
    let outbox = try QuietOutbox(table)
    try await outbox.settle()
    try outbox.database.psql(insertion)
    let isCounted = try await happens {
      try await outbox.sample()
      return !outbox.totals.lines.isEmpty
    }
    #expect(isCounted)
    // That the row misses its objective meanwhile has to be counted, and what a ledger throws away is written, too.
    let isOverdue = try await happens {
      // The server writes every sample into its log, which is read again and again.
      try await Task.sleep(for: .milliseconds(100))
      return try await outbox.sample().overdue.values.reduce(0, +) == 1
    }
    #expect(isOverdue)
    for _ in 0..<15 { try await outbox.sample() }
    let mark = try #require(outbox.totals.marks["o"])
    for _ in 0..<5 { try await outbox.expectSample(counts: 0) }
    #expect(outbox.totals.marks["o"]?.position == mark.position && mark.method.rawValue == table.rawValue)
    try outbox.database.psql("\(insertion); UPDATE outbox_events SET status = 'failed' WHERE id = 1")
    try await outbox.expectSample(counts: 1)
    let isAll = try await happens {
      try await outbox.sample()
      return outbox.totals.counts.values.reduce(0) { $0 + $1.enqueued } == 2
    }
    #expect(isAll, "\(outbox.totals.lines)")
    #expect(outbox.totals.counts.values.reduce(0) { $0 + ($1.dispositions[.dead] ?? 0) } == 1)
    #expect(outbox.totals.restarts.isEmpty && outbox.totals.unbalanced.isEmpty, "\(outbox.totals.unbalanced)")
  }

  @Test(arguments: CountedTable.allCases)
  func `whoever could not keep the last mark is told again what had moved`(table: CountedTable) async throws {
    let outbox = try QuietOutbox(table)
    try await outbox.settle()
    let first = try #require(outbox.totals.marks["o"])
    try outbox.database.psql(insertion)
    let isCounted = try await happens {
      try await outbox.sample()
      return !outbox.totals.lines.isEmpty
    }
    #expect(isCounted)
    try await outbox.settle()
    for _ in 0..<2 {
      let reading = try #require(await outbox.reading(from: first))
      #expect(reading.movements?.destinations.values.reduce(0) { $0 + $1.enqueued } == 1, "\(reading)")
    }
    // Nor is it nothing where nobody knows from where on.
    #expect(try #require(await outbox.reading(from: nil)).movements == nil)
  }

  @Test func `a ledger is emptied although nobody writes any more`() async throws {
    let outbox = try QuietOutbox(.ledger)
    try await outbox.settle()
    let journal = "outbox_ledger.\(try outbox.database.psql("SELECT quote_ident(journal) FROM outbox_ledger.watched"))"
    for _ in 0..<3 {
      try outbox.database.psql(insertion)
      try await outbox.sample()
    }
    #expect(try outbox.database.psql("SELECT count(*) > 0 FROM \(journal)") == "t")
    for _ in 0..<15 { try await outbox.sample() }
    #expect(try outbox.database.psql("SELECT count(*) FROM \(journal)") == "0")
  }
}
