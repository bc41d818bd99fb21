import Configuration
import Layouts
import Metrics
import Outbox
import TestSupport
import Testing

/// The README's tables are written by this test: `OUTBOX_UPDATE_README=1 swift test --filter Readme` brings them up to
/// date, and without it they have to be.
@Suite struct `README tables` {
  @Test func `say what the code says`() throws {
    let readme = try ProjectFiles.text(of: "README.md")
    var updated = readme
    for (name, table) in Self.tables { updated = try Self.replacing(name, in: updated, with: table) }
    if currentEnvironment()["OUTBOX_UPDATE_README"] == "1" {
      try ProjectFiles.write(updated, to: "README.md")
    } else {
      #expect(readme == updated, "run OUTBOX_UPDATE_README=1 swift test --filter Readme")
    }
  }

  private static var tables: [(String, String)] {
    [
      ("flags", keys("flag", ConfigurationCatalog.flags)),
      ("variables", keys("variable", ConfigurationCatalog.variables)),
      ("file", keys("key", ConfigurationCatalog.fileKeys)),
      (
        "layouts",
        markdown(
          ["layout", "stores", "system"],
          LayoutCatalog.builtIn.map {
            ["`\($0.name)`", $0.systems.map(\.rawValue).joined(separator: ", "), $0.summary]
          })
      ),
      (
        "metrics",
        markdown(
          ["metric", "instrument", "unit", "by", "meaning", "in PromQL"],
          MetricCatalog.all.map { metric in
            [
              "`\(metric.name)`", kind(metric.kind), metric.unit.isEmpty ? "" : "`\(metric.unit)`",
              metric.attributes.map { "`\($0)`" }.joined(separator: ", "), metric.description,
              "`\(metric.prometheusName)`",
            ]
          })
      ),
      (
        "exit",
        markdown(["code", "meaning"], ExitStatus.allCases.map { ["\($0.rawValue)", $0.meaning] })
      ),
    ]
  }

  private static func keys(_ title: String, _ keys: [ConfigurationKey]) -> String {
    markdown([title, "default", "meaning"], keys.map { ["`\($0.name)`", $0.standard ?? "", $0.meaning] })
  }

  private static func kind(_ kind: InstrumentKind) -> String {
    switch kind {
    case .gauge: "Gauge"
    case .upDownCounter: "UpDownCounter"
    case .counter: "Counter"
    case .histogram: "Histogram"
    }
  }

  private static func markdown(_ header: [String], _ rows: [[String]]) -> String {
    let escaped = rows.map {
      $0.map { $0.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|") }
    }
    return ([header, header.map { _ in "---" }] + escaped)
      .map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n") + "\n"
  }

  private static func replacing(_ name: String, in text: String, with table: String) throws -> String {
    let begin = try #require(text.firstRange(of: "<!-- table: \(name) -->\n"), "no table \(name)")
    let end = try #require(text[begin.upperBound...].firstRange(of: "<!-- end -->"))
    return text[..<begin.upperBound] + table + text[end.lowerBound...]
  }
}
