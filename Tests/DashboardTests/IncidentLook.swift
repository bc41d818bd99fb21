import TestSupport
import Testing

/// One look at all dashboards of an incident: what stood in the store meanwhile, and what a backend answered.
struct IncidentLook {
  let stage: String
  let pace: IncidentPace
  /// When the backends were asked, in Unix seconds.
  let time: Double
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
  func known(_ figure: String, of place: String = "", largest: Bool = false) -> ClosedRange<Double> {
    let values = truth.found.map { rows in
      let chosen = rows.filter { $0.key.hasPrefix(place) && $0.key.hasSuffix("/\(figure)") }.map(\.value)
      return largest ? chosen.max() ?? 0 : chosen.reduce(0, +)
    }
    // What the store rounds.
    return (values.min() ?? 0) - 0.002...(values.max() ?? 0) + 0.002
  }

  /// How many a minute were done of these kinds lately, in all destinations whose key begins so. Prometheus continues what
  /// its samples show to the ends of the window, VictoriaMetrics begins with the sample before it.
  func rate(of kinds: [String], at place: String = "") -> ClosedRange<Double> {
    func counted(_ counts: [String: Double]) -> Double {
      counts.filter { row in row.key.hasPrefix(place) && kinds.contains { row.key.hasSuffix("/\($0)") } }.map(\.value)
        .reduce(0, +)
    }
    let (window, apart) = (pace.seconds(IncidentPace.rate), pace.seconds(IncidentPace.apart))
    return 60 * counted(truth.lately.least) / (window + apart)...60 * counted(truth.lately.most) / (window - 2 * apart)
  }

  /// How many outboxes are late.
  var late: ClosedRange<Double> {
    let counts = truth.found.map { rows in
      IncidentStore.outboxes.count { outbox in
        let oldest = rows.filter { $0.key.hasPrefix("\(outbox.name)/") && $0.key.hasSuffix("/oldest") }.map(\.value)
          .max()
        return oldest ?? 0 > pace.seconds(outbox.promise ?? 5)
      }
    }
    return Double(counts.min() ?? 0)...Double(counts.max() ?? 0)
  }
}
