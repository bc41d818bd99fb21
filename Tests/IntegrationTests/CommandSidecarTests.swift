import SQLiteClient
import TestSupport
import Testing

/// The sidecar as a process: how it lives, and how it ends.
@Suite struct `The sidecar process` {
  private let terminate: Int32 = 15
  private let interrupt: Int32 = 2
  private let stop: Int32 = 19
  private let resume: Int32 = 18

  private func points(_ server: ScriptedHTTPServer) -> [ReceivedFigure] {
    server.requests.flatMap { ReceivedFigure.all(in: $0.body) }
  }

  /// Starts a sidecar that samples every 200 ms.
  private func start(
    _ fixture: CommandFixture, _ arguments: [String], to endpoint: String, environment: [String: String] = [:]
  ) throws -> ChildProcess {
    try fixture.start(["--interval", "200ms", "--endpoint", endpoint] + arguments, environment: environment)
  }

  /// Waits until something has happened; where it does not, shows what the sidecar said.
  private func expect(
    _ sidecar: ChildProcess, _ condition: () -> Bool, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    try #require(
      await happens(within: .seconds(60)) { condition() }, "\(sidecar.standardError)", sourceLocation: sourceLocation)
  }

  // MARK: - The end

  @Test(arguments: [Int32(15), 2]) func `a signal ends every series and then the process with 0`(_ signal: Int32)
    async throws
  {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let sidecar = try start(fixture, fixture.writeOutbox(waiting: [5]), to: server.url(""))
    try await expect(sidecar) { server.requests.count >= 2 }
    sidecar.signal(signal)
    let outcome = try CommandFixture.outcome(of: sidecar)
    #expect(outcome.code == 0 && outcome.output == "", "\(outcome)")
    #expect(outcome.error.contains(" info stopping") && outcome.error.hasSuffix(" info stopped\n"))
    let last = try ReceivedFigure.all(in: #require(server.requests.last).body)
    #expect(!last.isEmpty && last.allSatisfy(\.isEnd), "the last request ends what was sent before")
    let sent = Set(points(server).filter { !$0.isEnd && $0.metric.hasPrefix("outbox.") }.map(\.series))
    #expect(Set(last.map(\.series)).isSuperset(of: sent), "\(sent.subtracting(last.map(\.series)))")
  }

  @Test func `a stop need not end the series`() async throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: [5])
    let configured = try fixture.configured(
      "end_series_on_stop: false\noutboxes: [{dsn: \"sqlite:outbox.sqlite\", layout: praisonai}]\n")
    let sidecar = try start(fixture, configured, to: server.url(""))
    try await expect(sidecar) { server.requests.count >= 2 }
    sidecar.signal(terminate)
    #expect(try CommandFixture.outcome(of: sidecar).code == 0)
    #expect(points(server).allSatisfy { !$0.isEnd })
  }

  @Test func `an endpoint that hangs does not keep it`() async throws {
    let server = ScriptedHTTPServer([.silence])
    let fixture = try CommandFixture()
    let sidecar = try start(fixture, fixture.writeOutbox(waiting: [5]), to: server.url(""))
    try await expect(sidecar) { !server.requests.isEmpty }
    sidecar.signal(terminate)
    let outcome = try CommandFixture.outcome(of: sidecar)
    #expect(outcome.code == 0)
    #expect(outcome.error.contains("data points were lost at \(server.url())"), "\(outcome.error)")
  }

  @Test(arguments: [Int32(15), 2]) func `a second signal ends it at once, with 128 and its number`(_ second: Int32)
    async throws
  {
    let server = ScriptedHTTPServer([.silence])
    let fixture = try CommandFixture()
    let sidecar = try start(fixture, fixture.writeOutbox(waiting: [5]), to: server.url(""))
    try await expect(sidecar) { !server.requests.isEmpty }
    sidecar.signal(terminate)
    try await expect(sidecar) { sidecar.standardError.contains("stopping") }
    sidecar.signal(second)
    let outcome = try CommandFixture.outcome(of: sidecar)
    #expect(outcome.code == 128 + second)
    #expect(!outcome.error.contains("were lost") && !outcome.error.contains("info stopped"), "\(outcome.error)")
  }

  @Test func `a store that hangs does not keep it`() async throws {
    let blackhole = try BlackholeServer()
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let configured = try fixture.configured("timeouts: {connect: 1s}\n")
    let sidecar = try start(
      fixture, configured + ["--layout", "kaireon"], to: server.url(""),
      environment: ["OUTBOX_DSN": "postgresql://shop:\(CommandFixture.secret)@127.0.0.1:\(blackhole.port)/shop"])
    try await expect(sidecar) { sidecar.standardError.contains("did not answer in time") }
    sidecar.signal(terminate)
    #expect(try CommandFixture.outcome(of: sidecar).code == 0)
  }

  @Test func `after so many failed cycles it ends with 69 where it was told to`() throws {
    let fixture = try CommandFixture()
    let sidecar = try start(
      fixture, ["--dsn", "sqlite:nowhere/x.db", "--layout", "praisonai", "--exit-after-failed-cycles", "3"],
      to: "http://127.0.0.1:\(freePort())")
    let outcome = try CommandFixture.outcome(of: sidecar)
    #expect(outcome.code == 69)
    #expect(outcome.error.contains("no outbox could be sampled in 3 cycles") && outcome.error.contains("nowhere/x.db"))
  }

  // MARK: - Life

  @Test func `the liveness file is touched while the store fails`() async throws {
    let fixture = try CommandFixture()
    let server = ScriptedHTTPServer([.answer(200)])
    let sidecar = try start(
      fixture, ["--dsn", "sqlite:nowhere/x.db", "--layout", "praisonai", "--liveness-file", "alive"],
      to: server.url(""))
    func modified() throws -> String { try fixture.exporter.runShell("stat -c %y alive 2>/dev/null").output }
    try await expect(sidecar) { (try? modified()) ?? "" != "" }
    let first = try modified()
    try await expect(sidecar) { (try? modified()) ?? first != first }
    try await expect(sidecar) {
      points(server).contains { $0.metric == "outbox.sample.failures" && $0.value ?? 0 >= 2 }
    }
    sidecar.signal(terminate)
    let outcome = try CommandFixture.outcome(of: sidecar)
    #expect(outcome.code == 0)
    let complaints = outcome.error.split(separator: "\n").filter { $0.contains("not sampled (absent)") }
    #expect(complaints.count == 1, "one line when it begins, not one for each cycle")
  }

  @Test func `a liveness file that cannot be touched is said, and stops nothing`() async throws {
    let fixture = try CommandFixture()
    let server = ScriptedHTTPServer([.answer(200)])
    let sidecar = try start(
      fixture, fixture.writeOutbox(waiting: [5]) + ["--liveness-file", "nowhere/alive"], to: server.url(""))
    try await expect(sidecar) { server.requests.count >= 3 }
    sidecar.signal(terminate)
    let outcome = try CommandFixture.outcome(of: sidecar)
    #expect(outcome.code == 0)
    #expect(outcome.error.contains("the liveness file could not be touched: open nowhere/alive: No such file"))
  }

  @Test func `ticks that were missed are skipped and counted`() async throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let sidecar = try start(fixture, fixture.writeOutbox(waiting: [5]), to: server.url(""))
    try await expect(sidecar) { server.requests.count >= 2 }
    sidecar.signal(stop)
    try await Task.sleep(for: .milliseconds(1_000))
    sidecar.signal(resume)
    try await expect(sidecar) {
      points(server).contains { $0.metric == "outbox.sample.skipped" && $0.value ?? 0 >= 1 }
    }
    #expect(sidecar.standardError.contains("longer than the interval of 200ms; skipped "))
    sidecar.signal(terminate)
    #expect(try CommandFixture.outcome(of: sidecar).code == 0)
  }

  @Test func `a hung database delays no other outbox`() async throws {
    let blackhole = try BlackholeServer()
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: [5])
    let configured = try fixture.configured(
      """
      timeouts: {connect: 60s}
      outboxes:
        - {name: hung, dsn: "postgresql://shop:\(CommandFixture.secret)@127.0.0.1:\(blackhole.port)/shop", layout: kaireon}
        - {name: well, dsn: "sqlite:outbox.sqlite", layout: praisonai}
      """)
    let sidecar = try start(fixture, configured, to: server.url(""))
    try await expect(sidecar) {
      points(server).count { $0.metric == "outbox.up" && $0.attributes["outbox.name"] == "well" && $0.value == 1 } >= 5
    }
    let hung = points(server).filter { $0.attributes["outbox.name"] == "hung" }
    #expect(hung.contains { $0.metric == "outbox.up" && $0.value == 0 })
    #expect(hung.contains { $0.metric == "outbox.sample.failures" && $0.attributes["error.type"] == "timeout" })
    #expect(!hung.contains { $0.metric == "outbox.depth" }, "nothing is known of it")
    #expect(sidecar.standardError.contains("did not answer in time; the others go on without waiting"))
    sidecar.signal(terminate)
    sidecar.signal(terminate)
    _ = try CommandFixture.outcome(of: sidecar)
  }

  @Test func `an endpoint that was away gets what happened meanwhile, and a line says so at either end [180]`()
    async throws
  {
    let server = ScriptedHTTPServer([.answer(503), .answer(200)])
    let fixture = try CommandFixture()
    let sidecar = try start(fixture, fixture.writeOutbox(waiting: [5]), to: server.url(""))
    try await expect(sidecar) { server.requests.count >= 4 }
    sidecar.signal(terminate)
    let outcome = try CommandFixture.outcome(of: sidecar)
    let lines = outcome.error.split(separator: "\n").filter {
      $0.contains(" data again ") || $0.contains("not take data")
    }
    #expect(lines.count == 2, "\(outcome.error)")
    #expect(
      lines.first?.contains("does not take data; it is kept and tried again: it answered 503") == true, "\(lines)")
    // The batch of the first cycle, and those that came while it waited.
    let kept = lines.last?.split(separator: "; kept ").last?.split(separator: " ").first.flatMap { Int($0) } ?? 0
    #expect(kept >= ReceivedFigure.all(in: server.requests[0].body).count, "\(lines)")
    #expect(
      lines.last?.contains("takes data again after ") == true && lines.last?.hasSuffix("lost 0") == true, "\(lines)")
    let bodies = server.requests.map(\.body)
    #expect(bodies[0] == bodies[1], "the same request is sent again before any newer one")
  }

  @Test func `counters go on over requests that were refused, with their start [142]`() async throws {
    let server = ScriptedHTTPServer([.answer(200), .answer(400), .answer(400), .answer(200)])
    let fixture = try CommandFixture()
    let child = try fixture.start(
      ["--dsn", "sqlite:nowhere/x.db", "--layout", "praisonai", "--endpoint", server.url(""), "--interval", "100ms"])
    #expect(await happens { server.requests.count >= 5 })
    child.signal(9)
    child.wait()
    let failures = server.requests.prefix(5).map { request in
      ReceivedFigure.all(in: request.body).last { $0.metric == "outbox.sample.failures" }
    }
    // The fourth and the fifth are taken, and hold what happened while the second and the third were refused.
    #expect(failures.map { $0?.value } == [1, 2, 3, 4, 5])
    #expect(Set(failures.map { $0?.start }).count == 1 && failures[0]?.start != 0)
    let times = failures.compactMap { $0?.time }
    #expect(times.count == 5 && zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
  }

  @Test func `two sidecars do not share a state directory`() async throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(waiting: [5]) + ["--state-dir", "state"]
    let first = try start(fixture, arguments, to: server.url(""))
    try await expect(first) { !server.requests.isEmpty }
    let second = try fixture.run(["--endpoint", server.url("")] + arguments)
    #expect(second.code == 78)
    #expect(
      second.error.contains("another sidecar uses the state directory state") && second.error.contains("--state-dir"))
    let once = try fixture.run(["--once", "--state-dir", "state", "--endpoint", server.url("")] + arguments)
    #expect(once.code == 0, "a health check beside the sidecar is welcome: \(once)")
    first.signal(terminate)
    #expect(try CommandFixture.outcome(of: first).code == 0)
  }

  // MARK: - Where figures go

  @Test func `one that pushes nowhere counts what moves, for the report`() async throws {
    let fixture = try CommandFixture()
    let outbox = try fixture.writeOutbox(waiting: [5])
    let sidecar = try fixture.start(
      ["--interval", "100ms", "--state-dir", "state"] + outbox, environment: ["OTEL_METRICS_EXPORTER": "none"])
    func reports(_ words: String) -> Bool {
      let report = try? fixture.run(["report", "--state-dir", "state", "--since", "1h", "--format", "json"])
      return report?.output.contains(words) == true
    }
    try await expect(sidecar) { reports("\"statistics\"") }
    let connection = try SQLiteConnection(path: fixture.exporter.path("outbox.sqlite"), access: .readWrite)
    try connection.execute("INSERT INTO outbound_queue (id, target, ts) VALUES ('new', 'telegram:1', unixepoch())")
    try await expect(sidecar) { reports("\"enqueued\": 1") }
    sidecar.signal(terminate)
    #expect(try CommandFixture.outcome(of: sidecar).code == 0)
  }

  @Test func `telemetry that is disabled makes no connection [135]`() async throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let sidecar = try start(
      fixture, fixture.writeOutbox(waiting: [5]) + ["--liveness-file", "alive"], to: server.url(""),
      environment: ["OTEL_SDK_DISABLED": "true"])
    try await expect(sidecar) { (try? fixture.exporter.runShell("cat alive").code) == 0 }
    sidecar.signal(terminate)
    let outcome = try CommandFixture.outcome(of: sidecar)
    #expect(outcome.code == 0 && outcome.error.contains("pushing nowhere"))
    #expect(server.connectionCount == 0)
  }

  @Test func `the console gets the figures as lines [137]`() async throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    let sidecar = try start(
      fixture, fixture.writeOutbox(waiting: [5, 6]), to: server.url(""),
      environment: ["OTEL_METRICS_EXPORTER": "console"])
    let line =
      "outbox.depth{outbox.name=praisonai,outbox.destination=telegram,outbox.state=ready,outbox.retry=false} 2\n"
    try await expect(sidecar) { sidecar.standardOutput.contains(line) }
    sidecar.signal(terminate)
    let outcome = try CommandFixture.outcome(of: sidecar)
    #expect(outcome.code == 0 && outcome.output.contains("(ended)\n"))
    #expect(server.connectionCount == 0)
  }

  @Test func `no secret shows where every user of the machine can look [131]`() async throws {
    let server = ScriptedHTTPServer([.answer(200)])
    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: [5])
    try fixture.exporter.home.write("Authorization: Bearer \(CommandFixture.secret)\n", to: "headers")
    let configured = try fixture.configured(
      """
      outboxes: [{dsn: "sqlite:outbox.sqlite", layout: praisonai}]
      export: [{endpoint: "\(server.url(""))", headers_file: headers}]
      """)
    let sidecar = try fixture.start(["--interval", "200ms"] + configured)
    try await expect(sidecar) { server.requests.count >= 2 }
    let arguments = try fixture.exporter.runShell("tr '\\0' ' ' </proc/\(sidecar.pid)/cmdline").output
    #expect(arguments.contains("outbox-exporter") && !arguments.contains(CommandFixture.secret))
    sidecar.signal(terminate)
    #expect(try CommandFixture.outcome(of: sidecar).code == 0)
    #expect(server.requests.allSatisfy { $0.values("authorization") == ["Bearer \(CommandFixture.secret)"] })
    let sent = server.requests.map { String(decoding: $0.body, as: UTF8.self) }
    #expect(!sent.contains { $0.contains(CommandFixture.secret) }, "nor does a metric carry it")
  }
}

extension ReceivedFigure {
  /// What tells the series from others.
  fileprivate var series: String {
    metric + attributes.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
  }
}
