/// Durations as people write them: `15s`, `1h30m`, `250ms`. A number without a unit is refused, since half of its
/// readers would take it for milliseconds.
package enum DurationText {
  private static let units: [(name: String, nanoseconds: Int64)] = [
    ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
    ("ms", 1_000_000), ("us", 1_000), ("ns", 1),
  ]

  /// What to tell somebody whose duration was refused.
  package static let hint = "write a whole number and a unit, for example 250ms, 15s, 5m or 1h30m"

  /// The duration; nil for anything else than whole numbers with units `d h m s ms us ns`, from large to small.
  package static func parse(_ text: String) -> Duration? {
    var rest = text[...]
    var total: Int64 = 0
    var smallest = -1
    repeat {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest.dropFirst(digits.count)
      let name = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest.dropFirst(name.count)
      guard let count = Int64(digits), let unit = units.firstIndex(where: { $0.name == name }), unit > smallest else {
        return nil
      }
      smallest = unit
      let (product, overflow) = count.multipliedReportingOverflow(by: units[unit].nanoseconds)
      let (sum, overflows) = total.addingReportingOverflow(product)
      if overflow || overflows { return nil }
      total = sum
    } while !rest.isEmpty
    return .nanoseconds(total)
  }

  /// The text that ``parse(_:)`` reads as this duration, as short as it gets. Only for durations that are not negative.
  package static func text(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    var rest = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    var text = ""
    for unit in units where rest >= unit.nanoseconds {
      text += "\(rest / unit.nanoseconds)\(unit.name)"
      rest %= unit.nanoseconds
    }
    return text.isEmpty ? "0s" : text
  }
}
