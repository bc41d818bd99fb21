import TestSupport
import Testing

@Suite(.enabled(if: pythonForTests != nil, "OUTBOX_TEST_PYTHON is not set"))
struct DashboardProgramTests {
  private static func python(_ arguments: [String]) throws -> (code: Int32, output: String, error: String) {
    try run(pythonForTests ?? "", arguments, environment: ["PYTHONIOENCODING": "utf-8"], directory: ProjectFiles.root)
  }

  @Test func `the committed dashboards are those that their description makes`() throws {
    let result = try Self.python(["dashboards/generate.py", "--check"])
    #expect(result.code == 0, "\(result.output)\(result.error)")
  }

  private static let hasModel = (try? python(["-c", "import grafana_foundation_sdk"]).code) == 0

  @Test(.enabled(if: hasModel, "the Python of the tests has no grafana-foundation-sdk"))
  func `Grafana's own model reads every dashboard and gives it back unchanged`() throws {
    let files = Dashboard.uids.map { "dashboards/\($0).json" }
    let result = try Self.python(["Tests/DashboardTests/grafana_model.py"] + files)
    #expect(result.code == 0, "\(result.output)\(result.error)")
  }

  @Test(
    .enabled(if: hasModel, "the Python of the tests has no grafana-foundation-sdk"),
    arguments: [
      (#""targets":"#, #""tagets":"#), (#""unit": "s""#, #""unti": "s""#), (#""mode": "multi""#, #""mode": "mutli""#),
      (#""drawStyle":"#, #""drawStyl":"#), (#""editable": false"#, #""editable": "no""#),
    ])
  func `the model finds a misspelt word`(right: String, wrong: String) throws {
    let directory = try TemporaryDirectory()
    let text = try ProjectFiles.text(of: "dashboards/outbox-overview.json")
    let place = try #require(text.firstRange(of: right))
    try directory.write(text.replacingCharacters(in: place, with: wrong), to: "broken.json")
    let result = try Self.python(["Tests/DashboardTests/grafana_model.py", "\(directory.path)/broken.json"])
    #expect(result.code == 1, "\(result.output)\(result.error)")
  }

  @Test(.enabled(if: programOnPath("promtool") != nil, "promtool is not on PATH"))
  func `target-promql-rule and template-label-promql-rule: every expression is PromQL`() throws {
    let directory = try TemporaryDirectory()
    let expressions = try Dashboard.all().flatMap { $0.expressions + $0.variableSelectors }
    #expect(expressions.count > 90)
    let rules = expressions.enumerated().map { index, expression in
      "      - record: dashboard:expression:number\(index)\n        expr: '\(filledIn(expression.text))'\n"
    }
    try directory.write(
      "groups:\n  - name: dashboards\n    rules:\n" + rules.joined(), to: "rules.yml")
    let result = try run("promtool", ["check", "rules", "--lint=none", "\(directory.path)/rules.yml"])
    #expect(result.code == 0, "\(result.output)\(result.error)")
    #expect(result.output.contains("\(expressions.count) rules found"), "\(result.output)")
    #expect(expressions.allSatisfy { !filledIn($0.text).contains("$") })
  }
}

extension String {
  /// The text with one part replaced.
  fileprivate func replacingCharacters(in range: Range<Index>, with other: String) -> String {
    self[..<range.lowerBound] + other + self[range.upperBound...]
  }
}
