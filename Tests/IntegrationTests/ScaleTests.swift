import TestSupport
import Testing

/// Many outboxes in many databases, and many destinations in one outbox. What 500 outboxes cost, `scripts/bench scale` says.
@Suite(withPostgreSQL)
struct ScaleTests {
  private typealias Fixture = TroubleFixture

  @Test func `many outboxes in many databases have their own figures, over one connection for each database`()
    async throws
  {
    let server = try TemporaryPostgres.shared()
    let tables = (1...4).map { "t\($0)" }
    let databases = try (1...4).map { number in
      let database = try server.createDatabase(tables.map { Fixture.table($0, destinations: 20) }.joined())
      // Each outbox has a number of events of its own.
      for (index, table) in tables.enumerated() {
        try database.psql(
          """
          INSERT INTO \(table) (id, status, topic)
          SELECT 'x' || i, 'pending', 'topic' || 1 + i % 20 FROM generate_series(1, \(number * 10 + index)) i
          """)
      }
      return database
    }
    let outboxes = databases.enumerated().flatMap { index, database in
      tables.map { (name: "d\(index)-\($0)", database: database, table: $0) }
    }
    let sidecar = try WatchingSidecar(
      Fixture.configuration(
        outboxes.map { Fixture.outbox($0.name, $0.database.conninfo(), table: $0.table) }, interval: "1s"))
    #expect(
      await happens { outboxes.allSatisfy { sidecar.good($0.name) >= 2 } || !sidecar.isRunning }, "\(sidecar.log)")
    let lines = Set(sidecar.lines)
    for outbox in outboxes {
      let expected = try outbox.database.psql(
        """
        SELECT topic, CASE status WHEN 'pending' THEN 'ready' ELSE 'claimed' END, count(*) FROM \(outbox.table)
        WHERE status IN ('pending', 'processing') GROUP BY 1, 2
        """)
      for row in expected.split(separator: "\n") {
        let fields = row.split(separator: "|")
        let line =
          "outbox.depth{outbox.name=\(outbox.name),outbox.destination=\(fields[0]),outbox.state=\(fields[1]),"
          + "outbox.retry=false} \(fields[2])"
        #expect(lines.contains(Substring(line)), "\(line)")
      }
      #expect(expected.split(separator: "\n").count == 40)
    }
    for database in databases { #expect(try Fixture.sessions(database).sessions == 1) }
    #expect(sidecar.stop() == 0)
  }

  @Test func `ten thousand destinations are reduced to the bound, and no event gets lost in it`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase(
      Fixture.table("crowd", destinations: 0)
        + """
        INSERT INTO crowd (id, status, topic)
        SELECT 'e' || i, CASE WHEN i > 10000 AND i % 3 = 0 THEN 'processing' ELSE 'pending' END, 'topic' || i % 10000
        FROM generate_series(1, 11000) i
        """)
    let sidecar = try WatchingSidecar(
      Fixture.configuration([Fixture.outbox("crowd", database.conninfo(), table: "crowd")], interval: "60s"))
    #expect(await happens { sidecar.good("crowd") >= 1 || !sidecar.isRunning }, "\(sidecar.log)")
    #expect(sidecar.stop() == 0)
    // The lines of the first cycle: they end with its build.
    let first = sidecar.lines.prefix { !$0.hasPrefix("outbox.build") }
    let depths = first.filter { $0.hasPrefix("outbox.depth{") }
    func sum(_ state: String) -> Int {
      depths.filter { $0.contains("outbox.state=\(state),") }.reduce(0) {
        $0 + (Int($1.split(separator: " ").last ?? "") ?? 0)
      }
    }
    #expect("\(sum("ready"))" == (try database.psql("SELECT count(*) FROM crowd WHERE status = 'pending'")))
    #expect("\(sum("claimed"))" == (try database.psql("SELECT count(*) FROM crowd WHERE status = 'processing'")))
    let destinations = Set(depths.map(Self.destination))
    #expect(destinations.count == 101 && destinations.contains("_other"), "\(destinations.count)")
    #expect(depths.allSatisfy { $0.contains("outbox.destination=_other") == $0.contains("otel.metric.overflow=true") })
    // Every destination of its own has its own number.
    let counts = try database.psql(
      "SELECT topic, count(*) FROM crowd WHERE status = 'pending' GROUP BY 1"
    ).split(separator: "\n").map { $0.split(separator: "|") }
    let byTopic = Dictionary(uniqueKeysWithValues: counts.map { (String($0[0]), String($0[1])) })
    for line in depths
    where line.contains("outbox.state=ready,") && line.contains("outbox.retry=false") && !line.contains("_other") {
      #expect(line.split(separator: " ").last.map(String.init) == byTopic[Self.destination(line)], "\(line)")
    }
  }

  /// The destination that stands on a line of a figure.
  private static func destination(_ line: Substring) -> String {
    let word = line.split { "{,}".contains($0) }.first { $0.hasPrefix("outbox.destination=") }
    return String(word?.dropFirst("outbox.destination=".count) ?? "")
  }
}
