import Assessment
import Outbox

extension CycleReport {
  /// The report for monitoring systems that run plugins: one line with the status and performance data, then a few lines
  /// more (Monitoring Plugins Development Guidelines, "Plugin Output" and "Performance data").
  ///
  /// No identifier of an event stands in it. All of it fits in 8,000 bytes, since Nagios reads 8,192; what does not fit
  /// is left out from the end, whole outboxes at a time, and that is said.
  package var nagios: String {
    let performance = fitting(zip(samples, judgements).map(Self.performance), into: 4_000, separator: " ")
    var lines = longLines
    if performance.left > 0 {
      lines.insert("no performance data of \(performance.left.counted("outbox", "outboxes"))", at: 0)
    }
    let first = "OUTBOX \(health.rawValue): \(summary.plain(atMost: 400))"
    let head = performance.text.isEmpty ? first : "\(first) | \(performance.text)"
    let long = fitting(lines.map { $0.plain(atMost: 400) }, into: 7_900 - head.utf8.count, separator: "\n")
    return ([head, long.text] + (long.left > 0 ? ["… \(long.left.counted("line")) more"] : []))
      .filter { !$0.isEmpty }.joined(separator: "\n") + "\n"
  }

  /// What a monitoring system is told where nothing could be sampled: UNKNOWN, and every mistake.
  package static func nagios(mistakes: [String]) -> String {
    let lines = mistakes.map { $0.plain(atMost: 400) }
    return "OUTBOX UNKNOWN: \(lines.first ?? "nothing was sampled")\n" + lines.dropFirst().map { $0 + "\n" }.joined()
  }

  private var summary: String {
    if let missedPush, Health.worst(judgements.map(\.health)) != .critical { return missedPush }
    if judgements.isEmpty { return "nothing is watched" }
    let bad = sorted.filter { $0.1.health != .ok }
    let reasons = bad.map { "\($0.1.outbox.name): \($0.1.findings.first?.sentence ?? "")" }.joined(separator: "; ")
    if judgements.count == 1 {
      let outbox = judgements[0].outbox
      let assessment = assessment(of: outbox)
      return bad.isEmpty ? "\(outbox.name): verdict \(assessment.verdict.rawValue): \(assessment.sentence)" : reasons
    }
    let all = judgements.count.counted("outbox", "outboxes")
    return bad.isEmpty ? "\(all) are fine" : "\(bad.count) of \(all): \(reasons)"
  }

  private var longLines: [String] {
    var lines: [String] = []
    for (_, judgement) in sorted {
      let name = judgement.outbox.name
      lines += judgement.findings.map { "\($0.health.rawValue) \(name): \($0.sentence)" }
      // What follows is no reason for a status that is not OK.
      let lead = judgement.health == .ok ? "\(judgement.health.rawValue) \(name)" : name
      let assessment = assessment(of: judgement.outbox)
      lines += (judgement.deadLetters?.entries ?? []).map { "\(lead): \($0.sentence)" }
      // A verdict that is worse is among the findings.
      if judgement.outbox.verdicts[assessment.verdict] == .ok {
        lines.append("\(lead): verdict \(assessment.verdict.rawValue): \(assessment.sentence)")
      }
    }
    return lines + [String(pushText.dropLast())]
  }

  /// `'label'=value[UOM];[warn];[crit];[min]` of one outbox. A threshold is where an alert begins beyond it; ours begin at
  /// the limit, so that of a whole number stands one below; for dead events it stands above those that are known.
  private static func performance(_ sample: OutboxSample, _ judgement: Judgement) -> String {
    let (snapshot, limits) = (sample.snapshot, sample.outbox.limits)
    func count(_ figure: String, _ value: Int?, _ limits: Limits.Pair<Int> = .init(), known: Int = 0) -> String {
      let thresholds = [limits.warning, limits.critical].map { $0.map { "\($0 - 1 + known)" } ?? "" }
      return item(sample.outbox.name, figure, value.map { "\($0)" } ?? "U", thresholds)
    }
    let age = snapshot.map { ($0.oldestAge ?? .zero).decimalSeconds + "s" }
    return [
      count("ready", snapshot?.depth(.ready), limits.ready), count("depth", snapshot?.depth),
      count("stuck", snapshot?.stuckCount, limits.stuck),
      count("dead", snapshot?.deadCount, limits.dead, known: judgement.deadLetters?.covered ?? 0),
      item(
        sample.outbox.name, "oldest", age ?? "U",
        [limits.age.warning, limits.age.critical].map { $0?.decimalSeconds ?? "" }),
    ].joined(separator: " ")
  }

  private static func item(_ name: String, _ figure: String, _ value: String, _ thresholds: [String]) -> String {
    "'\(name.label)_\(figure)'=\(value);\(thresholds.joined(separator: ";"));0"
  }
}

/// As many texts from the first one on as fit into so many bytes, and how many do not.
private func fitting(_ texts: [String], into limit: Int, separator: String) -> (text: String, left: Int) {
  var text = ""
  for (index, next) in texts.enumerated() {
    let more = index == 0 ? next : separator + next
    if text.utf8.count + more.utf8.count > limit { return (text, texts.count - index) }
    text += more
  }
  return (text, 0)
}

extension String {
  /// The text on one line and without the character that performance data begin with.
  fileprivate func plain(atMost limit: Int) -> String {
    let text = printable.replacing("|", with: "/")
    guard text.utf8.count > limit else { return text }
    var shortened = ""
    for character in text {
      if shortened.utf8.count + character.utf8.count > limit - 3 { break }
      shortened.append(character)
    }
    return shortened + "…"
  }

  /// The text as a label: no `=` and no `|`, quotes doubled.
  fileprivate var label: String {
    plain(atMost: 200).replacing("=", with: "_").replacing("'", with: "''")
  }
}

extension Duration {
  /// Seconds in decimal notation, to the millisecond.
  fileprivate var decimalSeconds: String {
    let milliseconds = max(0, wholeNanoseconds) / 1_000_000
    let rest = milliseconds % 1_000
    return "\(milliseconds / 1_000)" + (rest == 0 ? "" : ".\(rest < 100 ? "0" : "")\(rest < 10 ? "0" : "")\(rest)")
  }
}
