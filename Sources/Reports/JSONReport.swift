import Assessment
import Outbox

extension CycleReport {
  /// The report for programs. Keys are only ever added, never renamed; the README lists them.
  package func json(exitCode: Int) -> JSONValue {
    .object([
      ("health", .string(health.rawValue)),
      ("exit_code", .int(exitCode)),
      ("time", .string(time.text)),
      ("outboxes", .array(zip(samples, judgements).map { Self.json($0, $1, assessment(of: $0.outbox)) })),
      ("push", pushJSON),
    ])
  }

  private var pushJSON: JSONValue {
    let (attempted, delivered, message): (Bool, Bool, String?) =
      switch push {
      case .notAttempted(let reason): (false, false, "nothing was pushed: \(reason)")
      case .delivered: (true, true, nil)
      case .failed(let message): (true, false, message)
      }
    return .object([
      ("attempted", .bool(attempted)), ("delivered", .bool(delivered)), ("required", .bool(pushIsRequired)),
      ("message", message.map(JSONValue.string) ?? .null),
    ])
  }

  private static func json(
    _ sample: OutboxSample, _ judgement: Judgement, _ assessment: OutboxAssessment
  ) -> JSONValue {
    var pairs: [(String, JSONValue)] = [
      ("name", .string(sample.outbox.name)),
      ("layout", .string(sample.outbox.layout)),
      ("system", .string(sample.outbox.system.rawValue)),
      ("health", .string(judgement.health.rawValue)),
      (
        "findings",
        .array(
          judgement.findings.map {
            .object([("health", .string($0.health.rawValue)), ("message", .string($0.sentence))])
          })
      ),
      ("verdict", .string(assessment.verdict.rawValue)),
      ("verdict_reason", .string(assessment.sentence)),
      ("drain_time_seconds", json(assessment.drainTime)),
      ("breach_time_seconds", json(assessment.breachTime)),
      (
        "destination_verdicts",
        .array(
          assessment.destinations.map {
            .object([
              ("name", .string($0.name)), ("verdict", .string($0.verdict.rawValue)), ("reason", .string($0.sentence)),
            ])
          })
      ),
      ("sampled_at", .string(sample.startedAt.text)),
      ("duration_seconds", .number(sample.duration.seconds)),
    ]
    switch sample.result {
    case .failure(let failure):
      pairs.append(
        (
          "failure",
          .object([
            ("reason", .string(failure.reason.rawValue)), ("message", .string(failure.message)),
            ("hint", failure.hint.map(JSONValue.string) ?? .null),
          ])
        ))
    case .success(.head): break
    case .success(.counts(let snapshot)):
      pairs += figures(snapshot)
      let account = judgement.deadLetters
      pairs += [
        ("dead_acknowledged", .int(account?.covered ?? 0)),
        ("acknowledgements", .array((account?.entries ?? []).map(json))),
      ]
    }
    return .object(pairs)
  }

  private static func json(_ entry: DeadLetterAccount.Entry) -> JSONValue {
    let acknowledgement = entry.acknowledgement
    return .object([
      ("dead", .int(acknowledgement.dead)), ("covered", .int(entry.covered)),
      ("destination", acknowledgement.destination.map(JSONValue.string) ?? .null),
      ("reason", .string(acknowledgement.reason)), ("until", .string(acknowledgement.until)),
      ("expired", .bool(entry.isExpired)),
    ])
  }

  private static func json(_ range: TimeRange?) -> JSONValue {
    guard let range else { return .null }
    return .object([
      ("expected", .number(range.expected.seconds)), ("earliest", .number(range.earliest.seconds)),
      ("latest", range.latest.map { .number($0.seconds) } ?? .null),
    ])
  }

  private static func figures(_ snapshot: Snapshot) -> [(String, JSONValue)] {
    var pairs: [(String, JSONValue)] = [
      ("in_use", .bool(snapshot.inUse)),
      ("exact", .bool(snapshot.exact)),
      ("depth", .object(EventState.waiting.map { ($0.rawValue, .int(snapshot.depth($0))) })),
      ("oldest_age_seconds", snapshot.oldestAge.map { .number($0.seconds) } ?? .null),
      ("stuck", .int(snapshot.stuckCount)),
      ("stuck_oldest_age_seconds", snapshot.stuck.map(\.oldest).max().map { .number($0.seconds) } ?? .null),
      ("dead", .int(snapshot.deadCount)),
      ("dead_oldest_age_seconds", snapshot.dead.compactMap(\.oldest).max().map { .number($0.seconds) } ?? .null),
      ("implausible", .int(snapshot.implausible)),
      ("replica_lag_seconds", snapshot.replicaLag.map { .number($0.seconds) } ?? .null),
      ("destinations", .array(snapshot.destinations.map { json($0.figures, destination: $0.name) })),
    ]
    if let ids = snapshot.eventIDs {
      pairs.append(
        (
          "event_ids",
          .object([
            ("oldest", .array(ids.oldest.map(JSONValue.string))), ("stuck", .array(ids.stuck.map(JSONValue.string))),
            ("newest_dead", .array(ids.newestDead.map(JSONValue.string))),
          ])
        ))
    }
    return pairs
  }

  private static func json(_ row: Snapshot, destination: String) -> JSONValue {
    .object([
      ("name", .string(destination)),
      ("depth", .object(EventState.waiting.map { ($0.rawValue, .int(row.depth($0))) })),
      ("retry", .int(row.depths.reduce(0) { $1.retry ? $0 + $1.count : $0 })),
      ("oldest_age_seconds", row.oldestAge.map { .number($0.seconds) } ?? .null),
      ("stuck", .int(row.stuckCount)),
      ("dead", .int(row.deadCount)),
    ])
  }
}

extension Snapshot {
  /// The figures of every destination that the snapshot names, the busiest first.
  var destinations: [(name: String, figures: Snapshot)] {
    var all: [String: Snapshot] = [:]
    let empty = Snapshot(storeTime: storeTime)
    for depth in depths { all[depth.destination, default: empty].depths.append(depth) }
    for age in ages { all[age.destination, default: empty].ages.append(age) }
    for stuck in stuck { all[stuck.destination, default: empty].stuck.append(stuck) }
    for dead in dead { all[dead.destination, default: empty].dead.append(dead) }
    return all.map { (name: $0, figures: $1, depth: $1.depth, dead: $1.deadCount) }
      .sorted { ($1.depth, $1.dead, $0.name) < ($0.depth, $0.dead, $1.name) }
      .map { ($0.name, $0.figures) }
  }
}
