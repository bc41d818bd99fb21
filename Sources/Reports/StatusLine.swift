import Assessment
import Outbox

extension CycleReport {
  /// How everything is, in one line: the worst outbox with its reason, then how many others there are.
  package var statusLine: String {
    let judgements = judgements
    guard
      let worst = judgements.enumerated().max(by: {
        ($0.element.health.severity, $1.offset) < ($1.element.health.severity, $0.offset)
      })?.element
    else { return "nothing is watched" }
    let others = judgements.count - 1
    guard let finding = worst.findings.first else {
      return "\(worst.health.rawValue): \(judgements.count) outbox\(judgements.count == 1 ? "" : "es")"
    }
    return "\(worst.health.rawValue): \(worst.outbox.name): \(finding.sentence)".printable
      + (others > 0 ? "; \(others) more" : "")
  }
}
