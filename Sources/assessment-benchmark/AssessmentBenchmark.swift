import Outbox

/// Simulates outboxes and compares who finds what is wrong with them.
///
///     swift run -c release assessment-benchmark [traces of each kind] [first seed]
@main
struct AssessmentBenchmark {
  static func main() {
    let arguments = CommandLine.arguments.dropFirst().compactMap { UInt64($0) }
    let perKind = arguments.first.map { Int($0) } ?? 500
    let seed = arguments.dropFirst().first ?? 1_000_000
    let comparison = Comparison.run(perKind: perKind, firstSeed: seed)
    print(comparison.markdown)
    if CommandLine.arguments.contains("--explain") { for line in comparison.falseAlarms { print(line) } }
  }
}
