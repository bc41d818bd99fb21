import TestSupport
import Testing
import YAMLClient

@Suite struct DashboardShapeTests {
  @Test(arguments: Dashboard.uids)
  func `a dashboard can be provisioned and imported`(uid: String) throws {
    let json = try Dashboard(uid: uid).json
    #expect(json["uid"]?.text == uid, "links lead to it")
    #expect(json["id"] == nil, "a number of one instance would overwrite another's dashboard")
    #expect(json["__inputs"] == nil, "provisioning does not ask for inputs")
    #expect(json["schemaVersion"]?.text == "39", "Grafana 10.4 and later take it, newer ones lift it")
    #expect(json["apiVersion"] == nil && json["spec"] == nil, "file provisioning refuses the format v2")
    #expect(json["tags"]?.elements == [.string("outbox-exporter")])
    #expect(json["refresh"]?.text == "30s")
    #expect(json["graphTooltip"]?.text == "1")
  }

  /// Grafana ignores what it does not know without a word (pkg/services/provisioning/dashboards/types.go, `configsV1`).
  @Test func `the provisioning example says nothing that Grafana does not know`() throws {
    let root = try #require(try YAMLNode.parse(try ProjectFiles.text(of: "dashboards/provisioning/outbox.yaml")))
    #expect(root.keys == ["apiVersion", "providers"])
    #expect(root["apiVersion"]?.text == "1")
    let providers = root["providers"]?.elements ?? []
    #expect(providers.count == 1)
    for provider in providers {
      let known: Set = [
        "name", "type", "orgId", "folder", "folderUid", "editable", "options", "disableDeletion",
        "updateIntervalSeconds",
        "allowUiUpdates",
      ]
      #expect(Set(provider.keys).subtracting(known) == [])
      #expect(provider["type"]?.text == "file")
      #expect(provider["options"]?.keys == ["path"])
      #expect(provider["options"]?["path"]?.text?.hasPrefix("/") == true)
      #expect(provider["allowUiUpdates"]?.text == "false", "the dashboards are not editable either")
      #expect((provider["updateIntervalSeconds"]?.text).flatMap { Int($0) } ?? 0 > 10, "shorter ones use inotify")
    }
  }

  @Test(arguments: Dashboard.uids)
  func `panels have ids of their own and do not overlap`(uid: String) throws {
    let dashboard = try Dashboard(uid: uid)
    #expect(Set(dashboard.panels.map(\.id)).count == dashboard.panels.count)
    for panel in dashboard.panels {
      #expect(panel.place.x.lowerBound >= 0 && panel.place.x.upperBound <= 24, "\(panel.title)")
    }
    let closed = (dashboard.json["panels"]?.elements ?? []).map { $0["panels"]?.elements.map(Panel.init) ?? [] }
    let open = (dashboard.json["panels"]?.elements ?? []).map(Panel.init)
    // Opened rows push down what is below them, so each level is looked at by itself.
    for level in [open] + closed {
      for (index, panel) in level.enumerated() {
        for other in level[(index + 1)...] {
          let meets = panel.place.x.overlaps(other.place.x) && panel.place.y.overlaps(other.place.y)
          #expect(!meets, "\(uid): \(panel.title) and \(other.title)")
        }
      }
    }
  }

  @Test(arguments: Dashboard.uids)
  func `the first row says in eight numbers whether anybody has to get up`(uid: String) throws {
    let first = try Dashboard(uid: uid).panels.prefix(8)
    #expect(first.map(\.type) == Array(repeating: "stat", count: 8))
    #expect(first.allSatisfy { $0.place.y == 0..<4 })
    // The last value of a series that has ended is no value of now.
    #expect(first.allSatisfy { $0.targets.allSatisfy { $0["instant"] == .bool(true) } })
  }

  /// What is not known must not look like what is well: Grafana gives an empty number the colour of the first step.
  @Test(arguments: Dashboard.uids)
  func `a number without data is not green`(uid: String) throws {
    for panel in try Dashboard(uid: uid).panels where panel.type == "stat" {
      let base = panel.defaults["thresholds"]?["steps"]?.elements.first
      #expect(base?["value"] == .null)
      #expect(base?["color"]?.text != "green", "\(uid): \(panel.title)")
      #expect(panel.defaults["noValue"]?.text?.isEmpty == false, "\(uid): \(panel.title)")
    }
  }

  @Test(arguments: Dashboard.uids)
  func `links keep time and choices, and lead to dashboards that are there`(uid: String) throws {
    let dashboard = try Dashboard(uid: uid)
    for link in dashboard.json["links"]?.elements ?? [] {
      #expect(link["type"]?.text == "dashboards" && link["tags"]?.elements == [.string("outbox-exporter")])
      #expect(link["keepTime"] == .bool(true) && link["includeVars"] == .bool(true))
    }
    let targets = dashboard.json.texts.filter { $0.contains("/d/") }
    #expect(uid == "outbox-exporter" || !targets.isEmpty, "\(uid) leads nowhere")
    for url in targets {
      let target = String(url.dropFirst("/d/".count).prefix { $0 != "?" })
      #expect(url.hasPrefix("/d/") && Dashboard.uids.contains(target), "\(uid): \(url)")
      for kept in ["${__url_time_range}", "${datasource:queryparam}", "${environment:queryparam}", "var-outbox="] {
        #expect(url.contains(kept), "\(uid): \(url)")
      }
      let names = try Dashboard(uid: target).variables.compactMap { $0["name"]?.text }
      let given = url.matches(of: /var-(\w+)=/).map { String($0.output.1) }
      #expect(Set(given).isSubset(of: names), "\(uid): \(url)")
    }
  }

  @Test(arguments: Dashboard.uids)
  func `critical alerts are marked, and warnings on demand`(uid: String) throws {
    let annotations = try Dashboard(uid: uid).annotations
    #expect(annotations.map { $0["enable"] } == [.bool(true), .bool(false)])
    #expect(annotations.allSatisfy { $0["expr"]?.text?.contains(#"alertname=~"Outbox.+""#) == true })
  }

  /// What alert rules and documents refer to by uid and panel.
  @Test func `every dashboard and panel that is referred to exists`() throws {
    let panels = try Dictionary(
      uniqueKeysWithValues: Dashboard.all().map { ($0.uid, Set($0.panels.map(\.id))) })
    let files = try (ProjectFiles.all(under: "alerts") + ProjectFiles.all(under: "dashboards") + ["README.md"])
      .filter { [".md", ".yml", ".yaml"].contains(where: $0.hasSuffix) }
    for file in files {
      let text = try ProjectFiles.text(of: file)
      for match in text.matches(of: /\/d\/([\w-]+)(?:[\w\/-]*\?(?:[^\s"')]*&)?viewPanel=(?:panel-)?(\d+))?/) {
        let ids = panels[String(match.output.1)]
        #expect(ids != nil, "\(file): \(match.output.0)")
        if let id = match.output.2 { #expect(ids?.contains(String(id)) == true, "\(file): \(match.output.0)") }
      }
      // Grafana-managed rules name their dashboard, and the panel on the next line.
      let named = /dashboardUid: *"?([\w-]+)"?(?:\s+panelId: *"?(\d+)"?)?/
      for match in text.matches(of: named) {
        let ids = panels[String(match.output.1)]
        #expect(ids != nil, "\(file): \(match.output.0)")
        if let id = match.output.2 { #expect(ids?.contains(String(id)) == true, "\(file): \(match.output.0)") }
      }
    }
  }
}
