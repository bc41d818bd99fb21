import Assessment
import Outbox
import Reports

/// 2027-01-15T08:00:00.250Z
let morning = Timestamp(nanoseconds: 1_800_000_000_250_000_000)

func sample(
  _ name: String, layout: String = "praisonai", limits: Limits = Limits(), _ result: Result<Snapshot, SampleFailure>
) -> OutboxSample {
  OutboxSample(
    outbox: WatchedOutbox(name: name, layout: layout, system: .sqlite, limits: limits), startedAt: morning,
    duration: .milliseconds(3), result: result)
}

func report(_ samples: [OutboxSample], push: CycleReport.Push = .notAttempted("no OTLP endpoint is configured"))
  -> CycleReport
{
  CycleReport(time: morning, samples: samples, push: push)
}

let busy = Snapshot(
  storeTime: morning,
  depths: [
    .init(destination: "email", state: .ready, retry: false, count: 120),
    .init(destination: "email", state: .claimed, retry: true, count: 3),
    .init(destination: "sms", state: .scheduled, retry: true, count: 7),
    .init(destination: "sms", state: .parked, retry: false, count: 1),
    .init(destination: "sms", state: .unknown, retry: false, count: 2),
  ],
  ages: [
    .init(destination: "email", retry: false, oldest: .seconds(200), median: .seconds(1), p99: .seconds(2)),
    .init(destination: "sms", retry: true, oldest: .seconds(90), median: nil, p99: nil),
  ],
  stuck: [.init(destination: "email", reason: .leaseExpired, count: 2, oldest: .seconds(30))],
  dead: [.init(destination: "fax", count: 4, oldest: .milliseconds(86_400_500))])

let quiet = Snapshot(storeTime: morning)

/// A generator whose seed is printed where a property fails (SplitMix64, Steele and others 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
