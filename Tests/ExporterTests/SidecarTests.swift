import Exporter
import Logging
import Metrics
import OTLP
import Outbox
import Stores
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The sidecar` {
  @Test func `samples at every tick, and a stop ends every series`() async throws {
    let life = Life([ScriptedStore { [.good("orders", ready: $0)] }])
    async let ending = life.run()
    try await life.reachTick(15)
    life.timer.advance(by: .seconds(15))
    try await life.reachTick(30)
    #expect(life.batches.map { $0.depth("ready") } == [1, 2])
    life.stop()
    #expect(await ending == .requested)

    #expect(life.batches.count == 3)
    let (alive, ended) = (life.batches[1].series, life.batches[2].series)
    #expect(Set(ended) == Set(alive))
    #expect(life.batches[2].metrics.allSatisfy { $0.points.allSatisfy { $0.value == .noRecordedValue } })
    #expect(await life.stores[0].closings == 1)
  }

  @Test func `a stop may leave the series open`() async throws {
    let life = Life([ScriptedStore("orders")], endsSeries: false)
    async let ending = life.run()
    try await life.reachTick(15)
    life.stop()
    #expect(await ending == .requested)
    #expect(life.batches.count == 1)
  }

  @Test func `a stop in the middle of a cycle lets it come to its end`() async throws {
    let gate = Gate()
    let life = Life([
      ScriptedStore { _ in
        await gate.wait()
        return [.good("orders", ready: 7)]
      }
    ])
    async let ending = life.run()
    try await until { await gate.waiting == 1 }
    life.stop()
    #expect(life.batches.isEmpty)
    await gate.open()
    #expect(await ending == .requested)
    #expect(life.batches.count == 2)
    #expect(life.batches.first?.depth("ready") == 7)
    #expect(life.batches.last?.metrics.isEmpty == false)
  }

  // After a cycle of so many seconds with an interval of 15 s, so many ticks are skipped and the next one is awaited.
  @Test(arguments: [(14, 0, 15), (15, 0, 15), (16, 1, 30), (30, 1, 30), (31, 2, 45), (100, 6, 105)])
  func `a cycle that overruns skips ticks and counts them [136]`(length: Int, skipped: Int64, next: Int) async throws {
    let timer = ManualTimer()
    let life = Life(
      [
        ScriptedStore { call in
          if call == 1 { timer.advance(by: .seconds(length)) }
          return [.good("orders")]
        }
      ], timer: timer)
    async let ending = life.run()
    if length < next {
      try await life.reachTick(next)
      timer.advance(by: .seconds(next - length))
    }
    try await until { life.batches.count == 2 }
    #expect(life.batches[1].values(MetricCatalog.sampleSkipped).last == .int(skipped))
    try await life.reachTick(next + 15)
    life.stop()
    #expect(await ending == .requested)
  }

  @Test func `ends after so many cycles in a row without any success`() async throws {
    // One success in between starts the count anew; a second store that fails does not matter then.
    let life = Life(
      [ScriptedStore { call in [call == 3 ? .good("a") : .bad("a")] }, ScriptedStore { _ in [.bad("b")] }],
      endsAfterFailedCycles: 3)
    async let ending = life.run()
    for tick in 1...5 {
      try await life.reachTick(15 * tick)
      life.timer.advance(by: .seconds(15))
    }
    #expect(await ending == .nothingWorked(cycles: 3))
    // Six cycles, and the end of all series.
    #expect(life.batches.count == 7)
  }

  @Test func `goes on for ever though nothing works, unless told otherwise`() async throws {
    let life = Life([ScriptedStore { _ in [.bad("a")] }])
    async let ending = life.run()
    for tick in 1...20 {
      try await life.reachTick(15 * tick)
      life.timer.advance(by: .seconds(15))
    }
    try await life.reachTick(315)
    #expect(life.batches.count == 21)
    life.stop()
    #expect(await ending == .requested)
  }

  @Test func `every completed cycle touches the liveness file, failed stores included`() async throws {
    let directory = try TemporaryDirectory()
    let life = Life([ScriptedStore { _ in [.bad("a")] }], livenessFile: directory.path + "/alive")
    async let ending = life.run()
    try await life.reachTick(15)
    #expect(contents(of: directory.path + "/alive") == "")
    #expect(try run("rm", [directory.path + "/alive"]).code == 0)
    life.timer.advance(by: .seconds(15))
    try await life.reachTick(30)
    #expect(contents(of: directory.path + "/alive") == "")
    life.stop()
    _ = await ending
  }

  @Test func `a service manager hears of the start, of every completed cycle and of the end`() async throws {
    let gate = Gate()
    let life = Life([
      ScriptedStore { call in
        if call == 2 { await gate.wait() }
        return [call == 1 ? .good("orders") : .bad("orders")]
      }
    ])
    async let ending = life.run()
    try await life.reachTick(15)
    let beginning: [ServiceState] = [.ready, .cycleCompleted("OK: 1 outbox")]
    #expect(life.states == beginning)
    // A cycle that hangs is no sign of life; the end is announced though it still runs.
    life.timer.advance(by: .seconds(15))
    try await until { await gate.waiting == 1 }
    #expect(life.states == beginning)
    life.stop()
    try await until { life.states.count == 3 }
    #expect(life.states == beginning + [.stopping])
    await gate.open()
    #expect(await ending == .requested)
    #expect(life.states.last == .cycleCompleted("UNKNOWN: orders: not sampled: nobody answers"))
  }

  @Test func `a store that hangs keeps no cycle from its end`() async throws {
    let gate = Gate()
    let patience = ManualTimer()
    let hung = ScriptedStore(configured: [WatchedOutbox(name: "hung", layout: "praisonai", system: .sqlite)]) { _ in
      await gate.wait()
      return []
    }
    let life = Life([hung, ScriptedStore("orders")], patience: patience)
    async let ending = life.run()
    try await until { patience.deadlines == [.seconds(12)] }
    #expect(life.states == [.ready])
    patience.advance(by: .seconds(12))
    try await life.reachTick(15)
    #expect(
      life.states == [
        .ready, .cycleCompleted("UNKNOWN: hung: not sampled: the store has not answered yet; 1 more"),
      ])
    life.stop()
    await gate.open()
    _ = await ending
  }

  @Test func `a liveness file that cannot be touched stops nothing`() async throws {
    let life = Life([ScriptedStore("a")], livenessFile: "/nonexistent/directory/alive")
    async let ending = life.run()
    try await life.reachTick(15)
    life.timer.advance(by: .seconds(15))
    try await life.reachTick(30)
    #expect(life.batches.count == 2)
    life.stop()
    _ = await ending
  }

  @Test(.enabled(if: programOnPath("python3") != nil, "python3 is not on PATH"))
  func `pushes every batch and the last one before it ends`() async throws {
    let receiver = try ChildProcess(
      "python3",
      [
        "-c",
        """
        import http.server
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                print(self.path, b"outbox.depth" in body, flush=True)
                self.send_response(200)
                self.end_headers()
            def log_message(self, *arguments): pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_port, flush=True)
        server.serve_forever()
        """,
      ])
    var port: Int?
    try await until {
      port = receiver.standardOutput.split(separator: "\n").first.flatMap { Int($0) }
      return port != nil || !receiver.isRunning
    }
    let endpoint = "http://127.0.0.1:\(try #require(port, "\(receiver.standardError)"))/v1/metrics"
    let life = Life(
      [ScriptedStore("orders")],
      exporters: [OTLPExporter(OTLPDestination(endpoint: endpoint), version: "1")])
    async let ending = life.run()
    try await life.reachTick(15)
    life.stop()
    #expect(await ending == .requested)
    #expect(
      receiver.standardOutput.split(separator: "\n").dropFirst()
        == ["/v1/metrics True", "/v1/metrics True"])
  }
}

/// A sidecar with stores, clocks and an ear for what it sends.
private final class Life: Sendable {
  let stores: [ScriptedStore]
  let timer: ManualTimer
  private let sidecar: Sidecar
  private let stopping: AsyncStream<Int32>
  private let signals: AsyncStream<Int32>.Continuation
  private let shown: Shown

  private final class Shown: Sendable {
    let batches = Mutex<[MetricBatch]>([])
    let states = Mutex<[ServiceState]>([])
  }

  init(
    _ stores: [ScriptedStore], exporters: [OTLPExporter] = [], timer: ManualTimer = ManualTimer(),
    patience: ManualTimer = ManualTimer(), livenessFile: String? = nil, endsSeries: Bool = true,
    endsAfterFailedCycles: Int? = nil
  ) {
    self.stores = stores
    self.timer = timer
    (stopping, signals) = AsyncStream.makeStream()
    let shown = Shown()
    self.shown = shown
    let wall = WallClock()
    let cycle = ExportCycle(
      stores: stores, exporters: exporters, resource: [Attribute("service.name", "test")], environment: nil,
      destinationLimit: 100, interval: .seconds(15), build: .current, now: { wall.next() }, clock: patience)
    sidecar = Sidecar(
      cycle: cycle, exporters: exporters,
      settings: Sidecar.Settings(
        interval: .seconds(15), lastPush: .seconds(20), livenessFile: livenessFile, endsSeriesOnStop: endsSeries,
        endsAfterFailedCycles: endsAfterFailedCycles),
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, clock: timer,
      notify: { state in shown.states.withLock { $0.append(state) } },
      show: { batch in shown.batches.withLock { $0.append(batch) } })
  }

  /// Runs until it is stopped, or ends by itself.
  func run() async -> Sidecar.Ending { await sidecar.run(until: stopping) }

  /// What a signal does.
  func stop() { signals.yield(15) }

  /// Every batch so far.
  var batches: [MetricBatch] { shown.batches.withLock { $0 } }

  /// What a service manager has heard so far.
  var states: [ServiceState] { shown.states.withLock { $0 } }

  /// Waits until the sidecar sleeps until so many seconds after its start.
  func reachTick(_ seconds: Int) async throws {
    try await until { timer.deadlines == [.seconds(seconds)] }
  }
}

/// A wall clock that moves by a second whenever somebody looks.
private final class WallClock: Sendable {
  private let nanoseconds = Atomic(OutboxSample.time.nanoseconds)

  func next() -> Timestamp {
    Timestamp(nanoseconds: nanoseconds.add(1_000_000_000, ordering: .relaxed).newValue)
  }
}

extension MetricBatch {
  fileprivate func values(_ instrument: Instrument) -> [PointValue] {
    metrics.filter { $0.instrument == instrument }.flatMap { $0.points.map(\.value) }
  }

  /// The depth in one state, over all destinations.
  fileprivate func depth(_ state: String) -> Int64 {
    metrics.filter { $0.instrument == MetricCatalog.depth }.flatMap(\.points).reduce(0) { sum, point in
      guard point.attributes.contains(Attribute("outbox.state", state)), case .int(let value) = point.value else {
        return sum
      }
      return sum + value
    }
  }

  /// The names of all series, each once.
  fileprivate var series: [String] {
    Set(metrics.flatMap { metric in metric.points.map { "\(metric.instrument.name) \($0.attributes)" } }).sorted()
  }
}
