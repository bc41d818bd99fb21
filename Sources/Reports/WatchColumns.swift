import Assessment
import Outbox

/// The table of `watch`: which columns there is room for, and how wide they are. A column does not change its width while
/// the numbers in it do.
struct WatchColumns {
  private let canvas: WatchCanvas
  private let name: Int
  private let figure: Int
  private let rate: Int
  /// How many columns the backlog over time has; 0 where there is no room for it.
  let chart: Int
  private let drain: Int
  private static let verdict = Verdict.fallingBehind.rawValue.count
  private static let gap = "  "
  /// What stands before the name.
  private static let mark = 2

  /// The columns for some outboxes.
  init(_ items: [WatchItem], on canvas: WatchCanvas) {
    self.canvas = canvas
    let longest = items.map { TerminalText.columns(TerminalText.cleaned($0.name, isASCII: canvas.isASCII)) }.max() ?? 0
    let rateWidth = items.contains { if case .counted = $0.flow { true } else { false } } ? 13 : 9
    guard let width = canvas.columns else {
      (name, figure, rate, drain, chart) = (max(6, longest), 7, rateWidth, 7, 0)
      return
    }
    figure = canvas.isNarrow ? 5 : 7
    let others = Self.mark + Self.verdict + 2 * figure + 3 * Self.gap.count
    name = min(max(6, longest), canvas.isNarrow ? max(6, width - others) : min(30, width / 4))
    var rest = width - name - others
    /// Takes a column from what is left, where it leaves enough.
    func take(_ wanted: Int, leaving other: Int = 0) -> Int {
      guard rest - wanted - Self.gap.count >= other else { return 0 }
      rest -= wanted + Self.gap.count
      return wanted
    }
    rate = take(rateWidth)
    drain = take(7, leaving: 22)
    chart = rest >= 12 ? min(60, rest - Self.gap.count) : 0
  }

  /// The titles.
  func titles(span: Duration) -> StyledLine {
    line(
      StyledLine("  "), "outbox", ("verdict", .faint), canvas.isNarrow ? "ready" : "backlog",
      canvas.isNarrow ? "age" : "oldest", "rate", "drains",
      span == .zero ? "" : "last \(span.largestUnit)", .faint)
  }

  /// The row of an outbox.
  func row(_ item: WatchItem) -> StyledLine {
    let backlog = item.backlog.map { $0.fitting(figure) } ?? "-"
    let oldest = item.oldest.map { canvas.isNarrow ? $0.largestUnit : $0.text } ?? "-"
    let drains = item.assessment.drainTime.map { $0.expected.text } ?? "-"
    return line(
      StyledLine(item.health.mark, item.health == .ok ? .plain : .health(item.health)), item.name,
      (item.verdict.rawValue, item.health == .ok ? .plain : .health(item.health)), backlog, oldest,
      item.flow.map(\.text) ?? "-", drains, Sparkline.text(item.entry.backlog(in: chart), isASCII: canvas.isASCII),
      .strong)
  }

  private func line(
    _ mark: StyledLine, _ name: String, _ verdict: (String, StyledLine.Style), _ backlog: String, _ oldest: String,
    _ rate: String,
    _ drains: String, _ chart: String, _ style: StyledLine.Style
  ) -> StyledLine {
    let faint = style == .faint ? style : .plain
    var line = mark
    line.append(cell(name, self.name, left: true), style)
    line.append(Self.gap)
    line.append(cell(verdict.0, Self.verdict, left: true), verdict.1)
    var figures = [cell(backlog, figure), cell(oldest, figure)]
    if self.rate > 0 { figures.append(cell(rate, self.rate)) }
    if drain > 0 { figures.append(cell(drains, drain)) }
    line.append(figures.map { Self.gap + $0 }.joined(), faint)
    if self.chart > 0 { line.append(Self.gap + chart, faint) }
    return line
  }

  private func cell(_ text: String, _ width: Int, left: Bool = false) -> String {
    let clean = TerminalText.cleaned(text, isASCII: canvas.isASCII)
    let shown = TerminalText.cutInMiddle(clean, to: width, mark: canvas.cutMark)
    let padding = String(repeating: " ", count: max(0, width - TerminalText.columns(shown)))
    return left ? shown + padding : padding + shown
  }
}

extension Health {
  /// What the eye finds at the left edge, also without colours.
  fileprivate var mark: String {
    switch self {
    case .ok: "  "
    case .warning: "! "
    case .unknown: "? "
    case .critical: "X "
    }
  }
}

extension WatchHistory.Flow {
  /// The rate for people: with a sign for a change, or what comes and what goes.
  var text: String {
    switch self {
    case .net(let rate): rate.rateText(sign: true)
    case .counted(let enqueued, let left):
      "+\(enqueued.rateDigits) -\(left.rateDigits)/s"
    }
  }
}

extension Double {
  /// At least a tenth a second in seconds, less in minutes.
  fileprivate func rateText(sign: Bool) -> String {
    let (value, unit) = magnitude >= 0.1 || self == 0 ? (self, "s") : (self * 60, "min")
    let digits = value.magnitude.rateDigits
    return (digits == "0" ? "" : value < 0 ? "-" : "+") + digits + "/\(unit)"
  }

  /// Two digits that matter, no sign: `0.3`, `1.2`, `12`, `1200`, `12k`.
  fileprivate var rateDigits: String {
    let tenths = (magnitude * 10).rounded()
    if tenths == 0 { return "0" }
    if tenths < 100 { return "\(Int(tenths) / 10).\(Int(tenths) % 10)" }
    return Int(min(magnitude, 1e15).rounded()).fitting(4)
  }
}

extension Int {
  /// The number in so many columns: in thousands, millions and so on where it does not fit otherwise.
  func fitting(_ width: Int) -> String {
    var (number, unit) = (self, "")
    for larger in ["k", "M", "G", "T", "P", "E"] where "\(number)\(unit)".count > width {
      (number, unit) = (number / 1_000, larger)
    }
    return "\(number)\(unit)"
  }
}

extension Duration {
  /// The duration in its largest unit alone, e.g. `3m`.
  var largestUnit: String { String(text.prefix { $0 != " " }) }
}
