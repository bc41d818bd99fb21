import Metrics
import TestSupport

/// What the Collector got from the sidecars of an oracle.
struct OracleReceived {
  private let byOutbox: [String: [EndToEndPoint]]
  private let distributions: [String: String]

  init(_ output: String) {
    let dump = DebugDump(output)
    byOutbox = Dictionary(grouping: EndToEndPoint.points(dump), by: \.outbox)
    var distributions: [String: String] = [:]
    for point in dump.points where point.metric == MetricCatalog.deliveryDuration.name {
      distributions[point.attributes] = point.value
    }
    self.distributions = distributions
  }

  /// The last distribution of a destination: the counts of its buckets, by their bound.
  func buckets(of outbox: String, _ destination: String) -> [Double: Int] {
    let found = distributions.first {
      $0.key.contains("outbox.name=Str(\(outbox))") && $0.key.contains("outbox.destination=Str(\(destination))")
    }
    let words = (found?.value ?? "").split(separator: " ")
    guard let bounds = words.firstIndex(of: "bounds"), let buckets = words.firstIndex(of: "buckets") else { return [:] }
    let upper = words[(bounds + 1)..<buckets].compactMap { Double($0) } + [.infinity]
    let counts = words[(buckets + 1)...].compactMap { Int($0) }
    return Dictionary(uniqueKeysWithValues: zip(upper, counts)).filter { $0.value > 0 }
  }

  /// What the counters of an outbox last said.
  func counts(of outbox: String, queue: String) -> AccountingOracle.Counts {
    var counts = AccountingOracle.Counts()
    for points in Dictionary(grouping: byOutbox[outbox] ?? [], by: \.series).values {
      guard let last = points.max(by: { $0.time < $1.time }) else { continue }
      let kind: String? =
        switch last.metric {
        case "outbox_enqueued_total": "enqueued"
        case "outbox_requeued_total": "requeued"
        case "outbox_deliveries_total": last.labels["outbox_disposition"]
        default: nil
        }
      guard let kind else { continue }
      counts.add(kind, .init(queue: queue, destination: last.labels["outbox_destination"] ?? ""), Int(last.value))
    }
    return counts
  }

  /// The events that were last said to have kept the objective, or to have missed it.
  func objectiveEvents(_ outbox: String, _ result: String) -> Int {
    let points = (byOutbox[outbox] ?? []).filter {
      $0.metric == "outbox_slo_events_total" && $0.labels["outbox_slo_result"] == result
    }
    let last = Dictionary(grouping: points, by: \.series).compactMapValues { $0.max { $0.time < $1.time }?.value }
    return Int(last.values.reduce(0, +))
  }

  /// How many dead letters the last sample found in each destination that has any. An estimate is none that can be compared.
  func deadLetters(of outbox: String) -> [String: Int] {
    let points = byOutbox[outbox] ?? []
    let estimates = Set(points.filter { $0.metric == "outbox_sample_exact" && $0.value == 0 }.map(\.time))
    let found = points.filter { $0.metric == "outbox_dlq_depth" && !estimates.contains($0.time) }
    let last = found.map(\.time).max()
    return found.filter { $0.time == last && $0.value > 0 }.reduce(into: [:]) { counts, point in
      counts[point.labels["outbox_destination"] ?? "", default: 0] += Int(point.value)
    }
  }

  /// Whether there is a sample of an outbox that is no older than a time: figures from before cannot be the last ones.
  func reaches(_ time: Double, _ outbox: String) -> Bool { samples(of: [outbox]).contains { $0.time >= time } }

  /// How many samples were estimates, which no conservation holds for.
  func estimates(of outboxes: [String]) -> Int {
    outboxes.reduce(0) { sum, outbox in
      let points = byOutbox[outbox] ?? []
      return sum + Set(points.filter { $0.metric == "outbox_sample_exact" && $0.value == 0 }.map(\.time)).count
    }
  }

  /// What every sample said of the depth, and what was counted until then adds up to.
  func samples(of outboxes: [String]) -> [(time: Double, depth: Int, moved: Int)] {
    outboxes.flatMap { outbox in
      Dictionary(grouping: byOutbox[outbox] ?? [], by: \.time).sorted { $0.key < $1.key }.compactMap { time, points in
        guard points.contains(where: { $0.metric == "outbox_depth" }) else { return nil }
        // Where the machine is so busy that a count does not come to its end, an estimate stands in, and says so.
        if points.contains(where: { $0.metric == "outbox_sample_exact" && $0.value == 0 }) { return nil }
        func sum(_ metric: String, _ isCounted: (EndToEndPoint) -> Bool = { _ in true }) -> Int {
          Int(points.filter { $0.metric == metric && isCounted($0) }.map(\.value).reduce(0, +))
        }
        let left = sum("outbox_deliveries_total") { point in
          ["delivered", "dead", "discarded", "unseen"].contains(point.labels["outbox_disposition"])
        }
        let moved = sum("outbox_enqueued_total") + sum("outbox_requeued_total") - left
        return (time, sum("outbox_depth"), moved)
      }
    }
  }
}

extension [Double: Int] {
  /// How many there are up to a bound.
  func upTo(_ bound: Double) -> Int { reduce(0) { $1.key <= bound ? $0 + $1.value : $0 } }
}
