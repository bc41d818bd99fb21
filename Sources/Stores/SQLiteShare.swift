import Outbox
import SQLiteClient
import SystemCalls

/// How much of its time the exporter keeps one SQLite file busy: a reader of a file in rollback mode keeps its writers
/// waiting, and every reader takes the disk. Lives inside its store's actor.
final class SQLiteShare {
  private var budget: SampleBudget?
  private var share: DatabaseShare?
  /// The queue that a sample of the file has failed to count or to estimate; nil while none has.
  private(set) var failing: SampledQueue?
  private var begunAt = 0.0
  private var measured = 0.0

  /// Divides what there is among the queues of the file. Called before each sample.
  func begin(_ budget: SampleBudget?, _ suffixes: [String?]) {
    if budget != self.budget {
      self.budget = budget
      share = budget.map { DatabaseShare($0) }
    }
    share?.divide(among: suffixes.map(Self.name))
    failing = nil
    begunAt = uptime
    measured = 0
  }

  /// Notes what the sample has cost besides what was measured. Called after each sample.
  func end() { share?.note(aside: uptime - begunAt - measured) }

  /// What is read of a queue where it is not its turn to be counted; nil where it is.
  func cheaper(
    _ suffix: String?, _ head: SQLiteHead, at now: Timestamp, _ connection: borrowing SQLiteConnection,
    _ limits: SQLiteFile.Limits
  ) throws -> SampleFigures? {
    guard let share else { return nil }
    switch share.next(Self.name(suffix), at: uptime, hasHead: head.isAvailable) {
    case .counts: return nil
    case .estimate:
      // The estimate has its own time, whatever came before it.
      connection.setTimeLimit(limits.sample)
      return .counts(try estimate(suffix, head, at: now, connection))
    case .head:
      let found = try measure(.head, of: suffix) { try head.read(at: now, connection) }
      return .head(found ?? QueueHead(storeTime: now))
    case .clock: return .head(QueueHead(storeTime: now))
    }
  }

  /// The figures of a queue, estimated from as much of its tables as can be afforded.
  func estimate(
    _ suffix: String?, _ head: SQLiteHead, at now: Timestamp, _ connection: borrowing SQLiteConnection
  ) throws -> Snapshot {
    let size = share?.estimateSize(Self.name(suffix)) ?? 1
    return try measure(.estimate, of: suffix, events: \.countedEvents) {
      try head.estimate(at: now, size: size, connection)
    }
  }

  /// The rhythms in force for a queue; nil where it is counted in every cycle.
  func intervals(_ suffix: String?, _ head: SQLiteHead) -> SampleIntervals? {
    share?.intervals(Self.name(suffix), hasHead: head.isAvailable)
  }

  /// Notes how long something takes, and where it is given up how long it has taken.
  ///
  /// - Parameter events: how many events were found, where that is said.
  func measure<Value>(
    _ depth: ReadingDepth, of suffix: String?, events: (Value) -> Int? = { _ in nil }, _ body: () throws -> Value
  ) rethrows -> Value {
    let began = uptime
    func note(_ found: Int?, hasFailed: Bool = false) {
      let cost = uptime - began
      measured += cost
      share?.note(depth, of: Self.name(suffix), cost: cost, events: found, hasFailed: hasFailed, at: uptime)
    }
    do {
      let value = try body()
      note(events(value))
      return value
    } catch {
      // Waiting for another process is no work.
      if (error as? SQLiteError)?.kind != .busy {
        note(nil, hasFailed: true)
        if depth != .head { failing = SampledQueue(suffix: suffix) }
      }
      throw error
    }
  }

  private static func name(_ suffix: String?) -> String { suffix ?? "" }
  private var uptime: Double { Double(SystemClock.monotonicNanoseconds()) / 1e9 }
}

/// One of the queues of a file.
struct SampledQueue: Hashable {
  /// The last part of its name; nil where the outbox is one queue.
  let suffix: String?
}

extension Snapshot {
  /// How many rows a count reads.
  var countedEvents: Int? { depth + deadCount }
}
