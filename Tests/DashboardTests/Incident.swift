import TestSupport
import Testing

/// The store, the exporter and both backends of one incident, and what was seen in each of its stages.
final class Incident {
  let pace: IncidentPace
  let store: IncidentStore
  let watches: [IncidentWatch]
  /// The outboxes whose store can be read.
  var readable = Set(IncidentStore.outboxes.map(\.name))
  private let command: ExporterCommand
  private var exporter: ChildProcess?
  private var killed: Double?
  /// When no exporter ran.
  private var silences: [ClosedRange<Double>] = []
  private(set) var looks: [IncidentLook] = []

  init(_ pace: IncidentPace) throws {
    self.pace = pace
    store = try IncidentStore(pace)
    watches = [try .prometheus(pace), try .victoriaMetrics(pace)]
    command = try ExporterCommand()
    try command.home.write(
      """
      environment: production
      state_dir: \(command.path("state"))
      interval: \(pace.text(0.75))
      database_share: 100%
      \(store.configuration)
      export: [\(watches.map { "{url: \"\($0.receiver.endpoint)\"}" }.joined(separator: ", "))]
      """, to: "exporter.yaml")
    for outbox in IncidentStore.outboxes {
      let installed = try command.run(
        ["ledger", "install", "--config", command.path("exporter.yaml"), "--outbox", outbox.name])
      try #require(installed.code == 0, "\(installed.error)")
    }
    try store.begin()
    try startExporter()
  }

  func startExporter() throws {
    if let killed { silences.append(killed...wallSeconds() + pace.seconds(2)) }
    exporter = try command.start(["--config", command.path("exporter.yaml"), "--log-level", "debug"])
  }

  func killExporter() {
    killed = wallSeconds()
    exporter?.signal(9)
    exporter?.wait()
  }

  /// Waits until something holds at both backends.
  func wait(_ condition: (IncidentWatch) throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(600)
    while try !watches.allSatisfy(condition) {
      if ContinuousClock.now >= end {
        let state = try state()
        throw StagedBackend.NotFilled(description: state)
      }
      // Asking is work for the backends.
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  /// Lets the outboxes live for a while.
  func wait(minutes: Double) async throws { try await Task.sleep(for: .seconds(pace.seconds(minutes))) }

  /// One stage: what happens, then a look at all dashboards once the expected alerts fire.
  ///
  /// - Parameters:
  ///   - firing: the alerts that begin and fire; no others do.
  ///   - allowed: alerts that may begin besides, sooner or later.
  ///   - brief: alerts that may be pending besides, and do not fire.
  ///   - isShown: whether the dashboards are looked at.
  func stage(
    _ name: String, firing: Set<String> = [], allowed: Set<String> = [], brief: Set<String> = [], isShown: Bool = true,
    _ script: () async throws -> Void
  ) async throws {
    let start = wallSeconds()
    // At a moment between two writes of vmalert's, VictoriaMetrics may have none of them.
    let before = try watches.map { try $0.alerts(since: start - pace.seconds(3)) }
    try await script()
    try await wait { watch in
      let alerts = try watch.alerts()
      return firing.allSatisfy { alerts.contains(.init(alert: $0, isFiring: true)) }
    }
    if isShown { try await look(name) }
    let pause = try longestPause(since: start)
    for (watch, before) in zip(watches, before) {
      let begun = try watch.alerts(since: start).subtracting(before)
      let unexpected = begun.filter { seen in
        !firing.contains(seen.alert) && !allowed.contains(seen.alert) && (seen.isFiring || !brief.contains(seen.alert))
      }.sorted()
      if !unexpected.isEmpty, pause > pace.seconds(1.5) {
        throw Disturbed(description: "\(watch.name), \(name): nothing went on for \(pause) s: \(unexpected)")
      }
      #expect(unexpected == [], "\(watch.name), \(name)")
    }
  }

  /// The machine had no time for the rehearsal.
  struct Disturbed: Error, CustomStringConvertible { let description: String }

  /// For how long, at most, a part of the rehearsal that lives has done nothing since a time.
  private func longestPause(since time: Double) throws -> Double {
    let samples = try watches[0].samples(of: "orders", since: time)
    let gaps = zip(samples, samples.dropFirst()).filter { before, after in
      !silences.contains { $0.overlaps(before...after) }
    }.map { $1 - $0 }
    return try max(gaps.max() ?? 0, store.longestPause(since: time))
  }

  /// Has both backends asked every query of every dashboard, as of a moment at which the store stands still.
  private func look(_ stage: String) async throws {
    try store.pause()
    let paused = wallSeconds()
    let outboxes = exporter?.isRunning == true ? readable.sorted() : []
    try await wait { try $0.sampled(outboxes).map { $0 > paused } ?? false }
    let sampled = try watches.compactMap { try $0.sampled(outboxes) }.max() ?? paused
    let now = wallSeconds()
    let truth = try store.truth(at: [sampled - pace.seconds(0.5), now], in: outboxes)
    store.resume()
    looks.append(
      IncidentLook(
        stage: stage, pace: pace, outboxes: outboxes, truth: truth,
        counted: try Dictionary(uniqueKeysWithValues: watches.map { ($0.name, try $0.counted(at: now)) }),
        checks: try Dictionary(uniqueKeysWithValues: watches.map { ($0.name, try $0.check(at: now, pace)) })))
  }

  private func state() throws -> String {
    try watches.map { "\($0.name): \(try $0.alerts().sorted())" }.joined(separator: "\n") + "\n"
      + String((exporter?.standardError ?? "").suffix(2000))
  }
}
