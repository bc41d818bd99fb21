import TestSupport
import Testing

/// An incident in real stores from beginning to end, watched by the real exporter, which sends to Prometheus and to
/// VictoriaMetrics with vmalert beside it: in every stage exactly the expected alerts begin, and every query of every
/// dashboard has the data of the stage.
///
/// Rules, dashboards and application go `OUTBOX_INCIDENT_DIVISOR` times as fast as they are shipped, 75 unless it is set. With
/// `OUTBOX_INCIDENT_APART` set the troubles come one after the other, and with `OUTBOX_INCIDENT_PICTURES` set to a directory the
/// dashboards are drawn there as they were in each stage. What the rules do at full length is for their unit tests.
@Suite(
  .enabled(if: TemporaryPostgres.unavailable == nil, "\(TemporaryPostgres.unavailable ?? "")"),
  .enabled(if: pythonForTests != nil, "OUTBOX_TEST_PYTHON is not set"),
  .enabled(
    if: ["prometheus", "victoria-metrics", "vmalert"].allSatisfy { programOnPath($0) != nil },
    "prometheus, victoria-metrics or vmalert is not on PATH"))
struct IncidentTests {
  private static let divisor = currentEnvironment()["OUTBOX_INCIDENT_DIVISOR"].flatMap { Double($0) } ?? 75

  /// Where the machine stands still for what is a minute of the rehearsal, alerts are right to begin that the script does not
  /// know, and figures to be old: it is played again, at half the speed.
  @Test func `in a scripted incident exactly the expected alerts begin, and every dashboard shows it`() async throws {
    for divisor in [Self.divisor, Self.divisor / 2, Self.divisor / 4] {
      let incident = try Incident(IncidentPace(divisor: divisor))
      let isApart = currentEnvironment()["OUTBOX_INCIDENT_APART"] != nil
      let troubles = isApart ? IncidentTrouble.apart : IncidentTrouble.together
      do {
        try await Self.play(incident, troubles: troubles)
        let surprises = try await incident.surprises()
        let errors = try Self.errors(of: incident)
        if let directory = currentEnvironment()["OUTBOX_INCIDENT_PICTURES"] { try incident.draw(into: directory) }
        if !surprises.isEmpty || !errors.isEmpty {
          print((surprises + errors).joined(separator: "\n"))
          try incident.expectUndisturbed()
        }
        #expect(surprises == [])
        #expect(errors == [])
        return
      } catch let stop as Incident.Disturbed {
        print("divided by \(divisor): \(stop)")
        if divisor == Self.divisor / 4 { throw stop }
      }
    }
  }

  /// - Parameter troubles: those of each list come together.
  private static func play(_ incident: Incident, troubles: [[IncidentTrouble]]) async throws {
    let outboxes = IncidentStore.outboxes.map(\.name)
    // The first sample after a start may take longer than the divided rhythm, and until it is there, no store was read.
    let started = Set(outboxes.map { "OutboxStoreUnreachable critical \($0)" })
    // At first nothing has come in, and the hour before the start has no arrivals.
    let empty = ["OutboxExporterAbsent critical", "OutboxArrivalsMissing warning imports"]
    try await incident.stage("healthy", passing: started.union(empty)) {
      try await incident.wait { try $0.sampled(outboxes) != nil }
      try await incident.wait(minutes: 12)
    }
    let burst = IncidentTrouble.passingVerdicts(on: "bulk", "bulk/mail")
    try await incident.stage("burst and drain", passing: burst) {
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
      let passing = together.reduce(into: burst) { $0.formUnion($1.passing) }
      try await incident.stage(name, firing: alerts, passing: passing) {
        for trouble in together { try trouble.begin(incident) }
      }
      try await incident.stage("after \(name)", passing: passing, isShown: false) {
        for trouble in together { try trouble.repair(incident) }
        try await incident.wait { try $0.alerts().isEmpty }
      }
    }
    let gone = outboxes.map { "OutboxExporterGone critical \($0)" }
    // With this rhythm they are stale a minute before they are gone; with that of 15 s the alert would fire before the other.
    let stale = outboxes.map { "OutboxTelemetryStale warning \($0)" }
    try await incident.stage("exporter killed", firing: Set(gone), passing: Set(stale)) { incident.killExporter() }
    try await incident.stage("recovered", passing: started) {
      try incident.startExporter()
      try await incident.wait { try $0.alerts().isEmpty }
      try await incident.wait(minutes: 2)
    }
  }

  // MARK: - What the dashboards show

  /// What has no data in any stage: no store is a replica.
  private static let always: Set = ["exporter/15/A"]
  /// What has none while all is well; a sample that failed at the start is told.
  private static let quiet: Set = [
    "overview/9/B", "overview/11/B", "delivery/9/A", "delivery/10/A", "delivery/23/A",
  ]
  private static let annotations = Set(
    ["overview", "delivery", "exporter"].flatMap { ["\($0)/Critical alerts/annotation", "\($0)/Warnings/annotation"] })
  private static let failures: Set = ["exporter/10/A", "delivery/10/B"]
  /// What is about this moment, or about the last hour of an outbox that is read at this moment.
  private static let current = Set(
    ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"].map { "delivery/9/\($0)" }
      + ["B", "C", "D", "E", "F", "G", "H", "I", "J"].map { "overview/11/\($0)" }
      + (2...8).map { "overview/\($0)/A" } + (1...8).map { "delivery/\($0)/A" }
      + [1, 2, 4, 5, 6, 7, 8, 21].map { "exporter/\($0)/A" })

  /// Queries without data in a stage: those that have none, and those that may have none.
  private static func empty(_ stage: String) -> (all: Set<String>, some: Set<String>) {
    switch stage {
    case "healthy": (always.union(quiet).union(annotations), failures)
    case "burst and drain": (always.union(annotations).union(["overview/11/B"]), failures)
    // Of the troubles some may lie more than the three hours back that are shown.
    case "exporter killed": (always.union(current), quiet.union(["delivery/10/A"]))
    case "recovered": (always.union(["delivery/9/A", "overview/11/B"]), quiet.union(["delivery/10/A"]))
    case IncidentTrouble.together[0].map(\.name).joined(separator: ", "): (always, [])
    default: (always, quiet.union(annotations).union(failures))
    }
  }

  /// What a dashboard showed that was not so.
  private static func errors(of incident: Incident) throws -> [String] {
    try incident.looks.flatMap { look in
      try incident.watches.flatMap { watch in
        let check = try look.answer(of: watch.name)
        var review = IncidentReview(look: look, check: check, backend: watch.name)
        let empty = empty(look.stage)
        review.expectData(except: empty.all, or: empty.some)
        if look.stage == "exporter killed" {
          review.expectSilence()
        } else {
          review.expectFigures()
        }
        review.expectCounters(since: incident.looks[0])
        let troubles = IncidentTrouble.together.joined().filter { look.stage.contains($0.name) }
        for (outbox, expected) in troubles.flatMap(\.conditions) { review.expectCondition(outbox, expected) }
        review.expectAnnotations(troubles.flatMap(\.alerts))
        return review.errors
      }
    }
  }
}
