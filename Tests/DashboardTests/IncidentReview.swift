import Outbox
import TestSupport

/// What a backend answered to every query of every dashboard, compared with what stood in the store.
struct IncidentReview {
  let look: IncidentLook
  let check: DashboardCheck
  let backend: String
  private(set) var errors: [String] = []

  init(look: IncidentLook, check: DashboardCheck, backend: String) {
    (self.look, self.check, self.backend) = (look, check, backend)
    if check.code != 0 || !check.failures.isEmpty { note("failed: \(check.failures)") }
  }

  private mutating func note(_ error: String) { errors.append("\(backend), \(look.stage): \(error)") }

  private mutating func expect(_ value: Double?, _ expected: Double, _ what: String) {
    expect(value, expected...expected, what)
  }

  private mutating func expect(_ value: Double?, _ expected: ClosedRange<Double>, _ what: String) {
    guard let value else { return note("\(what): nothing, not \(expected)") }
    if !expected.contains(value) { note("\(what): \(value), not \(expected)") }
  }

  /// Every query has data but those.
  mutating func expectData(except all: Set<String>, or some: Set<String>) {
    let missing = check.empty.subtracting(all.union(some))
    if !missing.isEmpty { note("no data: \(missing.sorted())") }
    let surplus = all.subtracting(check.empty)
    if !surplus.isEmpty { note("data where none is expected: \(surplus.sorted())") }
  }

  /// Every figure that a dashboard shows of this moment is the one in the store.
  mutating func expectFigures() {
    for (query, figure, largest) in [
      ("overview/3/A", "oldest", true), ("overview/4/A", "ready", false), ("overview/5/A", "retrying", false),
      ("overview/7/A", "stuck", false), ("delivery/1/A", "oldest", true), ("delivery/7/A", "dead_age", true),
      ("delivery/8/A", "stuck_age", true), ("delivery/11/A", "oldest", true), ("delivery/22/A", "stuck", false),
    ] {
      expect(check.number(query), look.known(figure, largest: largest), query)
    }
    expect(check.number("overview/1/A"), Double(IncidentStore.outboxes.count - look.outboxes.count), "not read")
    expect(check.number("exporter/1/A"), 1, "exporters")
    expect(check.number("exporter/2/A"), Double(look.outboxes.count), "read")
    expect(check.number("exporter/5/A"), 0, "estimates")
    expect(check.number("exporter/8/A"), 0, "implausible")
    for state in ["ready", "scheduled", "claimed"] {
      expect(check.last("overview/13/A")["outbox_state=\(state)"], look.known(state), state)
    }
    expect(check.last("delivery/13/A")["outbox_retry=true"], look.known("retrying"), "tried before")
    expect(check.number("overview/2/A"), look.late, "late")
    for outbox in look.outboxes { expectRows(of: outbox) }
    if look.stage == "burst and drain" {
      // What the worker takes in a second, without what arrives meanwhile.
      let left = look.known("ready", of: "bulk/").upperBound / 23
      expect(check.number("overview/6/A"), left * 0.3...left * 3, "time to drain")
    }
    expectVariables()
    expectLosses()
    expectPromise()
    expectRates()
    expectDeliveryTime()
    // The same on every day of the simulated past.
    let past = IncidentStore.past.rate * 60
    expect(check.number("delivery/24/B"), past * 0.9...past * 1.1, "arrivals a week ago")
  }

  private mutating func expectRows(of outbox: String) {
    let row = "outbox_environment=production,outbox_name=\(outbox)"
    for (column, figure, largest) in [
      ("C", "oldest", true), ("D", "ready", false), ("E", "retrying", false), ("H", "stuck", false),
      ("J", "dead", false),
    ] {
      expect(
        check.last("overview/11/\(column)")[row], look.known(figure, of: "\(outbox)/", largest: largest),
        "\(outbox), \(figure)")
    }
    for destination in IncidentStore.destinations(of: outbox) {
      let row = "outbox_destination=\(destination),\(row)"
      let key = "\(outbox)/\(destination)/"
      for (column, figure) in [("B", "oldest"), ("C", "ready"), ("D", "retrying"), ("H", "stuck"), ("J", "dead")] {
        expect(
          check.last("delivery/9/\(column)")[row], look.known(figure, of: key), "\(outbox) \(destination), \(figure)")
      }
      // The chart has room for twelve, those included that have ended within its range.
      let dead = check.last("delivery/21/A")[row]
      if dead != nil || look.known("dead", of: key).upperBound >= 1 {
        expect(dead, look.known("dead", of: key), "\(outbox) \(destination), dead")
      }
    }
  }

  /// The variables offer what there is.
  private mutating func expectVariables() {
    let destinations = look.outboxes.flatMap(IncidentStore.destinations)
    for (variable, expected) in [
      ("overview/environment", ["production"]), ("overview/outbox", IncidentStore.outboxes.map(\.name)),
      ("delivery/destination", destinations),
    ] {
      let offered = check.variables[variable] ?? []
      if !Set(expected).isSubset(of: offered) || Set(offered).subtracting(IncidentStore.everything) != [] {
        note("$\(variable): \(offered)")
      }
    }
  }

  /// What a window shows of counters, which is between samples, and so is right within a tenth.
  private mutating func expectLosses() {
    let truth = look.truth
    func within(_ kinds: String...) -> Double {
      truth.doneWithinHour.filter { row in kinds.contains { row.key.hasSuffix("/\($0)") } }.map(\.value).reduce(0, +)
    }
    let dead = within("dead")
    for query in ["overview/8/A", "delivery/6/A"] {
      expect(check.number(query), dead * 0.9 - 2...dead * 1.1 + 2, "new dead letters")
    }
    let failed = within("retried", "dead", "released") / within("delivered", "retried", "dead", "released")
    expect(check.number("delivery/5/A"), failed * 0.9 - 0.01...failed * 1.1 + 0.01, "failed attempts")
  }

  /// The same for the objectives.
  private mutating func expectPromise() {
    let promised = IncidentStore.outboxes.filter { $0.promise != nil && look.outboxes.contains($0.name) }.map(\.name)
    func counted(_ kind: String, _ outboxes: [String]) -> Double {
      outboxes.compactMap { look.truth.kept["\($0)/\(kind)"] }.reduce(0, +)
    }
    func late(_ outboxes: [String]) -> Double {
      counted("late", outboxes) / max(1, counted("late", outboxes) + counted("on_time", outboxes))
    }
    let share = late(promised)
    expect(check.number("delivery/2/A"), share * 0.9 - 0.01...share * 1.1 + 0.01, "late share")
    let burn = promised.map { late([$0]) / 0.01 }.max() ?? 0
    expect(check.number("delivery/3/A"), burn * 0.9 - 1...burn * 1.1 + 1, "budget burn")
  }

  /// Arrivals, departures and attempts, a minute, of the last minutes.
  private mutating func expectRates() {
    let departures = ["delivered", "dead"]
    for outbox in look.outboxes {
      let row = "outbox_environment=production,outbox_name=\(outbox)"
      expect(check.last("overview/11/F")[row], look.rate(of: ["enqueued"], at: "\(outbox)/"), "\(outbox), arrivals")
      expect(check.last("overview/11/G")[row], look.rate(of: departures, at: "\(outbox)/"), "\(outbox), departures")
      for destination in IncidentStore.destinations(of: outbox) {
        let (row, key) = ("outbox_destination=\(destination),\(row)", "\(outbox)/\(destination)/")
        expect(check.last("delivery/9/E")[row], look.rate(of: ["enqueued"], at: key), "\(key) arrivals")
        expect(check.last("delivery/9/F")[row], look.rate(of: departures, at: key), "\(key) departures")
      }
    }
    for (query, kinds) in [
      ("overview/12/A", ["enqueued"]), ("overview/12/B", departures), ("delivery/14/A", ["enqueued"]),
      ("delivery/14/C", departures),
    ] { expect(check.number(query), look.rate(of: kinds), query) }
    for (query, kind) in ["overview/15/A", "delivery/20/A"].flatMap({ query in
      ["delivered", "dead", "retried", "released"].map { (query, $0) }
    }) {
      expect(check.last(query)["outbox_disposition=\(kind)"] ?? 0, look.rate(of: [kind]), "\(query) \(kind)")
    }
  }

  /// The slowest hundredth of what the slowest outbox delivered within the hour took as long as the bucket that it is in.
  private mutating func expectDeliveryTime() {
    let bounds = DeliveryBounds().exported
    func longest(_ share: Double) -> Double {
      look.truth.waited.values.map { $0[min($0.count - 1, Int(Double($0.count) * share))] }.max() ?? 0
    }
    let least = bounds.last { $0 < longest(0.98) } ?? 0
    let most = bounds.first { $0 >= longest(1) } ?? .infinity
    expect(check.number("delivery/4/A"), least...most, "delivery time")
  }

  /// What was counted since an earlier look is what was done.
  mutating func expectCounters(since earlier: IncidentLook) {
    guard let now = look.counted[backend], let before = earlier.counted[backend] else { return }
    for (key, count) in look.truth.done {
      guard let value = now[key] else { continue }
      expect(value - (before[key] ?? 0), count - (earlier.truth.done[key] ?? 0), "\(key) is counted")
    }
  }

  /// The worst verdict on an outbox.
  mutating func expectCondition(_ outbox: String, _ expected: ClosedRange<Double>) {
    let shown = check.last("overview/11/A")["outbox_environment=production,outbox_name=\(outbox)"]
    expect(shown, expected, "condition of \(outbox)")
  }

  /// The alerts that fire are marked on every dashboard.
  mutating func expectAnnotations(_ alerts: [String]) {
    for (severity, title) in [("critical", "Critical alerts"), ("warning", "Warnings")] {
      let expected = Set(
        alerts.map { $0.split(separator: " ") }.filter { $0[1] == severity }.map { "alertname=\($0[0])" })
      for dashboard in ["overview", "delivery", "exporter"] {
        let shown = check.last("\(dashboard)/\(title)/annotation").keys
          .flatMap { $0.split(separator: ",").map(String.init) }
        let missing = expected.subtracting(shown)
        if !missing.isEmpty { note("\(dashboard), \(title): no \(missing.sorted())") }
      }
    }
  }

  /// Where no exporter sends, nothing is said: no zero, no green.
  mutating func expectSilence() {
    let all = IncidentStore.outboxes.count
    expect(check.number("overview/1/A"), Double(all), "not read")
    for query in (2...8).map({ "overview/\($0)/A" }) + ["exporter/1/A"] where check.last(query) != [:] {
      note("\(query) says something")
    }
    let silent = check.last("overview/9/A").values.count { $0 == IncidentTrouble.Condition.silent }
    expect(Double(silent), Double(all), "silent")
    expect(Double(check.last("overview/11/K").count), Double(all), "the age of the last sample goes on")
  }
}
