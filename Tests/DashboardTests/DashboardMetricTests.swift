import Metrics
import Outbox
import TestSupport
import Testing

/// Dashboards and exporter have to speak of the same metrics, labels and values.
@Suite struct DashboardMetricTests {
  /// Exported, but on no dashboard.
  private static let unused: [String: String] = [:]

  private static let instruments = Dictionary(
    uniqueKeysWithValues: MetricCatalog.all.map { ($0.prometheusName, $0) })

  private static func instrument(of series: String) -> Instrument? {
    if let found = instruments[series] { return found }
    for suffix in ["_bucket", "_count", "_sum"] where series.hasSuffix(suffix) {
      if let found = instruments[String(series.dropLast(suffix.count))], found.kind == .histogram { return found }
    }
    return nil
  }

  /// The labels of a metric's points in Prometheus, those that come from its resource aside.
  private static func labels(of instrument: Instrument) -> Set<String> {
    let keys = instrument.attributes + [MetricCatalog.Key.name, MetricCatalog.Key.environment]
    return Set(keys.map { String($0.map { $0 == "." ? "_" : $0 }) } + (instrument.kind == .histogram ? ["le"] : []))
  }

  /// The values that a label may have.
  private static let values: [String: Set<String>] = [
    "outbox_state": Set(EventState.waiting.map(\.rawValue)),
    "outbox_retry": ["true", "false"],
    "outbox_stat": ["oldest", "p50", "p99"],
    "outbox_verdict": Set(Verdict.allCases.map(\.rawValue)),
    "outbox_disposition": Set(Disposition.allCases.map(\.rawValue)),
    "outbox_slo_result": ["on_time", "late"],
  ]

  @Test(arguments: Dashboard.uids)
  func `every metric, label and value on a dashboard is one that the exporter sends`(uid: String) throws {
    let dashboard = try Dashboard(uid: uid)
    for (place, text) in dashboard.expressions + dashboard.variableSelectors {
      let found = PromQLSelectors(text)
      #expect(!found.selectors.isEmpty, "\(place)")
      var known: Set<String> = []
      for selector in found.selectors where selector.metric != "ALERTS" {
        guard let instrument = Self.instrument(of: selector.metric) else {
          Issue.record("\(place): there is no metric \(selector.metric)")
          continue
        }
        let labels = Self.labels(of: instrument)
        known.formUnion(labels)
        for matcher in selector.matchers {
          #expect(labels.contains(matcher.label), "\(place): \(selector.metric) has no label \(matcher.label)")
          guard let values = Self.values[matcher.label], !matcher.value.isEmpty else { continue }
          let named = Set(matcher.value.split(separator: "|").map(String.init))
          #expect(named.isSubset(of: values), "\(place): \(matcher.label) is never \(matcher.value)")
        }
      }
      if !known.isEmpty {
        #expect(found.groupings.isSubset(of: known), "\(place): by \(found.groupings.subtracting(known))")
      }
    }
  }

  @Test(arguments: Dashboard.uids)
  func `names of series are made of labels that the series have`(uid: String) throws {
    for panel in try Dashboard(uid: uid).panels {
      for target in panel.targets {
        let found = PromQLSelectors(target["expr"]?.text ?? "")
        let named = (target["legendFormat"]?.text ?? "").matches(of: /{{(\w+)}}/).map { String($0.output.1) }
        #expect(Set(named).isSubset(of: found.groupings), "\(uid): \(panel.title)")
      }
    }
  }

  @Test func `every exported metric is on a dashboard, or its absence has a reason`() throws {
    let used = Set(
      try Dashboard.all().flatMap(\.expressions).flatMap { PromQLSelectors($0.text).selectors }
        .compactMap { Self.instrument(of: $0.metric)?.prometheusName })
    let exported = Set(Self.instruments.keys)
    #expect(exported.subtracting(used).subtracting(Self.unused.keys) == [])
    #expect(used.intersection(Self.unused.keys) == [], "used, and listed as unused")
    #expect(Set(Self.unused.keys).subtracting(exported) == [], "listed as unused, and not exported")
    #expect(Self.unused.values.allSatisfy { !$0.isEmpty })
  }

  /// Two exporters may watch one outbox: what is added up was counted once before.
  @Test(arguments: Dashboard.uids)
  func `figures of an outbox are added up only after the larger of two exporters' was taken`(uid: String) throws {
    // These are about the exporters themselves, and two of them are two.
    let own = ["outbox_build", "outbox_spool_", "otel_sdk_", "outbox_sample_failures_", "outbox_sample_duration_"]
    for (place, text) in try Dashboard(uid: uid).expressions where text.contains("sum") {
      let metrics = PromQLSelectors(text).selectors.map(\.metric)
      guard !metrics.allSatisfy({ metric in own.contains { metric.hasPrefix($0) } || metric == "outbox_up" }) else {
        continue
      }
      let sums = text.ranges(of: /sum(?: by \([^)]*\))? \(|sum\(/)
      for range in sums {
        let inner = text[range.upperBound...]
        #expect(
          inner.hasPrefix("max by (") || inner.hasPrefix("round(max by ("), "\(place): \(text[range.lowerBound...])")
      }
    }
  }

  @Test func `the buckets that are added up over outboxes are those that every outbox has`() throws {
    let dashboard = try ProjectFiles.text(of: "dashboards/outbox-delivery.json")
    let found = try #require(dashboard.firstMatch(of: /le=~\\"\(([^)]*)\)\(\[\.\]0\)\?\|\[\+\]Inf\\"/))
    #expect(found.output.1.split(separator: "|").compactMap { Double($0) } == DeliveryBounds().exported)
  }

  /// Otherwise the pictures and the checks on them would show what no exporter sends.
  @Test(.enabled(if: pythonForTests != nil, "OUTBOX_TEST_PYTHON is not set"))
  func `the synthetic series have the names and labels of the real ones`() throws {
    let result = try run(
      pythonForTests ?? "",
      [
        "\(ProjectFiles.root)/Tests/DashboardTests/synthetic.py", "--stage", "stuck-claims", "--stage", "store-down",
        "--stage", "burst-and-drain", "--time", "1763700000", "--length", "2640", "--interval", "120",
      ])
    #expect(result.code == 0, "\(result.error)")
    var seen: [String: Set<String>] = [:]
    var bounds: [String: Set<String>] = [:]
    for line in result.output.split(separator: "\n") where !line.hasPrefix("#") && !line.hasPrefix("ALERTS") {
      guard let brace = line.firstIndex(of: "{") else { continue }
      let metric = String(line[..<brace])
      if seen[metric] == nil { seen[metric] = [] }
      seen[metric]?.formUnion(line.matches(of: /[{,](\w+)="/).map { String($0.output.1) })
      if let bound = line.firstMatch(of: /[{,]le="([^"]+)"/) {
        bounds[metric, default: []].insert(String(bound.output.1))
      }
    }
    // The objectives are among the bounds of delivery times.
    for instrument in MetricCatalog.all
    where instrument.kind == .histogram && instrument.name != "outbox.delivery.duration" {
      let shown = bounds["\(instrument.prometheusName)_bucket"] ?? []
      #expect(Set(shown.compactMap { Double($0) }) == Set(instrument.bounds + [.infinity]), "\(instrument.name)")
    }
    var covered: Set<String> = []
    for (metric, labels) in seen {
      guard let instrument = Self.instrument(of: metric) else {
        Issue.record("there is no metric \(metric)")
        continue
      }
      covered.insert(instrument.prometheusName)
      let unknown = labels.subtracting(Self.labels(of: instrument)).subtracting(["job", "instance"])
      #expect(unknown == [], "\(metric)")
    }
    #expect(Set(Self.instruments.keys).subtracting(covered) == [], "no synthetic series")
  }
}

/// The Python of the tests.
let pythonForTests = currentEnvironment()["OUTBOX_TEST_PYTHON"]
