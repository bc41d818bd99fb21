import TestSupport
import Testing

/// The cron line and the deploy gate of deploy/, as they stand there.
@Suite struct `The cron line and the deploy gate` {
  private func environment(_ fixture: CommandFixture, _ added: [String: String] = [:]) -> [String: String?] {
    let directory = ExporterCommand.path.dropLast("/outbox-exporter".count)
    return fixture.exporter.variables(
      added.merging([
        "PATH": "\(directory):/usr/bin:/bin", "OUTBOX_DSN": "sqlite:\(fixture.exporter.path("outbox.sqlite"))",
        "OUTBOX_LAYOUT": "praisonai",
      ]) { given, _ in given })
  }

  @Test func `cron has nothing to send while all is well`() throws {
    let lines = try ProjectFiles.text(of: "deploy/outbox-exporter.cron").split(separator: "\n")
      .filter { !$0.hasPrefix("#") }
    let entry = try #require(lines.last).split(separator: " ", maxSplits: 6).map(String.init)
    #expect(entry.count == 7 && entry[0] == "*/5" && entry[5] == "outbox-exporter", "minute to weekday, user, command")
    let variables = lines.dropLast().map { $0.prefix { $0 != "=" } }
    #expect(variables == ["MAILTO", "PATH", "OUTBOX_CONFIG"])

    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: [5])
    _ = try fixture.configured("outboxes: [{dsn: \"sqlite:outbox.sqlite\", layout: praisonai}]")
    let added = ["OUTBOX_CONFIG": "outbox.yaml", "OUTBOX_DSN": "", "OUTBOX_LAYOUT": ""]
    // cron hands the rest of the line to /bin/sh.
    func mail() throws -> (code: Int32, output: String, error: String) {
      try run(
        "/bin/sh", ["-c", entry[6]], environment: environment(fixture, added), directory: fixture.exporter.home.path)
    }
    let well = try mail()
    #expect(well == (0, "", ""), "\(well)")
    #expect(try run("rm", ["outbox.sqlite"], directory: fixture.exporter.home.path).code == 0)
    try fixture.writeOutbox(waiting: [5_000])
    let ill = try mail()
    #expect(ill.code == 2 && ill.output.hasPrefix("CRITICAL") && ill.error == "", "\(ill)")
  }

  // Twenty seconds each, as a deployment waits for them: nobody delivers the event meanwhile.
  @Test(arguments: [([], 0, false, ""), ([5], 2, true, "going back: touch gone-back")])
  func `the gate goes back where the outbox is in trouble`(
    waiting: [Int], code: Int32, goesBack: Bool, words: String
  ) throws {
    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: waiting)
    let outcome = try gate(fixture)
    #expect(outcome.code == code && outcome.error.contains(words), "\(outcome)")
    #expect((contents(of: fixture.exporter.path("gone-back")) != nil) == goesBack)
  }

  @Test func `the gate goes back for no mistake in its own configuration`() throws {
    let fixture = try CommandFixture()
    let outcome = try gate(fixture, ["OUTBOX_LAYOUT": "mistyped"])
    #expect(outcome.code == 78 && outcome.error.contains("the check itself is wrong"), "\(outcome)")
    #expect(contents(of: fixture.exporter.path("gone-back")) == nil)
  }

  private func gate(
    _ fixture: CommandFixture, _ added: [String: String] = [:]
  ) throws -> (code: Int32, output: String, error: String) {
    try run(
      ProjectFiles.root + "/deploy/deploy-gate.sh", ["touch", "gone-back"], environment: environment(fixture, added),
      directory: fixture.exporter.home.path)
  }
}
