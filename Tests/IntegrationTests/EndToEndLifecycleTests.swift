import TestSupport
import Testing

/// What backends see when the exporter stops, and when a store does.
@Suite(programs("prometheus", "victoria-metrics", "sqlite3"))
struct EndToEndLifecycleTests {
  @Test(arguments: [true, false])
  func `after a clean stop every series is gone at once, unless the user wants it to stay`(ends: Bool) async throws {
    let directory = try TemporaryDirectory()
    let files = try EndToEndSQLiteStores(in: directory, base: Int(wallSeconds()))
    let backends = [try OTLPReceiver.prometheus(), try OTLPReceiver.victoriaMetrics()]
    let exporter = try EndToEndExporter(
      """
      environment: test
      interval: 300ms
      end_series_on_stop: \(ends)
      outboxes:
      \(files.configuration)
        - {name: broken, dsn: "files:\(directory.path)/mistyped/queue", layout: openclaw-files}
      export: [\(backends.map { "{url: \"\($0.endpoint)\"}" }.joined(separator: ", "))]
      """)
    let everything = "{__name__=~\"outbox_.*|otel_.*\"}"
    var living: [Set<String>] = []
    for backend in backends {
      #expect(
        try await happens {
          try !backend.query("otel_sdk_exporter_operation_duration_seconds_count").isEmpty || !exporter.isRunning
        })
      living.append(Set(try backend.query(everything).map(\.series)))
    }
    #expect(exporter.stop() == 0)
    #expect(exporter.complaintsAboutDelivery == [])
    for (backend, before) in zip(backends, living) {
      let left = Set(try backend.query(everything).map(\.series))
      // A series may have begun between the look at it and the stop, such as a bucket.
      if ends { #expect(left == []) } else { #expect(before.subtracting(left) == [] && before.count > 100) }
    }
  }

  /// A table that is dropped, then a server that stops: in each cycle `outbox.up` is 0, a failure is counted, and there
  /// is no figure.
  @Test(withPostgreSQL)
  func `a failed sample says so and sends no figure, and sampling resumes`() async throws {
    let server = try TemporaryPostgres()
    let database = try server.createDatabase(
      """
      CREATE TABLE outbox_events (id int, status text, "createdAt" timestamp, "updatedAt" timestamp);
      CREATE INDEX ON outbox_events (status, "updatedAt");
      INSERT INTO outbox_events SELECT i, 'pending', now() - interval '1 hour', now() FROM generate_series(1, 7) i;
      """)
    let prometheus = try OTLPReceiver.prometheus()
    let exporter = try EndToEndExporter(
      """
      interval: 200ms
      outboxes: [{name: orders, dsn: "\(database.conninfo())", layout: kaireon}]
      export: [{url: "\(prometheus.endpoint)"}]
      """)
    func up() throws -> [Double] { try prometheus.query("outbox_up[10m]").map(\.value) }
    /// Waits for so many more cycles of the kind.
    func cycles(_ count: Int, of value: Double) async throws -> Bool {
      let before = try up().count { $0 == value }
      return try await happens { try up().count { $0 == value } >= before + count || !exporter.isRunning }
    }
    #expect(try await cycles(2, of: 1))
    try database.psql("ALTER TABLE outbox_events RENAME TO gone")
    #expect(try await cycles(3, of: 0))
    try database.psql("ALTER TABLE gone RENAME TO outbox_events")
    #expect(try await cycles(2, of: 1), "\(exporter.log)")
    try server.stop()
    #expect(try await cycles(3, of: 0))
    try server.start()
    #expect(try await cycles(2, of: 1), "\(exporter.log)")
    #expect(exporter.stop() == 0)
    expectOnlyGoodSamplesHaveFigures(try prometheus.query("{__name__=~\"outbox_.*\"}[10m]"))
  }

  private func expectOnlyGoodSamplesHaveFigures(_ points: [EndToEndPoint]) {
    var failures = 0
    var reasons: Set<String> = []
    let cycles = Dictionary(grouping: points.filter { $0.outbox == "orders" }, by: \.time)
    for up in points.filter({ $0.metric == "outbox_up" }).sorted(by: { $0.time < $1.time }) {
      let cycle = cycles[up.time] ?? []
      let figures = cycle.filter {
        EndToEndNames.figures.contains($0.metric) || $0.metric == "outbox_sample_time_seconds"
      }
      let counted = cycle.filter { $0.metric == "outbox_sample_failures_total" }
      if up.value == 0 {
        failures += 1
        #expect(figures == [])
        reasons.formUnion(counted.compactMap { $0.labels["error_type"] })
      } else {
        let ready = figures.filter {
          $0.metric == "outbox_depth" && $0.labels["outbox_state"] == "ready" && $0.labels["outbox_retry"] == "false"
        }
        #expect(ready.map(\.value) == [7])
      }
      #expect(Int(counted.map(\.value).reduce(0, +)) == failures)
    }
    #expect(reasons == ["schema", "unreachable"])
  }
}
