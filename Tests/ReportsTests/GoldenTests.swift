import Assessment
import Outbox
import Reports
import TestSupport
import Testing

/// How every situation is told, in every format, and what it ends with: `Tests/Goldens`. After a change on purpose,
/// `OUTBOX_UPDATE_GOLDENS=1 swift test --filter Golden` writes them anew, to be read before they are committed.
@Suite struct `Golden reports` {
  @Test(arguments: Situation.allCases) func `say what they said`(situation: Situation) throws {
    let path = "Tests/Goldens/\(situation.rawValue).txt"
    let told = Self.told(situation.report)
    if currentEnvironment()["OUTBOX_UPDATE_GOLDENS"] == "1" { try ProjectFiles.write(told, to: path) }
    #expect(try ProjectFiles.text(of: path) == told)
    #expect(told.firstMatch(of: /[0-9]{2}:[0-9]{2}/) == nil, "a time of day")
  }

  @Test func `are there for every situation, and for no other`() throws {
    let files = try ProjectFiles.all(under: "Tests/Goldens")
    #expect(files == Situation.allCases.map { "Tests/Goldens/\($0.rawValue).txt" }.sorted())
  }

  private static func told(_ report: CycleReport) -> String {
    let status = report.health.status.rawValue
    // Times of day differ from run to run; that they are there shows the schema.
    let json = report.json(exitCode: Int(status)).text.replacing(/[0-9-]{10}T[0-9:.]{12}Z/, with: "TIME")
    return """
      exit \(status)

      --- text
      \(report.text(TextStyle(isColoured: false)))
      --- nagios
      \(report.nagios)
      --- json
      \(json)

      """
  }
}

@Suite(.enabled(if: OnceReportSchema.python != nil, "\(OnceReportSchema.missing)"))
struct `The schema of the JSON report` {
  @Test(arguments: Situation.allCases) func `is kept to`(situation: Situation) throws {
    let document = situation.report.json(exitCode: Int(situation.report.health.status.rawValue)).text
    #expect(try OnceReportSchema.problem(with: document) == "")
  }

  @Test(arguments: [
    ("\"exit_code\": 0", "\"exit_code\": 64"), ("\"health\": \"OK\"", "\"health\": \"ok\""),
    ("\"ready\": 120", "\"ready\": -1"), ("\"attempted\": false", "\"attempted\": null"),
    ("\"verdict\":", "\"verdict_\":"), ("\"dead\": 4,", ""), ("T08:00:00.250Z", " 08:00"),
  ]) func `refuses what is wrong`(right: String, wrong: String) throws {
    let document = Situation.ok.report.json(exitCode: 0).text
    try #require(document.contains(right))
    #expect(try OnceReportSchema.problem(with: document.replacing(right, with: wrong)) != "")
  }
}
