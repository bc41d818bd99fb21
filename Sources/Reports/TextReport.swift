import Assessment
package import Outbox

extension CycleReport {
  /// The report for people: what was found, then what became of the push.
  ///
  /// - Parameter style: colours, for a terminal that shows them.
  package func text(_ style: TextStyle) -> String { foundText(style) + "\n" + pushText }

  /// What was found, for people: the worst first, each outbox with its reasons. It does not wait for the push.
  ///
  /// - Parameter style: colours, for a terminal that shows them.
  package func foundText(_ style: TextStyle) -> String {
    var lines = [headline(style)]
    for (sample, judgement) in sorted {
      lines.append("")
      lines.append(
        "\(style.health(judgement.health))  \(style.strong(sample.outbox.name))"
          + "  (\(sample.outbox.layout.printable), \(sample.outbox.system.rawValue))")
      for finding in judgement.findings { lines.append("  " + style.finding(finding)) }
      lines += assessment(of: sample.outbox).lines(sample.outbox.verdicts).map { "  " + $0 }
      switch sample.result {
      case .failure(let failure): if let hint = failure.hint { lines.append("  → \(hint.printable)") }
      case .success(.head): break
      case .success(.counts(let snapshot)):
        lines += (judgement.deadLetters?.entries ?? []).map { "  " + $0.sentence.printable }
        lines += snapshot.lines.map { "  " + $0 }
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// What became of the push, in a sentence.
  package var pushText: String {
    switch push {
    case .notAttempted(let reason): "Nothing was pushed: \(reason.printable).\n"
    case .delivered(let points): "Pushed \(points.counted("data point")).\n"
    case .failed(let message): "The push failed: \(message.printable)\n"
    }
  }

  var sorted: [(OutboxSample, Judgement)] {
    zip(samples, judgements).enumerated()
      .sorted { ($1.element.1.health.severity, $0.offset) < ($0.element.1.health.severity, $1.offset) }
      .map(\.element)
  }

  private func headline(_ style: TextStyle) -> String {
    let judgements = judgements
    let counts = [Health.critical, .unknown, .warning, .ok].compactMap { health -> String? in
      let count = judgements.count { $0.health == health }
      return count == 0 ? nil : "\(count) \(health.rawValue)"
    }
    let outboxes = judgements.count.counted("outbox", "outboxes")
    let finding = judgements.count == 1 ? judgements[0].findings.first : nil
    // A push that was required is the reason where nothing else is as bad.
    let reason =
      Health.worst(judgements.map(\.health)) == .critical ? finding?.sentence : missedPush ?? finding?.sentence
    return "\(style.health(health))  \(outboxes): "
      + (reason?.printable ?? (judgements.isEmpty ? "nothing is watched" : counts.joined(separator: ", ")))
  }
}

extension OutboxAssessment {
  /// What the findings of the judgement do not say yet: the verdict, and destinations that stand out.
  fileprivate func lines(_ verdicts: VerdictHealth) -> [String] {
    let health = verdicts[verdict]
    let lines = health == .ok ? ["verdict \(verdict.rawValue): \(sentence.printable)"] : []
    let news = destinations(worseThan: health, verdicts)
    let others = destinations.filter { !news.contains($0) }
    let shown = others.prefix(5)
    return lines + shown.map { "  \($0.name.printable) \($0.verdict.rawValue): \($0.sentence.printable)" }
      + (shown.count < others.count ? ["  … \(others.count - shown.count) more destinations"] : [])
  }
}

extension Snapshot {
  /// The figures as lines: a table by destination, then what else there is to know.
  fileprivate var lines: [String] {
    if let missingPath {
      return ["not in use yet: \(missingPath.printable) is not there; if the application is running, check the path"]
    }
    var lines = tableLines
    if implausible > 0 {
      lines.append("\(implausible.counted("event")) with impossible times, counted in the depth and in no age")
    }
    if let replicaLag { lines.append("read from a replica that is \(replicaLag.text) behind") }
    if !exact { lines.append("some figures are estimates") }
    for (title, ids) in [
      ("oldest", eventIDs?.oldest), ("stuck", eventIDs?.stuck), ("newest dead", eventIDs?.newestDead),
    ] {
      if let ids, !ids.isEmpty { lines.append("\(title): \(ids.map(\.printable).joined(separator: ", "))") }
    }
    return lines
  }

  /// The figures as a table, one row per destination and one for all; the busiest destinations where there are many.
  package var tableLines: [String] {
    var table = TextTable(
      [("destination", .left)] + EventState.waiting.map { ($0.rawValue, .right) }
        + [("stuck", .right), ("dead", .right), ("oldest", .right)])
    let destinations = destinations
    let shown = destinations.count > 12 ? Array(destinations.prefix(10)) : destinations
    for (name, figures) in shown { table.add(figures.cells(name.printable)) }
    if destinations.count != 1 { table.add(cells(destinations.isEmpty ? "all" : "all \(destinations.count)")) }
    var lines = table.lines
    if shown.count < destinations.count {
      lines.insert("… \(destinations.count - shown.count) more destinations", at: lines.count - 1)
    }
    return lines
  }

  private func cells(_ title: String) -> [String] {
    [title] + EventState.waiting.map { String(depth($0)) } + [
      String(stuckCount), String(deadCount), oldestAge?.text ?? "-",
    ]
  }
}

/// What a terminal is told besides the words.
package struct TextStyle: Sendable {
  private let isColoured: Bool

  /// Colours or none.
  package init(isColoured: Bool) {
    self.isColoured = isColoured
  }

  /// A health, in its colour.
  package func health(_ health: Health) -> String {
    let code =
      switch health {
      case .ok: "32"
      case .warning: "33"
      case .unknown: "35"
      case .critical: "31"
      }
    return wrap(health.rawValue, "1;" + code)
  }

  /// A name that the eye should find.
  package func strong(_ text: String) -> String { wrap(text.printable, "1") }

  func finding(_ finding: Judgement.Finding) -> String {
    finding.health == .ok ? finding.sentence.printable : "! \(finding.sentence.printable)"
  }

  private func wrap(_ text: String, _ code: String) -> String {
    isColoured ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
  }
}

extension String {
  /// The text without characters that a terminal might obey: controls, line breaks, and those that turn the direction
  /// of writing.
  package var printable: String {
    guard unicodeScalars.contains(where: \.isObeyed) else { return self }
    var text = ""
    for scalar in unicodeScalars {
      if scalar == "\n" || scalar == "\t" {
        text += " "
      } else if scalar.isObeyed {
        text += "\u{fffd}"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}

extension Unicode.Scalar {
  fileprivate var isObeyed: Bool {
    switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: true
    case .format: properties.isBidiControl
    default: false
    }
  }
}
