import TestSupport
import Testing

@Suite struct `The command as a monitoring plugin` {
  @Test(arguments: [([5], 0, "OK"), ([2_000], 1, "WARNING"), ([5_000], 2, "CRITICAL")] as [([Int], Int32, String)])
  func `prints one line and ends with its status`(waiting: [Int], code: Int32, status: String) throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run(["--once", "--format", "nagios"] + fixture.writeOutbox(waiting: waiting))
    #expect(outcome.code == code && outcome.error == "", "\(outcome)")
    #expect(outcome.output.hasPrefix("OUTBOX \(status): praisonai: "), "\(outcome)")
    #expect(outcome.output.contains(" | 'praisonai_ready'=1;;;0 'praisonai_depth'=1;;;0 "), "\(outcome)")
    let oldest = outcome.output.firstMatch(of: /'praisonai_oldest'=([0-9.]+)s;900;3600;0\n/)
    #expect(oldest.flatMap { Double($0.1) }.map { $0 >= Double(waiting[0]) } == true, "\(outcome)")
    #expect(!outcome.output.contains("event-0"))
  }

  @Test func `says UNKNOWN of what cannot be read`() throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run([
      "--once", "--format=nagios", "--dsn", "sqlite:nowhere/x.db", "--layout", "praisonai",
    ])
    #expect(outcome.code == 3 && outcome.output.hasPrefix("OUTBOX UNKNOWN: praisonai: not sampled: "), "\(outcome)")
    #expect(outcome.output.contains("'praisonai_ready'=U;;;0"))
  }

  @Test(arguments: [
    (["--once"], "configuration: no outbox is configured"),
    (["--once", "--dsn", "sqlite:x", "--layout", "nope"], "--layout: the layout `nope` is not known"),
    (["--once", "--config", "gone.yaml"], "--config: gone.yaml cannot be read: No such file or directory"),
    (["--once", "--dns", "x"], "Error: Unknown option '--dns'"),
    (["--once", "--quiet"], "Error: --quiet and --format nagios exclude each other"),
  ]) func `says UNKNOWN of mistakes, which are 3 then`(arguments: [String], sentence: String) throws {
    for format in [["--format", "nagios"], ["--format=nagios"]] {
      let outcome = try CommandFixture().run(arguments + format)
      #expect(outcome.code == 3, "\(outcome)")
      #expect(outcome.output.hasPrefix("OUTBOX UNKNOWN: \(sentence)"), "\(outcome)")
    }
    // Without the format they are what they always are.
    let plain = try CommandFixture().run(arguments)
    #expect([64, 78].contains(plain.code) && plain.output == "", "\(plain)")
  }
}

@Suite struct `Known dead letters of the command` {
  @Test func `count no more until their day, and new ones do`() throws {
    let fixture = try CommandFixture()
    let dead = (1...4).map { number in
      """
      INSERT INTO outbound_queue VALUES
        ('dead-\(number)', 'slack:1', '', 'permanent_failure', 5, unixepoch() - 900, unixepoch() - 800);
      """
    }
    try fixture.writeOutbox(waiting: [5], more: dead.dropLast().joined())
    func run(until day: String, number: Int = 3) throws -> ExporterCommand.Outcome {
      let configured = try fixture.configured(
        """
        outboxes:
          - dsn: sqlite:outbox.sqlite
            layout: praisonai
            acknowledged: [{dead: \(number), destination: slack, reason: ticket 4711, until: \(day)}]
        """)
      return try fixture.run(["--once", "--no-ids"] + configured)
    }
    let known = try run(until: "2261-12-31")
    #expect(known.code == 0, "\(known)")
    #expect(
      known.output.contains("\n  3 dead events of slack acknowledged until 2261-12-31: ticket 4711\n"), "\(known)")
    let more = try run(until: "2261-12-31", number: 2)
    #expect(more.code != 0 && more.output.contains("1 event is dead beyond 2 acknowledged, limit 1"), "\(more)")
    let expired = try run(until: "2020-01-01")
    #expect(expired.code == more.code && expired.output.contains("3 events are dead, limit 1"), "\(expired)")
    #expect(
      expired.output.contains(
        "\n  the acknowledgement of 3 dead events of slack has expired on 2020-01-01, they count again: ticket 4711\n"))
  }
}

@Suite struct `Tables of the command` {
  @Test(arguments: ["layouts", "metrics"]) func `are as wide as the terminal`(subcommand: String) throws {
    let fixture = try CommandFixture()
    for columns in [80, 100] {
      let terminal = try fixture.exporter.runShell(
        "script -qec 'stty cols \(columns); $PROGRAM \(subcommand)' /dev/null")
      let lines = terminal.output.split(separator: "\r\n")
      #expect(terminal.code == 0 && lines.count > 7)
      #expect(lines.filter { $0.count > columns } == [])
    }
    #expect(
      try fixture.run([subcommand]).output.split(separator: "\n").contains { $0.count > 100 }, "as it is in a pipe")
  }

  @Test func `know what was meant by a layout that is not there`() throws {
    let outcome = try CommandFixture().run(["layouts", "praisonia"])
    #expect(outcome.code == 64 && outcome.error.contains("there is no layout praisonia; did you mean praisonai?"))
  }
}
