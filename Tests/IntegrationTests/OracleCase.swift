import Outbox
import TestSupport
import Testing

/// One way of counting one system's outboxes, and what the workload does there.
struct OracleCase: Sendable {
  let name: String
  /// What the workload calls the system and how it is indexed.
  let system: String
  let layout: String
  let store: Store
  /// The method that each queue has to be counted by, by the suffix of its outbox.
  let methods: [String: AccountingMethod]
  let operations: [String]
  let detail: Detail

  enum Store: Sendable {
    case postgresql
    case sqlite
    case files
  }

  /// What a method tells apart.
  enum Detail: Sendable {
    /// Destinations and outcomes.
    case destinations
    /// The sums over the destinations, where it is the database's own count that tells.
    case totals
    /// The same but for attempts, some of which nobody can have read before their file was gone.
    case totalsWithoutAttempts
  }

  init(
    _ name: String, system: String, layout: String? = nil, _ store: Store, _ methods: [String: AccountingMethod],
    _ operations: [String], _ detail: Detail = .destinations
  ) {
    self.name = name
    self.system = system
    self.layout = layout ?? system.replacing("-unindexed", with: "")
    self.store = store
    self.methods = methods
    self.operations = operations
    self.detail = detail
  }

  /// Whether there is nothing but dead letters, none of which ever waits or is delivered.
  private var isOfDeadLetters: Bool { system.hasSuffix("-letters") }

  /// The outboxes, as the sidecar names them.
  var outboxes: [String] { methods.keys.map { $0.isEmpty ? name : "\(name)/\($0)" } }

  private static let everyday = ["enqueue", "claim", "settle"]
  private static let perilous = everyday + ["late", "crash", "rollback"]
  private static let everything =
    perilous + ["cancel", "requeue", "prune", "evict", "reap", "savepoint", "ledger"]
  private static let once = everyday + ["crash", "rollback", "prune", "reap", "release", "patient"]
  private static let files =
    ["enqueue", "place", "link", "deliver", "fail", "die", "discard", "prune", "requeue", "copy", "crash"]

  private static let letters =
    ["enqueue", "late", "crash", "rollback", "replay", "prune", "clear", "savepoint"]

  static let all = [
    OracleCase(
      "aihummer-ledger", system: "aihummer", .postgresql, ["": .ledger], everything + ["release", "move", "clear"]),
    OracleCase(
      "kaireon-ledger", system: "kaireon", .postgresql, ["": .ledger], everything + ["release", "move", "clear"]),
    OracleCase(
      "relaycast-ledger", system: "relaycast-postgresql", layout: "relaycast", .postgresql, ["pending_events": .ledger],
      everything),
    OracleCase("praisonai-ledger", system: "praisonai", .sqlite, ["": .ledger], everything + ["release"]),
    OracleCase(
      "relaycast-sqlite-ledger", system: "relaycast", .sqlite,
      ["pending_events": .ledger, "webhook_deliveries": .ledger, "deliveries": .ledger], everything),
    // OpenClaw takes no claim back but a producer's.
    OracleCase(
      "openclaw-ledger", system: "openclaw", .sqlite, ["": .ledger], everything.filter { $0 != "reap" }),
    OracleCase(
      "aihummer-history", system: "aihummer", .postgresql, ["": .history],
      perilous + ["prune", "requeue", "apart", "reap", "release", "savepoint", "move", "clear"]),
    OracleCase(
      "kaireon-history", system: "kaireon", .postgresql, ["": .history],
      perilous + ["prune", "evict", "cancel", "requeue", "apart", "reap", "release", "savepoint", "move", "clear"]),
    OracleCase(
      "praisonai-history", system: "praisonai", .sqlite, ["": .history],
      perilous + ["prune", "evict", "cancel", "requeue", "apart", "reap", "release"]),
    OracleCase(
      "relaycast-history", system: "relaycast", .sqlite,
      ["pending_events": .statistics, "webhook_deliveries": .statistics, "deliveries": .history],
      perilous + ["prune", "cancel", "reap", "tidal"], .totals),
    OracleCase(
      "aihummer-statistics", system: "aihummer-unindexed", .postgresql, ["": .statistics],
      everyday + ["late", "quit", "prune", "cancel", "requeue", "apart", "release", "move", "clear"], .totals),
    OracleCase(
      "kaireon-statistics", system: "kaireon-unindexed", .postgresql, ["": .statistics],
      everyday + ["late", "quit", "prune", "cancel", "requeue", "apart", "release", "reap", "move", "clear"],
      .totals),
    OracleCase(
      "relaycast-statistics", system: "relaycast-postgresql", layout: "relaycast", .postgresql,
      ["pending_events": .statistics], everyday + ["late", "quit", "cancel", "requeue", "apart", "reap"], .totals),
    OracleCase(
      "praisonai-statistics", system: "praisonai-unindexed", .sqlite, ["": .statistics],
      perilous + ["prune", "cancel", "requeue", "apart", "release", "reap"], .totals),
    OracleCase(
      "openclaw-statistics", system: "openclaw", .sqlite, ["": .statistics],
      perilous + ["cancel", "release", "reap", "tidal"], .totals),
    // Without what comes back it can be told of every delivery whether it kept the objective.
    OracleCase(
      "kaireon-ledger-objective", system: "kaireon", .postgresql, ["": .ledger], once + ["ledger", "savepoint"]),
    OracleCase("praisonai-ledger-objective", system: "praisonai", .sqlite, ["": .ledger], once + ["ledger"]),
    OracleCase("kaireon-history-objective", system: "kaireon", .postgresql, ["": .history], once + ["savepoint"]),
    OracleCase("praisonai-history-objective", system: "praisonai", .sqlite, ["": .history], once),
    OracleCase(
      "praisonai-letters-outbound-ledger", system: "praisonai-outbound-letters", layout: "praisonai", .sqlite,
      ["": .ledger], letters + ["hasty"]),
    OracleCase(
      "praisonai-letters-inbound-ledger", system: "praisonai-inbound-letters", layout: "praisonai", .sqlite,
      ["": .ledger], letters + ["hasty"]),
    // The database's own count has no destination for a letter that comes and leaves between two samples. Without haste none
    // does, and the destinations have to be right, too.
    OracleCase(
      "praisonai-letters-outbound-statistics", system: "praisonai-outbound-letters", layout: "praisonai", .sqlite,
      ["": .statistics], letters + ["hasty"], .totals),
    OracleCase(
      "praisonai-letters-inbound-statistics", system: "praisonai-inbound-letters", layout: "praisonai", .sqlite,
      ["": .statistics], letters),
    // A sample may come while a file is written in place, and cannot know its destination yet.
    OracleCase(
      "files-watch", system: "openclaw-files", .files, ["": .watch], files.filter { $0 != "place" } + ["paced"]),
    OracleCase(
      "session-files-watch", system: "openclaw-session-files", .files, ["": .watch], files, .totalsWithoutAttempts),
  ]

  static let hasty = OracleCase(
    "hasty-history", system: "praisonai", .sqlite, ["": .history], perilous + ["prune", "hasty"])

  static let overflowing = OracleCase(
    "overflow-watch", system: "openclaw-files", .files, ["": .watch], files.filter { $0 != "crash" },
    .totalsWithoutAttempts)

  /// What a run ended with.
  struct Ending: Sendable {
    let truth: AccountingOracle.Truth
    /// From when on every event that waits has missed its deadline, in seconds since 1970.
    let settledAt: Double
    /// What the last sidecar has logged.
    let log: String
    /// How many movements there were a second between two pauses, at the most.
    let peak: Int
  }

  /// Works and counts until there were so many events, and compares at every pause.
  ///
  /// - Returns: nil where something differed.
  func run(_ settings: OracleSettings, endpoint: String) async throws -> Ending? {
    var random = SeededGenerator(seed: settings.seed)
    let oracle = try AccountingOracle(self, endpoint: endpoint)
    var sidecar = try await oracle.startCountingSidecar()
    let workload = try oracle.startWorkload(seed: settings.seed)
    var truth = AccountingOracle.Truth()
    // What came back in the second round shows in the third. An event that is known, moved among the dead letters and brought
    // back takes more.
    var rounds = operations.contains("apart") ? operations.contains("move") ? 5 : 3 : 1
    // What was there in a pause is delivered after it.
    if store == .files { rounds = 3 }
    if operations.contains("patient") { rounds = 2 }
    var peak = 0
    var begun = ContinuousClock.now
    while true {
      rounds -= 1
      for _ in 0..<2 {
        try await Task.sleep(for: .milliseconds(Int.random(in: settings.rounds, using: &random)))
        // What happens to files while nobody watches is in no count.
        guard store != .files, Bool.random(using: &random) else { continue }
        sidecar.signal(9)
        sidecar.wait()
        sidecar = try oracle.startSidecar()
      }
      guard let told = await oracle.pause() else {
        Issue.record("\(name), seed \(settings.seed): no pause: \(workload.standardError)")
        return nil
      }
      peak = max(peak, Int(Double(told.counts.total - truth.counts.total) / (ContinuousClock.now - begun).seconds))
      truth = told
      guard try await agrees(oracle, truth, sidecar, settings) else { return nil }
      if store == .files, Bool.random(using: &random) {
        sidecar.signal(9)
        sidecar.wait()
        sidecar = try await oracle.startCountingSidecar()
        // Until it has read the files again it does not know since when they wait.
        await oracle.waitForSamples(of: sidecar)
        guard try await agrees(oracle, truth, sidecar, settings) else { return nil }
      }
      if rounds <= 0, truth.count("enqueued") >= settings.events, shows(truth) { break }
      guard rounds > -Self.mostRounds(for: settings) else {
        Issue.record("\(name), seed \(settings.seed): the workload never did what the case is for")
        return nil
      }
      // What waits is delivered after its deadline.
      if operations.contains("patient") { try await Task.sleep(for: AccountingOracle.objective) }
      await oracle.goOn()
      begun = .now
    }
    // Nobody has done anything since the truth was told. Once every event that still waits has missed its deadline, one
    // more sample has all of it.
    try await Task.sleep(for: AccountingOracle.objective + .milliseconds(300))
    let settledAt = wallSeconds()
    await oracle.waitForSamples(of: sidecar)
    if store == .files {
      truth = try #require(try await oracle.lastTruth(), "\(name), seed \(settings.seed): no last pause")
    }
    #expect(sidecar.isRunning, "\(name), seed \(settings.seed): \(AccountingOracle.log(sidecar))")
    oracle.stop()
    let log = try await oracle.end(sidecar)
    #expect(workload.wait() == 0, "\(name): \(workload.standardError)")
    return Ending(truth: truth, settledAt: settledAt, log: log, peak: peak)
  }

  /// A slow machine needs more rounds, a long run more than a short one.
  private static func mostRounds(for settings: OracleSettings) -> Int { 50 + settings.events / 50 }

  /// Whether what a case is made for has happened, so that its comparisons compare something.
  private func shows(_ truth: AccountingOracle.Truth) -> Bool {
    methods.allSatisfy { queue, method in
      if method == .watch { return truth.estimatedDurations.values.joined().contains { $0.isSure } }
      guard operations.contains("patient") else { return true }
      return truth.deliveriesOnTime(queue) > 0 && truth.deliveriesLate(queue) > 0
    }
  }

  private func agrees(
    _ oracle: AccountingOracle, _ truth: AccountingOracle.Truth, _ sidecar: ChildProcess, _ settings: OracleSettings
  ) async throws -> Bool {
    let expected = seen(truth.counts)
    var found = AccountingOracle.Counts()
    let agrees = try await slowly {
      found = seen(try oracle.report().counts)
      return found == expected
    }
    #expect(
      agrees,
      "\(name), seed \(settings.seed): \(found.differences(to: expected))\n\(AccountingOracle.log(sidecar))")
    return agrees
  }

  /// What is compared: what the method sees, as far as it tells it apart.
  private func seen(_ counts: AccountingOracle.Counts, _ queue: String? = nil) -> AccountingOracle.Counts {
    var seen = AccountingOracle.Counts()
    for (place, kinds) in counts.counts where queue == nil || place.queue == queue {
      guard let method = methods[place.queue] else { continue }
      let isByDestination = detail == .destinations || detail == .totals && method != .statistics
      let destination = isByDestination ? place.destination : "all"
      for (kind, count) in kinds {
        guard let name = self.name(of: kind, by: method) else { continue }
        seen.add(name, .init(queue: place.queue, destination: destination), count)
      }
    }
    return seen
  }

  /// What a method calls a movement; nil for what it cannot see.
  private func name(of kind: String, by method: AccountingMethod) -> String? {
    switch (method, kind) {
    case (.ledger, _): kind
    // Relaycast's deliveries do not say how many attempts failed.
    case (.history, "retried") where layout == "relaycast": nil
    case (.history, "discarded"): "unseen"
    case (.history, "released"): nil
    case (.history, _): kind
    case (.statistics, "requeued"): "enqueued"
    case (.statistics, "delivered"), (.statistics, "discarded"): "unseen"
    case (.statistics, "retried"), (.statistics, "released"): nil
    case (.statistics, _): kind
    case (.watch, "discarded"): "unseen"
    case (.watch, "retried") where detail == .totalsWithoutAttempts: nil
    case (.watch, _): kind
    }
  }

  /// Compares what the Collector got with the truth.
  func check(_ received: OracleReceived, against ending: Ending, _ settings: OracleSettings) {
    let truth = ending.truth
    for (queue, method) in methods {
      let outbox = queue.isEmpty ? name : "\(name)/\(queue)"
      let samples = received.samples(of: [outbox])
      #expect(samples.count > 5, "\(outbox), seed \(settings.seed)")
      guard received.reaches(ending.settledAt, outbox) else {
        Issue.record("\(outbox), seed \(settings.seed): the Collector has not got the end\n\(ending.log)")
        continue
      }
      for sample in samples where sample.depth != sample.moved {
        Issue.record(
          "\(outbox), seed \(settings.seed): depth \(sample.depth), by what moved \(sample.moved), at \(sample.time)")
        break
      }
      let counted = seen(received.counts(of: outbox, queue: queue))
      let expected = seen(truth.counts, queue)
      #expect(counted == expected, "\(outbox), seed \(settings.seed): \(counted.differences(to: expected))")
      if isOfDeadLetters {
        // The counters say how many came, whatever became of them: how many are left nothing else compares.
        let (found, left) = (received.deadLetters(of: outbox), truth.byDestination("dead letters", queue))
        #expect(found == left, "\(outbox), seed \(settings.seed): dead letters")
      }
      if method == .watch, detail == .totalsWithoutAttempts {
        let retried = received.counts(of: outbox, queue: queue).counts.values.reduce(0) { $0 + ($1["retried"] ?? 0) }
        #expect(retried <= truth.count("retried", queue), "\(outbox), seed \(settings.seed)")
      }
      if method == .watch { checkDurations(received, truth, outbox, settings) }
      guard method == .history || method == .ledger else { continue }
      for (destination, durations) in truth.durations(queue) {
        let buckets = received.buckets(of: outbox, destination)
        #expect(buckets == durations, "\(outbox) \(destination), seed \(settings.seed)")
      }
      // Of times in whole seconds a delivery may seem to be in time of which a sample has seen the deadline pass.
      if method == .history && layout == "relaycast" { continue }
      // Every event counts once: those that left before their deadline without delivery do not.
      let onTime = received.objectiveEvents(outbox, "on_time")
      let late = received.objectiveEvents(outbox, "late")
      // Of those whose rows are gone a history cannot tell whether their deadline had passed since the last sample.
      let most = truth.count("enqueued", queue) - truth.count("discarded surely on time", queue)
      let fewest =
        truth.count("enqueued", queue) - truth.count(method == .history ? "discarded" : "discarded on time", queue)
      #expect(
        (fewest...most).contains(onTime + late),
        "\(outbox), seed \(settings.seed): \(onTime) + \(late), \(fewest) to \(most) true")
      // Which of those that came back was late before cannot be told.
      guard truth.count("requeued", queue) == 0 else { continue }
      let kept = truth.deliveriesOnTime(queue)
      #expect(kept == onTime, "\(outbox), seed \(settings.seed): \(onTime) on time, \(kept) true")
    }
  }

  /// A file says when its event was first due, and the kernel tells that it is gone after it is, which is between two moments.
  /// What came and was gone between two pauses may never have been read, and then has no duration.
  private func checkDurations(
    _ received: OracleReceived, _ truth: AccountingOracle.Truth, _ outbox: String, _ settings: OracleSettings
  ) {
    var (sure, counted) = (0, 0)
    for (destination, durations) in truth.estimatedDurations {
      let buckets = received.buckets(of: outbox, destination)
      func number(_ isCounted: (AccountingOracle.EstimatedDurations) -> Bool) -> Int {
        durations.reduce(0) { isCounted($1) ? $0 + $1.count : $0 }
      }
      let bounds = Set(buckets.keys).union(durations.flatMap { [$0.range.lowerBound, $0.range.upperBound] })
      for bound in bounds {
        let fewest = number { $0.isSure && $0.range == bound...bound }
        let most = number { $0.range.contains(bound) }
        #expect(
          (fewest...most).contains(buckets[bound] ?? 0),
          "\(outbox) \(destination), seed \(settings.seed), up to \(bound): \(buckets), \(durations)")
        sure += fewest
      }
      for bound in bounds {
        let fewest = number { $0.isSure && $0.range.upperBound <= bound }
        let most = number { $0.range.lowerBound <= bound }
        #expect(
          (fewest...most).contains(buckets.upTo(bound)),
          "\(outbox) \(destination), seed \(settings.seed), all up to \(bound): \(buckets), \(durations)")
      }
      counted += buckets.upTo(.infinity)
    }
    #expect(sure > 0, "\(outbox), seed \(settings.seed): no delivery has a duration that is known")
    let all = truth.count("delivered")
    print("oracle: \(name): of \(all) deliveries \(counted) have a duration, \(sure) surely in one bucket")
  }
}
