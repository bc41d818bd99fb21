import Assessment
import Outbox
import Reports
import Testing

@Suite struct `The report for monitoring systems` {
  @Test(arguments: Situation.allCases) func `is plugin output`(situation: Situation) throws {
    let report = situation.report
    let output = try PluginOutput(report.nagios)
    #expect(output.service == "OUTBOX" && output.status == report.health.rawValue)
    #expect(output.figures.count == 5 * report.samples.count)
    #expect(Set(output.figures.map(\.label)).count == output.figures.count)
    #expect(!report.nagios.contains("118"), "an event's identifier")
  }

  @Test func `has every figure with its unit and the limit beyond which it is bad`() throws {
    let limits = Limits(
      age: .init(warning: .milliseconds(1_500), critical: .seconds(900)), ready: .init(warning: 1_000),
      stuck: .init(critical: 1), dead: .init(warning: 11, critical: 101))
    let output = try PluginOutput(report([sample("shop", limits: limits, .success(busy))]).nagios)
    #expect(
      output.figures == [
        .init(label: "shop_ready", value: 120, unit: "", warning: 999, minimum: 0),
        .init(label: "shop_depth", value: 133, unit: "", minimum: 0),
        .init(label: "shop_stuck", value: 2, unit: "", critical: 0, minimum: 0),
        .init(label: "shop_dead", value: 4, unit: "", warning: 10, critical: 100, minimum: 0),
        .init(label: "shop_oldest", value: 200, unit: "s", warning: 1.5, critical: 900, minimum: 0),
      ])
  }

  @Test func `says of what could not be sampled that it could not`() throws {
    let output = try PluginOutput(
      report([sample("shop", limits: Limits(ready: .init(warning: 5)), .failure(SampleFailure(.absent, "gone")))])
        .nagios)
    #expect(output.text == "shop: not sampled: gone")
    #expect(output.figures.map(\.value) == [nil, nil, nil, nil, nil])
    #expect(output.figures.first?.warning == 4)
  }

  @Test func `tells the first sentence of the worst, and the others below`() throws {
    let several = try PluginOutput(Situation.several.report.nagios)
    #expect(
      several.text.hasPrefix(
        "3 of 4 outboxes: mails: stalled: 120 events due, none left in 5m and none was tried; the oldest waits 3m 20s; "
          + "bots/'a=b/c': not sampled: cannot connect / refused by 127.0.0.1; hooks: "))
    #expect(several.longLines.first?.hasPrefix("CRITICAL mails: stalled") == true)
    #expect(several.longLines.contains { $0.hasPrefix("OK orders: verdict draining: ") })
    #expect(several.figures.contains { $0.label == "bots/'a_b/c'_ready" })
  }

  @Test func `puts a status in front of its reasons alone`() throws {
    // Critical by a limit, while the trend is fine.
    let output = try PluginOutput(Situation.criticalByLimit.report.nagios)
    #expect(output.status == "CRITICAL")
    #expect(output.longLines.contains { $0.hasPrefix("CRITICAL orders: the oldest event waits ") })
    #expect(output.longLines.contains { $0.hasPrefix("orders: verdict ok: ") }, "\(output.longLines)")
    let acknowledged = try PluginOutput(Situation.acknowledged.report.nagios).longLines
    #expect(acknowledged.contains { $0.hasPrefix("WARNING orders: ") })
    #expect(acknowledged.contains { $0.hasPrefix("orders: ") && $0.contains("ticket") }, "\(acknowledged)")
  }

  @Test func `is the worst of the known dead letters' thresholds too`() throws {
    let output = try PluginOutput(Situation.acknowledged.report.nagios)
    // 13 of 20 are known; from 4 more on it is a warning.
    #expect(
      output.figures.first { $0.label == "orders_dead" }
        == .init(label: "orders_dead", value: 20, unit: "", warning: 16, minimum: 0))
    #expect(output.status == "WARNING")
  }

  @Test(arguments: UInt64(1)...20) func `is plugin output whatever stands in the data`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    func text() -> String {
      let pieces = [
        "|", "\n", "'", "=", "\u{1b}[31m", ";", "\r\n", "\0", "é", "\u{202e}", " ", "x", "\u{2028}", "\u{85}",
      ]
      return (0..<Int.random(in: 1...40, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }
        .joined()
    }
    let samples = (0..<3).map { number -> OutboxSample in
      var sample = sample(
        "\(number)" + text(), .failure(SampleFailure(.other, text(), hint: text())))
      if number > 0 {
        sample.result = .success(.counts(busy))
        sample.outbox.limits.dead.critical = 1
        sample.outbox.acknowledgements = [
          Acknowledgement(dead: 1, destination: text(), reason: text(), until: "2027-01-15", end: morning)
        ]
      }
      return sample
    }
    let output = report(samples, push: .failed(text())).nagios
    let read = try PluginOutput(output)
    #expect(read.figures.count == 15, "seed \(seed)")
    #expect(!output.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || $0.value == 0x7f || $0.value == 0x85 })
  }

  @Test func `fits into what Nagios reads, and says what it leaves out`() throws {
    let many = (0..<500).map { number in
      sample(
        "an outbox with quite a long name, number \(number)", limits: Limits(dead: .init(critical: 1)), .success(busy))
    }
    let output = report(many, push: .failed(String(repeating: "refused ", count: 300))).nagios
    #expect(output.utf8.count <= 8_000)
    let read = try PluginOutput(output)
    #expect(read.figures.count % 5 == 0 && read.figures.count > 50)
    let left = 500 - read.figures.count / 5
    #expect(read.longLines.first == "no performance data of \(left) outboxes")
    #expect(read.longLines.last?.hasSuffix(" lines more") == true)
    #expect((output.split(separator: "\n").first?.utf8.count ?? 0) <= 4_500)
  }

  @Test func `tells mistakes as UNKNOWN`() throws {
    let output = try PluginOutput(CycleReport.nagios(mistakes: ["a | b\nc", "second"]))
    #expect(output.status == "UNKNOWN" && output.text == "a / b c" && output.longLines == ["second"])
  }
}
