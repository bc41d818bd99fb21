import Metrics
import Outbox
import TestSupport
import Testing

/// Several processes do to an outbox what applications do, and write down what they did in the same transactions; the
/// sidecar counts, and is killed and started again meanwhile. Whenever everybody pauses, both say the same.
///
/// `scripts/oracle` is the long form: a million events and more, over many seeds.
@Suite(
  withPostgreSQL, programs("otelcol"),
  .enabled(if: AccountingOracle.python != nil, "OUTBOX_TEST_PYTHON is not set"))
struct AccountingOracleTests {
  private let settings = OracleSettings()

  @Test func `the counters equal the truth at every pause, whoever is killed in between`() async throws {
    let collector = try OTLPReceiver.collector()
    let settings = settings
    let cases = OracleCase.all.filter { settings.isWanted($0.name) }
    print("oracle: seed \(settings.seed), \(settings.events) events for each of \(cases.count) cases")
    let endpoint = collector.endpoint
    // The cases wait more than they work, so some of them go side by side.
    let endings = try await withThrowingTaskGroup(of: (String, OracleCase.Ending?).self) { group in
      var waiting = cases[...]
      var endings: [String: OracleCase.Ending] = [:]
      for _ in 0..<settings.atATime {
        guard let one = waiting.popFirst() else { break }
        group.addTask { (one.name, try await one.run(settings, endpoint: endpoint)) }
      }
      while let (name, ending) = try await group.next() {
        endings[name] = ending
        guard let one = waiting.popFirst() else { continue }
        group.addTask { (one.name, try await one.run(settings, endpoint: endpoint)) }
      }
      return endings
    }
    let received = OracleReceived(collector.output)
    for one in cases {
      guard let ending = endings[one.name] else { continue }
      one.check(received, against: ending, settings)
      print("oracle: \(one.name): \(ending.truth.count("enqueued")) events")
      print("oracle: \(one.name): up to \(ending.peak) movements a second")
      let (exact, estimates) = (received.samples(of: one.outboxes).count, received.estimates(of: one.outboxes))
      print("oracle: \(one.name): \(exact) samples conserve, \(estimates) estimates were left out")
    }
  }

  @Test func `pruning that is faster than sampling loses what it takes away, and nothing else`() async throws {
    let settings = settings
    let one = OracleCase.hasty
    guard settings.isWanted(one.name) else { return }
    let collector = try OTLPReceiver.collector()
    let oracle = try AccountingOracle(one, endpoint: collector.endpoint)
    let sidecar = try await oracle.startCountingSidecar()
    let workload = try oracle.startWorkload(seed: settings.seed)
    var truth = AccountingOracle.Truth()
    while true {
      try await Task.sleep(for: .milliseconds(700))
      truth = try #require(await oracle.pause(), "seed \(settings.seed): \(workload.standardError)")
      let depth = truth.depth
      let agrees = try await slowly { try oracle.report().counts.depth == depth }
      #expect(agrees, "seed \(settings.seed): \(depth) true\n\(sidecar.standardError)")
      if truth.count("enqueued") >= settings.events { break }
      await oracle.goOn()
    }
    oracle.stop()
    workload.wait()
    let counted = try oracle.report().counts
    print(
      "oracle: \(one.name): \(truth.count("delivered")) delivered, \(counted.count("delivered")) counted, "
        + "\(counted.count("unseen")) unseen, \(truth.count("enqueued") - counted.count("enqueued")) never seen")
    for kind in ["enqueued", "delivered", "dead", "retried"] {
      #expect(counted.count(kind) <= truth.count(kind), "seed \(settings.seed): \(kind)")
    }
    // Whatever came and was not delivered by what was counted was seen to leave unseen.
    #expect(counted.count("delivered") < truth.count("delivered"), "seed \(settings.seed): nothing was pruned in time")
    #expect(counted.count("delivered") + counted.count("unseen") <= truth.count("delivered"))
    sidecar.signal(15)
    sidecar.wait()
    #expect(OracleReceived(collector.output).samples(of: one.outboxes).allSatisfy { $0.depth == $0.moved })
  }

  @Test func `reports that the kernel had no room for are a gap that is told, and what follows is counted`()
    async throws
  {
    let settings = settings
    let one = OracleCase.overflowing
    guard settings.isWanted(one.name) else { return }
    let collector = try OTLPReceiver.collector()
    let oracle = try AccountingOracle(one, endpoint: collector.endpoint)
    let sidecar = try await oracle.startCountingSidecar()
    let workload = try oracle.startWorkload(seed: settings.seed)
    try await Task.sleep(for: .milliseconds(500))
    sidecar.signal(19)
    try oracle.makeReports()
    try await Task.sleep(for: .milliseconds(300))
    let before = try #require(await oracle.pause(), "seed \(settings.seed): \(workload.standardError)")
    sidecar.signal(18)
    let agrees = try await slowly { try oracle.report().counts.depth == before.depth }
    let counted = try oracle.report().counts
    #expect(agrees, "seed \(settings.seed): \(counted.depth) by what was counted, \(before.depth) true")
    #expect(sidecar.standardError.contains("fs.inotify.max_queued_events"), "\(sidecar.standardError)")
    for kind in ["enqueued", "delivered", "dead", "retried"] {
      #expect(counted.count(kind) <= before.count(kind), "seed \(settings.seed): \(kind)")
    }
    await oracle.goOn()
    try await Task.sleep(for: .milliseconds(500))
    let after = try #require(await oracle.pause(), "seed \(settings.seed): \(workload.standardError)")
    for kind in ["enqueued", "requeued", "delivered", "dead"] {
      let isCounted = try await slowly {
        try oracle.report().counts.count(kind) - counted.count(kind) == after.count(kind) - before.count(kind)
      }
      #expect(isCounted, "seed \(settings.seed): \(kind)")
    }
    oracle.stop()
    workload.wait()
    sidecar.signal(15)
    sidecar.wait()
    #expect(OracleReceived(collector.output).samples(of: one.outboxes).allSatisfy { $0.depth == $0.moved })
  }
}

/// How large a run is, by variables that `scripts/oracle` sets.
struct OracleSettings: Sendable {
  /// Events for each case.
  let events: Int
  /// What the workloads and the killing draw from.
  let seed: UInt64
  /// How many cases go side by side.
  let atATime: Int
  /// Half of the milliseconds between two pauses.
  var rounds: ClosedRange<Int> { events > 1_000 ? 1_000...6_000 : 100...600 }
  /// Only cases whose name begins so; all where it is empty.
  let only: String

  init() {
    let variables = currentEnvironment()
    events = variables["OUTBOX_ORACLE_EVENTS"].flatMap { Int($0) } ?? 150
    seed = variables["OUTBOX_ORACLE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...99_999)
    atATime = variables["OUTBOX_ORACLE_AT_A_TIME"].flatMap { Int($0) } ?? 8
    only = variables["OUTBOX_ORACLE_CASE"] ?? ""
  }

  func isWanted(_ name: String) -> Bool { only.isEmpty || name.hasPrefix(only) }
}

/// Waits as ``happens(within:_:)`` does, for what costs a process to find out.
func slowly(_ condition: () async throws -> Bool) async rethrows -> Bool {
  let end = ContinuousClock.now + .seconds(60)
  while try await !condition() {
    if ContinuousClock.now >= end { return false }
    try? await Task.sleep(for: .milliseconds(200))
  }
  return true
}
