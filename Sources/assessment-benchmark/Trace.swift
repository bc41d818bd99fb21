import Outbox

/// A trace: what the exporter sees, what Burrow sees, and what is true.
struct Trace {
  /// One sample with what only the simulator knows.
  struct Look {
    var sample: OutboxSample
    /// Cumulative deliveries by destination: the position of a Kafka consumer.
    var positions: [Int]
    /// The due depth by destination: its lag.
    var lags: [Int]
    /// Whether the consumer lives, and so commits.
    var commits: Bool
    var isBreached: Bool
  }

  var scenario: Scenario
  var looks: [Look] = []
  /// The sample from which on the future is bad; nil for a healthy trace.
  var badFrom: Int?
  /// The first sample after the breach.
  var breach: Int?
  /// Seconds after the start at which each backlog was empty, for the range of the drain time.
  var emptyAt: [Double] = []

  static let names = (0..<50).map { "channel-\($0 < 10 ? "0" : "")\($0)" }
  static let start = 1_800_000_000.0

  /// - Parameter scenario: nil comes back where a healthy kind breaks its promise by chance: it is neither.
  init?(_ scenario: Scenario) {
    self.scenario = scenario
    var outbox = SimulatedOutbox(scenario)
    var chance = Chance(seed: scenario.seed ^ 0x5eed)
    let watched = WatchedOutbox(
      name: "simulated", layout: "simulated", system: .sqlite,
      objective: Objective(age: .seconds(scenario.objective), target: 0.999))
    var waitsFrom: Int?
    for index in 0..<scenario.samples {
      for _ in 0..<15 {
        outbox.tick()
        if outbox.ready.indices.allSatisfy({ Double(outbox.backlog($0)) <= scenario.capacity }) {
          emptyAt.append(outbox.now)
        }
      }
      let stepped = scenario.step.map { index >= $0.sample ? $0.seconds : 0 } ?? 0
      let time = Timestamp(seconds: Self.start + outbox.now + stepped)
      let isMissing = chance.happens(scenario.missing)
      let result: Result<Snapshot, SampleFailure> =
        isMissing ? .failure(SampleFailure(.timeout, "no answer")) : .success(outbox.snapshot)
      let isBreached = outbox.oldestAge > scenario.objective
      looks.append(
        Look(
          sample: OutboxSample(outbox: watched, startedAt: time, duration: .milliseconds(5), result: result),
          positions: outbox.delivered, lags: outbox.ready.indices.map { outbox.backlog($0) + outbox.backingCount($0) },
          commits: outbox.isWorkerAlive && !isMissing, isBreached: isBreached))
      if index >= scenario.onset, outbox.isDamaged, waitsFrom == nil { waitsFrom = index }
      if isBreached, breach == nil { breach = index }
    }
    if scenario.isIncidentBad {
      guard let waitsFrom else { return nil }
      if let breach, breach < waitsFrom { return nil }
      // An incident that breaks no promise within the trace has not shown what it is.
      guard breach != nil else { return nil }
      badFrom = waitsFrom
    } else if breach != nil {
      return nil
    }
  }
}

extension SimulatedOutbox {
  func backingCount(_ index: Int) -> Int { backingOff.count { $0.destination == index } }

  /// Whether an event waits that, if nothing changes, waits too long.
  var isDamaged: Bool {
    guard isIncident else { return false }
    switch scenario.kind {
    case .poisonEvent: return (backingOff + ready.flatMap { $0 }).contains { $0.isPoison }
    case .deadChannel: return backlog(0) > 0
    case .reaperDead: return !lost.isEmpty
    case .slowLeak, .rewind: return true
    default: return !backingOff.isEmpty || ready.indices.contains { backlog($0) > 0 }
    }
  }

  /// What a sample finds: the figures of DESIGN's vocabulary from the true events.
  var snapshot: Snapshot {
    var snapshot = Snapshot(storeTime: Timestamp(seconds: Trace.start + now))
    var tried: [[Double]] = Array(repeating: [], count: scenario.destinations)
    var untried = tried
    var (triedReady, untriedReady) = (heads.map { _ in 0 }, heads.map { _ in 0 })
    for index in ready.indices {
      var inHand = claimed[index]
      var claims = [0, 0]
      for event in ready[index][heads[index]...] {
        if event.attempts > 0 { tried[index].append(event.created) } else { untried[index].append(event.created) }
        if inHand > 0 {
          inHand -= 1
          claims[event.attempts > 0 ? 1 : 0] += 1
        } else if event.attempts > 0 {
          triedReady[index] += 1
        } else {
          untriedReady[index] += 1
        }
      }
      let off = backingOff.filter { $0.destination == index }
      let claimsLost = lost.filter { $0.event.destination == index }
      tried[index] += off.map(\.created) + claimsLost.filter { $0.event.attempts > 0 }.map(\.event.created)
      untried[index] += claimsLost.filter { $0.event.attempts == 0 }.map(\.event.created)
      claims[0] += claimsLost.count { $0.event.attempts == 0 }
      claims[1] += claimsLost.count { $0.event.attempts > 0 }
      let name = Trace.names[index]
      for (state, retry, count) in [
        (EventState.ready, false, untriedReady[index]), (.ready, true, triedReady[index]),
        (.scheduled, true, off.count), (.claimed, false, claims[0]), (.claimed, true, claims[1]),
        (.parked, false, parked[index]),
      ] where count > 0 {
        snapshot.depths.append(.init(destination: name, state: state, retry: retry, count: count))
      }
      for (retry, created) in [(false, untried[index]), (true, tried[index])] where !created.isEmpty {
        let ages = created.map { now - $0 }.sorted()
        func quantile(_ share: Int) -> Duration { .seconds(ages[(ages.count * share + 99) / 100 - 1]) }
        snapshot.ages.append(
          .init(
            destination: name, retry: retry, oldest: .seconds(ages[ages.count - 1]), median: quantile(50),
            p99: quantile(99)))
      }
      let stuck = claimsLost.filter { $0.leaseEnd <= now }
      if let first = stuck.map(\.leaseEnd).min() {
        snapshot.stuck.append(
          .init(destination: name, reason: .leaseExpired, count: stuck.count, oldest: .seconds(now - first)))
      }
    }
    return snapshot
  }
}
