import TestSupport
import Testing

/// Skips, with its reason, what needs a program that is not there.
func programs(_ names: String...) -> ConditionTrait {
  let missing = names.filter { programOnPath($0) == nil }
  return .enabled(
    if: missing.isEmpty,
    Comment(rawValue: missing.joined(separator: ", ") + (missing.count > 1 ? " are" : " is") + " not on PATH"))
}

/// One exporter, eight outboxes, four receivers: every figure that arrives is compared with hand-written SQL.
@Suite(withPostgreSQL, programs("otelcol", "prometheus", "victoria-metrics", "rotel", "sqlite3"))
struct EndToEndReceiverTests {
  @Test func `every figure of every layout arrives in every receiver as SQL counts it`() async throws {
    let directory = try TemporaryDirectory()
    let files = try EndToEndSQLiteStores(in: directory, base: Int(wallSeconds()))
    let databases = try EndToEndPostgreSQLStores()
    let collector = try OTLPReceiver.collector()
    let rotel = try OTLPReceiver.rotel()
    let prometheus = try OTLPReceiver.prometheus()
    let victoria = try OTLPReceiver.victoriaMetrics()
    let exporter = try EndToEndExporter(
      """
      environment: test
      interval: 1s
      end_series_on_stop: false
      outboxes:
      \(files.configuration)\(databases.configuration)
      export:
      \([collector, rotel, prometheus, victoria].map { "  - {url: \"\($0.endpoint)\"}" }.joined(separator: "\n"))
      """)
    // Two cycles: the second shows what differs from a first sample.
    #expect(await happens { min(collector.exportsListed, rotel.exportsListed) >= 2 || !exporter.isRunning })
    #expect(exporter.stop() == 0, "\(exporter.log)")
    #expect(exporter.complaintsAboutDelivery == [])

    let expected = try files.figures(environment: "test") + databases.figures(environment: "test")
    let everything = "{__name__=~\"outbox_.*\"}[10m]"
    let arrived = [
      ("Collector", EndToEndPoint.points(collector.dump)), ("rotel", EndToEndPoint.points(rotel.dump)),
      ("Prometheus", try prometheus.query(everything)), ("VictoriaMetrics", try victoria.query(everything)),
    ]
    let seen = wallSeconds()
    for (receiver, points) in arrived {
      for figures in expected {
        let differences = figures.differences(from: points, seen: seen)
        #expect(differences == [], "\(receiver)")
      }
      #expect(Set(points.map(\.outbox)).subtracting([""]) == Set(expected.map(\.outbox)), "\(receiver)")
    }
  }
}
