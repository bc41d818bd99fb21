import Metrics
import Outbox
import TestSupport
import Testing

/// Several processes do to an outbox what applications do, and write down what they did in the same transactions; the
/// sidecar counts, and is killed and started again meanwhile. Whenever everybody pauses, both say the same.
///
/// `OUTBOX_ORACLE_EVENTS=1000000 swift test --filter AccountingOracleTests` is the long form: so many events for each case.
@Suite(
  withPostgreSQL, programs("otelcol", "sqlite3"),
  .enabled(if: AccountingOracle.python != nil, "OUTBOX_TEST_PYTHON is not set"))
struct AccountingOracleTests {
  /// One way of counting, and what its workload does.
  struct Case: Sendable, CustomTestStringConvertible {
    var method: AccountingMethod
    var system: AccountingOracle.System
    var operations: [String]
    /// Whether the method tells destinations and outcomes apart.
    var isExact = true

    var testDescription: String { "\(method.rawValue) of \(system.layout)" }
  }

  static let everyday = ["enqueue", "claim", "settle", "prune", "late", "crash"]
  static let cases = [
    Case(
      method: .ledger, system: .aiHummer,
      operations: everyday + ["release", "cancel", "requeue", "rollback", "savepoint"]),
    Case(method: .history, system: .aiHummer, operations: everyday + ["rollback", "savepoint"]),
    Case(method: .history, system: .praisonAI, operations: everyday + ["rollback"]),
    Case(
      method: .statistics, system: .aiHummerWithoutIndex, operations: ["enqueue", "claim", "settle"], isExact: false),
  ]

  @Test(arguments: cases)
  func `the counters equal the truth at every pause, whoever is killed in between`(_ one: Case) async throws {
    let events = currentEnvironment()["OUTBOX_ORACLE_EVENTS"].flatMap { Int($0) } ?? 1_500
    let seed = currentEnvironment()["OUTBOX_ORACLE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...99_999)
    var random = SeededGenerator(seed: seed)
    let collector = try OTLPReceiver.collector()
    let oracle = try AccountingOracle(one.system, one.method, collector: collector)
    var sidecar = try oracle.startSidecar()
    #expect(try await happens { try oracle.report().isCounting(by: one.method) }, "\(sidecar.standardError)")
    let workload = try oracle.startWorkload(seed: seed, operations: one.operations)

    var truth = AccountingOracle.Truth()
    while truth.count(.enqueued) < events {
      for _ in 0..<3 {
        try await Task.sleep(for: .milliseconds(Int.random(in: 200...1_200, using: &random)))
        guard Bool.random(using: &random) else { continue }
        sidecar.signal(9)
        sidecar.wait()
        sidecar = try oracle.startSidecar()
      }
      truth = try #require(await oracle.pause(), "seed \(seed): \(workload.standardError)")
      let expected = one.isExact ? truth.counts(for: one.method) : truth.totals
      var found = AccountingOracle.Counts()
      let agrees = try await happens(within: .seconds(30)) {
        let report = try oracle.report()
        found = one.isExact ? report.counts : report.totals
        return found == expected
      }
      #expect(agrees, "seed \(seed): \(found.differences(to: expected))\n\(sidecar.standardError.suffix(2_000))")
      guard agrees, truth.count(.enqueued) < events else { break }
      await oracle.goOn()
    }
    // Nobody has done anything since the truth was told. Once every event that still waits has missed its deadline, two
    // more exports have all of it.
    try await Task.sleep(for: AccountingOracle.objective)
    let exports = collector.exportsListed
    #expect(await happens { collector.exportsListed >= exports + 2 || !sidecar.isRunning })
    oracle.stop()
    sidecar.signal(15)
    sidecar.wait()
    #expect(workload.wait() == 0, "\(workload.standardError)")

    if one.method == .history {
      for (destination, buckets) in truth.buckets {
        #expect(oracle.receivedBuckets(of: destination) == buckets, "seed \(seed): \(destination)")
      }
      // Nothing came back and nothing was discarded here, so whatever was not on time was late.
      let onTime = truth.deliveries { $0 <= AccountingOracle.objective.seconds }
      #expect(oracle.receivedObjectiveEvents("on_time") == onTime, "seed \(seed)")
      #expect(oracle.receivedObjectiveEvents("late") == truth.count(.enqueued) - onTime, "seed \(seed)")
    }
    // The database's own counters are late by up to a second, and so is what follows from them.
    guard one.method != .statistics else { return }
    let samples = oracle.receivedSamples
    #expect(samples.count > 5)
    for sample in samples { #expect(sample.depth == sample.moved, "seed \(seed): at \(sample.time)") }
  }
}

/// A workload with the sidecar that counts it.
struct AccountingOracle {
  static let python = currentEnvironment()["OUTBOX_TEST_PYTHON"]
  static let objective = Duration.seconds(2)

  /// Which outbox is worked on.
  enum System: Sendable {
    case aiHummer
    case aiHummerWithoutIndex
    case praisonAI

    var layout: String { self == .praisonAI ? "praisonai" : "aihummer" }
  }

  private let command: ExporterCommand
  private let system: System
  private let dsn: String
  private let address: String
  private let collector: OTLPReceiver
  private var control: String { command.path("control") }

  init(_ system: System, _ method: AccountingMethod, collector: OTLPReceiver) throws {
    command = try ExporterCommand()
    self.system = system
    self.collector = collector
    try command.home.write("", to: "control/made")
    switch system {
    case .aiHummer, .aiHummerWithoutIndex:
      let index = system == .aiHummer ? "CREATE INDEX ON outbox (delivered_at);" : ""
      let database = try TemporaryPostgres.shared().createDatabase(
        """
        CREATE TABLE outbox (
          id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, channel text, status text NOT NULL DEFAULT 'pending',
          attempts integer NOT NULL DEFAULT 0, next_attempt_at timestamptz, locked_at timestamptz,
          created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, delivered_at timestamptz);
        CREATE INDEX ON outbox (status, next_attempt_at);
        \(index)
        CREATE TABLE truth (kind text, destination text, count integer, duration float8);
        """)
      address = database.conninfo()
      dsn = address
      if method == .ledger {
        let installed = try command.run(["ledger", "install", "--dsn", dsn, "--layout", system.layout])
        #expect(installed.code == 0, "\(installed.error)")
      }
    case .praisonAI:
      address = command.path("outbox.sqlite")
      dsn = "sqlite:\(address)"
      let made = try run(
        "sqlite3", [address],
        input: """
          PRAGMA journal_mode = WAL;
          CREATE TABLE outbound_queue (
            id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, idempotency_key TEXT NOT NULL UNIQUE,
            target TEXT NOT NULL, payload TEXT NOT NULL, metadata TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
            attempts INTEGER NOT NULL DEFAULT 0, last_attempt REAL, error TEXT, sent_at REAL);
          CREATE INDEX idx_status ON outbound_queue (status);
          CREATE INDEX idx_ts ON outbound_queue (ts);
          CREATE INDEX idx_sent_at ON outbound_queue (sent_at);
          CREATE TABLE truth (kind TEXT, destination TEXT, count INTEGER, duration REAL);
          """)
      #expect(made.code == 0, "\(made.error)")
    }
    try command.home.write(
      """
      state_dir: \(command.path("state"))
      interval: 250ms
      end_series_on_stop: false
      outboxes: [{name: orders, dsn: "\(dsn)", layout: \(system.layout), objective: {age: 2s, target: 0.9}}]
      export: [{url: "\(collector.endpoint)"}]
      """, to: "exporter.yaml")
  }

  func startSidecar() throws -> ChildProcess { try command.start(["--config", command.path("exporter.yaml")]) }

  func startWorkload(seed: UInt64, operations: [String]) throws -> ChildProcess {
    try ChildProcess(
      Self.python ?? "",
      [
        "\(ProjectFiles.root)/Tests/Workload/workload.py", system.layout, address, control, "\(seed)", "4",
        operations.joined(separator: ","),
      ])
  }

  /// What `report` says of all that was counted.
  func report() throws -> Report {
    let outcome = try command.run(
      ["report", "--state-dir", command.path("state"), "--since", "7d", "--by", "destination", "--format", "json"])
    return Report(json: outcome.code == 0 ? try ParsedJSON(outcome.output) : .null)
  }

  /// Has everybody pause; the truth until then.
  func pause() async throws -> Truth? {
    try command.home.write("", to: "control/pause")
    guard await happens({ command.home.read("control/truth.json").hasSuffix("]") }) else { return nil }
    return Truth(json: try ParsedJSON(command.home.read("control/truth.json")))
  }

  func goOn() async {
    _ = try? run("rm", [control + "/pause"])
    _ = await happens { command.home.read("control/truth.json").isEmpty }
  }

  func stop() { try? command.home.write("", to: "control/stop") }

  /// The last distribution that the Collector got for a destination: the counts of its buckets, by their bound.
  func receivedBuckets(of destination: String) -> [Double: Int] {
    let point = collector.dump.points.last {
      $0.metric == MetricCatalog.deliveryDuration.name
        && $0.attributes.contains("outbox.destination=Str(\(destination))")
    }
    let words = (point?.value ?? "").split(separator: " ")
    guard let bounds = words.firstIndex(of: "bounds"), let buckets = words.firstIndex(of: "buckets") else { return [:] }
    let upper = words[(bounds + 1)..<buckets].compactMap { Double($0) } + [.infinity]
    let counts = words[(buckets + 1)...].compactMap { Int($0) }
    return Dictionary(uniqueKeysWithValues: zip(upper, counts)).filter { $0.value > 0 }
  }

  /// The events that the Collector was last told to have kept the objective, or to have missed it.
  func receivedObjectiveEvents(_ result: String) -> Int {
    let points = EndToEndPoint.points(collector.dump).filter {
      $0.metric == "outbox_slo_events_total" && $0.labels["outbox_slo_result"] == result
    }
    let last = Dictionary(grouping: points, by: \.series).compactMapValues { $0.max { $0.time < $1.time }?.value }
    return Int(last.values.reduce(0, +))
  }

  /// What every sample said of the depth, and what was counted until then adds up to.
  var receivedSamples: [(time: Double, depth: Int, moved: Int)] {
    let points = EndToEndPoint.points(collector.dump).filter { $0.outbox == "orders" }
    return Dictionary(grouping: points, by: \.time).compactMap { time, points in
      guard points.contains(where: { $0.metric == "outbox_depth" }) else { return nil }
      func sum(_ metric: String, _ isCounted: (EndToEndPoint) -> Bool = { _ in true }) -> Int {
        Int(points.filter { $0.metric == metric && isCounted($0) }.map(\.value).reduce(0, +))
      }
      let left = sum("outbox_deliveries_total") { point in
        ["delivered", "dead", "discarded", "unseen"].contains(point.labels["outbox_disposition"])
      }
      let moved = sum("outbox_enqueued_total") + sum("outbox_requeued_total") - left
      return (time, sum("outbox_depth"), moved)
    }
  }

  /// The number of each movement by destination.
  struct Counts: Equatable {
    var counts: [String: [String: Int]] = [:]

    mutating func add(_ kind: String, _ destination: String, _ count: Int) {
      if count != 0 { counts[destination, default: [:]][kind, default: 0] += count }
    }

    func differences(to other: Counts) -> String {
      Set(counts.keys).union(other.counts.keys).sorted().flatMap { destination in
        let (own, others) = (counts[destination] ?? [:], other.counts[destination] ?? [:])
        return Set(own.keys).union(others.keys).sorted().compactMap { kind in
          own[kind] == others[kind]
            ? nil : "\(destination) \(kind): \(own[kind] ?? 0) counted, \(others[kind] ?? 0) true"
        }
      }.joined(separator: "; ")
    }
  }

  /// What a report says.
  struct Report {
    private let outboxes: [ParsedJSON]

    init(json: ParsedJSON) {
      outboxes = json["outboxes"]?.elements ?? []
    }

    func isCounting(by method: AccountingMethod) -> Bool {
      outboxes.contains { $0["accounting"]?.text == method.rawValue }
    }

    /// Everything but what the sum of the others follows from.
    var counts: Counts {
      var counts = Counts()
      for outbox in outboxes {
        for destination in outbox["destinations"]?.elements ?? [] {
          for kind in ["enqueued", "requeued"] + Disposition.allCases.map(\.rawValue) {
            counts.add(kind, destination["destination"]?.text ?? "", Int(destination[kind]?.text ?? "") ?? 0)
          }
        }
      }
      return counts
    }

    var totals: Counts {
      var totals = Counts()
      for (_, kinds) in counts.counts { for (kind, count) in kinds { totals.add(kind, "all", count) } }
      return totals
    }
  }

  /// What was truly done.
  struct Truth {
    enum Kind: String { case enqueued }
    private var all = Counts()
    private var durations: [String: [Double]] = [:]

    init() {}

    init(json: ParsedJSON) {
      for entry in json.elements {
        let destination = entry["destination"]?.text ?? ""
        all.add(entry["kind"]?.text ?? "", destination, Int(entry["count"]?.text ?? "") ?? 0)
        durations[destination, default: []] += (entry["durations"]?.elements ?? []).compactMap { Double($0.text ?? "") }
      }
    }

    func count(_ kind: Kind) -> Int { all.counts.values.reduce(0) { $0 + ($1[kind.rawValue] ?? 0) } }

    /// How many deliveries took so long.
    func deliveries(_ isCounted: (Double) -> Bool) -> Int {
      durations.values.reduce(0) { $0 + $1.count(where: isCounted) }
    }

    /// What a method can see of it.
    func counts(for method: AccountingMethod) -> Counts {
      guard method == .history else { return all }
      var seen = Counts()
      for (destination, kinds) in all.counts {
        for kind in ["enqueued", "delivered", "retried", "dead"] { seen.add(kind, destination, kinds[kind] ?? 0) }
      }
      return seen
    }

    /// What statistics see of it: what came, what died, and what left somehow.
    var totals: Counts {
      var totals = Counts()
      for (_, kinds) in all.counts {
        totals.add("enqueued", "all", kinds["enqueued"] ?? 0)
        totals.add("dead", "all", kinds["dead"] ?? 0)
        totals.add("unseen", "all", kinds["delivered"] ?? 0)
      }
      return totals
    }

    /// The durations of the deliveries by the bounds that are documented for an objective of two seconds.
    var buckets: [String: [Double: Int]] {
      let bounds =
        [
          0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 43_200,
          86_400,
        ] + [.infinity]
      return durations.filter { !$0.value.isEmpty }.mapValues { values in
        Dictionary(values.map { value in (bounds.first { max(0, value) <= $0 } ?? .infinity, 1) }, uniquingKeysWith: +)
      }
    }
  }
}
