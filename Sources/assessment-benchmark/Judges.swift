import Assessment
import Outbox

/// Somebody who says at each sample whether something is wrong.
protocol Judge {
  static var name: String { get }
  init()
  mutating func isBad(_ look: Trace.Look) -> Bool
}

/// The verdict of this project: bad where that of the outbox or of one of its destinations is.
struct OurVerdict: Judge {
  static let name = "verdict"
  private var window = SampleWindow()
  private(set) var assessment = OutboxAssessment(outbox: "simulated")

  mutating func isBad(_ look: Trace.Look) -> Bool {
    window.append(look.sample)
    assessment = OutboxAssessment(window, of: look.sample.outbox)
    return assessment.verdict.isBad || assessment.destinations.contains { $0.verdict.isBad }
  }
}

/// The rules of Burrow (linkedin/Burrow ced55ba, core/internal/evaluator/caching.go), with its defaults: the last ten
/// commits, no allowed lag, no minimum of completeness. Each destination is a partition; the worker commits its position
/// at every sample while it lives, as a Kafka consumer does on a timer. It is told the true position and lag, on a
/// clock that nobody sets.
struct Burrow: Judge {
  static let name = "Burrow"
  private static let intervals = 10

  private struct Partition {
    var commits: [(time: Double, offset: Int, lag: Int)] = []
    /// The last end offsets of the broker.
    var ends: [Int] = []
  }

  private var partitions: [Partition] = []
  private var time = 0.0

  mutating func isBad(_ look: Trace.Look) -> Bool {
    time += 15
    if partitions.isEmpty { partitions = look.lags.map { _ in Partition() } }
    var isBad = false
    for index in partitions.indices {
      let (offset, lag) = (look.positions[index], look.lags[index])
      partitions[index].ends.append(offset + lag)
      if partitions[index].ends.count > Self.intervals { partitions[index].ends.removeFirst() }
      if look.commits {
        partitions[index].commits.append((time, offset, lag))
        if partitions[index].commits.count > Self.intervals { partitions[index].commits.removeFirst() }
      }
      isBad = Self.isBad(partitions[index], offset + lag, at: time) || isBad
    }
    return isBad
  }

  private static func isBad(_ partition: Partition, _ end: Int, at now: Double) -> Bool {
    guard let first = partition.commits.first, let last = partition.commits.last else { return false }
    if end - last.offset <= 0 { return false }
    let wasCurrent = partition.ends.contains { $0 <= last.offset }
    if now - last.time > last.time - first.time, !wasCurrent { return true }
    let offsets = partition.commits.map(\.offset)
    for index in offsets.indices.dropFirst() where offsets[index] < offsets[index - 1] {
      if !offsets[index...].contains(where: { $0 >= offsets[index - 1] }) { return true }
    }
    if partition.commits.contains(where: { $0.lag <= 0 }) { return false }
    // One commit neither stalls nor grows.
    guard offsets.count > 1 else { return false }
    if offsets.allSatisfy({ $0 == offsets[0] }) { return true }
    return zip(partition.commits, partition.commits.dropFirst()).allSatisfy { $0.lag <= $1.lag }
  }
}

/// What most people have: an alert on a number of events.
struct DepthOverThreshold: Judge {
  static let name = "depth > 100"

  mutating func isBad(_ look: Trace.Look) -> Bool { look.lags.reduce(0, +) > 100 }
}
