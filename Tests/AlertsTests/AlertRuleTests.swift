import TestSupport
import Testing

/// The rules as the programs that run them see them.
@Suite struct AlertRuleTests {
  private static let unitTests = ["annotations", "availability", "backlog", "delivery", "history", "objective"]

  @Test(programs("promtool"))
  func `Prometheus accepts the rules, and has nothing to say against them`() throws {
    let result = try run(
      "promtool", ["check", "rules", "--lint=all", "--lint-fatal", "outbox.rules.yml"],
      directory: ProjectFiles.root + "/alerts")
    #expect(result.code == 0, "\(result.output)\(result.error)")
    #expect(result.output.contains("\(try AlertRule.shipped().count) rules found"))
  }

  @Test(programs("vmalert"))
  func `vmalert accepts the same file`() throws {
    let result = try run(
      "vmalert", ["-dryRun", "-rule=outbox.rules.yml"], directory: ProjectFiles.root + "/alerts")
    #expect(result.code == 0, "\(result.error)")
  }

  @Test(programs("promtool"), arguments: unitTests)
  func `every rule fires, stays silent and resolves where it should`(tests: String) throws {
    let result = try run(
      "promtool", ["test", "rules", "\(tests).tests.yml"], directory: ProjectFiles.root + "/alerts/tests")
    #expect(result.code == 0, "\(result.output)\(result.error)")
  }

  @Test func `every file of unit tests is run, and every alert has a test of its own and of its words`() throws {
    let files = try ProjectFiles.all(under: "alerts/tests").filter { $0.hasSuffix(".tests.yml") }
    #expect(files == Self.unitTests.map { "alerts/tests/\($0).tests.yml" })
    let text = try files.map { try ProjectFiles.text(of: $0) }.joined()
    for rule in try AlertRule.alerts() {
      #expect(text.contains("- name: \"\(rule.alert ?? ""):"), "no test of \(rule.title)")
      #expect(text.contains("alertname: \(rule.alert ?? "")\n"), "no test of the words of \(rule.title)")
    }
  }

  /// Others on each day of sixteen; `alerts/mutate` without a limit tries all of them.
  @Test(programs("promtool"), withGenerator)
  func `the unit tests notice deliberate edits of the rules`() throws {
    let first = Int(wallSeconds()) / 86400 % 16
    print("alerts/mutate --trust --every 16 --from \(first)")
    let result = try run(
      "python3", ["alerts/mutate", "--trust", "--every", "16", "--from", "\(first)"], directory: ProjectFiles.root)
    #expect(result.code == 0, "\(result.output)\(result.error)")
    let count = Int(result.output.split(separator: " ").first ?? "") ?? 0
    #expect(count >= 30, "\(result.output)")
  }
}
