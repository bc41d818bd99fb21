import TestSupport
import Testing

/// One look at all dashboards of an incident: what stood in the store meanwhile, and what a backend answered.
struct IncidentLook {
  let stage: String
  let pace: IncidentPace
  /// The outboxes that could be read.
  let outboxes: [String]
  /// At the time of the samples that are shown, and a moment later: what waits becomes due meanwhile.
  let truth: IncidentStore.Truth
  /// What the counters said, with the same keys, by the name of the backend.
  let counted: [String: [String: Double]]
  let checks: [String: ChildProcess]

  /// What a backend answered.
  func answer(of backend: String) throws -> DashboardCheck {
    let process = try #require(checks[backend])
    let code = process.wait()
    return try DashboardCheck(code: code, output: process.standardOutput, error: process.standardError)
  }

  /// The figure of all destinations whose key begins so, added up or the largest, between these two.
  private func known(_ figure: String, of place: String = "", largest: Bool = false) -> ClosedRange<Double> {
    let values = truth.found.map { rows in
      let chosen = rows.filter { $0.key.hasPrefix(place) && $0.key.hasSuffix("/\(figure)") }.map(\.value)
      return largest ? chosen.max() ?? 0 : chosen.reduce(0, +)
    }
    // What the store rounds.
    return (values.min() ?? 0) - 0.002...(values.max() ?? 0) + 0.002
  }

  /// Every figure that a dashboard shows of this moment is the one in the store.
  func expectFigures(_ check: DashboardCheck, _ backend: String) {
    let place = "\(backend), \(stage)"
    for (query, figure, largest) in [
      ("overview/3/A", "oldest", true), ("overview/4/A", "ready", false), ("overview/5/A", "retrying", false),
      ("overview/7/A", "stuck", false), ("delivery/1/A", "oldest", true), ("delivery/7/A", "dead_age", true),
      ("delivery/8/A", "stuck_age", true), ("delivery/11/A", "oldest", true), ("delivery/22/A", "stuck", false),
    ] {
      expect(check.number(query), known(figure, largest: largest), "\(place): \(query)")
    }
    expect(check.number("overview/1/A"), Double(IncidentStore.outboxes.count - outboxes.count), "\(place): not read")
    expect(check.number("exporter/2/A"), Double(outboxes.count), "\(place): read")
    for state in ["ready", "scheduled", "claimed"] {
      expect(check.last("overview/13/A")["outbox_state=\(state)"], known(state), "\(place): \(state)")
    }
    expect(check.last("delivery/13/A")["outbox_retry=true"], known("retrying"), "\(place): tried before")
    let late = truth.found.map { rows in
      IncidentStore.outboxes.filter { outbox in
        let oldest = rows.filter { $0.key.hasPrefix("\(outbox.name)/") && $0.key.hasSuffix("/oldest") }.map(\.value)
          .max()
        return oldest ?? 0 > pace.seconds(outbox.promise ?? 5)
      }.count
    }
    expect(check.number("overview/2/A"), Double(late.min() ?? 0)...Double(late.max() ?? 0), "\(place): late")
    for outbox in outboxes { expectRows(of: outbox, check, place) }
    expectLosses(check, place)
  }

  private func expectRows(of outbox: String, _ check: DashboardCheck, _ place: String) {
    let row = "outbox_environment=production,outbox_name=\(outbox)"
    for (column, figure, largest) in [
      ("C", "oldest", true), ("D", "ready", false), ("E", "retrying", false), ("H", "stuck", false),
      ("J", "dead", false),
    ] {
      expect(
        check.last("overview/11/\(column)")[row], known(figure, of: "\(outbox)/", largest: largest),
        "\(place): \(outbox), \(figure)")
    }
    for destination in IncidentStore.outboxes.first(where: { $0.name == outbox })?.destinations.keys.sorted() ?? [] {
      let row = "outbox_destination=\(destination),\(row)"
      let key = "\(outbox)/\(destination)/"
      for (column, figure) in [("B", "oldest"), ("C", "ready"), ("D", "retrying"), ("H", "stuck"), ("J", "dead")] {
        expect(
          check.last("delivery/9/\(column)")[row], known(figure, of: key),
          "\(place): \(outbox) \(destination), \(figure)")
      }
      expect(check.last("delivery/21/A")[row], known("dead", of: key), "\(place): \(outbox) \(destination), dead")
    }
  }

  /// What a window shows of counters, which is between samples, and so is right within a tenth.
  private func expectLosses(_ check: DashboardCheck, _ place: String) {
    func within(_ kinds: String...) -> Double {
      truth.doneWithinHour.filter { row in kinds.contains { row.key.hasSuffix("/\($0)") } }.map(\.value).reduce(0, +)
    }
    let dead = within("dead")
    for query in ["overview/8/A", "delivery/6/A"] {
      expect(check.number(query), dead * 0.9 - 2...dead * 1.1 + 2, "\(place): new dead letters")
    }
    let failed = within("retried", "dead", "released") / within("delivered", "retried", "dead", "released")
    expect(check.number("delivery/5/A"), failed * 0.9 - 0.01...failed * 1.1 + 0.01, "\(place): failed attempts")
  }

  /// What was counted since an earlier look is what was done.
  func expectCounters(since earlier: IncidentLook, _ backend: String) {
    guard let now = counted[backend], let before = earlier.counted[backend] else { return }
    for (key, count) in truth.done where now[key] != nil {
      #expect(
        (now[key] ?? 0) - (before[key] ?? 0) == count - (earlier.truth.done[key] ?? 0),
        "\(backend), \(stage): \(key) is counted")
    }
  }

  /// Where no exporter sends, nothing is said: no zero, no green.
  func expectSilence(_ check: DashboardCheck, _ backend: String) {
    let place = "\(backend), \(stage)"
    let all = IncidentStore.outboxes.count
    expect(check.number("overview/1/A"), Double(all), "\(place): not read")
    for panel in 2...8 { #expect(check.last("overview/\(panel)/A") == [:], "\(place): panel \(panel)") }
    #expect(check.last("overview/9/A").values.count { $0 == IncidentTrouble.Condition.silent } == all, "\(place)")
    #expect(check.last("overview/11/K").count == all, "\(place): the age of the last sample goes on")
    #expect(check.last("exporter/1/A") == [:], "\(place)")
  }

  private func expect(_ value: Double?, _ expected: Double, _ place: String) {
    #expect(value == expected, "\(place)")
  }

  private func expect(_ value: Double?, _ expected: ClosedRange<Double>, _ place: String) {
    #expect(
      value.map { expected.contains($0) } ?? false, "\(place): \(value.map { "\($0)" } ?? "nothing"), not \(expected)")
  }
}
