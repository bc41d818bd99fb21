import TestSupport

/// Two real databases with outboxes at which an application works: what arrives, who works, what breaks, and the truth
/// about it in SQL.
final class IncidentStore {
  /// An outbox, its destinations with what arrives there in a second, and its workers with what each takes at once.
  struct Outbox {
    let name: String
    let destinations: [String: Double]
    let workers: [String: Int]
    /// The promise, in minutes of the rehearsal; nil where none is made.
    var promise: Double?
  }

  static let outboxes = [
    Outbox(
      name: "orders", destinations: ["mail": 3, "push": 3, "sms": 6], workers: ["orders-1": 60], promise: 5),
    Outbox(name: "bots", destinations: ["telegram": 8], workers: ["bots-1": 60]),
    Outbox(name: "jobs", destinations: ["webhook": 6], workers: ["jobs-1": 30, "jobs-2": 30]),
    Outbox(name: "letters", destinations: ["partner": 6], workers: ["letters-1": 60]),
    Outbox(name: "reports", destinations: ["archive": 2], workers: ["reports-1": 1]),
    Outbox(name: "bulk", destinations: ["mail": 2], workers: ["bulk-1": 5], promise: 90),
    Outbox(name: "billing", destinations: ["invoices": 4], workers: ["billing-1": 60], promise: 5),
    Outbox(name: "imports", destinations: ["files": 4], workers: ["imports-1": 60]),
  ]
  /// What one of them had last week.
  static let past = IncidentPast(outbox: "imports", destination: "files", rate: 4)
  /// The destinations of one of them.
  static func destinations(of outbox: String) -> [String] {
    outboxes.filter { $0.name == outbox }.flatMap { $0.destinations.keys.sorted() }
  }
  /// Every name that a variable of a dashboard may offer.
  static var everything: Set<String> {
    // While an outbox is empty that never had an event, its destinations are not known.
    Set(["production", "default"] + outboxes.flatMap { [$0.name] + $0.destinations.keys })
  }
  /// The outbox that has a server to itself.
  static let apart = "billing"

  let pace: IncidentPace
  private let servers: [TemporaryPostgres]
  private let databases: [TemporaryDatabase]
  private var processes: [String: ChildProcess] = [:]
  private var sessions = 0
  private var pauses: [ClosedRange<Double>] = []
  private var paused: Double?

  init(_ pace: IncidentPace) throws {
    self.pace = pace
    servers = [try .shared(), try TemporaryPostgres()]
    let schema = try ProjectFiles.text(of: "Tests/DashboardTests/incident.sql")
    databases = try servers.map { try $0.createDatabase(schema) }
    for outbox in Self.outboxes {
      let destinations = outbox.destinations.map { "('\(outbox.name)', '\($0)', \($1))" }.joined(separator: ", ")
      try database(of: outbox.name).psql(
        """
        SELECT make('\(outbox.name)', \(pace.seconds(5)));
        INSERT INTO destinations (outbox, topic, rate) VALUES \(destinations);
        """)
    }
  }

  private func database(of outbox: String) -> TemporaryDatabase { databases[outbox == Self.apart ? 1 : 0] }

  // MARK: - What the exporter is told

  /// The layout and the outboxes of the exporter's file.
  var configuration: String {
    let outboxes = Self.outboxes.map { outbox in
      let promise = outbox.promise.map { ", objective: {age: \(pace.text($0)), target: 0.99}" } ?? ""
      return "  - {name: \(outbox.name), dsn: \"\(database(of: outbox.name).conninfo())\", layout: shop, "
        + "tables: {events: \(outbox.name)}\(promise)}"
    }
    return """
      layouts:
        shop:
          systems: [postgresql]
          queues:
            - tables: {events: outbox}
              columns:
                id: id
                topic: topic
                status: status
                attempts: attempts
                created: {column: created_at, encoding: timestamptz}
                due: {column: next_attempt_at, encoding: timestamptz}
                claimed: {column: locked_at, encoding: timestamptz}
                finished: {column: finished_at, encoding: timestamptz}
              state_column: status
              known_states: [pending, sending, sent, dead]
              destination: "{topic}"
              rows:
                - {where: "{status} = 'pending'", state: ready, until: {time: "{due.seconds}", state: scheduled},
                   retry: "{attempts} > 0", since: "{created.seconds}"}
                - {where: "{status} = 'sending'", state: claimed, retry: "{attempts} > 0", since: "{created.seconds}",
                   stuck: {reason: lease_expired, since: "{claimed.seconds} + \(pace.seconds(5))"}}
                - {where: "{status} = 'dead'", state: dead, since: "{finished.seconds}"}
              ledger:
                waiting: "{status} NOT IN ('sent', 'dead')"
                delivered: "{status} = 'sent'"
                dead: "{status} = 'dead'"
                failed: "{attempts} > {old:attempts}"
                released: "{old:status} = 'sending' AND {status} = 'pending' AND {attempts} = {old:attempts}"
                first_due: "{created.seconds}"
      outboxes:
      \(outboxes.joined(separator: "\n"))
      """
  }

  // MARK: - The application

  /// Everything that works or writes, and is not running, starts.
  func begin() throws {
    for outbox in Self.outboxes {
      for (worker, capacity) in outbox.workers { try begin(worker, of: outbox.name, taking: capacity) }
    }
    for (index, database) in databases.enumerated() {
      try session("application-\(index)", in: database) { "SELECT live('\($0)', 0.2)" }
    }
  }

  /// A worker starts, and takes so many events at once.
  func begin(_ worker: String, of outbox: String, taking capacity: Int) throws {
    try session(worker, in: database(of: outbox)) {
      "SELECT work('\($0)', '\(outbox)', '\(worker)', \(capacity), \(pace.seconds(1)))"
    }
  }

  private func session(_ name: String, in database: TemporaryDatabase, _ statement: (String) -> String) throws {
    if let running = processes[name], running.isRunning { return }
    sessions += 1
    processes[name] = try ChildProcess(
      "psql",
      ["-d", database.conninfo(), "-X", "-q", "-A", "-t", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-f", "-"],
      input: "\(statement("\(name) \(sessions)")) \\watch 0.2\n")
  }

  /// A worker is gone from one moment to the next.
  func kill(_ worker: String) {
    processes[worker]?.signal(Self.killed)
    processes[worker]?.wait()
  }

  /// The same, with at least so many events in its hands.
  func kill(_ worker: String, of outbox: String, holding least: Int) throws {
    let held = "SELECT count(*) FROM \(outbox) WHERE status = 'sending' AND locked_by = '\(worker)'"
    _ = try eventually {
      processes[worker]?.signal(Self.stopped)
      try settled()
      if try Int(database(of: outbox).psql(held)) ?? 0 >= least { return true }
      processes[worker]?.signal(Self.continued)
      return false
    }
    kill(worker)
  }

  /// Whether any event is left in the hands of a worker.
  func claims(of worker: String, in outbox: String) throws -> Int {
    try Int(database(of: outbox).psql("SELECT count(*) FROM \(outbox) WHERE locked_by = '\(worker)'")) ?? 0
  }

  /// Changes a destination or an outbox of the application.
  func change(_ outbox: String, _ statement: String) throws { try database(of: outbox).psql(statement) }

  /// Stops the server of the outbox that has one to itself; its application ends with it.
  func stopServerApart() throws { try servers[1].stop() }

  /// Starts that server, and the application with it.
  func startServerApart() throws {
    try servers[1].start()
    for name in ["application-1", "billing-1"] { processes[name]?.wait() }
    try begin()
  }

  // MARK: - The truth

  /// The application stands still until ``resume()``: the rows do not change any more.
  func pause() throws {
    paused = wallSeconds()
    for process in processes.values { process.signal(Self.stopped) }
    try settled()
  }

  func resume() {
    for process in processes.values { process.signal(Self.continued) }
    if let start = paused { pauses.append(start...wallSeconds()) }
    paused = nil
  }

  /// For how long, at most, a session that lives had no turn since a time, pauses left out.
  func longestPause(since time: Double) throws -> Double {
    var longest = 0.0
    for database in databases where (try? database.psql("SELECT 1")) != nil {
      var last: [Substring: Double] = [:]
      let turns = try database.psql(
        "SELECT session, extract(epoch FROM at) FROM turns WHERE at > to_timestamp(\(time)) ORDER BY at")
      for turn in turns.split(separator: "\n") {
        let fields = turn.split(separator: "|")
        guard let now = Double(fields[1]) else { continue }
        if let before = last[fields[0]], !pauses.contains(where: { $0.overlaps(before...now) }) {
          longest = max(longest, now - before)
        }
        last[fields[0]] = now
      }
    }
    return longest
  }

  /// A statement that was sent by a session that stands still comes to its end.
  private func settled() throws {
    for database in databases where (try? database.psql("SELECT 1")) != nil {
      _ = try eventually {
        try database.psql(
          """
          SELECT count(*) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'psql' AND state <> 'idle' AND pid <> pg_backend_pid()
          """) == "0"
      }
    }
  }

  /// The truth about the readable outboxes.
  struct Truth {
    /// What the rows say at each of the times: `outbox/destination/figure`.
    var found: [[String: Double]]
    /// What the application has done so far, and within the last hour of the rehearsal: `outbox/destination/kind`.
    var done: [String: Double] = [:]
    var doneWithinHour: [String: Double] = [:]
    /// What met its objective and what missed it within that hour: `outbox/result`.
    var kept: [String: Double] = [:]
    /// From due to delivered, in seconds, of what each outbox delivered within that hour; the shortest first.
    var waited: [String: [Double]] = [:]
    /// The least and the most that a rate of now may have seen, since its samples stand apart: `outbox/destination/kind`.
    var lately: (least: [String: Double], most: [String: Double]) = ([:], [:])
  }

  /// Asked for all at once, since the application stands still meanwhile.
  func truth(at times: [Double], in outboxes: [String]) throws -> Truth {
    var truth = Truth(found: times.map { _ in [:] })
    let now = times.max() ?? 0
    let hour = now - pace.seconds(60)
    let since = [
      ("hour", hour), ("least", now - pace.seconds(IncidentPace.rate - IncidentPace.apart)),
      ("most", now - pace.seconds(IncidentPace.rate + IncidentPace.apart)),
    ]
    for names in [outboxes.filter { $0 != Self.apart }, outboxes.filter { $0 == Self.apart }] where !names.isEmpty {
      let found = names.flatMap { name in
        times.enumerated().map {
          "SELECT '\($0)', '\(name)/' || topic || '/' || figure, value FROM found('\(name)', \($1))"
        }
      }
      let done = ([("done", 0)] + since).map {
        "SELECT '\($0)', outbox || '/' || topic || '/' || kind, sum(count) FROM truth WHERE at > to_timestamp(\($1)) "
          + "GROUP BY outbox, topic, kind"
      }
      let waited = names.map {
        "SELECT 'waited', '\($0)', extract(epoch FROM finished_at - created_at) FROM \($0) "
          + "WHERE status = 'sent' AND finished_at > to_timestamp(\(hour))"
      }
      let kept = Self.outboxes.filter { names.contains($0.name) }.compactMap { outbox in
        outbox.promise.map {
          "SELECT 'kept', '\(outbox.name)/' || result, value "
            + "FROM kept('\(outbox.name)', \(pace.seconds($0)), \(hour), \(now))"
        }
      }
      let rows = try database(of: names[0]).psql((found + kept + done + waited).joined(separator: " UNION ALL "))
      for row in rows.split(separator: "\n") {
        let fields = row.split(separator: "|", omittingEmptySubsequences: false)
        switch fields[0] {
        case "done": truth.done[String(fields[1])] = Double(fields[2])
        case "hour": truth.doneWithinHour[String(fields[1])] = Double(fields[2])
        case "least": truth.lately.least[String(fields[1])] = Double(fields[2])
        case "most": truth.lately.most[String(fields[1])] = Double(fields[2])
        case "kept": truth.kept[String(fields[1])] = Double(fields[2])
        case "waited": truth.waited[String(fields[1]), default: []].append(Double(fields[2]) ?? 0)
        default: truth.found[Int(fields[0]) ?? 0][String(fields[1])] = Double(fields[2])
        }
      }
    }
    for outbox in truth.waited.keys { truth.waited[outbox]?.sort() }
    return truth
  }

  private static let (killed, stopped, continued): (Int32, Int32, Int32) = (9, 19, 18)

  deinit {
    for process in processes.values { process.signal(Self.killed) }
  }
}

/// How fast the rehearsal goes: what the rules and the dashboards call a minute takes `60 / divisor` seconds.
struct IncidentPace {
  let divisor: Double

  /// What the dashboards' rates look back on, and how far samples stand apart at most, in minutes.
  static let (rate, apart) = (4.0, 1.2)

  /// Minutes of the rehearsal in seconds of the clock.
  func seconds(_ minutes: Double) -> Double { minutes * 60 / divisor }

  /// The same as the exporter's file and PromQL write it.
  func text(_ minutes: Double) -> String { "\(Int((seconds(minutes) * 1000).rounded()))ms" }
}
