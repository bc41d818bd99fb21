package import Layouts
import Outbox
package import SQLiteClient

/// The demo's outbox: an SQLite table that a simulated application writes to and a simulated worker empties.
package struct DemoOutbox: ~Copyable {
  /// How long a claim holds.
  package static let lease = 5.0
  /// How often an event is tried before it is dead.
  package static let maxAttempts = 3

  /// How the table is laid out.
  package static let layout = Layout(
    name: "demo", summary: "the table that `outbox-exporter demo` makes and removes again", systems: [.sqlite],
    queues: [
      TableQueue(
        tables: ["events": TableName("outbox")],
        columns: [
          "id": .column("id"), "channel": .column("channel"), "status": .column("status"),
          "attempts": .column("attempts"), "created": .column("created_at", encoding: .unixFractionalSeconds),
          "due": .column("due_at", encoding: .unixFractionalSeconds),
          "lease": .column("lease_until", encoding: .unixFractionalSeconds),
          "dead": .column("dead_at", encoding: .unixFractionalSeconds),
        ],
        stateColumn: "status", knownStates: ["waiting", "sending", "dead"], destination: "{channel}",
        selections: [
          Selection(
            rows: "{status} = 'waiting'", state: .ready, until: .init("{due.seconds}", .scheduled),
            retry: "{attempts} > 0", since: "{created.seconds}"),
          Selection(
            rows: "{status} = 'sending'", state: .claimed, retry: "{attempts} > 0", since: "{created.seconds}",
            stuck: .init(.leaseExpired, since: "{lease.seconds}")),
          Selection(rows: "{status} = 'dead'", state: .dead, since: "{dead.seconds}"),
        ])
    ],
    limits: Limits(
      age: .init(warning: .seconds(5), critical: .seconds(12)), stuck: .init(warning: 1), dead: .init(warning: 1)))

  private let connection: SQLiteConnection
  private var written = 0
  private var arrivalDebt = 0.0
  private var workDebt = 0.0

  /// Makes the table in a new file.
  ///
  /// - Throws: the file cannot be written.
  package init(path: String) throws(SQLiteError) {
    let connection = try SQLiteConnection(path: path, access: .readWrite)
    try connection.execute(
      """
      PRAGMA journal_mode=WAL;
      CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, channel TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'waiting',
        attempts INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL, due_at REAL NOT NULL, lease_until REAL,
        dead_at REAL);
      CREATE INDEX outbox_status ON outbox(status, due_at);
      """)
    self.connection = connection
  }

  /// Lets the application and the worker live for a part of a second.
  ///
  /// - Throws: the file cannot be written.
  package mutating func live(_ phase: DemoScenario.Phase, at now: Double, for seconds: Double) throws(SQLiteError) {
    arrivalDebt += Double(phase.arrivals) * seconds
    var statements = "BEGIN;\n"
    while arrivalDebt >= 1 {
      arrivalDebt -= 1
      let channel = DemoScenario.channels[written % DemoScenario.channels.count]
      written += 1
      statements += "INSERT INTO outbox(channel, created_at, due_at) VALUES ('\(channel)', \(now), \(now));\n"
    }
    if let capacity = phase.capacity {
      workDebt += Double(capacity) * seconds
      let count = Int(workDebt)
      workDebt -= Double(count)
      statements += work(phase, at: now, count: count)
    }
    try connection.execute(statements + "COMMIT")
  }

  /// A worker takes back what lost its lease, finishes what it holds, and claims what is due. It holds events from one
  /// moment to the next, so that there are some in its hands when it dies.
  private func work(_ phase: DemoScenario.Phase, at now: Double, count: Int) -> String {
    let broken = phase.brokenChannel.map { "channel = '\($0)'" } ?? "false"
    return """
      UPDATE outbox SET status = 'waiting', lease_until = NULL WHERE status = 'sending' AND lease_until <= \(now);
      DELETE FROM outbox WHERE status = 'sending' AND NOT (\(broken));
      UPDATE outbox SET attempts = attempts + 1, lease_until = NULL, due_at = \(now) + 1.5 * (attempts + 1),
        status = CASE WHEN attempts + 1 >= \(Self.maxAttempts) THEN 'dead' ELSE 'waiting' END,
        dead_at = CASE WHEN attempts + 1 >= \(Self.maxAttempts) THEN \(now) END
        WHERE status = 'sending' AND (\(broken));
      UPDATE outbox SET status = 'sending', lease_until = \(now) + \(Self.lease) WHERE id IN (
        SELECT id FROM outbox WHERE status = 'waiting' AND due_at <= \(now) ORDER BY due_at LIMIT \(count));

      """
  }
}
