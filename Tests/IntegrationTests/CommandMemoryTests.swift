import SQLiteClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct `The memory of --once` {
  private static let file = ".local/state/outbox-exporter/samples.sqlite"

  /// Makes five minutes pass for what is kept.
  private func pass(_ fixture: CommandFixture) throws {
    try samples(fixture).execute("UPDATE samples SET started = started - 300000000000")
  }

  private func samples(_ fixture: CommandFixture) throws -> SQLiteConnection {
    try SQLiteConnection(path: fixture.exporter.path(Self.file), access: .readWrite)
  }

  @Test func `gives a cron job a trend`() throws {
    let fixture = try CommandFixture()
    let arguments = try ["--once"] + fixture.writeOutbox(waiting: [5, 6, 7])
    for run in 1...20 {
      let outcome = try fixture.run(arguments)
      #expect(outcome.code == 0 && outcome.error == "", "\(outcome)")
      let lack = "verdict unknown: \(run) of the 5 samples that a trend needs\n"
      #expect(outcome.output.contains(lack) == (run < 5), "\(outcome)")
      try pass(fixture)
    }
    let last = try fixture.run(arguments)
    #expect(last.code == 2)
    #expect(
      last.output.hasPrefix("CRITICAL  1 outbox: stalled: 3 events due, none left in 1h 40m and none was tried;"),
      "\(last)")
  }

  @Test func `does not mix what has the same name`() throws {
    let fixture = try CommandFixture()
    for directory in ["a", "b"] {
      try fixture.exporter.home.write("", to: "\(directory)/keep")
      let arguments = try fixture.writeOutbox("\(directory)/outbox.sqlite", waiting: [5])
      let relative = "--once --dsn sqlite:outbox.sqlite \(arguments.dropFirst(2).joined(separator: " "))"
      #expect(try fixture.exporter.runShell("cd \(directory); exporter \(relative)").code == 0)
      // From the directory above it is still the same file.
      #expect(try fixture.run(["--once"] + arguments).code == 0)
    }
    var series: Set<String> = []
    try samples(fixture).query("SELECT series FROM samples") { series.insert($0.text(0) ?? "") }
    #expect(series.count == 2, "\(series)")
  }

  @Test func `is not hurt by runs at the same time`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(waiting: [5])
    let runs = try (0..<12).map { try fixture.start(["--once", "--name", "outbox-\($0)"] + arguments) }
    for run in runs {
      let outcome = try CommandFixture.outcome(of: run)
      #expect(outcome.code == 0 && outcome.error == "", "\(outcome)")
    }
    #expect(try samples(fixture).integer("SELECT count(*) FROM samples") == 12)
    #expect(try samples(fixture).integer("SELECT count(DISTINCT series) FROM samples") == 12)
  }

  @Test(arguments: [0, 4])
  func `that is damaged costs the trend and not the exit code`(offset: Int) throws {
    let fixture = try CommandFixture()
    let arguments = try ["--once"] + fixture.writeOutbox(waiting: [2_000])
    for _ in 0..<5 {
      _ = try fixture.run(arguments)
      try pass(fixture)
    }
    let file = fixture.exporter.path(Self.file)
    _ = try fixture.exporter.runShell("dd if=/dev/urandom of=\(file) bs=1024 seek=\(offset) count=30 status=none")
    let outcome = try fixture.run(arguments)
    #expect(outcome.code == 1 && outcome.output.contains("verdict unknown: 1 of the 5"), "\(outcome)")
    #expect(outcome.error.hasPrefix("outbox-exporter: warning: the samples of earlier runs are lost: \(file): "))
    #expect(outcome.error.hasSuffix("is set aside as \(file).damaged, and the trend begins anew\n"))
    #expect(outcome.error.split(separator: "\n").count == 1)
    #expect(try fixture.run(arguments).error == "")
  }

  @Test func `that is locked, read-only or full costs the trend and not the exit code`() throws {
    let fixture = try CommandFixture()
    let arguments = try ["--once"] + fixture.writeOutbox(waiting: [5], more: "PRAGMA journal_mode = DELETE")
    for _ in 0..<6 {
      _ = try fixture.run(arguments)
      try pass(fixture)
    }
    func expect(_ outcome: ExporterCommand.Outcome, _ verb: String, _ cause: String, knows: Bool) {
      CommandFixture.expectClean(outcome)
      #expect(outcome.code == 0 && outcome.output.contains("samples that a trend needs") != knows, "\(outcome)")
      #expect(
        outcome.error
          == "outbox-exporter: warning: the samples of earlier runs cannot be \(verb): "
          + "\(fixture.exporter.path(Self.file)): \(cause)\n")
    }
    let locker = try samples(fixture)
    try locker.execute("BEGIN EXCLUSIVE")
    expect(
      try fixture.run(arguments), "read", "database is locked; another program has locked it", knows: false)
    try locker.execute("ROLLBACK")

    // Nothing may be written to files, which the shell's output would be too.
    let full = try fixture.exporter.runShell(
      """
      exec 3>&1 4>&2; set -o pipefail
      { { (trap '' XFSZ; ulimit -f 0; exporter \(arguments.joined(separator: " "))) | cat >&3; } 2>&1 | cat >&4; }
      """)
    expect(full, "kept", "disk I/O error; check the disk and the file system", knows: true)

    fixture.exporter.setPermissions(Self.file, 0o444)
    expect(
      try fixture.run(arguments, obeysPermissions: true), "kept",
      "attempt to write a readonly database; make it writable, or point --state-dir elsewhere", knows: true)
  }

  @Test func `that cannot be made is said once, in a sentence`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write("", to: "locked/file")
    fixture.exporter.setPermissions("locked", 0o555)
    let outcome = try fixture.run(
      ["--once", "--state-dir", "locked/state"] + fixture.writeOutbox(waiting: [5]), obeysPermissions: true)
    #expect(outcome.code == 0, "\(outcome)")
    #expect(
      outcome.error == """
        outbox-exporter: warning: the samples of earlier runs cannot be kept: mkdir ./locked/state: Permission denied; \
        point --state-dir to a directory that may be written

        """)
  }
}

@Suite(.timeLimit(.minutes(2))) struct `The memory of a sidecar` {
  @Test func `has its verdict again at once after it was killed`() throws {
    let fixture = try CommandFixture()
    let arguments =
      try ["--interval", "100ms", "--state-dir", "state"] + fixture.writeOutbox(waiting: [5, 6, 7])
    let environment = ["OTEL_METRICS_EXPORTER": "console"]
    let stalled = "stalled"

    let first = try fixture.start(arguments, environment: environment)
    #expect(eventually { Self.verdicts(first).contains(stalled) })
    #expect(Self.verdicts(first).first == "unknown")
    first.signal(9)
    _ = first.wait(atMost: .seconds(10))

    let second = try fixture.start(arguments, environment: environment)
    #expect(eventually { !Self.verdicts(second).isEmpty })
    second.signal(15)
    #expect(second.wait(atMost: .seconds(20)) == 0)
    #expect(Self.verdicts(second).first == stalled)

    // Another rhythm is another trend.
    let third = try fixture.start(["--interval", "200ms"] + arguments.dropFirst(2), environment: environment)
    #expect(eventually { !Self.verdicts(third).isEmpty })
    third.signal(15)
    _ = third.wait(atMost: .seconds(20))
    #expect(Self.verdicts(third).first == "unknown")
  }

  /// The verdicts that were printed, cycle by cycle.
  private static func verdicts(_ sidecar: ChildProcess) -> [String] {
    let prefix = "outbox.verdict{outbox.name=praisonai,outbox.verdict="
    return sidecar.standardOutput.split(separator: "\n").filter { $0.hasPrefix(prefix) && $0.hasSuffix("} 1") }
      .map { String($0.dropFirst(prefix.count).dropLast(3)) }
  }
}
