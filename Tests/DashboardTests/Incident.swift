import TestSupport
import Testing

/// The store, the exporter and both backends of one incident, and what was seen in each of its stages.
final class Incident {
  let pace: IncidentPace
  let store: IncidentStore
  let collector: IncidentCollector
  let watches: [IncidentWatch]
  /// The outboxes whose store can be read.
  var readable = Set(IncidentStore.outboxes.map(\.name))
  private let command: ExporterCommand
  private var exporter: ChildProcess?
  private var killed: Double?
  /// When no exporter ran.
  private var silences: [ClosedRange<Double>] = []
  private(set) var stages: [IncidentStage] = []
  private(set) var looks: [IncidentLook] = []

  init(_ pace: IncidentPace) throws {
    self.pace = pace
    store = try IncidentStore(pace)
    collector = try IncidentCollector()
    watches = [try .prometheus(pace), try .victoriaMetrics(pace)]
    for watch in watches {
      try IncidentStore.past.write(to: watch, pace)
      try watch.evaluateRules()
    }
    command = try ExporterCommand()
    try command.home.write(
      """
      environment: production
      state_dir: \(command.path("state"))
      interval: \(pace.text(0.75))
      database_share: 100%
      # What a Collector does not take for a quarter of an hour is too much.
      spool: {max_bytes: \(Self.batch * 20)}
      \(store.configuration)
      export: [\((watches.map(\.receiver.endpoint) + [collector.endpoint]).map { "{url: \"\($0)\"}" }.joined(separator: ", "))]
      """, to: "exporter.yaml")
    for outbox in IncidentStore.outboxes {
      let installed = try command.run(
        ["ledger", "install", "--config", command.path("exporter.yaml"), "--outbox", outbox.name])
      try #require(installed.code == 0, "\(installed.error)")
    }
    try store.begin()
    try startExporter()
  }

  /// About how many bytes a cycle of this exporter sends.
  private static let batch = 50_000

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
    let (start, end) = (wallSeconds(), ContinuousClock.now + .seconds(pace.seconds(400)))
    while try !watches.allSatisfy(condition) {
      if ContinuousClock.now >= end {
        if try longestPause(since: start) > pace.seconds(Self.tolerated) {
          throw Disturbed(description: "it does not go on")
        }
        throw StagedBackend.NotFilled(description: try state())
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
  ///   - passing: alerts that may be pending besides, and do not fire.
  ///   - isShown: whether the dashboards are looked at.
  func stage(
    _ name: String, firing: Set<String> = [], passing: Set<String> = [], isShown: Bool = true,
    _ script: () async throws -> Void
  ) async throws {
    let start = wallSeconds()
    try await script()
    try await wait { watch in
      let alerts = try watch.alerts()
      return firing.allSatisfy { alerts.contains(.init($0, isFiring: true)) }
    }
    if isShown { try await look(name) }
    stages.append(
      IncidentStage(
        name: name, start: start, firing: firing, passing: passing, pause: try longestPause(since: start)))
  }

  /// What began in the stages and is not in the script, and what is in the script and did not begin.
  func surprises() async throws -> [String] {
    let start = stages.first?.start ?? 0
    // What was evaluated a moment ago is on its way.
    try await Task.sleep(for: .seconds(3))
    return try watches.flatMap { watch in
      let begun = try watch.begun(since: start, pace)
      return stages.indices.flatMap { place in
        let end = place + 1 < stages.count ? stages[place + 1].start : .infinity
        return stages[place].surprises(begun.filter { (stages[place].start..<end).contains($0.time) }.map(\.alert))
          .map { "\(watch.name), \(stages[place].name): \($0)" }
      }
    }
  }

  /// How many minutes a part of the rehearsal may do nothing before the rehearsal is none.
  private static let tolerated = 1.5

  /// Throws where the machine had no time for the rehearsal.
  func expectUndisturbed() throws {
    for stage in stages where stage.pause > pace.seconds(Self.tolerated) {
      throw Disturbed(description: "\(stage.name): nothing went on for \(stage.pause) s")
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
        stage: stage, pace: pace, time: now, outboxes: outboxes, truth: truth,
        counted: try Dictionary(uniqueKeysWithValues: watches.map { ($0.name, try $0.counted(at: now)) }),
        checks: try Dictionary(uniqueKeysWithValues: watches.map { ($0.name, try $0.check(at: now, pace)) })))
  }

  /// Draws every dashboard as it was at each look, as wide as a desktop's and as a laptop's screen: the place of the look, the
  /// dashboard and the width are its name.
  func draw(into directory: String) throws {
    for (place, look) in looks.enumerated() {
      for uid in Dashboard.uids {
        let choice =
          uid == "outbox-delivery" && look.stage.contains("channel down") ? ["--choose", "outbox=orders"] : []
        for width in [1920, 1366] {
          let options = ["--time", "\(look.time)", "--width", "\(width)", "--divide", "\(pace.divisor)"] + choice
          let drawn = try run(
            pythonForTests ?? "",
            ["dashboards/render.py", "--url", watches[0].receiver.base] + options
              + ["dashboards/\(uid).json", "\(directory)/\(place)-\(uid)-\(width).png"], directory: ProjectFiles.root)
          #expect(drawn.code == 0, "\(drawn.error)")
        }
      }
    }
  }

  private func state() throws -> String {
    try watches.map { "\($0.name): \(try $0.alerts().sorted())" }.joined(separator: "\n") + "\n"
      + String((exporter?.standardError ?? "").suffix(2000))
  }
}
