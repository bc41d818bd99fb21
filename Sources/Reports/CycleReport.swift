package import Assessment
package import Outbox

/// What one cycle found, as people and programs are told.
package struct CycleReport: Sendable {
  /// What became of pushing the metrics.
  package enum Push: Sendable, Hashable {
    /// Nothing was pushed, and why.
    case notAttempted(String)
    /// All data points arrived at all endpoints.
    case delivered(points: Int)
    /// Something did not arrive; the sentence says what and why.
    case failed(String)
  }

  /// When the cycle began, on the exporter's wall clock.
  package var time: Timestamp
  /// The samples, in the order of the configuration.
  package var samples: [OutboxSample]
  /// What the trend of each outbox says, by its name; one that is missing is unknown.
  package var assessments: [String: OutboxAssessment]
  /// What became of the push.
  package var push: Push
  /// Whether a push that fails is CRITICAL.
  package var pushIsRequired: Bool
  /// What an operator should know about the samples of earlier runs, in a sentence. It worsens nothing.
  package var memoryTrouble: String?

  /// A report.
  package init(
    time: Timestamp, samples: [OutboxSample], assessments: [String: OutboxAssessment] = [:], push: Push,
    pushIsRequired: Bool = false, memoryTrouble: String? = nil
  ) {
    self.time = time
    self.samples = samples
    self.assessments = assessments
    self.push = push
    self.pushIsRequired = pushIsRequired
    self.memoryTrouble = memoryTrouble
  }

  /// The judgement of each sample, in the same order.
  package var judgements: [Judgement] { samples.map { Judgement($0, assessments[$0.outbox.name]) } }

  /// What the trend of an outbox says.
  package func assessment(of outbox: WatchedOutbox) -> OutboxAssessment {
    assessments[outbox.name] ?? OutboxAssessment(outbox: outbox.name)
  }

  /// The worst of all outboxes, UNKNOWN where there is none, and CRITICAL where a push failed that is required.
  package var health: Health {
    Health.worst([
      samples.isEmpty ? .unknown : Health.worst(judgements.map(\.health)), missedPush == nil ? .ok : .critical,
    ])
  }

  /// Why a push failed that is required; nil where all is well.
  package var missedPush: String? {
    if case .failed(let message) = push, pushIsRequired { "the push failed: \(message)" } else { nil }
  }
}

extension Timestamp {
  /// The time in UTC as RFC 3339 has it, to the millisecond.
  package var text: String {
    let milliseconds = floorDivision(nanoseconds, 1_000_000)
    let days = floorDivision(milliseconds, 86_400_000)
    let rest = milliseconds - days * 86_400_000
    let (year, month, day) = civil(days: days)
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60)
    return "\(year)-\(two(month))-\(two(day))T\(two(hour)):\(two(minute)):\(two(rest / 1_000 % 60))"
      + ".\(rest % 1_000 < 100 ? "0" : "")\(rest % 1_000 < 10 ? "0" : "")\(rest % 1_000)Z"
  }

  private func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }

  private func floorDivision(_ number: Int64, _ divisor: Int64) -> Int64 {
    let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }

  /// Year, month and day of a day since 1970 in the proleptic Gregorian calendar: counted in eras of 400 years that
  /// begin on a 1 March, so that the leap day comes last.
  private func civil(days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468
    let era = floorDivision(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}
