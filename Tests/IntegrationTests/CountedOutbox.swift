import TestSupport
import Testing

/// An outbox with a sidecar that counts it, and what the Collector got of the counting.
struct CountedOutbox {
  let command: ExporterCommand
  let name: String
  private let store: Store
  private let collector: OTLPReceiver

  enum Store {
    /// PraisonAI's, with the index that history takes.
    case sqlite
    /// AiHummer's, without the index that history takes.
    case postgresql(TemporaryDatabase)
    /// OpenClaw's files.
    case files
  }

  init(_ name: String, _ store: Store, _ collector: OTLPReceiver) throws {
    command = try ExporterCommand()
    self.name = name
    self.store = store
    self.collector = collector
    try command.home.write("", to: "state/made")
    switch store {
    case .sqlite:
      try sql(
        """
        CREATE TABLE outbound_queue (
          id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, target TEXT NOT NULL,
          status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0, last_attempt REAL, sent_at REAL);
        CREATE INDEX idx_status ON outbound_queue (status);
        CREATE INDEX idx_sent_at ON outbound_queue (sent_at);
        """)
    case .postgresql:
      try sql(
        """
        CREATE TABLE outbox (
          id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, channel text, status text NOT NULL DEFAULT 'pending',
          attempts integer NOT NULL DEFAULT 0, next_attempt_at timestamptz, locked_at timestamptz,
          created_at timestamptz NOT NULL DEFAULT clock_timestamp(), updated_at timestamptz, delivered_at timestamptz);
        CREATE INDEX ON outbox (status, next_attempt_at);
        """)
    case .files:
      try command.home.write("", to: "queue/failed/.keep")
    }
  }

  private var layout: String {
    switch store {
    case .sqlite: "praisonai"
    case .postgresql: "aihummer"
    case .files: "openclaw-files"
    }
  }

  private var dsn: String {
    switch store {
    case .sqlite: "sqlite:\(command.path("outbox.sqlite"))"
    case .postgresql(let database): database.conninfo()
    case .files: "files:\(command.path("queue"))"
    }
  }

  /// What to start the sidecar with.
  var arguments: [String] {
    [
      "--dsn", dsn, "--layout", layout, "--name", name, "--state-dir", command.path("state"), "--interval", "100ms",
      "--endpoint", collector.base,
    ]
  }

  func start(obeysPermissions: Bool = false) throws -> ChildProcess {
    try command.start(arguments, obeysPermissions: obeysPermissions)
  }

  /// Starts it as the last words of another program's command line.
  func start(behind prefix: [String]) throws -> ChildProcess {
    try ChildProcess(
      prefix[0], prefix.dropFirst() + [ExporterCommand.path] + arguments, environment: command.variables([:]),
      directory: command.home.path)
  }

  func ledger(_ action: String) throws {
    let outcome = try command.run(["ledger", action, "--dsn", dsn, "--layout", layout])
    #expect(outcome.code == 0, "\(outcome.error)")
  }

  func sql(_ statements: String) throws {
    switch store {
    case .sqlite:
      let outcome = try run("sqlite3", ["-cmd", ".timeout 5000", command.path("outbox.sqlite")], input: statements)
      #expect(outcome.code == 0, "\(outcome.error)")
    case .postgresql(let database): try database.psql(statements)
    case .files: break
    }
  }

  /// Runs statements in the file of the counters.
  func state(_ statements: String) throws {
    let outcome = try run(
      "sqlite3", ["-cmd", ".timeout 5000", command.path("state/accounts.sqlite")], input: statements)
    #expect(outcome.code == 0, "\(outcome.error)")
  }

  func enqueue(_ count: Int) throws {
    switch store {
    case .sqlite:
      for _ in 0..<count {
        try sql(
          "INSERT INTO outbound_queue (ts, target) VALUES ((julianday('now') - 2440587.5) * 86400.0, 'telegram:1')")
      }
    case .postgresql:
      try sql("INSERT INTO outbox (channel) SELECT 'telegram' FROM generate_series(1, \(count))")
    case .files:
      for _ in 0..<count {
        let id = UInt64.random(in: 0...UInt64.max)
        try command.home.write(
          "{\"id\": \"\(id)\", \"enqueuedAt\": \(Int(wallSeconds() * 1_000)), \"retryCount\": 0, \"channel\": \"telegram\"}",
          to: "queue/\(id).tmp")
        _ = try run("mv", [command.path("queue/\(id).tmp"), command.path("queue/\(id).json")])
      }
    }
  }

  /// The points of `outbox.enqueued` in their order, of all destinations.
  private var points: [ReceivedPoint] {
    collector.dump.points.filter {
      $0.metric == "outbox.enqueued" && $0.attributes.contains("outbox.name=Str(\(name))") && $0.value != "none"
    }
  }

  /// The last value of `outbox.enqueued` and the time from which it counts.
  var last: (value: Int, start: Int64)? {
    points.last { $0.attributes.contains("outbox.destination=Str(telegram)") }.map { (Int($0.value) ?? -1, $0.start) }
  }

  /// Waits until so many were counted since some moment after another one; the time from which they count.
  func counted(_ value: Int, since earlier: Int64 = 0, _ sidecar: ChildProcess) async -> Int64? {
    var start: Int64?
    let isCounted = await slowly {
      guard let last, last.value == value, last.start > earlier else { return false }
      start = last.start
      return true
    }
    #expect(isCounted, "\(name): \(String(describing: last)) instead of \(value)\n\(sidecar.standardError)")
    return start
  }

  /// No counter falls or jumps without saying that it begins anew, and none begins earlier than the one before: in the order
  /// of the moments that the points are of. What was delivered, and could not be taken out of the spool of a disk that is
  /// full or before the end of a process that is killed, comes once more.
  func expectHonesty() {
    for (series, points) in Dictionary(grouping: points.sorted { $0.time < $1.time }, by: \.attributes) {
      for (before, after) in zip(points, points.dropFirst()) {
        let isHonest =
          after.start == before.start ? Int(after.value) ?? -1 >= Int(before.value) ?? 0 : after.start > before.start
        #expect(
          isHonest,
          "\(series): \(before.value) since \(before.start), then \(after.value) since \(after.start), \(after.time - before.time) ns later"
        )
      }
    }
  }

  func expectsWords(_ words: String, _ sidecar: ChildProcess) async {
    let isSaid = await happens(within: .seconds(30)) { sidecar.standardError.contains(words) }
    #expect(isSaid, "\(name): \(sidecar.standardError)")
  }
}
