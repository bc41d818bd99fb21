import Layouts
import Outbox
import Stores
import SystemCalls
import TestSupport
import Testing

/// Counters against the truth: processes work on a queue directory at random while it is watched. A seed stands in what is
/// printed where something differs.
@Suite(.serialized, .enabled(if: programOnPath("python3") != nil, "python3 is not on PATH"))
struct DirectoryWatchOracleTests {
  private let seed = UInt64.random(in: 0...UInt64.max)
  private let rounds = Int(currentEnvironment()["OUTBOX_ORACLE_ROUNDS"] ?? "") ?? 3

  @Test func `between quiescent points every movement is counted, by destination`() async throws {
    let fixture = try WatchFixture()
    let workload = try DirectoryWorkload(queue: fixture.queue, seed: seed, operations: 3_000, .paced)
    defer { workload.stop() }
    try await fixture.begin()
    var counted = Movements()
    for round in 1...rounds {
      try workload.begin()
      // No sample meanwhile: what happens is taken as it happens.
      #expect(await happens { workload.isQuiescent })
      let sample = try await fixture.sample()
      counted.take(try #require(sample.accounting?.movements))
      #expect(counted.lines == Movements.lines(workload.truth()), "seed \(seed), round \(round)")
      #expect(sample.accounting?.restart == nil && sample.accounting?.notice == nil)
      let delivered = counted.total.dispositions[.delivered, default: 0]
      #expect(counted.total.durations.count == delivered, "seed \(seed), round \(round)")
    }
    #expect(counted.total.enqueued > rounds * 1_000, "seed \(seed)")
  }

  @Test func `at full speed what came and how it left is counted, and every reading is conserved`() async throws {
    let fixture = try WatchFixture()
    let workload = try DirectoryWorkload(queue: fixture.queue, seed: seed, operations: 4_000, .breakneck)
    defer { workload.stop() }
    var generator = SplitMix(state: seed)
    try await fixture.begin()
    var counted = Movements()
    var readings = 0
    for round in 1...rounds {
      try workload.begin()
      repeat {
        let isLast = workload.isQuiescent
        let sample = try await fixture.sample(commit: false)
        let movements = try #require(sample.accounting?.movements)
        let depth = try #require(sample.snapshot?.depth)
        #expect(movements.total.depthChange == depth - fixture.depth, "seed \(seed), round \(round)")
        #expect(sample.accounting?.restart == nil && sample.accounting?.notice == nil, "seed \(seed)")
        readings += 1
        // What was not taken is answered again.
        if isLast || Int.random(in: 0..<3, using: &generator) > 0 {
          counted.take(movements)
          fixture.commit(sample)
        }
        if isLast { break }
      } while true
      let truth = Movements(workload.truth()).total
      #expect(counted.total.enqueued == truth.enqueued, "seed \(seed), round \(round)")
      #expect(counted.total.requeued == truth.requeued, "seed \(seed), round \(round)")
      for disposition in [Disposition.delivered, .dead, .discarded, .unseen, .released] {
        #expect(
          counted.total.dispositions[disposition, default: 0] == truth.dispositions[disposition, default: 0],
          "\(disposition), seed \(seed), round \(round)")
      }
      // An attempt of which nobody could read before the file left is not counted; none is invented.
      #expect(counted.total.dispositions[.retried, default: 0] <= truth.dispositions[.retried, default: 0])
    }
    #expect(readings > rounds)
  }

  @Test func `an exporter that is started again at random loses no event, whatever it did not see`() async throws {
    let fixture = try WatchFixture()
    let workload = try DirectoryWorkload(queue: fixture.queue, seed: seed, operations: 1_500, .breakneck)
    defer { workload.stop() }
    var generator = SplitMix(state: seed)
    try await fixture.begin()
    var counted = Movements()
    for round in 1...rounds {
      try workload.begin()
      var isLast = false
      repeat {
        isLast = workload.isQuiescent
        if Int.random(in: 0..<3, using: &generator) == 0 { await fixture.restart() }
        let sample = try await fixture.sample(commit: false)
        let movements = try #require(sample.accounting?.movements)
        #expect(
          movements.total.depthChange == (sample.snapshot?.depth ?? -1) - fixture.depth,
          "seed \(seed), round \(round)")
        counted.take(movements)
        fixture.commit(sample)
      } while !isLast
      let truth = Movements(workload.truth()).total
      #expect(counted.total.depthChange == truth.depthChange, "seed \(seed), round \(round)")
      // An event that came back while nobody watched may look like a new one.
      #expect(
        counted.total.enqueued + counted.total.requeued <= truth.enqueued + truth.requeued,
        "seed \(seed), round \(round)")
      // A dead event that was put back and died again meanwhile is dead, as it was.
      for disposition in [Disposition.delivered, .dead, .discarded, .retried] {
        #expect(
          counted.total.dispositions[disposition, default: 0] <= truth.dispositions[disposition, default: 0],
          "\(disposition), seed \(seed), round \(round)")
      }
    }
  }
}
