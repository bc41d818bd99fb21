import TestSupport
import Testing

/// The unit for systemd: what its own checker says of it, and what systemd would hear from the program that it starts.
@Suite struct `The systemd unit` {
  private static let path = "deploy/outbox-exporter.service"
  private static let program = "/usr/local/bin/outbox-exporter"

  /// The value of a setting that stands in the unit once.
  private func setting(_ name: String) throws -> String {
    let lines = try ProjectFiles.text(of: Self.path).split(separator: "\n").filter { $0.hasPrefix("\(name)=") }
    #expect(lines.count == 1, "\(name)")
    return String(try #require(lines.first).dropFirst(name.count + 1))
  }

  @Test(.enabled(if: programOnPath("systemd-analyze") != nil, "systemd-analyze is not on PATH"))
  func `passes the check of systemd, which finds nothing to say`() throws {
    let directory = try TemporaryDirectory()
    let unit = try ProjectFiles.text(of: Self.path).replacing(Self.program, with: ExporterCommand.path)
    for (name, text, isRight) in [
      ("outbox-exporter", unit, true), ("mistyped", unit.replacing("WatchdogSec=", with: "WatchdogSecs="), false),
    ] {
      try directory.write(text, to: "\(name).service")
      let outcome = try run("systemd-analyze", ["verify", "--man=no", "\(directory.path)/\(name).service"])
      // Of a mistake in a line it says so, and ends with 0.
      #expect((outcome.code == 0 && outcome.output + outcome.error == "") == isRight, "\(outcome)")
    }
  }

  @Test func `starts a program that tells systemd how it is`() throws {
    #expect(try setting("Type") == "notify")
    let watchdog = try #require(Int(try setting("WatchdogSec").dropLast()))
    let command = try setting("ExecStart").split(separator: " ").map(String.init)
    #expect(command.first == Self.program)

    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: [5_000])
    _ = try fixture.configured("outboxes: [{dsn: \"sqlite:outbox.sqlite\", layout: praisonai}]")
    let socket = NotificationSocket(fixture.exporter.path("notify"))
    let arguments = command.dropFirst().map { word in
      word == "${STATE_DIRECTORY}"
        ? fixture.exporter.path("state") : word.replacing("/etc/outbox-exporter.yaml", with: "outbox.yaml")
    }
    let sidecar = try fixture.start(
      arguments,
      environment: [
        "NOTIFY_SOCKET": socket.name, "WATCHDOG_USEC": "\(watchdog)000000", "OTEL_METRICS_EXPORTER": "none",
      ])
    #expect(socket.next() == ["READY=1"])
    #expect(
      socket.next() == [
        "WATCHDOG=1", "STATUS=CRITICAL: praisonai: the oldest event waits 1h 23m, limit 1h",
      ])
    sidecar.signal(15)
    #expect(socket.next() == ["STOPPING=1"])
    let outcome = try CommandFixture.outcome(of: sidecar)
    #expect(outcome.code == 0 && !outcome.error.contains("WatchdogSec"), "\(outcome)")
  }
}
