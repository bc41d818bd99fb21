/// Numbers over time as a row of bars, for a terminal.
package enum Sparkline {
  private static let bars = Array("▁▂▃▄▅▆▇█")
  private static let plainBars = Array("_.:-=+*#")

  /// A row of bars, the highest as high as the largest number. Only zero has the lowest bar; what is not known has none.
  ///
  /// - Parameter isASCII: for a terminal that shows nothing else.
  package static func text(_ numbers: some Collection<Int?>, isASCII: Bool = false) -> String {
    let bars = isASCII ? plainBars : bars
    let highest = max(numbers.compactMap { $0 }.max() ?? 0, 1)
    return String(
      numbers.map { number -> Character in
        guard let number else { return " " }
        // In floating point, since a table may hold more rows than an eighth of the largest integer.
        let level = Int(Double(max(0, number)) * Double(bars.count) / (Double(highest) + 1))
        return bars[min(bars.count - 1, number > 0 ? max(1, level) : 0)]
      })
  }
}
