import Assessment
import Outbox
import Reports
import Testing

@Suite struct `A verdict in a report` {
  /// A report on an outbox with a window of samples: so many healthy ones, then so many in which nothing moves.
  private func report(
    healthy: Int, standing: Int, verdicts: VerdictHealth = .standard
  ) -> CycleReport {
    var window = SampleWindow()
    var last = sample("orders", .success(quiet))
    for step in 0..<healthy + standing {
      var snapshot = Snapshot(storeTime: morning.advanced(by: .seconds(15 * step)))
      let age = Duration.seconds(step < healthy ? 1 : 15 * (step - healthy) + 1)
      snapshot.depths = [.init(destination: "email", state: .ready, retry: false, count: 3)]
      snapshot.ages = [.init(destination: "email", retry: false, oldest: age, median: age, p99: age)]
      last = sample("orders", .success(snapshot))
      last.startedAt = snapshot.storeTime
      last.outbox.verdicts = verdicts
      window.append(last)
    }
    return CycleReport(
      time: morning, samples: [last], assessments: ["orders": OutboxAssessment(window, of: last.outbox)],
      push: .notAttempted("nobody asked"))
  }

  @Test func `that is unknown for want of history is printed and worsens nothing`() {
    let report = report(healthy: 1, standing: 0)
    #expect(report.health == .ok)
    #expect(
      report.text(TextStyle(isColoured: false)).contains("\n  verdict unknown: 1 of the 5 samples that a trend needs\n")
    )
    let json = report.json(exitCode: 0).text
    #expect(json.contains("\"verdict\": \"unknown\""))
    #expect(json.contains("\"verdict_reason\": \"1 of the 5 samples that a trend needs\""))
    #expect(json.contains("\"drain_time_seconds\": null"))
  }

  @Test func `that is ok says what leaves`() {
    let report = report(healthy: 12, standing: 0)
    #expect(report.health == .ok)
    // Of three that were due at once, the oldest and the median prove two.
    #expect(
      report.text(TextStyle(isColoured: false)).contains(
        "\n  verdict ok: 3 events ready, the oldest waits 1s; at least 22 left in 2m 45s\n"))
  }

  @Test func `that is bad is a finding, once`() {
    let report = report(healthy: 12, standing: 11)
    #expect(report.health == .critical)
    let text = report.text(TextStyle(isColoured: false))
    let sentence = "stalled: 3 events due, none left in 2m 30s and none was tried; the oldest waits 2m 31s"
    #expect(text.hasPrefix("CRITICAL  1 outbox: \(sentence)\n"))
    #expect(text.contains("\n  ! \(sentence)\n"))
    #expect(!text.contains("verdict stalled"))
    let json = report.json(exitCode: 2).text
    #expect(json.contains("\"verdict\": \"stalled\""))
    #expect(json.contains("\"name\": \"email\",\n          \"verdict\": \"stalled\""))
  }

  @Test func `that is bad is printed where it is to worsen nothing, and so are its destinations`() {
    var verdicts = VerdictHealth.standard
    verdicts[.stalled] = .ok
    let report = report(healthy: 12, standing: 11, verdicts: verdicts)
    #expect(report.health == .ok)
    let text = report.text(TextStyle(isColoured: false))
    let sentence = "stalled: 3 events due, none left in 2m 30s and none was tried; the oldest waits 2m 31s"
    #expect(text.hasPrefix("OK  1 outbox: 1 OK\n"))
    #expect(text.contains("\n  verdict \(sentence)\n    email \(sentence)\n"), "\(text)")
  }
}
