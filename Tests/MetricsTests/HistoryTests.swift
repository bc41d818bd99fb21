import Metrics
import Outbox
import Testing

/// Random histories of an exporter, checked against the rules that hold for every series of every history.
@Suite struct `Any history` {
  @Test(arguments: UInt64(1)...12) func `keeps the rules of the data model [139] [148] [151] [152] [156] [159]`(
    seed: UInt64
  ) {
    var random = SeededGenerator(seed: seed)
    var rules = SeriesRules()
    let names = (0..<Int.random(in: 1...4, using: &random)).map { "box\($0)" }
    let systems: [StoreSystem] = [.sqlite, .postgresql, .files]
    let outboxes = names.map { name in
      WatchedOutbox(
        name: name, layout: "l", system: systems.randomElement(using: &random) ?? .sqlite,
        objective: Bool.random(using: &random) ? Objective(age: .seconds(5), target: 0.9) : nil,
        stuckReasons: StuckReason.allCases.filter { _ in Bool.random(using: &random) })
    }
    var describing = Describing(
      limit: Int.random(in: 1...4, using: &random), environment: Bool.random(using: &random) ? "test" : nil)
    var exported = 0
    var failed: [String: Int] = [:]

    for _ in 0..<60 {
      var results: [(WatchedOutbox, Result<Snapshot, SampleFailure>)] = []
      var vanished: [String] = []
      for outbox in outboxes {
        switch Int.random(in: 0..<12, using: &random) {
        case 0: vanished.append(outbox.name)
        case 1, 2: break
        case 3, 4:
          results.append((outbox, .failure(SampleFailure(SampleFailure.Reason.any(&random), "failed"))))
        default: results.append((outbox, .success(.any(&random))))
        }
      }
      if Bool.random(using: &random) { describing.skipped += 1 }
      exported += Int.random(in: 0...50, using: &random)
      if Int.random(in: 0..<4, using: &random) == 0 {
        failed["e\(Int.random(in: 0..<3, using: &random))", default: 0] += 1
      }
      describing.exports = [
        activity(
          exported: exported, failed: failed,
          operations: Bool.random(using: &random)
            ? [.init(duration: .milliseconds(5), errorType: nil, httpStatus: 200)] : [])
      ]
      let pauses: [Duration] = [.seconds(15), .seconds(15), .milliseconds(1), .zero, .seconds(-600), .seconds(4000)]
      rules.check(describing.cycle(results, vanished: vanished, after: pauses.randomElement(using: &random) ?? .zero))
    }

    #expect(describing.isSameInParts, "seed \(seed)")
    let alive = rules.alive
    let last = describing.describer.end(at: describing.now)
    rules.check(last)
    #expect(last.ended == alive, "seed \(seed)")
    #expect(last.valued.isEmpty, "seed \(seed)")
    #expect(rules.alive.isEmpty, "seed \(seed)")
    // A describer that goes on after its end begins anew, by the same rules.
    rules.check(describing.cycle([(outboxes[0], .success(.any(&random)))]))
    #expect(rules.violations.isEmpty, "seed \(seed)")
  }
}

/// What holds for the points of every series.
private struct SeriesRules {
  private(set) var alive: Set<Series> = []
  private var lastTime: [Series: Int64] = [:]
  private var lastCount: [Series: Int64] = [:]
  private var starts: [Series: Timestamp] = [:]
  private var keys: [String: [String]] = [:]

  /// What did not hold. One expectation for all: there are millions of them.
  private(set) var violations: [String] = []

  private mutating func hold(_ condition: Bool, _ rule: @autoclosure () -> String) {
    if !condition { violations.append(rule()) }
  }

  mutating func check(_ metrics: [Metric]) {
    let order = metrics.compactMap { metric in MetricCatalog.all.firstIndex { $0.name == metric.instrument.name } }
    hold(order == order.sorted() && Set(order).count == metrics.count, "each name once, in order")
    for metric in metrics {
      hold(!metric.points.isEmpty, "a metric has points")
      for point in metric.points { check(point, of: metric) }
    }
  }

  private mutating func check(_ point: DataPoint, of metric: Metric) {
    let series = Series(metric, point)
    let instrument = metric.instrument
    // Prometheus cuts times to milliseconds, and refuses the whole request over two points in one.
    let time = point.time.nanoseconds / 1_000_000
    hold(lastTime[series].map { $0 < time } ?? true, "time rises: \(series)")
    lastTime[series] = time

    let keys = point.attributes.map(\.key)
    hold(Set(keys).count == keys.count, "keys are unique: \(series)")
    let allowed =
      instrument.attributes + ["outbox.name", "outbox.environment"]
      + (instrument.attributes.contains("outbox.destination") ? ["otel.metric.overflow"] : [])
    hold(keys.allSatisfy(allowed.contains), "keys are documented: \(series)")
    let kind = "\(instrument.name) \(keys.sorted())"
    hold(self.keys.updateValue(keys, forKey: kind) ?? keys == keys, "order is stable: \(series)")
    hold(point.attributes.allSatisfy { $0.value != .string("") }, "nothing empty: \(series)")

    guard point.value != .noRecordedValue else {
      hold(alive.remove(series) != nil, "only what lives ends: \(series)")
      lastCount[series] = nil
      starts[series] = nil
      return
    }
    alive.insert(series)
    hold((point.start == nil) == (instrument.kind == .gauge), "\(series)")
    if let start = point.start {
      hold(start <= point.time, "\(series)")
      hold(starts.updateValue(start, forKey: series) ?? start == start, "start stays: \(series)")
    }
    switch (instrument.kind, point.value) {
    case (.counter, .int(let count)):
      hold(lastCount.updateValue(count, forKey: series) ?? 0 <= count, "counters rise: \(series)")
    case (.histogram, .histogram(let histogram)):
      let count = Int64(histogram.count)
      hold(lastCount.updateValue(count, forKey: series) ?? 0 <= count, "\(series)")
      hold(histogram.sum.isFinite, "\(series)")
      hold(histogram.counts.count == histogram.bounds.count + 1, "one bucket more than bounds: \(series)")
      hold(zip(histogram.bounds, histogram.bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds rise: \(series)")
    case (.gauge, .double(let value)): hold(value.isFinite && value >= 0, "\(series)")
    case (.gauge, .int), (.upDownCounter, .int): break
    default: hold(false, "a value of the wrong kind: \(series)")
    }
  }
}

extension SampleFailure.Reason {
  fileprivate static func any(_ random: inout SeededGenerator) -> Self {
    allCases.randomElement(using: &random) ?? .other
  }
}

extension Snapshot {
  /// A snapshot of a few destinations, with figures that may be missing.
  fileprivate static func any(_ random: inout SeededGenerator) -> Snapshot {
    var snapshot = Snapshot(storeTime: Describing.epoch)
    for name in ["a", "b", "c", "d", "e", "", "default"] where Int.random(in: 0..<3, using: &random) == 0 {
      for state in EventState.waiting where Bool.random(using: &random) {
        snapshot.depths.append(
          .init(
            destination: name, state: state, retry: .random(using: &random),
            count: .random(in: 0...9, using: &random)))
      }
      let seconds = Duration.seconds(Int.random(in: 0...99, using: &random))
      if Bool.random(using: &random) {
        snapshot.ages.append(
          .init(
            destination: name, retry: .random(using: &random), oldest: seconds,
            median: Bool.random(using: &random) ? seconds : nil, p99: Bool.random(using: &random) ? seconds : nil))
      }
      if Bool.random(using: &random) {
        snapshot.stuck.append(.init(destination: name, reason: .leaseExpired, count: 1, oldest: seconds))
      }
      if Bool.random(using: &random) {
        snapshot.dead.append(
          .init(destination: name, count: 2, oldest: Bool.random(using: &random) ? seconds : nil))
      }
    }
    snapshot.replicaLag = Bool.random(using: &random) ? .seconds(1) : nil
    snapshot.exact = Bool.random(using: &random)
    return snapshot
  }
}
