import Exporter
import Logging
import Outbox
import Synchronization
import Testing

@Suite struct `The journal of samples` {
  private let lines = Lines()

  private final class Lines: Sendable {
    let all = Mutex<[String]>([])
  }

  private struct Log: LogHandler {
    let lines: Lines
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.all.withLock { $0.append("\(event.level) \(event.message)") } }
  }

  /// The lines of one cycle after the other.
  private func told(_ cycles: [OutboxSample]) -> [[String]] {
    var journal = SampleJournal(log: Logger(label: "test") { [lines] _ in Log(lines: lines) })
    return cycles.map { sample in
      journal.note([sample], unanswered: 0)
      return lines.all.withLock { lines in
        defer { lines = [] }
        return lines
      }
    }
  }

  private func estimate() -> OutboxSample {
    var snapshot = Snapshot(storeTime: OutboxSample.time)
    (snapshot.exact, snapshot.isEstimate) = (false, true)
    return OutboxSample(
      outbox: OutboxSample.good("orders").outbox, startedAt: OutboxSample.time, duration: .zero,
      result: .success(snapshot))
  }

  private func head() -> OutboxSample {
    OutboxSample(
      outbox: OutboxSample.good("orders").outbox, startedAt: OutboxSample.time, duration: .zero,
      figures: .success(.head(QueueHead(storeTime: OutboxSample.time))))
  }

  private let estimated =
    "warning orders: counting every event would take more than the exporter's share of the database's time; its counts "
    + "are estimates from now on, and outbox.sample.exact is 0"
  private let counted = "notice orders: every event is counted again"

  @Test func `says once that counts are estimates, and once that they are over`() {
    let good = OutboxSample.good("orders")
    #expect(
      told([good, estimate(), estimate(), good, good, good, estimate()])
        == [[], [estimated], [], [], [counted], [], [estimated]])
  }

  @Test func `takes a single count between two estimates for no end of them`() {
    let good = OutboxSample.good("orders")
    #expect(
      told([estimate(), good, estimate(), good, estimate(), good, good])
        == [[estimated], [], [], [], [], [], [counted]])
  }

  @Test func `looks at the head, and failures, neither end nor begin estimates`() {
    let good = OutboxSample.good("orders")
    #expect(
      told([estimate(), head(), good, head(), OutboxSample.bad("orders"), good])
        == [
          [estimated], [], [], [], ["error orders: not sampled (unreachable): nobody answers"],
          ["notice orders: sampled again", counted],
        ])
  }
}
