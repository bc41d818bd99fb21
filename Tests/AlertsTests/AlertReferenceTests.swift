import Metrics
import TestSupport
import Testing

/// What the rules refer to is there: metrics, labels, headings of the runbook, dashboards.
@Suite struct AlertReferenceTests {
  /// What PromQL itself says in these rules.
  private static let language: Set = [
    "absent_over_time", "and", "bool", "by", "clamp_max", "clamp_min", "group", "group_left", "increase",
    "last_over_time", "max",
    "max_over_time", "min", "min_over_time", "offset", "on", "or", "present_over_time", "rate", "resets", "sum", "time",
    "unless", "without",
  ]

  /// Metrics with the labels that stand on their points.
  private static var metrics: [String: Set<String>] {
    let exported = MetricCatalog.all.map { ($0.prometheusName, Set($0.attributes.map(underscored))) }
    return Dictionary(uniqueKeysWithValues: exported).mapValues { $0.union(common) }
  }

  /// What stands on every point about an outbox, and on those beyond a limit.
  private static let common = Set(
    [MetricCatalog.Key.name, MetricCatalog.Key.environment, MetricCatalog.Key.overflow].map(underscored))

  @Test func `every metric and every label is one that the exporter sends`() throws {
    let rules = try AlertRule.shipped()
    let recorded = Set(rules.compactMap(\.record))
    let labels = Self.metrics.values.reduce(into: Set<String>()) { $0.formUnion($1) }
    for rule in rules {
      for word in PromQLWord.all(in: rule.expression) {
        if let metric = word.selector {
          #expect(Self.metrics[metric]?.contains(word.text) == true, "\(rule.title): \(metric) has no \(word.text)")
        } else {
          #expect(
            Self.metrics[word.text] != nil || labels.contains(word.text) || recorded.contains(word.text)
              || Self.language.contains(word.text), "\(rule.title): \(word.text) is nothing that is known")
        }
      }
    }
  }

  @Test func `every value that a matcher names is one that the exporter sends`() throws {
    let values: [String: Set<String>] = [
      "outbox_stat": ["oldest", "p50", "p99"], "outbox_retry": ["true", "false"],
      "outbox_state": ["ready", "scheduled", "claimed", "parked", "unknown"],
      "outbox_disposition": ["delivered", "retried", "dead", "released", "discarded", "unseen"],
      "outbox_slo_result": ["on_time", "late"], "outbox_destination": [""],
      "outbox_verdict": [
        "idle", "ok", "draining", "falling_behind", "stalled", "spinning", "stuck", "rewound", "unknown",
      ],
    ]
    for rule in try AlertRule.shipped() {
      for match in rule.expression.matches(of: /(\w+)(?:=~|!=|=)"([^"]*)"/) {
        let named = match.output.2.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        let known = values[String(match.output.1)] ?? []
        #expect(named.allSatisfy(known.contains), "\(rule.title): \(match.output.0)")
      }
    }
  }

  @Test func `no rule depends on a label that a backend adds, and only one on a metric that has to be absent`() throws {
    for rule in try AlertRule.shipped() {
      let words = Set(PromQLWord.all(in: rule.expression).map(\.text))
      #expect(words.isDisjoint(with: ["job", "instance", "absent"]), "\(rule.title)")
      #expect(words.contains("absent_over_time") == (rule.alert == "OutboxExporterAbsent"), "\(rule.title)")
    }
  }

  @Test func `every alert has a heading in the runbook with all four parts, and every heading has an alert`() throws {
    let runbook = try ProjectFiles.text(of: "alerts/RUNBOOK.md")
    let sections = runbook.split(separator: "\n## ").dropFirst().map(String.init)
    let headings = sections.map { String($0.prefix { $0 != "\n" }) }
    #expect(Set(headings) == Set(try AlertRule.alerts().compactMap(\.alert)))
    #expect(Set(headings).count == headings.count)
    for section in sections {
      let parts = section.matches(of: #/\n\*\*(\w+)\.\*\* /#).map { String($0.output.1) }
      #expect(parts == ["Meaning", "Impact", "Look", "Do"], "\(section.prefix(40))")
    }
    for rule in try AlertRule.alerts() {
      let url = try #require(rule.annotations["runbook_url"])
      #expect(url == "alerts/RUNBOOK.md#\(rule.alert?.lowercased() ?? "")")
    }
  }

  @Test func `every alert says what happened, and leads to a dashboard that exists`() throws {
    let dashboards = try ProjectFiles.all(under: "dashboards").filter { $0.hasSuffix(".json") }
    for rule in try AlertRule.alerts() {
      let summary = try #require(rule.annotations["summary"])
      let description = try #require(rule.annotations["description"])
      #expect(summary.hasSuffix(".") && !summary.contains("{{"), "\(rule.title): \(summary)")
      #expect(description.hasSuffix(".") && !description.contains("\n"), "\(rule.title): \(description)")
      // It names the outbox wherever the alert is about one.
      let isAboutExporters = ["OutboxExporterAbsent", "OutboxSamplesDropped"].contains(rule.alert)
      #expect(description.contains("$labels.outbox_name") || isAboutExporters, "\(rule.title)")
      #expect(["critical", "warning", "info"].contains(rule.labels["severity"]), "\(rule.title)")
      let url = try #require(rule.annotations["dashboard_url"])
      let uid = String(try #require(url.firstMatch(of: /^\/d\/([a-z-]+)/)).output.1)
      #expect(["outbox-overview", "outbox-delivery", "outbox-exporter"].contains(uid), "\(rule.title): \(uid)")
      guard !dashboards.isEmpty else { continue }
      let dashboard = try ParsedJSON(try ProjectFiles.text(of: "dashboards/\(uid).json"))
      #expect(dashboard["uid"]?.text == uid)
      let variables = Set((dashboard["templating"]?["list"]?.elements ?? []).compactMap { $0["name"]?.text })
      for variable in url.matches(of: /var-(\w+)=/) {
        #expect(variables.contains(String(variable.output.1)), "\(rule.title): \(uid) has no \(variable.output.1)")
      }
    }
  }

  private static func underscored(_ key: String) -> String { key.replacing(".", with: "_") }
}
