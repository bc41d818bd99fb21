import TestSupport
import Testing

private let interrupt: Int32 = 2
private let terminate: Int32 = 15

/// `watch` in a real terminal, and in a pipe.
@Suite(.enabled(if: programOnPath("python3") != nil, "python3 is not on PATH"))
struct `Watching in a terminal` {
  private func session(
    _ fixture: CommandFixture, _ arguments: [String], environment: [String: String] = [:],
    _ steps: [TerminalSession.Step]
  ) throws -> TerminalSession {
    let session = try TerminalSession(
      ["env", "-C", fixture.exporter.home.path, ExporterCommand.path, "watch", "--interval", "1s"] + arguments,
      environment: fixture.exporter.variables(environment), steps)
    #expect(!session.output.contains(CommandFixture.secret))
    return session
  }

  /// Expects that the terminal is as it was: its settings, its first screen, its cursor and its wrapping of lines.
  private func expectGivenBack(_ session: TerminalSession, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(session.isRestored, "\(session.output)", sourceLocation: sourceLocation)
    for (taken, given) in [("^[[?1049h", "^[[?1049l"), ("^[[?25l", "^[[?25h"), ("^[[?7l", "^[[?7h")] {
      let parts = session.output.split(separator: taken, omittingEmptySubsequences: false)
      #expect(
        parts.count > 1 && parts.last?.contains(given) == true, "\(session.output)", sourceLocation: sourceLocation)
    }
  }

  @Test func `shows the demo's outbox, and Ctrl-C gives the terminal back`() throws {
    let fixture = try CommandFixture()
    let demo = try fixture.start(["demo"], environment: ["TMPDIR": fixture.exporter.home.path])
    #expect(eventually { demo.standardOutput.contains("healthy") })
    let session = try session(
      fixture, ["--layout", "demo", "--dsn", "sqlite:outbox-exporter-demo-*/outbox.sqlite"],
      [.type("\u{3}", after: "2 of the 5 samples")])
    #expect(session.code == 0, "\(session.output)")
    #expect(session.tookKeyboard, "keys are neither shown nor collected meanwhile")
    expectGivenBack(session)
    #expect(session.pictures.first?.first == "waiting for the first answers; sampling every 1s")
    let picture = try #require(session.pictures.last { $0.contains { $0.contains("2 of the 5 samples") } })
    #expect(picture[0].contains("1 outbox ") && picture[0].hasSuffix("Z"))
    #expect(picture[2].hasPrefix("  outbox  ") && picture[2].contains("verdict"))
    #expect(picture.contains { $0.hasPrefix("    webhook ") })
    #expect(picture.count >= 24 && picture[23].hasPrefix("q quits"))
    // The last picture stays on the first screen.
    let left = try #require(session.output.split(separator: "^[[?1049l").last)
    #expect(left.contains("    webhook ") && !left.contains("q quits"))
    demo.signal(interrupt)
    #expect(demo.wait() == 0 && demo.standardError == "", "\(demo.standardError)")
  }

  @Test(arguments: [
    TerminalSession.Step.type("q", after: "q quits"), .signal(terminate, after: "telegram"),
    .signal(1, after: "telegram"), .type("\u{1c}", after: "telegram"),
  ])
  func `q, SIGTERM, SIGHUP and Ctrl-backslash give it back, too`(step: TerminalSession.Step) throws {
    let fixture = try CommandFixture()
    let session = try session(fixture, fixture.writeOutbox(waiting: [5_000]), [step])
    #expect(session.code == 0)
    expectGivenBack(session)
  }

  @Test func `Ctrl-Z gives it back until the shell lets it go on`() throws {
    let fixture = try CommandFixture()
    let session = try session(
      fixture, fixture.writeOutbox(waiting: [5_000]),
      [.suspend(after: "telegram"), .type("q", after: "telegram")])
    #expect(session.code == 0)
    #expect(session.wasRestoredWhenStopped == true, "\(session.output)")
    // Given back twice and taken twice, and the second picture is a whole one.
    #expect(session.output.split(separator: "^[[?1049l", omittingEmptySubsequences: false).count == 3)
    #expect(session.output.split(separator: "^[[?1049h", omittingEmptySubsequences: false).count == 3)
    #expect(session.pictures.last?.first?.hasPrefix("CRITICAL") == true, "\(session.pictures)")
    expectGivenBack(session)
  }

  @Test func `another size of the terminal is another picture at once`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(waiting: [5_000]) + ["--interval", "60s"]
    let session = try session(
      fixture, arguments,
      [.resize(columns: 40, rows: 10, after: "telegram"), .type("x", after: "ready    age"), .type("q", after: "")])
    let picture = try #require(session.pictures.last)
    #expect(picture.contains { $0.hasPrefix("X pr…sonai  unknown             1     1h") }, "\(picture)")
    #expect(session.pictures.count == 3)
    expectGivenBack(session)
  }

  @Test func `a database that hangs is a line, and delays nobody`() throws {
    let blackhole = try BlackholeServer()
    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: [20])
    let configured = try fixture.configured(
      """
      outboxes:
        - {name: hung, dsn: "postgresql://monitor:\(CommandFixture.secret)@127.0.0.1:\(blackhole.port)/shop", layout: kaireon}
        - {name: bots, dsn: "sqlite:outbox.sqlite", layout: praisonai}
      """)
    let session = try session(fixture, configured, [.type("q", after: "3 of the 5 samples")])
    let picture = try #require(session.pictures.last)
    #expect(picture.contains { $0.hasPrefix("? hung    unknown               -        -") }, "\(picture)")
    #expect(picture.contains { $0.contains("! not sampled: the store has not answered yet") }, "\(picture)")
    #expect(picture.contains { $0.hasPrefix("  bots    unknown               1      2") }, "\(picture)")
    expectGivenBack(session)
  }

  @Test func `NO_COLOR and a locale without UTF-8 are heeded`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(waiting: [5_000])
    let steps = [TerminalSession.Step.type("q", after: "2 of the 5 samples")]
    #expect(try session(fixture, arguments, steps).output.contains("^[[1;31mCRITICAL^[[0m"))
    let plain = try session(fixture, arguments, environment: ["NO_COLOR": "1", "LC_ALL": "C"], steps).output
    #expect(plain.utf8.allSatisfy { $0 < 0x7f } && !plain.contains("31m"), "\(plain)")
  }

  @Test func `a terminal that cannot go back, and a pipe, get one block of plain text for each sample`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(waiting: [5_000])
    let steps = [TerminalSession.Step.signal(terminate, after: "2 of the 5 samples")]
    let session = try session(fixture, arguments, environment: ["TERM": "dumb"], steps)
    #expect(session.code == 0 && session.isRestored && !session.output.contains("^["), "\(session.output)")
    let watch = try fixture.start(["watch", "--interval", "1s"] + arguments)
    #expect(eventually { watch.standardOutput.contains("2 of the 5 samples") })
    watch.signal(interrupt)
    let outcome = try CommandFixture.outcome(of: watch)
    #expect(outcome.code == 0 && outcome.error == "")
    let blocks = outcome.output.split(separator: "\n\n")
    #expect(blocks.count >= 2 && outcome.output.hasSuffix("\n\n"), "\(outcome.output)")
    for block in blocks {
      let lines = block.split(separator: "\n")
      #expect(lines[0].hasSuffix("Z  CRITICAL  1 outbox") && lines[1].hasPrefix("  outbox"), "\(block)")
      #expect(lines.contains("    ! the oldest event waits 1h 23m, limit 1h"), "\(block)")
    }
  }

  @Test func `a reader that has seen enough ends it`() throws {
    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: [5])
    let outcome = try fixture.exporter.runShell(
      "exporter watch --interval 1s --dsn sqlite:outbox.sqlite --layout praisonai | head -n 1; echo ${PIPESTATUS[0]}")
    #expect(outcome.output.hasSuffix("Z  OK  1 outbox\n0\n") && outcome.error == "", "\(outcome)")
  }

  @Test func `leaves no trace, and refuses to hurry`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(waiting: [5_000])
    let watch = try fixture.start(
      ["watch", "--interval", "1s"] + arguments,
      environment: [
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OUTBOX_STATE_DIR": fixture.exporter.path("kept"),
      ])
    #expect(eventually { watch.standardOutput.contains("2 of the 5 samples") })
    watch.signal(terminate)
    #expect(try CommandFixture.outcome(of: watch).error == "")
    #expect(
      try fixture.exporter.runShell("ls -A").output.split(separator: "\n").allSatisfy { $0.hasPrefix("outbox.sqlite") })
    let hurried = try fixture.run(["watch", "--interval", "900ms"] + arguments)
    #expect(hurried.code == 64 && hurried.error.contains("too short"), "\(hurried)")
    #expect(try fixture.run(["watch"]).code == 78)
    #expect(try fixture.run(["watch", "--help"]).output.contains("backlog   events that are due"))
  }
}
