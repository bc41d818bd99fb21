import Outbox

extension Comparison {
  /// The result as it stands in the documentation.
  var markdown: String {
    let kinds = Scenario.Kind.allCases.filter { tallies[$0] != nil }
    var text = "\(traces) traces of \(Scenario(.steady, seed: 0).samples) samples, one each 15 s.\n\n"
    text += "Confusion matrix, all kinds together:\n\n"
    text += Self.table(
      ["judge", "healthy, silent", "healthy, called bad", "bad, found in time", "bad, found late", "bad, missed"],
      Self.judges.map { judge in
        let tally = total(judge)
        return [
          judge, "\(tally.healthy - tally.falseAlarms)", "\(tally.falseAlarms)", "\(tally.inTime)", "\(tally.late)",
          "\(tally.missed)",
        ]
      })
    text +=
      "\nFalse alarms: traces that were called bad while they were healthy, the time before an incident included.\n\n"
    text += Self.table(
      ["kind", "traces"] + Self.judges,
      kinds.map { kind in
        let tallies = tallies[kind] ?? [:]
        let count = tallies[OurVerdict.name].map { $0.healthy + $0.bad } ?? 0
        return [kind.rawValue, "\(count)"] + Self.judges.map { Self.percent(tallies[$0]?.falseShare ?? 0) }
      })
    text += "\nFound before the breach or within \(Tally.grace) samples, and the median delay in samples:\n\n"
    text += Self.table(
      ["kind"] + Self.judges,
      kinds.filter { (tallies[$0]?[OurVerdict.name]?.bad ?? 0) > 0 }.map { kind in
        [kind.rawValue]
          + Self.judges.map { judge in
            guard let tally = tallies[kind]?[judge] else { return "" }
            return Self.percent(tally.foundShare) + ", " + (tally.medianDelay.map { "\($0)" } ?? "never")
          }
      })
    text += "\nThe last verdict of each trace, the worst of the outbox and its destinations:\n\n"
    text += Self.table(
      ["kind", "verdicts"],
      kinds.map { kind in
        let verdicts = (lastVerdicts[kind] ?? [:]).sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return [kind.rawValue, verdicts.map { "`\($0.key.rawValue)` \($0.value)" }.joined(separator: ", ")]
      })
    let share = ranges.stated == 0 ? 0 : Double(ranges.held) / Double(ranges.stated)
    text += "\nDrain times stated: \(ranges.stated); the range held the truth in \(Self.percent(share)).\n"
    return text
  }

  private static func percent(_ share: Double) -> String {
    let tenths = Int((share * 1_000).rounded())
    return "\(tenths / 10).\(tenths % 10) %"
  }

  private static func table(_ header: [String], _ rows: [[String]]) -> String {
    ([header, header.map { _ in "---" }] + rows).map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
  }
}
