import TestSupport
import Testing

/// Many exporters beside one another, and a writer that never rests.
@Suite(programs("prometheus", "sqlite3"))
struct EndToEndConcurrencyTests {
  @Test func `two sidecars and many runs of --once never make a request fail, nor series without end`() async throws {
    let directory = try TemporaryDirectory()
    let files = try EndToEndSQLiteStores(in: directory, base: Int(wallSeconds()))
    let prometheus = try OTLPReceiver.prometheus()
    func configuration(_ more: String) -> String {
      """
      environment: test
      interval: 200ms
      \(more)
      outboxes:
      \(files.configuration)
      export: [{url: "\(prometheus.endpoint)"}]
      """
    }
    let sidecars = try ["a", "b"].map {
      try EndToEndExporter(configuration("state_dir: \(directory.path)/state-\($0)"))
    }
    let command = try ExporterCommand()
    try command.home.write(configuration(""), to: "once.yaml")
    func once() throws -> ChildProcess {
      try command.start(["--once", "--format", "json", "--config", command.path("once.yaml")])
    }
    func expectDelivered(_ run: ChildProcess) throws {
      let code = run.wait()
      let report = try ParsedJSON(run.standardOutput)
      // The outboxes are not well, which is no failure of the push.
      #expect(code == 2, "\(run.standardError)")
      #expect(report["push"]?["delivered"] == .bool(true), "\(run.standardOutput)")
    }
    #expect(try await happens { try instances(prometheus).count == 2 || sidecars.contains { !$0.isRunning } })
    for _ in 0..<5 { try expectDelivered(once()) }
    let known = try instances(prometheus)
    #expect(known.count == 3)
    // Runs one after the other go on with the same series.
    for _ in 0..<5 { try expectDelivered(once()) }
    #expect(try instances(prometheus) == known)
    for _ in 0..<2 {
      let runs = try (0..<4).map { _ in try once() }
      for run in runs { try expectDelivered(run) }
    }
    // Two sidecars, and at most four places of runs at the same time.
    let all = try instances(prometheus)
    #expect(all.isSuperset(of: known) && all.count <= 6, "\(all)")

    for sidecar in sidecars {
      #expect(sidecar.stop() == 0)
      #expect(sidecar.complaintsAboutDelivery == [])
    }
    try expectNothingRefused(prometheus)
  }

  /// The exporters that ever pushed, as Prometheus tells them apart.
  private func instances(_ prometheus: OTLPReceiver) throws -> Set<String> {
    let answer = try prometheus.answer("group by (instance) (last_over_time(outbox_up[10m]))")
    return Set((answer["data"]?["result"]?.elements ?? []).compactMap { $0["metric"]?["instance"]?.text })
  }

  /// What Prometheus itself says of the requests that it got.
  private func expectNothingRefused(_ prometheus: OTLPReceiver) throws {
    let lines = try prometheus.get("/metrics").split(separator: "\n").filter { !$0.hasPrefix("#") }
    let requests = lines.filter {
      $0.hasPrefix("prometheus_http_requests_total") && $0.contains("/api/v1/otlp/v1/metrics")
    }
    #expect(requests.contains { $0.contains("code=\"200\"") })
    for line in requests { #expect(line.contains("code=\"200\"") || line.hasSuffix(" 0"), "\(line)") }
    for name in ["prometheus_tsdb_out_of_order_samples_total", "prometheus_tsdb_out_of_bound_samples_total"] {
      for line in lines where line.hasPrefix(name) { #expect(line.hasSuffix(" 0"), "\(line)") }
    }
    for word in ["out of order", "out-of-order", "duplicate", "out of bounds", "level=ERROR", "level=WARN"] {
      let complaints = prometheus.output.split(separator: "\n").filter { $0.contains(word) }
      #expect(complaints.isEmpty)
    }
  }

  /// The writer moves, removes and replaces events in transactions that keep their number: whatever moment a sample
  /// sees, it has to see that number.
  @Test(programs("python3"))
  func `every sample of a database that is written at full speed sees one moment`() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/outbox.sqlite"
    try directory.write(Self.writer, to: "writer.py")
    let writer = try ChildProcess("python3", [directory.path + "/writer.py", path])
    #expect(eventually { writer.standardOutput.contains("ready") || !writer.isRunning })
    let prometheus = try OTLPReceiver.prometheus()
    let exporter = try EndToEndExporter(
      """
      interval: 100ms
      outboxes: [{name: bots, dsn: "sqlite:\(path)", layout: praisonai}]
      export: [{url: "\(prometheus.endpoint)"}]
      """)
    func samples() throws -> [Double: [EndToEndPoint]] {
      let points = try prometheus.query("{__name__=~\"outbox_depth|outbox_dlq_depth|outbox_up\"}[10m]")
      return Dictionary(grouping: points, by: \.time)
    }
    #expect(
      try await happens {
        let counts = try prometheus.query("outbox_sample_duration_seconds_count")
        return (counts.map(\.value).max() ?? 0) >= 30 || !exporter.isRunning || !writer.isRunning
      })
    #expect(writer.isRunning, "\(writer.standardError)")
    writer.signal(15)
    writer.wait()
    #expect(exporter.stop() == 0)
    var seen: Set<[Double]> = []
    for (time, points) in try samples() {
      let counts = points.filter { $0.metric != "outbox_up" }.sorted { $0.series < $1.series }.map(\.value)
      // A busy machine may not answer within a tenth of a second.
      if points.first(where: { $0.metric == "outbox_up" })?.value == 0 {
        #expect(counts.isEmpty, "\(time)")
        continue
      }
      #expect(counts.reduce(0, +) == 600, "\(time)")
      seen.insert(counts)
    }
    #expect(seen.count >= 10)
  }

  private static let writer = """
    import random, sqlite3, sys, time
    db = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=OFF")
    db.execute('''CREATE TABLE outbound_queue (
      id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, idempotency_key TEXT, target TEXT NOT NULL,
      payload TEXT, metadata TEXT, status TEXT NOT NULL, attempts INTEGER DEFAULT 0, last_attempt REAL, error TEXT,
      sent_at REAL)''')
    db.execute("CREATE INDEX idx_status ON outbound_queue(status)")
    states = ["pending", "sending", "failed", "recovered", "permanent_failure"]
    platforms = ["telegram", "slack", "discord"]
    def put():
        db.execute("INSERT INTO outbound_queue(ts, target, status) VALUES (?, ?, 'pending')",
                   (time.time(), random.choice(platforms) + ":1"))
    db.execute("BEGIN")
    for _ in range(600):
        put()
    db.execute("COMMIT")
    print("ready", flush=True)
    while True:
        db.execute("BEGIN IMMEDIATE")
        for (event,) in db.execute("SELECT id FROM outbound_queue ORDER BY random() LIMIT 40").fetchall():
            if random.random() < 0.3:
                db.execute("DELETE FROM outbound_queue WHERE id = ?", (event,))
                put()
            else:
                db.execute("UPDATE outbound_queue SET status = ?, attempts = ?, last_attempt = ? WHERE id = ?",
                           (random.choice(states), random.randint(0, 6), time.time(), event))
        db.execute("COMMIT")
    """
}
