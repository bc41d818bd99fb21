import Outbox
import Testing

@testable import assessment_benchmark

/// A short form of what `docs/assessment.md` publishes, on seeds of its own.
@Suite struct `On simulated outboxes` {
  private static let comparison = Comparison.run(perKind: 12, firstSeed: 4_000_000)

  @Test func `healthy ones are hardly ever called bad, and bad ones are found in time`() {
    let total = Self.comparison.total(OurVerdict.name)
    #expect(total.healthy + total.bad == 12 * Scenario.Kind.allCases.count)
    #expect(total.falseShare <= 0.01, "\(Self.comparison.falseAlarms)")
    #expect(total.foundShare >= 0.98)
  }

  @Test func `the verdict is as fast as Burrow where Burrow is quiet`() throws {
    // A dozen traces do not tell the median of one kind; those of all quiet kinds together do.
    var (ours, theirs) = (Tally(), Tally())
    for tallies in Self.comparison.tallies.values {
      let burrow = try #require(tallies[Burrow.name])
      guard burrow.falseShare < 0.01, burrow.medianDelay != nil else { continue }
      ours = ours + (try #require(tallies[OurVerdict.name]))
      theirs = theirs + burrow
    }
    #expect(try #require(ours.medianDelay) <= (try #require(theirs.medianDelay)))
  }

  @Test func `the same seed is the same trace`() throws {
    let traces = [Trace(Scenario(.flappingWorker, seed: 5)), Trace(Scenario(.flappingWorker, seed: 5))]
    #expect(traces[0]?.looks.map(\.sample) == traces[1]?.looks.map(\.sample))
  }

  @Test func `Burrow's rules are those of its description`() {
    func judge(_ looks: [(position: Int, lag: Int, commits: Bool)]) -> [Bool] {
      var burrow = Burrow()
      let outbox = WatchedOutbox(name: "o", layout: "l", system: .sqlite)
      let sample = OutboxSample(
        outbox: outbox, startedAt: Timestamp(nanoseconds: 0), duration: .zero,
        result: .failure(SampleFailure(.other, "not looked at")))
      return looks.map {
        burrow.isBad(
          .init(sample: sample, positions: [$0.position], lags: [$0.lag], commits: $0.commits, isBreached: false))
      }
    }
    // WARN: never a smaller lag; one smaller lag is enough for OK.
    #expect(judge((1...10).map { ($0, $0 * 2, true) }).last == true)
    #expect(judge((1...10).map { ($0, $0 == 6 ? 1 : $0 * 2, true) }).last == false)
    // A lag that touched zero is OK.
    #expect(judge((1...10).map { ($0, $0 == 1 ? 0 : $0, true) }).last == false)
    // STALL: commits go on, the position does not.
    #expect(judge((1...10).map { (7, 20 - $0, true) }).last == true)
    // REWIND until the position has climbed back.
    #expect(judge([(5, 9, true), (3, 8, true)]).last == true)
    #expect(judge([(5, 9, true), (3, 8, true), (6, 7, true)]).last == false)
    // STOP: silent for longer than the window, and not because there was nothing.
    #expect(judge((1...4).map { ($0, 5, true) } + (0..<4).map { (4, 5 + $0, false) }).map { $0 }.last == true)
    #expect(judge((1...4).map { ($0, 5 - $0, true) } + [(4, 0, true)] + (0..<3).map { (4, $0, false) }).last == false)
  }
}
