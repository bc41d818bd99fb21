import TestSupport

/// Outboxes of KaireonAI in several tables of a database, and sidecars that watch them.
enum TroubleFixture {
  /// A table of its own, with events of so many destinations: every destination has three waiting events and one in flight,
  /// and there are as many delivered ones.
  static func table(_ name: String, destinations: Int = 2) -> String {
    """
    CREATE TABLE \(name) (
      id text PRIMARY KEY, status text NOT NULL, topic text, "retryCount" integer NOT NULL DEFAULT 0,
      "createdAt" timestamp(3) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
      "updatedAt" timestamp(3) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'));
    CREATE INDEX ON \(name) (status, "updatedAt");
    INSERT INTO \(name) (id, status, topic)
    SELECT 'e' || i || '-' || j, (ARRAY['pending', 'pending', 'pending', 'processing'])[j], 'topic' || i
    FROM generate_series(1, \(destinations)) i, generate_series(1, 4) j;
    INSERT INTO \(name) (id, status, topic) SELECT 'd' || i, 'published', 'topic1' FROM generate_series(1, 100) i;

    """
  }

  /// An outbox of the configuration file.
  static func outbox(_ name: String, _ conninfo: String, table: String) -> String {
    "  - {name: \(name), dsn: \"\(conninfo)\", layout: kaireon, tables: {events: \(table)}}"
  }

  /// The configuration of a sidecar.
  static func configuration(_ outboxes: [String], interval: String = "250ms") -> String {
    (["interval: \(interval)", "outboxes:"] + outboxes).joined(separator: "\n") + "\n"
  }

  /// How many cycles a comparison takes; `OUTBOX_TROUBLE_CYCLES` makes them longer.
  static let cycles = Int(currentEnvironment()["OUTBOX_TROUBLE_CYCLES"] ?? "") ?? 12

  /// How many samples of our sessions in a database, and how many of their locks are waited for.
  static func sessions(_ database: TemporaryDatabase) throws -> (sessions: Int, waiting: Int) {
    let text = try database.psql(
      """
      SELECT count(DISTINCT a.pid), count(*) FILTER (WHERE NOT l.granted)
      FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid
      WHERE a.application_name = 'outbox-exporter' AND a.datname = current_database()
      """)
    let numbers = text.split(separator: "|").compactMap { Int($0) }
    return (numbers[0], numbers[1])
  }
}

/// Two sidecars with the same healthy outboxes, one of which also watches sick ones: what the sick ones cost the others shows
/// in the cycles that each of the two completes meanwhile.
struct PairedSidecars {
  let alone: WatchingSidecar
  let beside: WatchingSidecar
  private let healthy: [String]

  init(
    healthy: [(name: String, outbox: String)], sick: [String], interval: String = "250ms",
    in namespace: NetworkNamespace? = nil
  ) throws {
    self.healthy = healthy.map(\.name)
    let outboxes = healthy.map(\.outbox)
    alone = try WatchingSidecar(TroubleFixture.configuration(outboxes, interval: interval))
    beside = try WatchingSidecar(TroubleFixture.configuration(sick + outboxes, interval: interval), in: namespace)
  }

  /// Waits until both have good figures of all healthy outboxes, and of those named besides.
  func begin(_ more: [String] = []) async -> Bool {
    await happens {
      healthy.allSatisfy { alone.good($0) > 0 && beside.good($0) > 0 } && more.allSatisfy { beside.good($0) > 0 }
        || !alone.isRunning || !beside.isRunning
    }
  }

  /// How many more cycles the second has completed than the first, of each healthy outbox, while the first did so many. What
  /// the first says that it left out, on a machine that stood still for a moment, counts as if it had completed it, as far
  /// as the second did.
  func differences(cycles: Int = TroubleFixture.cycles, meanwhile: () throws -> Void = {}) async throws -> [Int] {
    let before = done
    _ = try await happens(within: .seconds(900)) {
      try meanwhile()
      return healthy.indices.allSatisfy { done[$0].alone - before[$0].alone >= cycles } || !alone.isRunning
        || !beside.isRunning
    }
    return zip(before, done).map { before, after in
      let more = (after.beside - before.beside) - (after.alone - before.alone)
      return max(min(more, 0), more - (after.skipped - before.skipped))
    }
  }

  /// Of each healthy outbox the cycles that the two have completed, and those that the first has left out.
  private var done: [(alone: Int, beside: Int, skipped: Int)] {
    healthy.map { (alone.good($0), beside.good($0), alone.skipped($0)) }
  }
}
