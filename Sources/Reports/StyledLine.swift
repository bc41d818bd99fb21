import Outbox

/// A line of a picture: pieces of text, each with what a terminal does to make it stand out.
struct StyledLine: Sendable, Hashable {
  /// How a piece stands out.
  enum Style: Sendable, Hashable {
    case plain
    case strong
    case faint
    case health(Health)
  }

  private var pieces: [(text: String, style: Style)]

  static func == (left: StyledLine, right: StyledLine) -> Bool { left.pieces.elementsEqual(right.pieces, by: ==) }

  func hash(into hasher: inout Hasher) { for piece in pieces { hasher.combine(piece.text) } }

  init(_ text: String = "", _ style: Style = .plain) {
    pieces = [(text, style)]
  }

  mutating func append(_ text: String, _ style: Style = .plain) { pieces.append((text, style)) }

  /// The line as it is printed: cleaned of everything that the terminal would obey, and no wider than the canvas.
  func text(on canvas: WatchCanvas) -> String {
    var line = ""
    var rest = canvas.columns ?? .max
    for (index, piece) in pieces.enumerated() {
      var text = TerminalText.cleaned(piece.text, isASCII: canvas.isASCII)
      if index == pieces.count - 1 { while text.last == " " { text.removeLast() } }
      let shown = TerminalText.cut(text, to: rest, mark: canvas.cutMark)
      rest -= TerminalText.columns(shown)
      line += canvas.isColoured ? piece.style.wrap(shown) : shown
      if shown != text { break }
    }
    return line
  }
}

extension StyledLine.Style {
  fileprivate func wrap(_ text: String) -> String {
    let code =
      switch self {
      case .plain: ""
      case .strong: "1"
      case .faint: "2"
      case .health(.ok): "32"
      case .health(.warning): "1;33"
      case .health(.unknown): "1;35"
      case .health(.critical): "1;31"
      }
    return code.isEmpty || text.isEmpty ? text : "\u{1b}[\(code)m\(text)\u{1b}[0m"
  }
}
