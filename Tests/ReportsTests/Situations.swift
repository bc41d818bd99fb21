import Assessment
import Outbox
import Reports

/// What `--once` can find, one of each kind. Goldens say how each is told.
enum Situation: String, CaseIterable {
  case ok, idle, warning, notInUse = "not-in-use"
  case criticalByLimit = "critical-by-limit"
  case criticalByVerdict = "critical-by-verdict"
  case destinationStalled = "destination-stalled"
  case unknown, several, acknowledged
  case acknowledgementExpired = "acknowledgement-expired"
  case pushed
  case pushFailed = "push-failed"
  case pushRequired = "push-required"
  case nothingWatched = "nothing-watched"

  var report: CycleReport {
    switch self {
    case .ok: Self.report([Self.draining])
    case .idle: Self.report([(sample("orders", .success(quiet)), Self.assessment(.idle, "nothing is due"))])
    case .warning: Self.report([Self.late(Limits(age: .init(warning: .seconds(180))))])
    case .notInUse:
      Self.report([(sample("orders", .success(Snapshot(storeTime: morning, missingPath: "/var/lib/x.db"))), nil)])
    case .criticalByLimit:
      Self.report([
        Self.late(Limits(age: .init(warning: .seconds(60), critical: .milliseconds(199_500)), stuck: .init(warning: 1)))
      ])
    case .criticalByVerdict: Self.report([Self.stalled])
    case .destinationStalled: Self.report([Self.oneOfMany])
    case .unknown: Self.report([Self.unreachable])
    case .several:
      Self.report(
        [Self.draining, Self.stalled, Self.unreachable, Self.late(Limits(ready: .init(warning: 100)))]
          .enumerated().map { index, pair in
            var pair = pair
            pair.0.outbox.name = ["orders", "mails", "bots/'a=b|c'", "hooks"][index]
            return pair
          })
    case .acknowledged: Self.report([Self.known(dead: 20, warning: 4)])
    case .acknowledgementExpired: Self.report([Self.known(dead: 20, warning: 1, after: .seconds(86_400))])
    case .pushed: Self.report([Self.draining], push: .delivered(points: 41))
    case .pushFailed: Self.report([Self.draining], push: Self.failedPush)
    case .pushRequired: Self.report([Self.draining], push: Self.failedPush, required: true)
    case .nothingWatched: Self.report([])
    }
  }

  private static let failedPush = CycleReport.Push.failed(
    "41 of 41 data points did not arrive at http://collector:4318/v1/metrics: connection refused")

  private static func report(
    _ pairs: [(OutboxSample, OutboxAssessment?)],
    push: CycleReport.Push = .notAttempted("no OTLP endpoint is configured"), required: Bool = false
  ) -> CycleReport {
    var assessments: [String: OutboxAssessment] = [:]
    for (sample, assessment) in pairs { assessments[sample.outbox.name] = assessment }
    return CycleReport(
      time: morning, samples: pairs.map(\.0), assessments: assessments, push: push, pushIsRequired: required)
  }

  private static func assessment(_ verdict: Verdict, _ sentence: String) -> OutboxAssessment {
    var assessment = OutboxAssessment(outbox: "orders")
    assessment.verdict = verdict
    assessment.sentence = sentence
    return assessment
  }

  private static func waiting(_ limits: Limits = Limits()) -> OutboxSample {
    var snapshot = busy
    snapshot.eventIDs = .init(oldest: ["118", "119"], stuck: ["117"], newestDead: ["9"])
    snapshot.implausible = 1
    return sample("orders", limits: limits, .success(snapshot))
  }

  private static var draining: (OutboxSample, OutboxAssessment?) {
    var assessment = assessment(.draining, "120 events ready, 2.4 a second fewer; empty in 50s (40s to 1m)")
    assessment.drainTime = TimeRange(expected: .seconds(50), earliest: .seconds(40), latest: .seconds(60))
    return (waiting(), assessment)
  }

  private static func late(_ limits: Limits) -> (OutboxSample, OutboxAssessment?) {
    (waiting(limits), assessment(.ok, "120 events ready, the oldest waits 3m 20s; at least 7 left in 1m"))
  }

  private static var stalled: (OutboxSample, OutboxAssessment?) {
    var assessment = assessment(.stalled, "120 events due, none left in 5m and none was tried; the oldest waits 3m 20s")
    assessment.breachTime = TimeRange(expected: .seconds(400), earliest: .seconds(400), latest: nil)
    return (waiting(), assessment)
  }

  private static var oneOfMany: (OutboxSample, OutboxAssessment?) {
    var assessment = assessment(.ok, "120 events ready, the oldest waits 3m 20s; at least 7 left in 1m")
    assessment.destinations = [
      .init(name: "sms", verdict: .stalled, sentence: "3 events due, none left in 5m"),
      .init(name: "email", verdict: .draining, sentence: "9 events ready"),
    ]
    return (waiting(), assessment)
  }

  private static var unreachable: (OutboxSample, OutboxAssessment?) {
    (
      sample(
        "orders",
        .failure(SampleFailure(.unreachable, "cannot connect | refused\nby 127.0.0.1", hint: "is the server running?"))),
      assessment(.unknown, "the last sample failed")
    )
  }

  private static func known(
    dead: Int, warning: Int, after delay: Duration = .zero
  ) -> (OutboxSample, OutboxAssessment?) {
    var sample = sample("orders", limits: Limits(dead: .init(warning: warning)), .success(quiet))
    let dead = [
      Snapshot.DeadLetters(destination: "email", count: dead - 3, oldest: .seconds(100)),
      .init(destination: "sms", count: 3, oldest: nil),
    ]
    sample.result = .success(.counts(Snapshot(storeTime: morning, dead: dead)))
    sample.startedAt = morning.advanced(by: delay)
    // The end of 2027-01-15 is 57,599.75 s after the morning.
    let end = Timestamp(seconds: 1_800_057_600)
    sample.outbox.acknowledgements = [
      Acknowledgement(dead: 10, reason: "ticket 4711", until: "2027-01-15", end: end),
      Acknowledgement(
        dead: 5, destination: "sms", reason: "the provider | is gone", until: "2027-02-28",
        end: end.advanced(by: .seconds(44 * 86_400))),
    ]
    return (sample, assessment(.idle, "nothing is due"))
  }
}
