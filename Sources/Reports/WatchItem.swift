import Assessment
import Outbox

/// One outbox as `watch` shows it.
struct WatchItem {
  let entry: WatchHistory.Entry
  let judgement: Judgement
  let flow: WatchHistory.Flow?

  init(_ entry: WatchHistory.Entry) {
    self.entry = entry
    judgement = Judgement(entry.sample, entry.assessment)
    flow = entry.flow
  }

  var name: String { entry.sample.outbox.name }
  var assessment: OutboxAssessment { entry.assessment }
  var verdict: Verdict { assessment.verdict }
  var health: Health { judgement.health }
  var snapshot: Snapshot? { entry.sample.snapshot }
  var backlog: Int? { snapshot?.depth(.ready) }
  var oldest: Duration? { snapshot?.oldestAge }

  /// True where there is something to say beside the figures.
  var isNotable: Bool { health != .ok || verdict.isBad || verdict == .draining || !assessment.destinations.isEmpty }

  /// The worst first; equal ones by how long their oldest event waits, then by name.
  static func worstFirst(_ left: WatchItem, _ right: WatchItem) -> Bool {
    if left.health != right.health { return left.health.severity > right.health.severity }
    if left.verdict.urgency != right.verdict.urgency { return left.verdict.urgency < right.verdict.urgency }
    let ages = (left.oldest ?? .zero, right.oldest ?? .zero)
    return ages.0 == ages.1 ? left.name < right.name : ages.0 > ages.1
  }

  /// Why it is as it is: each limit that is reached, then what the trend says; of a failed sample what to do, and what
  /// was last known.
  func reasons(at time: Timestamp?, width: Int?, canvas: WatchCanvas) -> [StyledLine] {
    let shown = judgement.findings.count > 4 ? 3 : 4
    var texts: [(String, StyledLine.Style)] = judgement.findings.prefix(shown).map { ("! \($0.sentence)", .plain) }
    if judgement.findings.count > shown {
      texts.append(("\(canvas.more) \(judgement.findings.count - shown) more findings", .faint))
    }
    switch entry.sample.result {
    case .failure(let failure):
      if let hint = failure.hint { texts.append(("→ \(hint)", .plain)) }
      if let good = entry.lastGood, let snapshot = good.snapshot {
        let since = (time ?? entry.sample.startedAt).since(good.startedAt)
        texts.append(
          (
            "last seen \(since.text) ago: backlog \(snapshot.depth(.ready)), oldest \(snapshot.oldestAge?.text ?? "-")",
            .faint
          ))
      }
    case .success(.head): break
    case .success(.counts(let snapshot)):
      if let path = snapshot.missingPath { texts.append(("not in use yet: \(path) is not there", .faint)) }
      if !verdict.isBad || !judgement.findings.contains(where: { $0.sentence.contains(assessment.sentence) }) {
        texts.append(("\(verdict.rawValue): \(assessment.sentence)", .faint))
      }
      for destination in assessment.destinations.prefix(3)
      where destination.verdict != verdict && !verdict.isBad
        && !judgement.findings.contains(where: { $0.sentence.contains(destination.sentence) })
      {
        texts.append(("\(destination.name) \(destination.verdict.rawValue): \(destination.sentence)", .plain))
      }
    }
    return texts.flatMap { text, style in
      let clean = TerminalText.cleaned(text, isASCII: canvas.isASCII)
      let lines = width.map { TerminalText.wrapped(clean, to: max(10, $0 - canvas.indentation.count - 2)) } ?? [clean]
      return lines.prefix(3).enumerated().map { StyledLine(canvas.indentation + ($0 == 0 ? "" : "  ") + $1, style) }
    }
  }

  /// Every figure that is not zero, in a line.
  func figures(on canvas: WatchCanvas) -> StyledLine? {
    guard let snapshot, snapshot.inUse else { return nil }
    var parts = EventState.waiting.map { ($0.rawValue, snapshot.depth($0)) }
    parts += [("stuck", snapshot.stuckCount), ("dead", snapshot.deadCount), ("implausible", snapshot.implausible)]
    var texts = parts.filter { $0.1 > 0 }.map { "\($0.1) \($0.0)" }
    if let lag = snapshot.replicaLag { texts.append("replica \(lag.text) behind") }
    if !snapshot.exact { texts.append("some are estimates") }
    guard !texts.isEmpty else { return nil }
    return StyledLine(canvas.indentation + texts.joined(separator: ", "))
  }

  /// The destinations in a table, those that stand out first, then the busiest; empty where there is one without a name.
  ///
  /// - Parameter limit: no more lines than this.
  func destinations(atMost limit: Int, canvas: WatchCanvas) -> [StyledLine] {
    guard let snapshot, limit >= 2 else { return [] }
    let all = snapshot.destinations
    guard all.count > 1 || all.contains(where: { $0.name != Snapshot.defaultDestination }) else { return [] }
    let verdicts = Dictionary(
      assessment.destinations.map { ($0.name, $0.verdict) }, uniquingKeysWith: { first, _ in first })
    let rank = { (name: String) in verdicts[name]?.urgency ?? Verdict.allCases.count }
    let ordered = all.enumerated().sorted { (rank($0.element.name), $0.offset) < (rank($1.element.name), $1.offset) }
      .map(\.element)
    let fits = ordered.count <= limit - 1
    let shown = fits ? ordered : Array(ordered.prefix(max(1, limit - 2)))
    let width = canvas.isNarrow ? 12 : min(30, max(18, (canvas.columns ?? 80) / 4))
    var lines = [Self.line(("destination", ["ready", "oldest", "stuck", "dead"]), nil, width, .faint, canvas)]
    for (name, figures) in shown {
      let cells = [
        figures.depth(.ready).fitting(7), figures.oldestAge.map { canvas.isNarrow ? $0.largestUnit : $0.text } ?? "-",
        figures.stuckCount.fitting(5), figures.deadCount.fitting(5),
      ]
      lines.append(Self.line((name, cells), verdicts[name], width, .plain, canvas))
    }
    if shown.count < ordered.count, lines.count < limit {
      lines.append(
        StyledLine("\(canvas.indentation)\(canvas.more) \(ordered.count - shown.count) more destinations", .faint))
    }
    return lines
  }

  private static func line(
    _ row: (name: String, cells: [String]), _ verdict: Verdict?, _ width: Int, _ style: StyledLine.Style,
    _ canvas: WatchCanvas
  ) -> StyledLine {
    let clean = TerminalText.cleaned(row.name, isASCII: canvas.isASCII)
    let name = TerminalText.cutInMiddle(clean, to: width, mark: canvas.cutMark)
    var text = canvas.indentation + name + String(repeating: " ", count: width - TerminalText.columns(name))
    for (cell, size) in zip(row.cells, canvas.isNarrow ? [5, 6, 5, 4] : [7, 7, 5, 5]) {
      text += (canvas.isNarrow ? " " : "  ") + String(repeating: " ", count: max(0, size - cell.count)) + cell
    }
    var line = StyledLine(text, style)
    if let verdict { line.append("  \(verdict.rawValue)", .health(verdict.isBad ? .critical : .ok)) }
    return line
  }
}

extension Verdict {
  /// The order in which a person looks: unknown is none of the bad ones, and stands after them.
  var urgency: Int {
    switch self {
    case .stalled: 0
    case .spinning: 1
    case .stuck: 2
    case .rewound: 3
    case .fallingBehind: 4
    case .unknown: 5
    case .draining: 6
    case .ok: 7
    case .idle: 8
    }
  }
}
