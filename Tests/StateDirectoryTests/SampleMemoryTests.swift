import Assessment
import Outbox
import SQLiteClient
import StateDirectory
import TestSupport
import Testing

let epoch = Timestamp(seconds: 1_800_000_000)
let outbox = WatchedOutbox(name: "orders", layout: "praisonai", system: .sqlite)

/// A sample in which three events wait and do not move: ready since the epoch.
func standing(_ outbox: WatchedOutbox = outbox, after seconds: Double) -> OutboxSample {
  let time = epoch.advanced(by: .seconds(seconds))
  let age = Duration.seconds(seconds + 60)
  return OutboxSample(
    outbox: outbox, startedAt: time, duration: .zero,
    result: .success(
      Snapshot(
        storeTime: time, depths: [.init(destination: "email", state: .ready, retry: false, count: 3)],
        ages: [.init(destination: "email", retry: false, oldest: age, median: age, p99: age)])))
}

func failed(after seconds: Double) -> OutboxSample {
  OutboxSample(
    outbox: outbox, startedAt: epoch.advanced(by: .seconds(seconds)), duration: .zero,
    result: .failure(SampleFailure(.unreachable, "nobody answers")))
}

/// Runs that each open a memory of their own, as processes do.
struct Runs {
  let directory: TemporaryDirectory
  var rhythm = SampleRhythm.once
  var source = "here"

  init(_ rhythm: SampleRhythm = .once) throws {
    directory = try TemporaryDirectory()
    self.rhythm = rhythm
  }

  var path: String { SampleMemory.path(in: directory.path) }

  func memory() -> SampleMemory {
    let source = source
    return SampleMemory(directory: directory.path, rhythm: rhythm) { _ in source }
  }

  /// One run: what it is told of the runs before, then its sample is kept.
  @discardableResult func run(_ sample: OutboxSample) async -> (assessment: OutboxAssessment, trouble: String?) {
    let memory = memory()
    var window = await memory.window(of: sample.outbox, now: sample.startedAt)
    window.append(sample)
    await memory.keep([sample], now: sample.startedAt)
    return (OutboxAssessment(window, of: sample.outbox), await memory.takeTrouble())
  }

  /// How many samples the file holds.
  func count() throws -> Int {
    Int(try SQLiteConnection(path: path, access: .readOnly).integer("SELECT count(*) FROM samples") ?? -1)
  }
}

@Suite struct `The samples of earlier runs` {
  @Test func `give a run the verdict of a process that never ended`() async throws {
    let runs = try Runs()
    var window = SampleWindow()
    for step in 0..<90 {
      let sample = step == 40 ? failed(after: 12_000) : standing(after: Double(step) * 300)
      window.append(sample)
      let (assessment, trouble) = await runs.run(sample)
      #expect(assessment == OutboxAssessment(window, of: outbox), "run \(step)")
      #expect(trouble == nil)
    }
    let last = await runs.run(standing(after: 90 * 300))
    #expect(last.assessment.verdict == .stalled)
  }

  @Test func `tell what readings have cost, to whoever reads the same outbox`() async throws {
    var runs = try Runs(.sidecar(interval: .seconds(15)))
    var sample = standing(after: 0)
    func cost(_ seconds: Double, isEstimate: Bool = false) -> ReadingCost {
      ReadingCost(isEstimate: isEstimate, seconds: seconds, time: sample.startedAt)
    }
    let memory = runs.memory()
    #expect(await memory.costs(of: [outbox]).isEmpty)
    sample.costs = [cost(5), cost(0.25, isEstimate: true)]
    await memory.keep(costs: [sample], now: sample.startedAt)
    // The last one of each kind counts, and what a part of the outbox has cost is its own.
    sample.costs = [cost(2.5)]
    var part = sample
    part.outbox.name += "/part"
    part.costs = [cost(1)]
    await memory.keep(costs: [sample, part], now: sample.startedAt)
    // In another rhythm too.
    runs.rhythm = .sidecar(interval: .seconds(30))
    let kept = await runs.memory().costs(of: [outbox])
    #expect(kept.keys.sorted() == [outbox.name, outbox.name + "/part"])
    #expect(kept[outbox.name].map(Set.init) == [cost(2.5), cost(0.25, isEstimate: true)])
    #expect(kept[outbox.name + "/part"] == [cost(1)])
    runs.source = "there"
    #expect(await runs.memory().costs(of: [outbox]).isEmpty)
    // After a week nobody asks.
    runs.source = "here"
    await runs.memory().keep(costs: [part], now: sample.startedAt.advanced(by: .seconds(8 * 86_400)))
    #expect(await runs.memory().costs(of: [outbox]).isEmpty)
  }

  @Test func `are no more than a window needs, and none is older than a week`() async throws {
    let runs = try Runs()
    for step in 0..<70 { await runs.run(standing(after: Double(step) * 300)) }
    #expect(try runs.count() == SampleWindow.capacity)
    // Another outbox, eight days later: nobody asks for the first one any more.
    var other = outbox
    other.name = "mails"
    await runs.run(standing(other, after: 70 * 300 + 8 * 86_400))
    #expect(try runs.count() == 1)
  }

  @Test func `that are too old are not believed, even while they are there`() async throws {
    let runs = try Runs()
    for step in 0..<9 { await runs.run(standing(after: Double(step) * 300)) }
    let window = await runs.memory().window(of: outbox, now: epoch.advanced(by: .seconds(2_400 + 7 * 86_400 + 1)))
    #expect(OutboxAssessment(window, of: outbox).sentence.hasPrefix("0 of the 5"))
    #expect(try runs.count() == 9)
  }

  @Test func `leave out runs by hand between those of a cron job`() async throws {
    let runs = try Runs()
    await runs.run(standing(after: 0))
    await runs.run(standing(after: 9))
    #expect(try runs.count() == 1, "closer than ten seconds")
    await runs.run(standing(after: 10))
    #expect(try runs.count() == 2)
    for step in 1...9 { await runs.run(standing(after: Double(step) * 300)) }
    #expect(try runs.count() == 11)
    for second in 1...30 { await runs.run(standing(after: 2_700 + Double(second) * 4)) }
    #expect(try runs.count() == 11, "closer than half of the usual time")
    await runs.run(standing(after: 2_850))
    #expect(try runs.count() == 12)
  }

  @Test func `of a sidecar are kept however fast they come`() async throws {
    let runs = try Runs(.sidecar(interval: .milliseconds(500)))
    for step in 0..<20 { await runs.run(standing(after: Double(step) * 0.5)) }
    #expect(try runs.count() == 20)
    let verdict = await runs.run(standing(after: 10.5)).assessment.verdict
    #expect(verdict == .stalled)
  }

  @Test func `of another name, place, layout or rhythm are no trend`() async throws {
    var runs = try Runs(.sidecar(interval: .seconds(15)))
    for step in 0..<9 { await runs.run(standing(after: Double(step) * 15)) }
    func lack(_ runs: Runs, _ outbox: WatchedOutbox = outbox) async -> String {
      let window = await runs.memory().window(of: outbox, now: epoch.advanced(by: .seconds(150)))
      return OutboxAssessment(window, of: outbox).sentence
    }
    let nothing = "0 of the 5 samples that a trend needs"
    #expect(await lack(runs) != nothing)
    var renamed = outbox
    renamed.name = "mails"
    #expect(await lack(runs, renamed) == nothing)
    for other in [SampleRhythm.once, .sidecar(interval: .seconds(16))] {
      var elsewhere = runs
      elsewhere.rhythm = other
      #expect(await lack(elsewhere) == nothing)
    }
    runs.source = "there"
    #expect(await lack(runs) == nothing)
  }

  @Test func `of a sidecar that was away for long are forgotten`() async throws {
    let runs = try Runs(.sidecar(interval: .seconds(15)))
    for step in 0..<60 { await runs.run(standing(after: Double(step) * 15)) }
    func known(after seconds: Int) async -> Verdict {
      let window = await runs.memory().window(of: outbox, now: epoch.advanced(by: .seconds(seconds)))
      return OutboxAssessment(window, of: outbox).verdict
    }
    #expect(await known(after: 59 * 15 + 60) == .stalled)
    #expect(await known(after: 59 * 15 + 2 * 900 + 1) == .unknown)
  }

  @Test func `stay in their order when the clock is set back, and are forgotten when it is set back by years`()
    async throws
  {
    let runs = try Runs()
    for step in 0..<30 { await runs.run(standing(after: Double(step) * 300)) }
    var late = standing(after: 30 * 300)
    late.startedAt = late.startedAt.advanced(by: .seconds(-3_600))
    let (assessment, trouble) = await runs.run(late)
    #expect(assessment.verdict == .stalled && trouble == nil)
    #expect(assessment.sentence.contains("none left in 2h 30m"), "\(assessment.sentence)")
    #expect(try runs.count() == 31)

    var wrong = standing(after: 31 * 300)
    wrong.startedAt = Timestamp(seconds: 1_000_000_000)
    #expect(await runs.run(wrong).assessment.verdict == .unknown)
    #expect(try runs.count() == 1)
  }

  @Test func `of many runs at the same time are all there`() async throws {
    let runs = try Runs()
    await withTaskGroup(of: String?.self) { group in
      for number in 0..<24 {
        group.addTask {
          var other = outbox
          other.name = "outbox \(number)"
          return await runs.run(standing(other, after: 0)).trouble
        }
      }
      for await trouble in group { #expect(trouble == nil) }
    }
    #expect(try runs.count() == 24)
  }
}
