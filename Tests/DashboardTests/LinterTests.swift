import TestSupport
import Testing

/// The rules of grafana/dashboard-linter (HEAD 4d0844b, `lint/rule_*.go`), read there and written anew; target-promql-rule and
/// the PromQL of template-label-promql-rule are a test of `DashboardProgramTests`, which asks promtool. Left out:
///
/// - template-job-rule, template-instance-rule, target-job-rule, target-instance-rule: VictoriaMetrics makes neither
///   label of what OTLP brings, and Prometheus no instance without service.instance.id. The dashboards select by
///   outbox_environment and outbox_name, which stand on the data points; what replaces these rules is tested below.
/// - target-logql-rule, target-logql-auto-rule: there is no Loki here.
@Suite struct LinterTests {
  private static let withQueries: Set = ["stat", "gauge", "table", "timeseries"]

  @Test(arguments: Dashboard.uids)
  func `template-datasource-rule: one data source variable with the usual name and label`(uid: String) throws {
    let sources = try Dashboard(uid: uid).variables.filter { $0["type"]?.text == "datasource" }
    #expect(sources.map { $0["name"]?.text } == ["datasource"])
    #expect(sources.map { $0["label"]?.text } == ["Data source"])
    #expect(sources.map { $0["query"]?.text } == ["prometheus"])
  }

  @Test(arguments: Dashboard.uids)
  func `template-label-promql-rule and template-on-time-change-reload-rule: variables ask and ask again`(uid: String)
    throws
  {
    for variable in try Dashboard(uid: uid).variables where variable["type"]?.text == "query" {
      let name = variable["name"]?.text ?? ""
      let query = variable["query"]?["query"]?.text ?? ""
      #expect(query.hasPrefix("label_values(outbox_") && query.hasSuffix(")"), "\(uid) \(name)")
      #expect(variable["definition"]?.text == query, "\(uid) \(name)")
      #expect(variable["refresh"]?.text == "2", "\(uid) \(name)")
    }
  }

  /// In place of the rules about job and instance: the same demands on the variables that are there instead. All is
  /// `.*` and not `.+`, since without a configured environment there is no such label.
  @Test(arguments: Dashboard.uids)
  func `variables take several values, and All matches a label that is not there`(uid: String) throws {
    let variables = try Dashboard(uid: uid).variables.filter { $0["type"]?.text == "query" }
    let names = ["environment", "outbox"] + (uid == "outbox-delivery" ? ["destination"] : [])
    #expect(variables.map { $0["name"]?.text } == names)
    for variable in variables {
      #expect(variable["datasource"]?["uid"]?.text == "${datasource}")
      #expect(variable["multi"] == .bool(true))
      #expect(variable["includeAll"] == .bool(true))
      #expect(variable["allValue"]?.text == ".*")
      #expect(variable["label"]?.text?.isEmpty == false)
    }
  }

  @Test(arguments: Dashboard.uids)
  func `every selector follows the variables`(uid: String) throws {
    for (place, text) in try Dashboard(uid: uid).expressions {
      for selector in PromQLSelectors(text).selectors {
        let follows = Set(
          selector.matchers.filter { $0.comparison == "=~" && $0.value == "$" + variable($0.label) }.map(\.label))
        if ["outbox_build"].contains(selector.metric) || selector.metric.hasPrefix("outbox_spool_")
          || selector.metric.hasPrefix("otel_sdk_")
        {
          #expect(follows == ["outbox_environment"], "\(place): \(selector.metric)")
        } else {
          #expect(follows.isSuperset(of: ["outbox_environment", "outbox_name"]), "\(place): \(selector.metric)")
        }
      }
    }
  }

  private func variable(_ label: String) -> String {
    label == "outbox_name" ? "outbox" : String(label.dropFirst("outbox_".count))
  }

  @Test(arguments: Dashboard.uids)
  func `panel-datasource-rule: panels and targets use the variable`(uid: String) throws {
    for panel in try Dashboard(uid: uid).panels where panel.type != "row" && panel.type != "alertlist" {
      #expect(panel.json["datasource"]?["uid"]?.text == "${datasource}", "\(uid): \(panel.title)")
      for target in panel.targets {
        #expect(target["datasource"]?["uid"]?.text == "${datasource}", "\(uid): \(panel.title)")
      }
    }
  }

  /// The linter asks this of some types; here it is asked of all but rows.
  @Test(arguments: Dashboard.uids)
  func `panel-title-description-rule: every panel has a title and says how to read it`(uid: String) throws {
    for panel in try Dashboard(uid: uid).panels {
      #expect(!panel.title.isEmpty, "\(uid) panel \(panel.id)")
      guard panel.type != "row" else { continue }
      #expect(panel.text.count >= 30 && panel.text.hasSuffix("."), "\(uid): \(panel.title): \(panel.text)")
    }
  }

  /// All that are used here stand in the linter's list. The linter itself skips panels with mappings; here they are checked.
  @Test(arguments: Dashboard.uids)
  func `panel-units-rule: every panel with numbers has a unit`(uid: String) throws {
    let units: Set = ["s", "short", "cpm", "percentunit"]
    for panel in try Dashboard(uid: uid).panels where Self.withQueries.contains(panel.type) {
      #expect(units.contains(panel.defaults["unit"]?.text ?? ""), "\(uid): \(panel.title)")
      #expect(panel.defaults["mappings"]?.elements.isEmpty != true, "\(uid): \(panel.title): an empty list")
      for property in panel.overrides.flatMap({ $0["properties"]?.elements ?? [] })
      where property["id"]?.text == "unit" {
        #expect(units.contains(property["value"]?.text ?? ""), "\(uid): \(panel.title)")
      }
    }
  }

  @Test(arguments: Dashboard.uids)
  func `panel-no-targets-rule: every panel asks something`(uid: String) throws {
    for panel in try Dashboard(uid: uid).panels where panel.type != "row" && panel.type != "alertlist" {
      #expect(!panel.targets.isEmpty, "\(uid): \(panel.title)")
    }
  }

  @Test(arguments: Dashboard.uids)
  func `target-rate-interval-rule: rates are taken over $__rate_interval`(uid: String) throws {
    for (place, text) in try Dashboard(uid: uid).expressions {
      for selector in PromQLSelectors(text).selectors {
        guard let range = selector.range else { continue }
        let function = try #require(selector.function, "\(place): a range outside a function")
        if ["rate", "irate"].contains(function) {
          #expect(range == "$__rate_interval", "\(place): \(function) over \(range)")
        }
      }
    }
  }

  @Test(arguments: Dashboard.uids)
  func `target-counter-agg-rule: counters and buckets are only asked for their rise`(uid: String) throws {
    for (place, text) in try Dashboard(uid: uid).expressions {
      for selector in PromQLSelectors(text).selectors
      where selector.metric.hasSuffix("_total") || selector.metric.hasSuffix("_bucket") {
        #expect(["rate", "increase"].contains(selector.function), "\(place): \(selector.metric)")
      }
    }
  }

  @Test(arguments: Dashboard.uids)
  func `uneditable-dashboard: what is generated is not edited in the browser`(uid: String) throws {
    #expect(try Dashboard(uid: uid).json["editable"] == .bool(false))
  }
}
