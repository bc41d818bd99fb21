import SQLiteClient
import TestSupport
import Testing

/// Deltas from the program itself, which dies at any moment and goes on.
@Suite struct `A sidecar that tells deltas` {
  /// What has arrived so far of one counter. Each request is read once, however often it is asked for.
  private final class Told {
    let server = ScriptedHTTPServer([.answer(200)])
    private var read = 0
    private var bodies: Set<[UInt8]> = []
    private var found: [ReceivedFigure] = []

    var points: [ReceivedFigure] {
      let requests = server.requests
      // A request that was answered while the process died is sent again: the same bytes.
      for request in requests.dropFirst(read) where bodies.insert(request.body).inserted {
        found += ReceivedFigure.all(in: request.body).filter {
          $0.metric == "outbox.enqueued" && !$0.isEnd && $0.attributes["outbox.destination"] == "telegram"
        }
      }
      read = requests.count
      return found
    }

    var sum: Double { points.reduce(0) { $0 + ($1.value ?? 0) } }
  }

  @Test(arguments: [UInt64.random(in: 0...UInt64.max)])
  func `neither repeats nor skips what moved, however often it is killed [138]`(seed: UInt64) async throws {
    var chance = SeededChance(seed: seed)
    let told = Told()
    let fixture = try CommandFixture()
    let arguments =
      try fixture.writeOutbox(waiting: [5])
      + [
        "--interval", "200ms", "--endpoint", told.server.url(""), "--state-dir", fixture.exporter.path("state"),
        "--database-share", "100%",
      ]
    let environment = ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"]
    let connection = try SQLiteConnection(path: fixture.exporter.path("outbox.sqlite"), access: .readWrite)
    connection.setBusyTimeout(.seconds(5))

    var written = 0
    let lives = 4
    for life in 1...lives {
      let child = try fixture.start(arguments, environment: environment)
      let before = told.points.count
      #expect(await happens { told.points.count > before }, "seed \(seed): \(child.standardError)")
      for _ in 0..<Int.random(in: 1...4, using: &chance) {
        written += 1
        try connection.execute(
          """
          INSERT INTO outbound_queue (id, target, ts)
          VALUES ('n\(written)', 'telegram:1', (julianday('now') - 2440587.5) * 86400)
          """)
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...200, using: &chance)))
      }
      if life == lives { #expect(await happens { told.sum >= Double(written) }, "seed \(seed): \(told.sum)") }
      child.signal(life % 2 == 0 ? 15 : 9)
      child.wait()
    }
    let points = told.points
    #expect(told.sum == Double(written), "seed \(seed): \(points.map { $0.value ?? -1 })")
    for (earlier, later) in zip(points, points.dropFirst()) {
      #expect(later.start == earlier.time && later.time > later.start, "seed \(seed): a gap or an overlap")
    }
  }
}
