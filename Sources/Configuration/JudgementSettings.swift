import Outbox

/// How an outbox is judged.
extension ConfigurationReader {
  mutating func objective(_ value: FileValue?) -> Objective? {
    guard let value, let keys = mapping(value) else { return nil }
    guard keys["age"] != nil, keys["target"] != nil else {
      problem(place(value), "an objective needs `age` and `target`", "for example objective: {age: 60s, target: 0.999}")
      return nil
    }
    let age = duration(keys["age"])
    var target: Double?
    if let text = text(keys["target"]) {
      let number = text.text.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") } ? Double(text.text) : nil
      if let number, number > 0, number <= 1 {
        target = number
      } else {
        problem(text.place, "`\(text.shown)` is not a share above 0 and at most 1", "for example 0.999")
      }
    }
    if let age, let value = keys["age"], age == .zero { problem(place(value), "the age has to be more than zero") }
    guard let age, let target else { return nil }
    return Objective(age: age, target: target)
  }

  /// What the verdicts written here mean; the others are kept.
  mutating func verdicts(_ value: FileValue?, over base: VerdictHealth) -> VerdictHealth {
    var verdicts = base
    for (name, place, value) in namedEntries(value, "<verdict>") {
      guard let verdict = Verdict(rawValue: name) else {
        let known = Verdict.allCases.filter { $0 != .unknown }.map(\.rawValue)
        problem(place, "unknown verdict\(Self.shown(key: name))", Suggestion.hint(for: name, among: known))
        continue
      }
      if verdict == .unknown {
        problem(place, "`unknown` worsens nothing", "a sample that fails is UNKNOWN by itself; leave the key away")
        continue
      }
      let named = FileValue(node: value.node, key: name)
      if let health: HealthWord = choice(named) { verdicts[verdict] = health.health }
    }
    return verdicts
  }

  private enum HealthWord: String, CaseIterable {
    case ok
    case warning
    case critical

    var health: Health {
      switch self {
      case .ok: .ok
      case .warning: .warning
      case .critical: .critical
      }
    }
  }

  /// The limits written here; the others are kept. `never` takes one away.
  mutating func limits(_ value: FileValue?, over base: Limits) -> Limits {
    guard let keys = mapping(value) else { return base }
    var limits = base
    limits.age = pair(keys["age"], over: base.age) { (reader, value) in reader.duration(value) }
    limits.ready = pair(keys["ready"], over: base.ready) { (reader, value) in reader.integer(value, from: 1) }
    limits.stuck = pair(keys["stuck"], over: base.stuck) { (reader, value) in reader.integer(value, from: 1) }
    limits.dead = pair(keys["dead"], over: base.dead) { (reader, value) in reader.integer(value, from: 1) }
    return limits
  }

  private mutating func pair<Value>(
    _ value: FileValue?, over base: Limits.Pair<Value>, read: (inout ConfigurationReader, FileValue) -> Value?
  ) -> Limits.Pair<Value> {
    guard let value, let keys = mapping(value) else { return base }
    var pair = base
    if let warning = keys["warning"] { pair.warning = warning.isNever ? nil : read(&self, warning) }
    if let critical = keys["critical"] { pair.critical = critical.isNever ? nil : read(&self, critical) }
    if let warning = pair.warning, let critical = pair.critical, warning > critical {
      problem(
        place(value), "the warning limit of `\(Self.lastPart(value.key))` is beyond its critical limit",
        "where only one is written, the layout's own counts for the other: write both, or `never`")
    }
    return pair
  }

  /// Dead letters that somebody knows of. Whoever says neither why nor until when would hide tomorrow's behind them.
  mutating func acknowledgement(_ value: FileValue) -> Acknowledgement? {
    guard let keys = mapping(value) else { return nil }
    for key in ["dead", "reason", "until"] where keys[key] == nil {
      problem(
        place(value), "`\(key)` is missing",
        "for example acknowledged: [{dead: 17, reason: ticket 4711, until: 2026-12-01}]")
    }
    let dead = keys["dead"].flatMap { integer($0, from: 1) }
    let destination = string(keys["destination"])
    let reason = string(keys["reason"])
    var end: Timestamp?
    let until = text(keys["until"])
    if let until {
      end = CalendarDay(until.text)?.end
      if end == nil { problem(until.place, "`\(until.shown)` is not a day", "write it as 2026-12-01") }
    }
    guard let dead, let reason, let until, let end else { return nil }
    return Acknowledgement(dead: dead, destination: destination, reason: reason, until: until.text, end: end)
  }

  /// A name goes to terminals, logs and backends.
  mutating func checkControls(_ name: String?, at place: ConfigurationPlace) {
    let isControl = { (scalar: Unicode.Scalar) in
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator: true
      default: scalar.properties.isBidiControl
      }
    }
    if let name, name.unicodeScalars.contains(where: isControl) {
      problem(place, "the outbox's name holds a control character", "leave it away")
    }
  }
}
