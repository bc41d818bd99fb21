/// A stage of an incident: what was to begin in it, and how well it was played.
struct IncidentStage {
  let name: String
  /// When it began, in Unix seconds.
  let start: Double
  let firing: Set<String>
  let passing: Set<String>
  /// For how long, at most, a part of the rehearsal did nothing.
  let pause: Double

  /// What of that which began in it is not in the script, and what of the script did not begin.
  func surprises(_ begun: [IncidentWatch.Seen]) -> [String] {
    let missing = firing.filter { alert in !begun.contains(.init(alert, isFiring: true)) }
    let unexpected = Set(begun).filter { seen in
      !firing.contains(seen.alert) && (seen.isFiring || !passing.contains(seen.alert))
    }
    let passed = Set(begun).filter { passing.contains($0.alert) && !$0.isFiring }.map(\.alert).sorted()
    if !passed.isEmpty { print("\(name): for a while also \(passed.joined(separator: ", "))") }
    return missing.sorted().map { "\($0) does not fire" } + unexpected.sorted().map { "\($0)" }
  }
}
