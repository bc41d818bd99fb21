import SQLiteClient
import TestSupport
import Testing

/// What a health check says, and what it ends with.
@Suite struct `The health check` {
  private let junk = String(repeating: "an ordinary text file\n", count: 100)

  @Test func `OK`() throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run(["--once"] + fixture.writeOutbox(waiting: [30, 20]))
    #expect(outcome.code == 0 && outcome.error == "", "\(outcome)")
    let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(lines[0] == "OK  1 outbox: 1 OK")
    #expect(lines[2] == "OK  praisonai  (praisonai, sqlite)")
    #expect(lines[3].hasPrefix("  verdict unknown:"))
    #expect(lines[4].split(separator: " ").prefix(3) == ["destination", "ready", "scheduled"])
    #expect(lines[5].split(separator: " ").prefix(8) == ["telegram", "2", "0", "0", "0", "0", "0", "0"])
    #expect(lines[6] == "  oldest: event-0, event-1")
    #expect(lines.suffix(2) == ["Nothing was pushed: no OTLP endpoint is configured.", ""])
  }

  @Test func `prints the points where OTEL_METRICS_EXPORTER is console, and leaves JSON alone`() throws {
    let fixture = try CommandFixture()
    let arguments = try ["--once"] + fixture.writeOutbox(waiting: [30])
    let console = ["OTEL_METRICS_EXPORTER": "console"]
    let text = try fixture.run(arguments, environment: console)
    #expect(text.output.contains("outbox.depth{outbox.name=praisonai,outbox.destination=telegram,"), "\(text)")
    let json = try fixture.run(arguments + ["--format", "json"], environment: console)
    #expect(json.output.hasPrefix("{") && !json.output.contains("outbox.depth{"), "\(json)")
    #expect(json.error.contains("outbox.depth{outbox.name=praisonai,"), "\(json)")
  }

  @Test func `WARNING and why`() throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run(["--once"] + fixture.writeOutbox(waiting: [2_000, 20]))
    #expect(
      outcome.code == 1 && outcome.output.hasPrefix("WARNING  1 outbox: the oldest event waits 33m 2"), "\(outcome)")
    #expect(outcome.output.contains("\n  ! the oldest event waits 33m 2") && outcome.output.contains("limit 15m\n"))
  }

  @Test func `CRITICAL, and every reason with the worst first`() throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run(
      ["--once"]
        + fixture.writeOutbox(
          waiting: [5_000],
          more: """
            INSERT INTO outbound_queue VALUES
              ('stuck-1', 'slack:1', '', 'sending', 0, unixepoch() - 900, unixepoch() - 900),
              ('dead-1', 'slack:1', '', 'permanent_failure', 5, unixepoch() - 900, unixepoch() - 800);
            """))
    #expect(outcome.code == 2, "\(outcome)")
    let reasons = outcome.output.split(separator: "\n").filter { $0.hasPrefix("  ! ") }
    #expect(reasons.count == 3)
    #expect(reasons.first?.contains("waits 1h 23m") == true && reasons.first?.contains("limit 1h") == true)
    #expect(reasons.contains { $0.contains("stuck (lease_expired), limit 1") })
    #expect(reasons.contains { $0.contains("dead, limit 1") })
    #expect(outcome.output.contains("  stuck: stuck-1\n") && outcome.output.contains("  newest dead: dead-1\n"))
    #expect(outcome.output.contains("\n  all 2 "), "a sum where there are several destinations")
  }

  @Test func `ids are left out where they are not wanted`() throws {
    let fixture = try CommandFixture()
    let arguments = try ["--once", "--no-ids"] + fixture.writeOutbox(waiting: [30])
    #expect(try !fixture.run(arguments).output.contains("event-0"))
    let json = try fixture.run(arguments + ["--format", "json"])
    #expect(!json.output.contains("event-0") && !json.output.contains("event_ids"))
    let shown = try fixture.run(["--format", "json"] + arguments.filter { $0 != "--no-ids" })
    #expect(shown.output.contains("\"event-0\""))
  }

  @Test func `no more than five ids of each kind`() throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run(["--once"] + fixture.writeOutbox(waiting: Array(10...19)))
    #expect(outcome.output.contains("  oldest: event-9, event-8, event-7, event-6, event-5\n"), "\(outcome)")
  }

  /// Four outboxes, one of each health.
  private func everyHealth(_ healths: [String]) throws -> (CommandFixture, [String]) {
    let fixture = try CommandFixture()
    try fixture.writeOutbox("OK.sqlite", waiting: [5])
    try fixture.writeOutbox("WARNING.sqlite", waiting: [2_000])
    try fixture.writeOutbox("CRITICAL.sqlite", waiting: [5_000])
    try fixture.exporter.home.write(junk, to: "UNKNOWN.sqlite")
    let outboxes = healths.map { "  - {name: is-\($0), dsn: \"sqlite:\($0).sqlite\", layout: praisonai}\n" }.joined()
    return (fixture, try fixture.configured("outboxes:\n\(outboxes)"))
  }

  @Test(
    arguments: [
      (["OK", "WARNING", "UNKNOWN", "CRITICAL"], 2), (["OK", "WARNING", "UNKNOWN"], 3), (["WARNING", "OK"], 1),
      (["OK"], 0),
    ] as [([String], Int32)])
  func `of several outboxes the worst counts`(_ healths: [String], _ code: Int32) throws {
    let (fixture, configured) = try everyHealth(healths)
    let outcome = try fixture.run(["--once"] + configured)
    #expect(outcome.code == code, "\(outcome)")
    let order = outcome.output.split(separator: "\n").compactMap { line in
      line.firstRange(of: "  is-").map { String(line[..<$0.lowerBound]) }
    }
    let worstFirst = ["CRITICAL", "UNKNOWN", "WARNING", "OK"].filter(healths.contains)
    #expect(order == worstFirst)
    #expect(outcome.output.hasPrefix(worstFirst[0]))
    if healths.count == 4 {
      #expect(outcome.output.hasPrefix("CRITICAL  4 outboxes: 1 CRITICAL, 1 UNKNOWN, 1 WARNING, 1 OK\n"))
    }
  }

  @Test func `a glob makes an outbox of each file`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write("", to: "a/keep")
    try fixture.exporter.home.write("", to: "b/keep")
    try fixture.writeOutbox("a/outbox.sqlite", waiting: [5])
    try fixture.writeOutbox("b/outbox.sqlite", waiting: [5_000])
    let outcome = try fixture.run([
      "--once", "--dsn", "sqlite:*/outbox.sqlite", "--layout", "praisonai", "--name", "bots",
    ])
    #expect(outcome.code == 2)
    #expect(outcome.output.contains("CRITICAL  bots/b/outbox  ") && outcome.output.contains("OK  bots/a/outbox  "))
  }

  // MARK: - For programs

  @Test(.enabled(if: programOnPath("python3") != nil, "python3 is not on PATH"))
  func `JSON says the same to programs`() throws {
    let (fixture, configured) = try everyHealth(["OK", "WARNING", "UNKNOWN", "CRITICAL"])
    let script = """
      import json, sys
      report = json.load(sys.stdin)
      print(report["health"], report["exit_code"], report["push"]["attempted"])
      for outbox in report["outboxes"]:
          figures = "in_use" in outbox and [outbox["depth"]["ready"], outbox["event_ids"]["oldest"]]
          print(outbox["name"], outbox["health"], len(outbox["findings"]), outbox.get("failure", {}).get("reason"), figures)
      """
    try fixture.exporter.home.write(script, to: "read.py")
    let outcome = try fixture.exporter.runShell(
      "set -o pipefail; exporter --once --format json \(configured.joined(separator: " ")) | python3 read.py")
    CommandFixture.expectClean(outcome)
    #expect(outcome.code == 2)
    #expect(
      outcome.output == """
        CRITICAL 2 False
        is-OK OK 0 None [1, ['event-0']]
        is-WARNING WARNING 1 None [1, ['event-0']]
        is-UNKNOWN UNKNOWN 1 corrupt False
        is-CRITICAL CRITICAL 1 None [1, ['event-0']]

        """, "\(outcome)")
  }

  // MARK: - Terminals and pipes

  @Test func `there is colour on a terminal alone, and not where NO_COLOR is set`() throws {
    let fixture = try CommandFixture()
    let arguments = try ["--once"] + fixture.writeOutbox(waiting: [5])
    let escape = "\u{1b}["
    #expect(try !fixture.run(arguments).output.contains(escape))
    let inTerminal = "script -qec \"$PROGRAM \(arguments.joined(separator: " "))\" /dev/null"
    let coloured = try fixture.exporter.runShell(inTerminal)
    #expect(coloured.code == 0 && coloured.output.contains("\(escape)1;32mOK\(escape)0m"), "\(coloured)")
    let plain = try fixture.exporter.runShell(inTerminal, environment: ["NO_COLOR": "1"])
    #expect(plain.code == 0 && plain.output.hasPrefix("OK  1 outbox") && !plain.output.contains(escape), "\(plain)")
  }

  @Test func `a reader that goes away changes nothing`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(waiting: [5_000]).joined(separator: " ")
    for (command, code) in [
      ("--once \(arguments)", "2"), ("metrics", "0"), ("layouts praisonai", "0"), ("--help", "0"),
    ] {
      let outcome = try fixture.exporter.runShell(
        "(sleep 0.2; exporter \(command); echo \"ended with $?\" >&2) | head -c 0")
      CommandFixture.expectClean(outcome)
      #expect(outcome.error == "ended with \(code)\n", "\(command)")
    }
    let closed = try fixture.exporter.runShell("exporter --once \(arguments) >&-")
    #expect(closed.code == 2 && closed.error == "")
  }

  @Test func `control characters in names reach no terminal`() throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run(
      ["--once"]
        + fixture.writeOutbox(
          more:
            "INSERT INTO outbound_queue (id, target, ts) VALUES ('a' || char(27) || '[31m', 'x' || char(7) || 'y:1', unixepoch())"
        ))
    #expect(outcome.code == 0)
    #expect(!outcome.output.contains("\u{1b}") && !outcome.output.contains("\u{7}"))
  }

  @Test func `a state directory that cannot be written does not matter to it`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write("", to: "locked/file")
    fixture.exporter.setPermissions("locked", 0o555)
    let outcome = try fixture.run(
      ["--once", "--state-dir", "locked/state"] + fixture.writeOutbox(waiting: [5]), obeysPermissions: true)
    #expect(outcome.code == 0, "\(outcome)")
  }
}
