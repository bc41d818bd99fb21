extension Duration {
  /// The duration as people say it: the two largest units, e.g. `3m 20s`, `2d 4h`, `850ms`.
  package var text: String {
    let milliseconds = wholeNanoseconds / 1_000_000
    if milliseconds < 0 { return "-" + Duration.milliseconds(-milliseconds).text }
    if milliseconds < 1_000 { return "\(milliseconds)ms" }
    let seconds = milliseconds / 1_000
    if seconds < 10, milliseconds % 1_000 >= 100 { return "\(seconds).\(milliseconds % 1_000 / 100)s" }
    let units: [(Int64, String)] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
    guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0s" }
    let (size, name) = units[first]
    guard first + 1 < units.count else { return "\(seconds / size)\(name)" }
    let rest = seconds % size / units[first + 1].0
    return rest == 0 ? "\(seconds / size)\(name)" : "\(seconds / size)\(name) \(rest)\(units[first + 1].1)"
  }
}
