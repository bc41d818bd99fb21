import Testing

@Test func `a table is read with its header and its rows`() {
  let document = """
    # Title

    Text with a | in it.

    | name | unit |
    |---|:--:|
    | `outbox.depth` D | `{event}` |
    |`outbox.up`||

    After.
    """
  #expect(
    MarkdownTable.all(in: document) == [
      MarkdownTable(header: ["name", "unit"], rows: [["`outbox.depth` D", "`{event}`"], ["`outbox.up`", ""]])
    ])
}

@Test func `an escaped pipe belongs to its cell`() {
  let tables = MarkdownTable.all(in: "| a | b |\n|---|---|\n| `text\\|json` | other |\n")
  #expect(tables.first?.rows == [["`text|json`", "other"]])
}

@Test func `a row has as many cells as the header`() {
  let tables = MarkdownTable.all(in: "| a | b |\n|---|---|\n| 1 |\n| 1 | 2 | 3 |\n")
  #expect(tables.first?.rows == [["1", ""], ["1", "2"]])
}

@Test func `fenced code and rows without a header are no tables`() {
  let document = """
    ```
    | a |
    |---|
    | 1 |
    ```
    | only | text |
    | between | pipes |
    """
  #expect(MarkdownTable.all(in: document) == [])
}

@Test func `a table is found by a column and gives that column`() {
  let document = """
    | flag | meaning |
    |---|---|
    | `--once` | one cycle |

    | metric | unit |
    |---|---|
    | `outbox.up` | |
    | `outbox.depth` | `{event}` |
    """
  let table = MarkdownTable.first(in: document, withColumn: "metric")
  #expect(table?.column("metric") == ["`outbox.up`", "`outbox.depth`"])
  #expect(table?.column("flag") == nil)
  #expect(MarkdownTable.first(in: document, withColumn: "layout") == nil)
}

@Test func `code spans are taken out of a cell in order`() {
  #expect(MarkdownTable.codeSpans(in: "`--dsn`, or `OUTBOX_DSN` (never both)") == ["--dsn", "OUTBOX_DSN"])
  #expect(MarkdownTable.codeSpans(in: "–") == [])
}
