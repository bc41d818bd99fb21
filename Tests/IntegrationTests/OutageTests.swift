import SQLiteClient
import TestSupport
import Testing

/// A Collector that is killed and comes back on its port; what each of its lives has printed is kept.
private final class MortalCollector {
  let port = freePort()
  private let directory: TemporaryDirectory
  private var lives: [ChildProcess] = []

  init() throws {
    directory = try TemporaryDirectory()
    try directory.write(
      """
      receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:\(port)"}}}}
      exporters: {debug: {verbosity: detailed, sampling_initial: 1000000}}
      service: {telemetry: {metrics: {level: none}}, pipelines: {metrics: {receivers: [otlp], exporters: [debug]}}}
      """, to: "config.yaml")
  }

  var isRunning: Bool { lives.last?.isRunning ?? false }

  func start() throws {
    lives.append(try ChildProcess("otelcol", ["--config", "config.yaml"], directory: directory.path))
  }

  func kill() {
    lives.last?.signal(9)
    lives.last?.wait()
  }

  /// The times of the points of `outbox.build`, one for each batch that it has printed.
  var delivered: Set<Int64> {
    Set(
      lives.flatMap { DebugDump($0.standardOutput + $0.standardError).points }
        .filter { $0.metric == "outbox.build" }.map(\.time))
  }
}

/// The state directory of a sidecar, with a trigger in its spool that writes down everything that is ever committed to
/// it, in the same transaction.
private struct AuditedSpool {
  let path: String

  init(in directory: String) throws {
    let names = try run("ls", [directory]).output.split(separator: "\n")
    let name = try #require(names.first { $0.hasPrefix("spool-") && $0.hasSuffix(".sqlite") })
    path = "\(directory)/\(name)"
    try SQLiteConnection(path: path, access: .readWrite).execute(
      """
      CREATE TABLE audit (points INTEGER, body BLOB);
      INSERT INTO audit SELECT points, body FROM requests;
      CREATE TRIGGER audit AFTER INSERT ON requests BEGIN INSERT INTO audit VALUES (NEW.points, NEW.body); END;
      """)
  }

  /// Every batch that was ever committed: its points, and the time of its `outbox.build` point.
  func committed() throws -> [(points: Int, time: Int64)] { try batches("audit") }

  /// The times of those that still wait.
  func waiting() throws -> Set<Int64> { Set(try batches("requests").map(\.time)) }

  func dropped() throws -> Int {
    let connection = try SQLiteConnection(path: path, access: .readOnly)
    return Int(try connection.integer("SELECT coalesce(sum(points), 0) FROM dropped") ?? -1)
  }

  private func batches(_ table: String) throws -> [(points: Int, time: Int64)] {
    let connection = try SQLiteConnection(path: path, access: .readOnly)
    var batches: [(Int, Int64)] = []
    try connection.query("SELECT points, body FROM \(table)") { row in
      batches.append((Int(row.integer(0) ?? 0), Self.buildTime(row.blob(1)) ?? -1))
    }
    return batches
  }

  /// In the encoding of a point, `time_unix_nano` is field 3 with eight bytes (0x19), after the metric's name.
  private static func buildTime(_ body: [UInt8]) -> Int64? {
    let name = Array("outbox.build".utf8)
    guard let start = body.indices.first(where: { body[$0...].starts(with: name) }),
      let tag = body[start...].firstIndex(of: 0x19), tag + 8 < body.count
    else { return nil }
    return Int64(bitPattern: body[(tag + 1)...(tag + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) })
  }
}

/// `OUTBOX_OUTAGE_ROUNDS=200 swift test --filter OutageTests` is the long form.
@Suite(programs("otelcol"))
struct OutageTests {
  /// - Parameter limits: a spool with room for everything, and one that has to drop and to count.
  @Test(arguments: ["{max_age: 1h}", "{max_bytes: 30000}", "{max_age: 1s}"])
  func `whoever is killed at whatever time, every committed batch is delivered or counted`(limits: String) async throws
  {
    let rounds = currentEnvironment()["OUTBOX_OUTAGE_ROUNDS"].flatMap { Int($0) } ?? 5
    let seed = currentEnvironment()["OUTBOX_OUTAGE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...99_999)
    var random = SeededChance(seed: seed)
    let command = try ExporterCommand()
    try SQLiteConnection(path: command.path("outbox.sqlite"), access: .readWrite).execute("CREATE TABLE something (id)")
    let collector = try MortalCollector()
    try command.home.write(
      """
      state_dir: \(command.path("state"))
      interval: 100ms
      spool: \(limits)
      outboxes: [{name: orders, dsn: "sqlite:\(command.path("outbox.sqlite"))", layout: praisonai}]
      export: [{endpoint: "http://127.0.0.1:\(collector.port)", timeout: 2s}]
      """, to: "exporter.yaml")
    func start() throws -> ChildProcess { try command.start(["--config", command.path("exporter.yaml")]) }

    // A first life makes the spool; nobody listens yet.
    var exporter = try start()
    #expect(await happens { exporter.standardError.contains("does not take data") }, "\(exporter.standardError)")
    exporter.signal(9)
    exporter.wait()
    let spool = try AuditedSpool(in: command.path("state"))
    exporter = try start()

    for _ in 0..<rounds {
      if !collector.isRunning { try collector.start() }
      try await Task.sleep(for: .milliseconds(Int.random(in: 100...1500, using: &random)))
      if Bool.random(using: &random) { collector.kill() }
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...700, using: &random)))
      if Bool.random(using: &random) {
        exporter.signal(9)
        exporter.wait()
        if Bool.random(using: &random) { collector.kill() }
        exporter = try start()
      }
    }
    // Peace: the queue runs empty, apart from what each cycle adds.
    if !collector.isRunning { try collector.start() }
    let before = try spool.committed().count
    #expect(
      await happens {
        (try? spool.committed().count) ?? 0 > before + 20 && (try? spool.waiting().count) ?? 99 <= 2
      }, "seed \(seed): \(exporter.standardError)")
    exporter.signal(15)
    #expect(exporter.wait() == 0)
    collector.kill()

    let committed = try spool.committed()
    let accounted = collector.delivered.union(try spool.waiting())
    let missing = committed.filter { !accounted.contains($0.time) }
    let missingPoints = missing.reduce(0) { $0 + $1.points }
    #expect(committed.count > 20 && committed.allSatisfy { $0.time > 0 })
    #expect(missingPoints <= (try spool.dropped()), "seed \(seed): \(missing)")
    if limits.contains("1h") { #expect(try missing.isEmpty && spool.dropped() == 0, "seed \(seed): \(missing)") }
  }
}
