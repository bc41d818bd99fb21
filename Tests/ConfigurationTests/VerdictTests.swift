import Configuration
import Layouts
import Outbox
import Testing

@Suite struct `Verdicts in the configuration` {
  @Test func `count for every outbox, and an outbox has the last word`() throws {
    let file = """
      verdicts: {stalled: warning, rewound: ok, idle: critical}
      outboxes:
        - {name: a, dsn: "sqlite:a", layout: shop}
        - name: b
          dsn: "sqlite:b"
          layout: shop
          verdicts: {stalled: critical, falling_behind: ok}
      """
    let outboxes = try ConfigurationCase(file: file).configuration().outboxes
    #expect(
      Verdict.allCases.map { outboxes[0].verdicts[$0] } == [
        .ok, .warning, .critical, .critical, .ok, .warning, .ok, .ok, .critical,
      ])
    #expect(
      Verdict.allCases.map { outboxes[1].verdicts[$0] } == [
        .ok, .critical, .critical, .critical, .ok, .ok, .ok, .ok, .critical,
      ])
    #expect(outboxes.map { $0.watched().verdicts } == outboxes.map(\.verdicts))
    let printed = ConfigurationYAML.text(try ConfigurationCase(file: file).configuration(), catalog: [])
    #expect(printed.contains("    verdicts:\n      stalled: warning\n      rewound: ok\n      idle: critical\n"))
    #expect(printed.contains("    verdicts:\n      rewound: ok\n      falling_behind: ok\n      idle: critical\n"))
  }

  @Test func `count for the outbox of flags and variables too`() throws {
    let input = ConfigurationCase(file: "verdicts: {stuck: ok}", ConfigurationCase.watched)
    #expect(try input.configuration().outboxes.map { $0.verdicts[.stuck] } == [.ok])
    #expect(try ConfigurationCase(watching: [:]).configuration().outboxes.map(\.verdicts) == [.standard])
  }

  @Test func `have to be verdicts, and mean something`() {
    let input = ConfigurationCase(
      file: """
        verdicts:
          staled: ok
          unknown: critical
          stuck: bad
          idle: unknown
          ok: {}
        """, ConfigurationCase.watched)
    #expect(
      input.problems() == [
        "outbox.yaml:2:3: unknown verdict `staled` (did you mean `stalled`?)",
        "outbox.yaml:3:3: `unknown` worsens nothing (a sample that fails is UNKNOWN by itself; leave the key away)",
        "outbox.yaml:4:10: `bad` is not known here (known are `ok`, `warning`, `critical`)",
        "outbox.yaml:5:9: `unknown` is not known here (known are `ok`, `warning`, `critical`)",
        "outbox.yaml:6:7: `ok` has to be a single value",
      ])
  }
}
