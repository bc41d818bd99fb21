import Configuration
import Layouts
import Outbox
import Testing

@Suite struct `Acknowledgements in the configuration` {
  private func outbox(_ acknowledged: String) -> ConfigurationCase {
    ConfigurationCase(
      file: "outboxes:\n  - name: a\n    dsn: sqlite:a\n    layout: shop\n    acknowledged:\n" + acknowledged)
  }

  @Test func `have a number, a reason and a last day, and perhaps a destination`() throws {
    let input = outbox(
      """
            - {dead: 17, reason: ticket 4711, until: 2026-12-01}
            - {dead: 1, destination: sms, reason: "${env:WHY}", until: "2028-02-29"}
      """)
    var known = input
    known.environment["WHY"] = "because"
    let outboxes = try known.configuration().outboxes
    // date -d '2026-12-02 UTC' +%s and so on
    #expect(
      outboxes[0].acknowledgements == [
        Acknowledgement(dead: 17, reason: "ticket 4711", until: "2026-12-01", end: Timestamp(seconds: 1_796_169_600)),
        Acknowledgement(
          dead: 1, destination: "sms", reason: "because", until: "2028-02-29", end: Timestamp(seconds: 1_835_481_600)),
      ])
    #expect(outboxes[0].watched().acknowledgements == outboxes[0].acknowledgements)
    #expect(
      ConfigurationYAML.text(try known.configuration(), catalog: []).contains(
        """
            acknowledged:
              - dead: 17
                reason: ticket 4711
                until: 2026-12-01
              - dead: 1
                destination: sms
                reason: because
                until: 2028-02-29

        """))
  }

  @Test(arguments: [
    ("1970-01-01", 86_400), ("1999-12-31", 946_684_800), ("2000-02-29", 951_868_800), ("2000-03-01", 951_955_200),
    ("2024-12-31", 1_735_689_600), ("2100-02-28", 4_107_542_400), ("2261-12-31", 9_214_646_400),
  ]) func `end with their last day`(day: String, end: Double) throws {
    let input = outbox("      - {dead: 1, reason: x, until: \(day)}")
    #expect(try input.configuration().outboxes[0].acknowledgements.map(\.end) == [Timestamp(seconds: end)])
  }

  @Test(arguments: [
    "2026-13-01", "2026-00-10", "2026-02-29", "2100-02-29", "2026-04-31", "2026-1-1", "tomorrow", "1969-12-31",
    "2262-01-01", "2026-12-01T00", "20261201", "-026-12-01",
  ]) func `need a day that there is`(day: String) {
    #expect(
      outbox("      - {dead: 1, reason: x, until: \(day)}").problems()
        == ["outbox.yaml:6:37: `\(day)` is not a day (write it as 2026-12-01)"])
  }

  @Test func `without one of these are refused`() {
    let example = "(for example acknowledged: [{dead: 17, reason: ticket 4711, until: 2026-12-01}])"
    #expect(
      outbox(
        """
              - {reason: x, until: 2026-12-01}
              - {dead: 1, until: 2026-12-01}
              - {dead: 1, reason: x}
              - {dead: 0, reason: "", until: ~}
              - {dead: 1, reason: x, until: 2026-12-01, untill: x}
        """
      ).problems() == [
        "outbox.yaml:6:9: `dead` is missing \(example)", "outbox.yaml:7:9: `reason` is missing \(example)",
        "outbox.yaml:8:9: `until` is missing \(example)",
        "outbox.yaml:9:16: `0` is not a whole number from 1 up",
        "outbox.yaml:9:27: `reason` is empty (leave the key away, or give it a value)",
        "outbox.yaml:9:38: `until` has no value (leave the key away, or give it one)",
        "outbox.yaml:10:49: unknown key `untill` (did you mean `until`?)",
      ])
    #expect(
      outbox("      dead: 17").problems() == [
        "outbox.yaml:6:7: `acknowledged` has to be a list (begin every item with `- `)"
      ])
  }
}

@Suite struct `The name of an outbox` {
  @Test func `holds no control character`() {
    let problem = "the outbox's name holds a control character (leave it away)"
    #expect(
      ConfigurationCase(watching: [:]) { $0.name = "a\u{1b}[31m" }.problems() == ["--name: \(problem)"])
    for name in ["a\u{0}b", "a\nb", "a\u{202e}b", "a\u{2028}b", "\u{7f}", "\u{9b}"] {
      #expect(ConfigurationCase(watching: ["OUTBOX_NAME": name]).problems() == ["OUTBOX_NAME: \(problem)"], "\(name)")
    }
    let file = "outboxes: [{name: \"a\\tb\", dsn: \"sqlite:a\", layout: shop}]"
    #expect(ConfigurationCase(file: file).problems() == ["outbox.yaml:1:19: \(problem)"])
    #expect(ConfigurationCase(watching: ["OUTBOX_NAME": "bücher/a 'b'"]).problems() == [])
  }
}
