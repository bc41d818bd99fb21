import TestSupport
import Testing

/// The example for Alertmanager does what it says, in a running one.
@Suite struct AlertmanagerTests {
  /// An alert that fires, and what is to become of it.
  private struct Fired {
    /// `name severity outbox/destination`; what an outbox has not is left out.
    let alert: String
    var environment: String? = "production"
    var isSuppressed = false
    var receiver = "tickets"

    var labels: [String: String] {
      let words = alert.split(separator: " ").map(String.init)
      let place = words.count > 2 ? words[2].split(separator: "/").map(String.init) : []
      return [
        "alertname": words[0], "severity": words[1], "outbox_environment": environment, "outbox_name": place.first,
        "outbox_destination": place.count > 1 ? place[1] : nil,
      ].compactMapValues { $0 }
    }
  }

  private static let alerts = [
    // The page says what the ticket would, about the same destination.
    Fired(alert: "OutboxOldestEventTooOld critical late/mail", receiver: "pager"),
    Fired(alert: "OutboxOldestEventTooOld warning late/mail", isSuppressed: true),
    Fired(alert: "OutboxOldestEventTooOld warning late/sms"),
    Fired(alert: "OutboxDeliveryBudgetBurn critical late", receiver: "pager"),
    Fired(alert: "OutboxDeliveryBudgetBurn warning late", isSuppressed: true),
    // Nobody knows anything about what nobody watches; of the same name elsewhere there is news.
    Fired(alert: "OutboxExporterGone critical gone", receiver: "pager"),
    Fired(alert: "OutboxStoreUnreachable critical gone", isSuppressed: true, receiver: "pager"),
    Fired(alert: "OutboxWorkerDead critical gone/mail", isSuppressed: true, receiver: "pager"),
    Fired(alert: "OutboxDeadLettersUnattended info gone", isSuppressed: true, receiver: "nobody"),
    Fired(alert: "OutboxWorkerDead critical gone/mail", environment: "staging", receiver: "pager"),
    Fired(alert: "OutboxSamplesDropped warning"),
    Fired(alert: "HostOverloaded warning gone"),
    Fired(alert: "OutboxExporterGone critical plain", environment: nil, receiver: "pager"),
    Fired(alert: "OutboxVerdictBad warning plain", environment: nil, isSuppressed: true),
    // The same where the store cannot be read.
    Fired(alert: "OutboxStoreUnreachable critical unread", receiver: "pager"),
    Fired(alert: "OutboxTelemetryStale warning unread", isSuppressed: true),
    Fired(alert: "OutboxEventsStuck warning unread/mail", isSuppressed: true),
    Fired(alert: "OutboxEventsStuck warning read/mail"),
    // A dead worker explains why its destination is late, and neither another's nor what was given up.
    Fired(alert: "OutboxWorkerDead critical dead/mail", receiver: "pager"),
    Fired(alert: "OutboxOldestEventTooOld critical dead/mail", isSuppressed: true, receiver: "pager"),
    Fired(alert: "OutboxBacklogGrowing warning dead/mail", isSuppressed: true),
    Fired(alert: "OutboxBacklogNotDraining warning dead/mail", isSuppressed: true),
    Fired(alert: "OutboxVerdictBad warning dead/mail", isSuppressed: true),
    Fired(alert: "OutboxVerdictBad warning dead/sms"),
    Fired(alert: "OutboxDeadLettersArriving warning dead/mail"),
    // A storm is a failing destination.
    Fired(alert: "OutboxRetryStorm warning storm/mail"),
    Fired(alert: "OutboxDeliveryFailing warning storm/mail", isSuppressed: true),
    Fired(alert: "OutboxDeliveryFailing warning storm/sms"),
  ]

  @Test(programs("amtool"))
  func `Alertmanager accepts the example`() throws {
    let result = try run(
      "amtool", ["check-config", "alertmanager.example.yml"], directory: ProjectFiles.root + "/alerts")
    #expect(result.code == 0, "\(result.output)\(result.error)")
    #expect(result.output.contains("5 inhibit rules"))
  }

  @Test(programs("alertmanager", "amtool"))
  func `a cause keeps quiet what it explains, and nothing else, and each alert goes where its severity says`() throws {
    let directory = try TemporaryDirectory()
    let address = "127.0.0.1:\(freePort())"
    let server = try ChildProcess(
      "alertmanager",
      [
        "--config.file=\(ProjectFiles.root)/alerts/alertmanager.example.yml", "--storage.path=\(directory.path)",
        "--web.listen-address=\(address)", "--cluster.listen-address=",
      ])
    func ask(_ arguments: [String]) throws -> (code: Int32, output: String, error: String) {
      try run("amtool", ["--alertmanager.url=http://\(address)", "alert"] + arguments)
    }
    let isReady = try eventually { try !server.isRunning || ask(["query"]).code == 0 }
    try #require(isReady && server.isRunning, "\(server.standardError)")
    for fired in Self.alerts {
      let added = try ask(["add"] + fired.labels.map { "\($0.key)=\($0.value)" })
      try #require(added.code == 0, "\(added.error)")
    }
    let answer = try ask(["query", "--active", "--inhibited", "--output=json"])
    let found = Dictionary(
      uniqueKeysWithValues: try ParsedJSON(answer.output).elements.map { alert in
        (
          (alert["labels"]?.members ?? [:]).compactMapValues(\.text),
          (alert["status"]?["state"]?.text, alert["receivers"]?.elements.compactMap { $0["name"]?.text })
        )
      })
    #expect(found.count == Self.alerts.count)
    for fired in Self.alerts {
      let state = found[fired.labels]
      #expect(
        state?.0 == (fired.isSuppressed ? "suppressed" : "active"), "\(fired.alert) \(fired.environment ?? "nowhere")")
      #expect(state?.1 == [fired.receiver], "\(fired.alert)")
    }
  }
}
