import TestSupport
import Testing
import YAMLClient

/// The forms of the rules say the same: what Prometheus, Grafana and Kubernetes are given.
@Suite struct AlertCopyTests {
  private static let files = ["outbox.rules.yml", "outbox.prometheusrule.yaml", "outbox.grafana.yaml"]

  @Test(withGenerator)
  func `the committed files are what the generator writes`() throws {
    let directory = try TemporaryDirectory()
    let result = try run("python3", ["alerts/generate", "--output", directory.path], directory: ProjectFiles.root)
    #expect(result.code == 0, "\(result.error)")
    for file in Self.files {
      #expect(
        directory.read(file) == (try ProjectFiles.text(of: "alerts/\(file)")), "run alerts/generate: \(file) differs")
    }
  }

  @Test func `the Kubernetes resource holds the same groups`() throws {
    let resource = try YAMLNode.parse(try ProjectFiles.text(of: "alerts/outbox.prometheusrule.yaml"))
    #expect(resource?["apiVersion"]?.text == "monitoring.coreos.com/v1")
    #expect(resource?["kind"]?.text == "PrometheusRule")
    #expect(resource?["metadata"]?["name"]?.text == "outbox-exporter")
    let shipped = try AlertRule.shipped()
    #expect(!shipped.isEmpty)
    #expect(AlertRule.all(in: resource?["spec"]) == shipped)
  }

  @Test func `the Grafana rules ask the same, wait as long and say the same`() throws {
    let provisioning = try YAMLNode.parse(try ProjectFiles.text(of: "alerts/outbox.grafana.yaml"))
    let rules = (provisioning?["groups"]?.elements ?? []).flatMap { group in
      (group["rules"]?.elements ?? []).map { (group, $0) }
    }
    let shipped = try AlertRule.shipped()
    let recordings = Dictionary(uniqueKeysWithValues: shipped.compactMap { rule in rule.record.map { ($0, rule) } })
    let alerts = shipped.filter { $0.alert != nil }
    #expect(rules.count == alerts.count)
    for ((group, rule), alert) in zip(rules, alerts) {
      let name = alert.title
      #expect(group["name"]?.text == alert.group)
      #expect(group["interval"]?.text == alert.interval)
      #expect(rule["title"]?.text == "\(alert.alert ?? "") (\(alert.labels["severity"] ?? ""))")
      #expect(rule["for"]?.text == alert.wait, "\(name)")
      #expect(rule["keepFiringFor"]?.text == alert.hold, "\(name)")
      #expect(rule["labels"]?.texts == alert.labels, "\(name)")
      #expect(
        rule["annotations"]?.texts
          == alert.annotations.mapValues { $0.replacing("{{ $value", with: "{{ $values.A.Value") }
          .mapValues { $0.replacing("\" $value", with: "\" $values.A.Value") }, "\(name)")
      // Grafana records nothing: what Prometheus reads from a recording is asked for in place.
      var expected = flattened(alert.expression)
      for (record, rule) in recordings {
        expected = expected.replacing(record + " ", with: "(\(flattened(rule.expression))) ")
      }
      let data = rule["data"]?.elements ?? []
      #expect(data.map { $0["refId"]?.text } == ["A", "B", "C"])
      #expect(flattened(data.first?["model"]?["expr"]?.text ?? "") == expected, "\(name)")
      #expect(data.first?["model"]?["instant"]?.text == "true")
      #expect(data.first?["datasourceUid"]?.text == "${OUTBOX_PROMETHEUS_UID}")
      #expect(rule["condition"]?.text == "C")
      // The answer of a rule that is not broken is empty, and that is no alarm.
      #expect(rule["noDataState"]?.text == "OK")
      #expect(rule["execErrState"]?.text == "Error")
    }
    let uids = rules.compactMap { $0.1["uid"]?.text }
    #expect(Set(uids).count == alerts.count)
    #expect(uids.allSatisfy { $0.count <= 40 && $0.wholeMatch(of: /[a-z-]+/) != nil })
    #expect(Set(rules.map { $0.1["title"]?.text }).count == alerts.count)
  }

  @Test(withGenerator)
  func `the options of the generator reach every rule`() throws {
    let directory = try TemporaryDirectory()
    let result = try run(
      "python3",
      [
        "alerts/generate", "--output", directory.path, "--divide", "60", "--runbook-url", "https://wiki.test/outbox",
        "--dashboard-url", "https://grafana.test/d", "--grafana-datasource", "metrics",
      ], directory: ProjectFiles.root)
    #expect(result.code == 0, "\(result.error)")
    let rules = AlertRule.all(in: try YAMLNode.parse(directory.read("outbox.rules.yml")))
    let shipped = try AlertRule.shipped()
    #expect(rules.count == shipped.count)
    for (rule, original) in zip(rules, shipped) where rule.alert != nil {
      #expect(rule.annotations["runbook_url"]?.hasPrefix("https://wiki.test/outbox#outbox") == true)
      #expect(rule.annotations["dashboard_url"]?.hasPrefix("https://grafana.test/d/outbox-") == true)
      #expect(durations(rule).count == durations(original).count)
      for (divided, whole) in zip(durations(rule), durations(original)) {
        #expect(divided * 60 == whole, "\(rule.title)")
      }
    }
    // By hand: five minutes, a day, an hour and ten minutes where they are numbers, not durations.
    let text = rules.map(\.expression).joined(separator: "\n")
    for number in ["* 0 + 5\n", "> 1440", "> 60", "> 10"] { #expect(text.contains(number), "\(number)") }
    #expect(directory.read("outbox.grafana.yaml").contains("datasourceUid: \"metrics\""))
    if programOnPath("promtool") != nil {
      let check = try run("promtool", ["check", "rules", "outbox.rules.yml"], directory: directory.path)
      #expect(check.code == 0, "\(check.output)\(check.error)")
    }
  }

  /// Every duration of a rule in milliseconds, in the order of the text.
  private func durations(_ rule: AlertRule) -> [Int] {
    let units = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000]
    let texts =
      [rule.interval, rule.wait ?? "0s", rule.hold ?? "0s"]
      + rule.expression.matches(of: /\[(\w+)(?::(\w+))?\]|offset (\w+)/).flatMap { match in
        [match.output.1, match.output.2, match.output.3].compactMap { $0.map(String.init) }
      }
    return texts.compactMap { text in
      guard let match = text.wholeMatch(of: /(\d+)(\D+)/), let unit = units[String(match.output.2)] else { return nil }
      return Int(match.output.1).map { $0 * unit }
    }
  }
}
