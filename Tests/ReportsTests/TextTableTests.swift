import Reports
import Testing

@Suite struct `A table in a terminal` {
  private var table: TextTable {
    var table = TextTable([("name", .left), ("count", .right), ("note", .left)])
    table.add(["a", "1", "one two three four five six seven"])
    table.add(["bb", "22", ""])
    return table
  }

  @Test func `that fits is a table`() {
    let lines = [
      "name  count  note", "a         1  one two three four five six seven", "bb       22",
    ]
    #expect(table.lines == lines)
    #expect(table.lines(within: nil) == lines)
    #expect(table.lines(within: 48) == lines)
  }

  @Test func `that is too wide is a few lines for each row, none of them too wide`() {
    #expect(
      table.lines(within: 24) == [
        "a", "    count: 1", "    note: one two three", "    four five six seven", "bb", "    count: 22",
      ])
  }

  @Test func `keeps a word that is wider than the terminal whole`() {
    #expect("ab abcdefgh c".wrapped(within: 6, indentation: "  ") == ["  ab", "  abcdefgh", "  c"])
  }
}
