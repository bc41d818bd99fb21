import Exporter
import Logging
import Synchronization
import TestSupport
import Testing

@Suite struct `The service manager` {
  private let logged = LoggedLines()

  private func found(_ environment: [String: String]) -> ServiceSupervisor? {
    let logged = logged
    return ServiceSupervisor(
      environment: environment, interval: .seconds(15), log: Logger(label: "test") { _ in logged.handler })
  }

  @Test func `is told on a path and under an abstract name, in the words of sd_notify`() throws {
    let directory = try TemporaryDirectory()
    for name in ["\(directory.path)/notify", "@outbox-exporter-test-\(directory.path.filter(\.isLetter))"] {
      let socket = NotificationSocket(name)
      let supervisor = try #require(found(["NOTIFY_SOCKET": name]))
      supervisor.tell(.ready)
      supervisor.tell(.cycleCompleted("OK: 2 outboxes"))
      supervisor.tell(.stopping)
      #expect(socket.next() == ["READY=1"])
      #expect(socket.next() == ["WATCHDOG=1", "STATUS=OK: 2 outboxes"])
      #expect(socket.next() == ["STOPPING=1"])
    }
    #expect(logged.lines == [])
  }

  @Test func `is nobody where no socket is named`() {
    #expect(found([:]) == nil)
    #expect(found(["NOTIFY_SOCKET": ""]) == nil)
    #expect(logged.lines == [])
  }

  @Test func `that cannot be reached costs a line in the log`() throws {
    #expect(found(["NOTIFY_SOCKET": "vsock:2:1234"]) == nil)
    #expect(found(["NOTIFY_SOCKET": "/" + String(repeating: "a", count: 108)]) == nil)
    #expect(logged.lines.count == 2)
    try #require(found(["NOTIFY_SOCKET": "/nonexistent/socket"])).tell(.ready)
    #expect(logged.lines.last == "systemd was not told: sendto /nonexistent/socket: No such file or directory")
  }

  @Test(arguments: [("29999999", 1), ("30000000", 0), ("60000000", 0), ("", 0), ("soon", 0)])
  func `is warned of where it would take an interval for a hang`(limit: String, warnings: Int) throws {
    _ = try #require(found(["NOTIFY_SOCKET": "/run/nobody", "WATCHDOG_USEC": limit]))
    #expect(logged.lines.count == warnings)
  }
}

/// What was written to a log.
private final class LoggedLines: Sendable {
  private let written = Mutex<[String]>([])

  var lines: [String] { written.withLock { $0 } }
  var handler: Handler { Handler(lines: self) }

  struct Handler: LogHandler {
    let lines: LoggedLines
    var logLevel = Logger.Level.trace
    var metadata = Logger.Metadata()

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      lines.written.withLock { $0.append(event.message.description) }
    }
  }
}
