import Reports
import SystemCalls

/// Where `watch` draws: a terminal, on its second screen so that what stood there comes back, or a pipe.
final class WatchScreen {
  /// True for a terminal on which one can go back to a line that was drawn.
  let isTerminal: Bool
  /// True where a key can end it.
  let hasKeyboard: Bool
  private let keyboard: Keyboard?
  private let isASCII: Bool
  private let isColoured: Bool
  private var isOpen = false

  init(environment: [String: String]) {
    let terminal = environment["TERM"] ?? ""
    isTerminal = StandardStream.output.isTerminal && !terminal.isEmpty && terminal != "dumb"
    isASCII = WatchCanvas.isASCII(environment)
    isColoured = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty
    keyboard = isTerminal ? Keyboard() : nil
    hasKeyboard = keyboard != nil
  }

  /// What there is room for at the moment.
  var canvas: WatchCanvas {
    let size = StandardStream.output.size
    guard isTerminal else { return WatchCanvas(columns: size?.columns, isASCII: isASCII) }
    return WatchCanvas(
      columns: size?.columns ?? 80, rows: size?.rows ?? 24, isColoured: isColoured, isASCII: isASCII)
  }

  /// The keys that are pressed; none without a keyboard.
  var keys: AsyncStream<UInt8> { keyboard?.keys ?? AsyncStream { $0.finish() } }

  /// Shows a picture in the place of the one before; in a pipe, below it.
  ///
  /// - Throws: nobody reads any more.
  func draw(_ lines: [String]) throws(SystemError) {
    guard isTerminal else {
      try StandardStream.output.write(lines.joined(separator: "\n") + "\n\n")
      return
    }
    var text = ""
    if !isOpen {
      // The second screen, without a cursor, and with lines that are cut instead of going on in the next.
      text = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l"
      isOpen = true
    }
    // Line over line, and then what is left of a longer picture: so nothing flickers. A line is cleared before it is
    // written, since after its last column the cursor still stands on it.
    text += "\u{1b}[H" + lines.map { "\u{1b}[2K\($0)" }.joined(separator: "\r\n")
    text += lines.count < (StandardStream.output.size?.rows ?? 24) ? "\r\n\u{1b}[J" : ""
    try StandardStream.output.write(text)
  }

  /// Gives the terminal back as it was.
  ///
  /// - Parameter picture: what stays below what stood there.
  func close(leaving picture: [String] = []) {
    if isOpen {
      try? StandardStream.output.write(
        "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l" + picture.map { $0 + "\n" }.joined())
      isOpen = false
    }
    keyboard?.restore()
  }

  /// Takes the terminal again, after it was given back for a while.
  func reopen() { keyboard?.take() }
}
