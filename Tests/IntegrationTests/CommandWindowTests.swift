import SQLiteClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct `A window of --once` {
  @Test func `has a verdict by itself, which a single run has not`() throws {
    let fixture = try CommandFixture()
    let arguments = try ["--once"] + fixture.writeOutbox(waiting: [5, 6, 7])
    #expect(try fixture.run(arguments).output.contains("verdict unknown: 1 of the 5"))
    let outcome = try fixture.run(arguments + ["--window", "5s"])
    #expect(outcome.code == 2 && outcome.error == "", "\(outcome)")
    #expect(
      outcome.output.prefixMatch(
        of: /CRITICAL  1 outbox: stalled: 3 events due, none left in (4\.9s|5s) and none was tried;/) != nil,
      "\(outcome)")
    #expect(outcome.output.contains("\n  oldest: event-2, event-1, event-0\n"))
    #expect(outcome.output.split(separator: "\n").filter { $0.contains("1 outbox") }.count == 1, "printed once")

    // The next run goes on with what is kept, to which the window has added one sample at most.
    let kept = try SQLiteConnection(
      path: fixture.exporter.path(".local/state/outbox-exporter/samples.sqlite"), access: .readOnly)
    #expect((1...2).contains(try kept.integer("SELECT count(*) FROM samples") ?? 0))
  }

  @Test func `judges by what happens in it alone`() throws {
    let fixture = try CommandFixture()
    let arguments = try ["--once"] + fixture.writeOutbox(waiting: [])
    let outcome = try fixture.run(arguments, environment: ["OUTBOX_WINDOW": "1s"])
    #expect(outcome.code == 0 && outcome.output.contains("verdict idle: nothing is due"), "\(outcome)")
  }

  @Test func `tells a person who waits how far it has come`() throws {
    let fixture = try CommandFixture()
    let arguments = try ["--once", "--window", "3s"] + fixture.writeOutbox(waiting: [])
    let command = "$PROGRAM \(arguments.joined(separator: " ")) >out"
    let terminal = try fixture.exporter.runShell("script -qec '\(command)' /dev/null")
    #expect(terminal.code == 0, "\(terminal)")
    #expect(terminal.output.contains("\rsampling: 0ms of 3s ") && terminal.output.contains("\rsampling: 3s of 3s "))
    #expect(terminal.output.hasSuffix(" \r"), "nothing is left on the line")
    #expect(fixture.exporter.home.read("out").hasPrefix("OK  1 outbox: 1 OK\n"))

    #expect(try fixture.run(arguments).error == "", "nobody looks")
    let brief = command.replacing("3s", with: "2s")
    #expect(try fixture.exporter.runShell("script -qec '\(brief)' /dev/null").output == "", "too short to be told")
  }

  @Test func `ends in time although a store takes long, and says what the last sample found`() throws {
    let fixture = try CommandFixture()
    let outcome = try fixture.run([
      "--once", "--window", "1s", "--dsn", "sqlite:nowhere/outbox.sqlite", "--layout", "praisonai",
    ])
    outcome.expectUnknown(["verdict unknown: the last 5 samples failed"])
  }
}
