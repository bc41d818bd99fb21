import Assessment
import Outbox
import Testing

@Suite struct `A verdict's part in health` {
  private func judgement(
    _ verdict: Verdict, destinations: [(String, Verdict)] = [], verdicts: VerdictHealth = .standard,
    limits: Limits = Limits(), dead: Int = 0
  ) -> Judgement {
    let outbox = WatchedOutbox(name: "o", layout: "l", system: .sqlite, limits: limits, verdicts: verdicts)
    var assessment = OutboxAssessment(outbox: "o")
    assessment.verdict = verdict
    assessment.sentence = "because"
    assessment.destinations = destinations.map { .init(name: $0, verdict: $1, sentence: "since") }
    let time = Timestamp(nanoseconds: 0)
    let snapshot = Snapshot(storeTime: time, dead: [.init(destination: "d", count: dead, oldest: nil)])
    return Judgement(
      OutboxSample(outbox: outbox, startedAt: time, duration: .zero, result: .success(snapshot)), assessment)
  }

  @Test(
    arguments: [
      (.stalled, .critical), (.spinning, .critical), (.stuck, .critical), (.fallingBehind, .warning),
      (.rewound, .warning), (.draining, .ok), (.ok, .ok), (.idle, .ok), (.unknown, .ok),
    ] as [(Verdict, Health)])
  func `is fixed where nobody says otherwise`(verdict: Verdict, health: Health) {
    let judgement = judgement(verdict)
    #expect(judgement.health == health)
    #expect(
      judgement.findings == (health == .ok ? [] : [.init(health: health, sentence: "\(verdict.rawValue): because")]))
  }

  @Test(arguments: Verdict.allCases, [Health.ok, .warning, .critical])
  func `is what the user says, but for unknown`(verdict: Verdict, health: Health) {
    var verdicts = VerdictHealth.standard
    verdicts[verdict] = health
    #expect(judgement(verdict, verdicts: verdicts).health == (verdict == .unknown ? .ok : health))
    for other in Verdict.allCases where other != verdict {
      #expect(verdicts[other] == VerdictHealth.standard[other])
    }
    // Said twice, the last word counts, also where it is the standard one.
    verdicts[verdict] = VerdictHealth.standard[verdict]
    #expect(verdicts == .standard)
  }

  @Test func `counts beside the limits, and the worst of both is the health`() {
    let limits = Limits(dead: .init(warning: 1, critical: 3))
    #expect(judgement(.ok, limits: limits, dead: 1).health == .warning)
    #expect(judgement(.stalled, limits: limits, dead: 1).health == .critical)
    #expect(judgement(.rewound, limits: limits, dead: 3).health == .critical)
    #expect(judgement(.rewound, limits: limits, dead: 3).findings.map(\.health) == [.critical, .warning])
  }

  @Test func `of a destination counts where it is worse than that of the whole`() {
    let one = judgement(.ok, destinations: [("sms", .stalled), ("fax", .rewound), ("mail", .draining)])
    #expect(one.health == .critical)
    #expect(one.findings.map(\.sentence) == ["sms stalled: since", "fax rewound: since"])
    let behind = judgement(.fallingBehind, destinations: [("sms", .stalled), ("fax", .fallingBehind)])
    #expect(behind.health == .critical)
    #expect(behind.findings.map(\.sentence) == ["sms stalled: since", "falling_behind: because"])
    let all = judgement(.stalled, destinations: [("sms", .stalled), ("fax", .fallingBehind)])
    #expect(all.findings.map(\.sentence) == ["stalled: because"])
  }

  @Test func `of a sample that failed is none`() {
    var assessment = OutboxAssessment(outbox: "o")
    assessment.verdict = .stalled
    let sample = OutboxSample(
      outbox: WatchedOutbox(name: "o", layout: "l", system: .sqlite), startedAt: Timestamp(nanoseconds: 0),
      duration: .zero, result: .failure(SampleFailure(.absent, "gone")))
    #expect(Judgement(sample, assessment).health == .unknown)
  }
}
