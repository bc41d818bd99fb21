import Assessment
import Outbox

/// The judges on the same traces.
struct Comparison: Sendable {
  /// By kind, in the order of the judges.
  var tallies: [Scenario.Kind: [String: Tally]] = [:]
  /// What the verdict was at the end of each trace, by kind.
  var lastVerdicts: [Scenario.Kind: [Verdict: Int]] = [:]
  /// Stated drain times, and those whose range held the truth.
  var ranges = (stated: 0, held: 0)
  var traces = 0
  var falseAlarms: [String] = []

  static let judges = [OurVerdict.name, Burrow.name, DepthOverThreshold.name]

  /// Draws traces of each kind from seeds that follow each other.
  static func run(perKind: Int, firstSeed: UInt64, kinds: [Scenario.Kind] = Scenario.Kind.allCases) -> Comparison {
    var comparison = Comparison()
    for kind in kinds {
      var seed = firstSeed
      var drawn = 0
      while drawn < perKind {
        seed += 1
        guard let trace = Trace(Scenario(kind, seed: seed)) else { continue }
        drawn += 1
        comparison.add(trace)
      }
    }
    return comparison
  }

  mutating func add(_ trace: Trace) {
    traces += 1
    let kind = trace.scenario.kind
    var (ours, burrow, depth) = (OurVerdict(), Burrow(), DepthOverThreshold())
    var alarms: [[Bool]] = [[], [], []]
    for (index, look) in trace.looks.enumerated() {
      alarms[0].append(ours.isBad(look))
      alarms[1].append(burrow.isBad(look))
      alarms[2].append(depth.isBad(look))
      let isHealthyYet = trace.badFrom.map { index < $0 } ?? true
      if alarms[0][index], isHealthyYet, !alarms[0].dropLast().contains(true) {
        let bad = ours.assessment.destinations.first
        falseAlarms.append(
          "\(kind.rawValue) seed \(trace.scenario.seed) sample \(index): \(ours.assessment.verdict) "
            + "\(ours.assessment.sentence) \(bad.map { "\($0.name) \($0.verdict) \($0.sentence)" } ?? "")")
      }
      // A drain time is stated often in one trace; each is counted, and the trace has to be as it was until then.
      if let range = ours.assessment.drainTime, kind == .burstAndDrain, trace.badFrom == nil {
        let now = Double(index + 1) * 15
        let isDisturbed = trace.scenario.bursts.contains { Double($0.sample * 15) > now }
        if !isDisturbed, let empty = trace.emptyAt.first(where: { $0 >= now }) {
          ranges.stated += 1
          let actual = Duration.seconds(empty - now)
          if actual >= range.earliest, actual <= range.latest ?? actual { ranges.held += 1 }
        }
      }
    }
    for (name, alarms) in zip(Self.judges, alarms) {
      tallies[kind, default: [:]][name, default: Tally()].add(alarms, of: trace)
    }
    lastVerdicts[kind, default: [:]][ours.assessment.worst, default: 0] += 1
  }

  func total(_ judge: String) -> Tally {
    tallies.values.reduce(Tally()) { $0 + ($1[judge] ?? Tally()) }
  }
}
