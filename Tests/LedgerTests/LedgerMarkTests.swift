import Ledger
import Testing

@Suite struct `A ledger's mark` {
  @Test(arguments: [
    "r i 1 7:9:7,8 12", "r i 2 7:7: -", "r i 2 7:7: 5 31,32", "r i 2 7:7: - 31,32 u0", "r i 2 7:7: 5 u66@8",
  ]) func `survives being kept`(
    _ text: String
  ) throws {
    #expect(try #require(LedgerMark(text)).text == text)
  }

  @Test(arguments: [
    "", "r i 1 7:9 1", "r i x 7:9: 1", "r i 1 7:9:8,x 1", "r i 1 7:9:8 more", "r i 1 -7:9: 1", "r i 1 7:9:",
    "r i 1 7:9: 5 ", "r i 1 7:9: 5 31 32", "r i 1 7:9: 5 u", "r i 1 7:9: 5 u1@", "r i 1 7:9: u1",
  ])
  func `is refused where it is none`(_ text: String) {
    #expect(LedgerMark(text) == nil)
  }
}

@Suite struct `A ledger's names` {
  @Test func `are different for different tables`() {
    let tables = [
      #""a.b"."c""#, #""a"."b.c""#, #""a.b.c""#, #""public"."outbox""#,
      "\"public\".\"\(String(repeating: "long", count: 15))\"",
      "\"public\".\"\(String(repeating: "long", count: 15))s\"",
    ]
    let names = tables.map { LedgerNames(reference: $0) }
    #expect(Set(names.map(\.journal)).count == tables.count)
    #expect(names[3].journal == #"outbox_ledger."public.outbox""#)
    for name in names { #expect(name.functionName(.deadDelete).utf8.count <= 63) }
  }
}
