import Assessment
import Outbox

/// What `watch` shows: every outbox in a row, the worst first, and below it as much of the reasons and destinations as
/// there is room for. A pure function of what was seen and of the size of the terminal.
package struct WatchPicture {
  private let items: [WatchItem]
  private let history: WatchHistory
  private let interval: Duration
  private let canvas: WatchCanvas
  private let footer: String

  /// A picture.
  ///
  /// - Parameters:
  ///   - interval: between two samples.
  ///   - footer: what the keys do; not shown in a pipe, nor where there is no room for it.
  package init(_ history: WatchHistory, interval: Duration, footer: String = "", on canvas: WatchCanvas) {
    self.history = history
    self.interval = interval
    self.canvas = canvas
    self.footer = footer
    items = history.entries.values.map(WatchItem.init).sorted(by: WatchItem.worstFirst)
  }

  /// The lines, none wider than the canvas and no more than it has rows, without line breaks.
  package var lines: [String] {
    let all = canvas.rows.map { screen(rows: $0) } ?? page
    return all.map { $0.text(on: canvas) }
  }

  /// Everything, for a pipe.
  private var page: [StyledLine] {
    let columns = WatchColumns(items, on: canvas)
    var lines = [headline]
    guard !items.isEmpty else { return lines }
    lines.append(columns.titles(span: span))
    for item in items {
      lines.append(columns.row(item))
      guard item.isNotable else { continue }
      lines += item.reasons(at: history.time, width: canvas.columns, canvas: canvas)
      lines += item.destinations(atMost: 7, canvas: canvas)
    }
    return lines
  }

  /// As much as fits the rows, for a terminal.
  private func screen(rows: Int) -> [StyledLine] {
    let hasFooter = rows >= 12 && !footer.isEmpty
    let hasGap = rows >= 12
    let columns = WatchColumns(items, on: canvas)
    var lines = [headline] + (hasGap ? [StyledLine()] : [])
    if !items.isEmpty { lines.append(columns.titles(span: span)) }
    let room = max(0, rows - lines.count - (hasFooter ? 1 : 0))
    let (shown, details) = share(room, chart: columns.chart)
    for (item, below) in zip(items, details) { lines += [columns.row(item)] + below }
    if shown < items.count { lines.append(rest(after: shown)) }
    lines = Array(lines.prefix(rows))
    if hasFooter {
      lines += Array(repeating: StyledLine(), count: max(0, rows - 1 - lines.count)) + [StyledLine(footer, .faint)]
    }
    return lines
  }

  /// How many outboxes are shown, and what stands below each of them.
  private func share(_ room: Int, chart columns: Int) -> (shown: Int, details: [[StyledLine]]) {
    let everyRowFits = items.count <= room
    // Where not even the rows fit, the reasons of the worst are worth a third of them.
    var rest = everyRowFits ? room - items.count : room / 3
    var details = Array(repeating: [StyledLine](), count: items.count)
    func add(_ index: Int, _ lines: [StyledLine]) {
      let added = lines.prefix(rest)
      details[index] += added
      rest -= added.count
    }
    for (index, item) in items.enumerated() where item.isNotable && index < max(1, room / 2) {
      add(index, item.reasons(at: history.time, width: canvas.columns, canvas: canvas))
    }
    if everyRowFits {
      for isNotable in [true, false] {
        for (index, item) in items.enumerated() where item.isNotable == isNotable {
          if !isNotable { add(index, item.reasons(at: history.time, width: canvas.columns, canvas: canvas)) }
          if let figures = item.figures(on: canvas) { add(index, [figures]) }
          // Several outboxes share the room; one alone may take it.
          add(index, item.destinations(atMost: min(rest, items.count == 1 ? rest : 6), canvas: canvas))
        }
      }
      for (index, item) in items.enumerated() where item.entry.points.count > columns {
        add(index, chart(item))
      }
    }
    let used = details.reduce(0) { $0 + $1.count }
    let shown = everyRowFits ? items.count : max(0, room - 1 - used)
    return (shown, Array(details.prefix(shown)))
  }

  /// The backlog over all that is kept, as wide as the terminal.
  private func chart(_ item: WatchItem) -> [StyledLine] {
    guard item.entry.points.count > 1, let width = canvas.columns, width >= 60 else { return [] }
    let bars = Sparkline.text(item.entry.backlog(in: min(WatchHistory.capacity, width - 30)), isASCII: canvas.isASCII)
    let peak = item.entry.points.compactMap(\.backlog).max() ?? 0
    return [StyledLine("\(canvas.indentation)backlog \(bars)  peak \(peak.fitting(7))")]
  }

  private var span: Duration { items.map(\.entry.span).max() ?? .zero }

  private var headline: StyledLine {
    guard let time = history.time else {
      return StyledLine("waiting for the first answers; sampling every \(interval.text)")
    }
    let health = Health.worst(items.map(\.health))
    let left = items.count == 1 ? "  1 outbox" : "  \(items.count) outboxes: \(Self.counts(items))"
    guard let width = canvas.columns, canvas.rows != nil else {
      return StyledLine("\(time.text)  \(health.rawValue)\(left)")
    }
    var line = StyledLine(health.rawValue, health == .ok ? .strong : .health(health))
    line.append(left)
    let moment = "\(time.text.dropFirst(11).prefix(8))Z"
    let free = width - health.rawValue.count - left.count
    if let right = [" every \(interval.text)  \(moment)", " \(moment)"].first(where: { $0.count <= free }) {
      line.append(String(repeating: " ", count: free - right.count) + right, .faint)
    }
    return line
  }

  private func rest(after shown: Int) -> StyledLine {
    let others = Array(items.dropFirst(shown))
    return StyledLine("\(canvas.more) \(others.count) more: \(Self.counts(others))", .faint)
  }

  /// How many there are of each health, the worst first.
  private static func counts(_ items: [WatchItem]) -> String {
    let counts = Dictionary(grouping: items, by: \.health).mapValues(\.count)
    return counts.sorted { $0.key.severity > $1.key.severity }.map { "\($0.value) \($0.key.rawValue)" }
      .joined(separator: ", ")
  }
}
