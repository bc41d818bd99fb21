import TestSupport
import Testing

/// An incident in real stores from beginning to end, watched by the real exporter, which sends to Prometheus and to
/// VictoriaMetrics with vmalert beside it: in every stage exactly the expected alerts begin, and every query of every
/// dashboard has the data of the stage.
///
/// Rules, dashboards and application go `OUTBOX_INCIDENT_DIVISOR` times as fast as they are shipped, 75 unless it is set. Below
/// 40 the troubles come one after the other, else all at once. What the rules do at full length is for their unit tests.
@Suite(
  .enabled(if: TemporaryPostgres.unavailable == nil, "\(TemporaryPostgres.unavailable ?? "")"),
  .enabled(if: pythonForTests != nil, "OUTBOX_TEST_PYTHON is not set"),
  .enabled(
    if: ["prometheus", "victoria-metrics", "vmalert"].allSatisfy { programOnPath($0) != nil },
    "prometheus, victoria-metrics or vmalert is not on PATH"))
struct IncidentTests {
  private static let divisor = currentEnvironment()["OUTBOX_INCIDENT_DIVISOR"].flatMap { Double($0) } ?? 75

  /// Where the machine stands still for what is a minute of the rehearsal, alerts are right to begin that the script does not
  /// know: it is played again, at half the speed.
  @Test func `in a scripted incident exactly the expected alerts begin, and every dashboard shows it`() async throws {
    for divisor in [Self.divisor, Self.divisor / 2, Self.divisor / 4] {
      let incident = try Incident(IncidentPace(divisor: divisor))
      let troubles = Self.divisor < 40 ? IncidentTrouble.all.map { [$0] } : [IncidentTrouble.all]
      do {
        try await Self.play(incident, troubles: troubles)
        return try Self.expectLooks(of: incident)
      } catch let stop as Incident.Disturbed {
        print("divided by \(divisor): \(stop)")
        if divisor == Self.divisor / 4 { throw stop }
      }
    }
  }

  /// - Parameter troubles: those of each list come together.
  private static func play(_ incident: Incident, troubles: [[IncidentTrouble]]) async throws {
    let outboxes = IncidentStore.outboxes.map(\.name)
    let unattended = IncidentTrouble.unattended
    // The first sample after a start may take longer than the divided rhythm.
    let started = Set(outboxes.map { "OutboxStoreUnreachable critical \($0)" })
    try await incident.stage("healthy", brief: started) {
      try await incident.wait { try $0.sampled(outboxes) != nil }
      try await incident.wait(minutes: 12)
    }
    try await incident.stage("burst and drain", brief: IncidentTrouble.passingVerdicts(on: ["bulk"])) {
      try incident.store.change(
        "bulk",
        """
        INSERT INTO bulk (topic) SELECT 'mail' FROM generate_series(1, 600);
        INSERT INTO truth VALUES ('bulk', 'mail', 'enqueued', 600);
        """)
      try await incident.wait { try $0.receiver.query("outbox_drain_time_seconds{outbox_name=\"bulk\"}").count == 1 }
    }
    for together in troubles {
      let name = together.map(\.name).joined(separator: ", ")
      let alerts = together.reduce(into: Set()) { $0.formUnion($1.alerts) }
      let brief = together.reduce(into: IncidentTrouble.passingVerdicts(on: ["bulk"])) { $0.formUnion($1.brief) }
      try await incident.stage(name, firing: alerts, allowed: unattended, brief: brief) {
        for trouble in together { try trouble.begin(incident) }
      }
      // What burnt may be pending once more before it is over.
      try await incident.stage("after \(name)", allowed: unattended, brief: brief.union(alerts), isShown: false) {
        for trouble in together { try trouble.repair(incident) }
        try await incident.wait { try $0.alerts().allSatisfy { unattended.contains($0.alert) } }
      }
    }
    try await incident.stage("dead letters unattended", allowed: unattended, isShown: false) {
      try await incident.wait { try $0.alerts() == Set(unattended.map { .init(alert: $0, isFiring: true) }) }
      try incident.store.change("letters", "DELETE FROM letters WHERE status = 'dead'")
      try await incident.wait { try $0.alerts().isEmpty }
    }
    let gone = outboxes.map { "OutboxExporterGone critical \($0)" }
    // It comes to be true when the last sign of life is as old as the first alert waits for.
    let stale = outboxes.map { "OutboxTelemetryStale warning \($0)" }
    try await incident.stage("exporter killed", firing: Set(gone), brief: Set(stale)) { incident.killExporter() }
    try await incident.stage("recovered", brief: started) {
      try incident.startExporter()
      try await incident.wait { try $0.alerts().isEmpty }
      try await incident.wait(minutes: 2)
    }
  }

  // MARK: - What the dashboards show

  /// What has no data in any stage: nothing is a week old, and no store is a replica.
  private static let always: Set = ["delivery/24/B", "exporter/15/A"]
  /// What has none while all is well; a sample that failed at the start is told.
  private static let quiet: Set = [
    "overview/6/A", "overview/9/B", "overview/11/B", "delivery/9/A", "delivery/10/A", "delivery/23/A",
  ]
  private static let annotations = Set(
    ["overview", "delivery", "exporter"].flatMap { ["\($0)/Critical alerts/annotation", "\($0)/Warnings/annotation"] })
  private static let failures: Set = ["exporter/10/A"]
  /// What is about this moment, or about the last hour of an outbox that is read at this moment.
  private static let current = Set(
    ["A", "B", "C", "D", "E", "F", "H", "I", "J"].map { "delivery/9/\($0)" }
      + ["B", "C", "D", "E", "F", "G", "H", "I", "J"].map { "overview/11/\($0)" }
      + (2...8).map { "overview/\($0)/A" } + [1, 2, 3, 6, 7, 8].map { "delivery/\($0)/A" }
      + [1, 2, 5, 6, 7, 8, 21].map { "exporter/\($0)/A" })

  /// Queries without data in a stage: those that have none, and those that may have none.
  private static func empty(_ stage: String) -> (all: Set<String>, some: Set<String>) {
    switch stage {
    case "healthy": (always.union(quiet).union(annotations), failures)
    case "burst and drain": (always.union(annotations).union(["overview/11/B"]), failures)
    case "exporter killed": (always.union(current), [])
    case "recovered": (always.union(["delivery/9/A", "overview/6/A", "overview/11/B"]), [])
    case IncidentTrouble.all.map(\.name).joined(separator: ", "): (always, ["overview/6/A"])
    default: (always, quiet.union(annotations).union(failures))
    }
  }

  private static func expectLooks(of incident: Incident) throws {
    for look in incident.looks {
      for backend in incident.watches.map(\.name) {
        let check = try look.answer(of: backend)
        let place = "\(backend), \(look.stage)"
        #expect(check.code == 0 && check.failures == [], "\(place)")
        let empty = empty(look.stage)
        #expect(check.empty.subtracting(empty.all.union(empty.some)) == [], "\(place): no data")
        #expect(empty.all.subtracting(check.empty) == [], "\(place): data where none is expected")
        if look.stage == "exporter killed" {
          look.expectSilence(check, backend)
        } else {
          look.expectFigures(check, backend)
        }
        look.expectCounters(since: incident.looks[0], backend)
        let troubles = IncidentTrouble.all.filter { look.stage.contains($0.name) }
        for (outbox, expected) in troubles.flatMap(\.conditions) {
          let shown = check.last("overview/11/A")["outbox_environment=production,outbox_name=\(outbox)"]
          #expect(shown.map(expected.contains) == true, "\(place): condition of \(outbox), \(shown ?? -1)")
        }
      }
    }
  }
}
