import Assessment
package import Outbox
package import Reports

/// What the demo shows: for a terminal a picture that is drawn anew every second, for a pipe one line a second.
package struct DemoView: Sendable {
  private var backlog: [Int?] = []

  /// A view that has seen nothing yet.
  package init() {}

  /// Takes note of a sample.
  package mutating func see(_ sample: OutboxSample) {
    backlog.append(sample.snapshot?.depth(.ready))
  }

  /// The picture for a terminal, without line breaks at its end.
  package func picture(_ sample: OutboxSample, second: Int, style: TextStyle, pushes: String) -> [String] {
    guard let phase = DemoScenario.phase(at: second) else { return [] }
    let judgement = Judgement(sample)
    var lines = [
      "\(Self.progress(second)) \(second)s of \(DemoScenario.seconds)s   \(style.strong(phase.title))",
      phase.sentence,
      "",
    ]
    // One finding a line: together they are wider than a terminal of 80 columns, which does not wrap here.
    let indent = String(repeating: " ", count: judgement.health.rawValue.count)
    lines.append("\(style.health(judgement.health))  \(judgement.findings.first?.sentence ?? "")")
    lines += judgement.findings.dropFirst().map { "\(indent)  \($0.sentence)" }
    lines.append("")
    if let snapshot = sample.snapshot { lines += snapshot.tableLines }
    lines += ["", "backlog  \(Sparkline.text(backlog.suffix(60)))  \(sample.snapshot?.depth(.ready) ?? 0)", "", pushes]
    return lines
  }

  /// What stands above the lines for a pipe.
  package static let header =
    "second  " + padded("phase", 12) + "  health  " + figureNames.map { "  " + $0 }.joined() + "  oldest"

  private static let figureNames = ["ready", "scheduled", "claimed", "stuck", "dead"]

  /// The line for a pipe, of 80 columns at most.
  package func line(_ sample: OutboxSample, second: Int) -> String {
    let title = DemoScenario.phase(at: second)?.title ?? ""
    let moment = Self.padded("\(second)s", 6) + "  " + Self.padded(title, 12)
    guard let snapshot = sample.snapshot else { return moment + "  not sampled" }
    let figures = [
      snapshot.depth(.ready), snapshot.depth(.scheduled), snapshot.depth(.claimed), snapshot.stuckCount,
      snapshot.deadCount,
    ]
    return moment + "  " + Self.padded(Judgement(sample).health.rawValue, 8)
      + zip(Self.figureNames, figures).map { "  " + Self.padded(left: $0.count, String($1)) }.joined()
      + "  " + Self.padded(left: 6, snapshot.oldestAge?.text ?? "-")
  }

  private static func padded(left width: Int, _ text: String) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private static func progress(_ second: Int) -> String {
    let width = 20
    let done = min(width, second * width / max(1, DemoScenario.seconds))
    return "[" + String(repeating: "#", count: done) + String(repeating: ".", count: width - done) + "]"
  }
}
