import TestSupport
import Testing

/// Every query of every panel, variable and annotation, asked of real backends that hold healthy and broken outboxes.
@Suite(.enabled(if: pythonForTests != nil, "OUTBOX_TEST_PYTHON is not set"))
struct DashboardLiveTests {
  /// What has no data while all is well: every outbox is read, nothing drains, nobody is in trouble, nothing failed, and the series are not a
  /// week old.
  private static let quiet: Set = [
    "overview/9/B", "overview/11/B", "delivery/9/A", "delivery/10/A", "delivery/10/B", "delivery/23/A",
    "delivery/24/B", "exporter/10/A",
  ]
  private static let critical = ["overview", "delivery", "exporter"].map { "\($0)/Critical alerts/annotation" }
  private static let warnings = ["overview", "delivery", "exporter"].map { "\($0)/Warnings/annotation" }
  private static let trouble = ["overview/9/B", "overview/11/B", "delivery/9/A", "delivery/10/A"]

  /// What has no data at the end of a stage.
  private static let empty: [String: Set<String>] = [
    "healthy": quiet.union(critical).union(warnings),
    "channel-down": quiet.subtracting(trouble).union(warnings),
    "dead-letters": quiet.union(critical),
    "dead-worker": quiet.subtracting(trouble).union(warnings),
    "stuck-claims": quiet.subtracting(trouble).union(critical),
    // Draining is no trouble, yet a condition of its own.
    "burst-and-drain": quiet.subtracting(trouble).subtracting(["delivery/23/A"])
      .union(["overview/11/B"]).union(critical),
    "store-down": quiet.subtracting(["delivery/10/B", "exporter/10/A"]).union(warnings),
    // It was stalled, then drained, and now is well.
    "recovered": quiet.subtracting(["overview/9/B", "delivery/10/A", "delivery/23/A"]).union(critical).union(warnings),
    "fleet": quiet.subtracting(trouble).union(["exporter/15/A"]).union(warnings),
    "twins": quiet.union(critical).union(warnings),
    // No environment, no objective, no replica.
    "bare": quiet.union(critical).union(warnings).union([
      "overview/14/B", "delivery/2/A", "delivery/3/A", "delivery/11/D", "delivery/15/A", "delivery/15/B",
      "delivery/15/C", "delivery/16/A", "exporter/15/A",
    ]),
    // Nothing comes, so that there is no share of it and no time.
    "quiet": quiet.union(critical).union(warnings).union([
      "delivery/2/A", "delivery/3/A", "delivery/4/A", "delivery/5/A", "delivery/9/G", "delivery/15/A", "delivery/15/B",
      "delivery/15/C", "delivery/17/A", "delivery/17/B", "delivery/17/C", "delivery/19/A", "delivery/25/A",
      "exporter/15/A",
    ]),
  ]

  @Test(.enabled(if: programOnPath("victoria-metrics") != nil, "victoria-metrics is not on PATH"))
  func `every query has the data of its stage in VictoriaMetrics`() throws {
    try Self.expectStages(of: StagedBackend.victoriaMetrics(Self.empty.keys.sorted() + ["exporter-gone"]))
  }

  @Test(
    .enabled(
      if: programOnPath("prometheus") != nil && programOnPath("promtool") != nil,
      "prometheus or promtool is not on PATH"))
  func `every query has the data of its stage in Prometheus`() throws {
    try Self.expectStages(
      of: StagedBackend.prometheus([
        "bare", "channel-down", "dead-worker", "exporter-gone", "healthy", "quiet", "store-down", "stuck-claims",
        "twins",
      ]))
  }

  private static func expectStages(of backend: StagedBackend) throws {
    var checks: [String: DashboardCheck] = [:]
    for stage in backend.ends.keys.sorted() {
      let check = try backend.check(stage)
      checks[stage] = check
      #expect(check.code == 0 && check.failures == [], "\(stage)")
      #expect(check.notNumbers == [], "\(stage)")
      if let empty = empty[stage] {
        #expect(check.empty.subtracting(empty) == [], "\(stage): no data")
        #expect(empty.subtracting(check.empty) == [], "\(stage): data where none is expected")
      }
      if stage == "exporter-gone" {
        expectSilence(check)
        // Ten minutes after the last sample, which lie in no window of five minutes and in every longer one.
        expectSilence(try backend.check(stage, minutesBefore: 20))
      } else {
        try expectFigures(check, #require(backend.truth[stage]), stage)
      }
    }
    try expectConditions(checks)
    try expectTwinsAsOne(#require(checks["healthy"]), #require(checks["twins"]))
  }

  /// The numbers of the first row are those that the simulation counts itself.
  private static func expectFigures(_ check: DashboardCheck, _ truth: ParsedJSON, _ stage: String) throws {
    for (panel, figure) in [(1, "unread"), (2, "late"), (4, "backlog"), (5, "retrying"), (7, "stuck")] {
      let expected = try #require(truth[figure]?.text.flatMap { Double($0) })
      #expect(check.number("overview/\(panel)/A") == expected, "\(stage): \(figure)")
    }
    let oldest = try #require(truth["oldest"]?.text.flatMap { Double($0) })
    #expect(abs(try #require(check.number("overview/3/A")) - oldest) < 0.01, "\(stage): oldest")
    let outboxes = truth["dead"]?.members ?? [:]
    let read = Set(outboxes.keys)
    #expect(read.isSubset(of: check.variables["overview/outbox"] ?? []), "\(stage)")
    let dead = check.last("overview/11/J")
    for (outbox, count) in outboxes {
      let row = dead.first { $0.key.contains("outbox_name=\(outbox)") }?.value
      #expect(row == count.text.flatMap { Double($0) }, "\(stage): dead letters of \(outbox)")
    }
    #expect(dead.count == outboxes.count, "\(stage): an outbox that is not read has no dead letters to show")
    // All dead letters of these stages are younger than an hour.
    let total = outboxes.values.compactMap { $0.text.flatMap { Double($0) } }.reduce(0, +)
    #expect(abs(try #require(check.number("overview/8/A")) - total) <= 0.05 * total, "\(stage): new dead letters")
  }

  /// Where nothing is known, nothing is said: no zero, no green.
  private static func expectSilence(_ check: DashboardCheck) {
    #expect(check.number("overview/1/A") == 3)
    #expect(check.number("exporter/3/A") == 3)
    let numbers =
      (2...8).map { "overview/\($0)/A" } + (1...8).map { "delivery/\($0)/A" }
      + [1, 2, 4, 5, 6, 7, 8].map { "exporter/\($0)/A" }
    let rows = "ABCDEFGHIJ".map { "delivery/9/\($0)" } + "BCDEFGHIJ".map { "overview/11/\($0)" }
    for query in numbers + rows { #expect(check.last(query) == [:], "\(query)") }
    #expect(Set(check.last("overview/9/A").values) == [10], "no telemetry")
    #expect(check.last("overview/9/A").count == 3)
    #expect(check.last("overview/11/K").values.allSatisfy { $0 > 600 }, "the age of the last sample goes on")
  }

  private static func expectConditions(_ checks: [String: DashboardCheck]) throws {
    /// The condition of an outbox or destination in the timeline.
    func condition(_ stage: String, _ query: String, _ labels: String...) -> Double? {
      checks[stage]?.last(query).first { row in labels.allSatisfy { row.key.contains($0) } }?.value
    }
    let (ok, stuck, spinning, stalled, notRead) = (2.0, 6.0, 7.0, 8.0, 9.0)
    #expect(condition("healthy", "overview/9/A", "outbox_name=orders") == ok)
    #expect(condition("dead-worker", "overview/9/A", "outbox_name=bots") == stalled)
    #expect(condition("dead-worker", "overview/9/A", "outbox_name=orders") == ok)
    #expect(condition("store-down", "overview/9/A", "outbox_name=bots") == notRead)
    #expect(condition("stuck-claims", "overview/9/A", "outbox_name=orders") == stuck)
    // The outbox as a whole still moves, and the table shows the worst of it.
    #expect(condition("channel-down", "overview/9/A", "outbox_name=orders") == ok)
    #expect(condition("channel-down", "overview/9/B", "outbox_name=orders", "outbox_destination=sms") == spinning)
    #expect(condition("channel-down", "overview/11/A", "outbox_name=orders") == spinning)
    #expect(condition("channel-down", "delivery/19/A", "outbox_destination=sms") == 1, "all attempts fail")
    #expect(checks["bare"]?.variables["overview/environment"] == [])
    #expect(checks["healthy"]?.variables["overview/environment"] == ["production"])
    if let fleet = checks["fleet"] {
      #expect(fleet.variables["overview/outbox"]?.count == 50)
      #expect(fleet.last("overview/11/A").count == 50)
      #expect((3...12).contains(fleet.last("overview/14/A").count), "no more lines than can be told apart")
    }
  }

  /// Two exporters on the same outboxes are one for every figure of an outbox.
  private static func expectTwinsAsOne(_ one: DashboardCheck, _ two: DashboardCheck) throws {
    #expect(two.number("exporter/1/A") == 2)
    for entry in one.entries where !entry.query.hasPrefix("exporter/") {
      let twin = try #require(two.entries.first { $0.query == entry.query && $0.mode == entry.mode })
      #expect(twin.last.keys.sorted() == entry.last.keys.sorted(), "\(entry.query)")
      for (series, value) in entry.last {
        let other = try #require(twin.last[series], "\(entry.query) \(series)")
        #expect(abs(other - value) <= 0.001 * max(1, abs(value)), "\(entry.query) \(series)")
      }
    }
  }
}
