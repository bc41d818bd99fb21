import Ledger
import Testing

@Suite struct `The mark of a ledger in SQLite` {
  @Test func `is what is read from its text, and nothing else is one`() {
    let mark = SQLiteLedgerMark(installation: "ab12", id: 77, writtenAt: 1_800_000_000_123, depth: 5)
    #expect(SQLiteLedgerMark(mark.text) == mark)
    for text in ["", "a 1 2", "a 1 2 3 4", "a x 2 3", "a 1 x 3", "a 1 2 x", " 1 2 3"] {
      #expect(SQLiteLedgerMark(text) == nil, "\(text)")
    }
  }
}
