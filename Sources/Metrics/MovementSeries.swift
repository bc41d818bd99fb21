import Accounting
import Outbox

/// The counter series of one outbox: what was counted of its movements, as far as the method can see them.
struct MovementSeries {
  private typealias Key = MetricCatalog.Key

  /// What was counted, to be kept beside the mark; nil until the counting begins.
  private(set) var account: OutboxAccount?
  /// Why the counters begin anew although the reading goes on; nil where they do not.
  private(set) var restart: String?
  private var endedAt: Timestamp?
  /// The destinations whose series a backend knows.
  private var begun: Set<String>
  private let base: [Attribute]
  private let isExponential: Bool

  /// - Parameters:
  ///   - isExponential: whether durations are counted in exponential buckets too.
  ///   - account: what an earlier run has counted; its series go on.
  init(base: [Attribute], isExponential: Bool, account: OutboxAccount?) {
    self.base = base
    self.isExponential = isExponential
    self.account = account
    self.begun = Set(account.map { Array($0.destinations.keys) } ?? [])
  }

  /// Adds the points of one reading.
  ///
  /// - Parameters:
  ///   - movements: what moved, by the destinations' names on their series; nil where the counting begins.
  ///   - overdue: waiting events past their deadline, by the same names.
  ///   - destinations: the names that have series.
  ///   - named: destinations that were counted under `_other` until now, with their overdue events at the last sample.
  ///   - previous: the time of the sample before.
  mutating func describe(
    _ reading: AccountingReading, movements: [String: Movements.Counts]?, overdue: [String: Int],
    destinations: [String], named: [String: Int], objectiveAge: Duration?, previous: Timestamp,
    into sink: inout PointSink
  ) {
    restart = nil
    if let kept = account, let movements, kept.mark.method == reading.mark.method,
      kept.bounds.objectiveAge == objectiveAge
    {
      // Where a series has just ended its mark stands at that time.
      let start = endedAt == previous ? previous.advanced(by: .milliseconds(1)) : previous
      for (name, overdue) in named {
        account?.open(name, start: start, from: DestinationRoster.other, overdue: overdue)
      }
      for name in Set(destinations).union(movements.keys) { account?.open(name, start: start, overdue: 0) }
      account?.record(movements)
    } else {
      restart =
        account != nil && movements != nil ? "the objective is another one, and lateness is counted by it" : nil
      if account?.mark.method != reading.mark.method { end(into: &sink) }
      var fresh = OutboxAccount(mark: reading.mark, objectiveAge: objectiveAge)
      // What moved before this reading is not known: a window without length says so (OTLP data model, "Cumulative
      // streams: handling unknown start time").
      for name in destinations { fresh.open(name, start: sink.time, overdue: overdue[name] ?? 0) }
      begun = []
      account = fresh
    }
    account?.mark = reading.mark
    account?.note(overdue: overdue)
    guard let account else { return }
    for (name, totals) in account.destinations.sorted(by: { $0.key < $1.key }) {
      if begun.insert(name).inserted, totals.hasCounted {
        let time = sink.time
        sink.time = totals.start
        add(DestinationAccount(start: totals.start), of: name, account, into: &sink)
        sink.time = time
      }
      add(totals, of: name, account, into: &sink)
    }
  }

  /// Ends the series of a destination. What was counted of it is forgotten: should it come back, it begins anew.
  mutating func end(_ destination: String, into sink: inout PointSink) {
    guard let account, let totals = account.destinations[destination] else { return }
    let isEnding = sink.isEnding
    sink.isEnding = true
    add(totals, of: destination, account, into: &sink)
    sink.isEnding = isEnding
    endedAt = sink.time
    begun.remove(destination)
    self.account?.destinations[destination] = nil
  }

  /// Ends all series; the account stays, for the next run to go on from.
  mutating func end(into sink: inout PointSink) {
    guard let account else { return }
    let isEnding = sink.isEnding
    sink.isEnding = true
    for (name, totals) in account.destinations.sorted(by: { $0.key < $1.key }) where begun.contains(name) {
      add(totals, of: name, account, into: &sink)
    }
    sink.isEnding = isEnding
    endedAt = sink.time
    begun = []
  }

  private func add(
    _ destination: DestinationAccount, of name: String, _ account: OutboxAccount, into sink: inout PointSink
  ) {
    let method = account.mark.method
    let isOther = name == DestinationRoster.other
    let common =
      base + [Attribute(Key.destination, name)] + (isOther ? [Attribute(Key.overflow, .bool(true))] : [])
    let accounting = Attribute(Key.accounting, method.rawValue)
    let start = sink.isEnding ? nil : destination.start
    let totals = destination.totals
    sink.add(MetricCatalog.enqueued, common + [accounting], start: start, .int(Int64(totals.enqueued)))
    if method.seesRequeues {
      sink.add(MetricCatalog.requeued, common + [accounting], start: start, .int(Int64(totals.requeued)))
    }
    for disposition in Disposition.allCases where method.sees(disposition) {
      sink.add(
        MetricCatalog.deliveries, common + [Attribute(Key.disposition, disposition.rawValue), accounting], start: start,
        .int(Int64(totals.dispositions[disposition] ?? 0)))
    }
    guard method.sees(.delivered) else { return }
    let bounds = account.bounds
    sink.add(
      MetricCatalog.deliveryDuration,
      DataPoint(
        attributes: common + [accounting], start: start, time: sink.time,
        value: sink.isEnding
          ? .endedDistribution(bounds: bounds.exported)
          : .histogram(HistogramValue(totals.durations, bounds, isExponential: isExponential))))
    guard bounds.objective != nil else { return }
    for (result, total) in [("on_time", destination.onTime), ("late", destination.late)] {
      sink.add(
        MetricCatalog.objectiveEvents, common + [Attribute(Key.objectiveResult, result), accounting], start: start,
        .int(Int64(total)))
    }
  }
}

extension HistogramValue {
  /// Sums up finely kept durations by the bounds that are sent.
  init(_ tally: DurationTally, _ bounds: DeliveryBounds, isExponential: Bool) {
    self.init(bounds: bounds.exported, isExponential: isExponential)
    for (bucket, count) in tally.counts {
      // Every bound that is sent is kept too, so no kept bucket lies across one.
      let place =
        bucket < bounds.kept.count
        ? bounds.exported.firstIndex { bounds.kept[bucket] <= $0 } ?? bounds.exported.count : bounds.exported.count
      counts[place] += UInt64(count)
    }
    sum = tally.sum
    guard isExponential else { return }
    var powers: [Int: UInt64] = [:]
    var zeros: UInt64 = 0
    for (bucket, count) in tally.counts {
      if let index = bounds.exponentialIndex(ofBucket: bucket) {
        powers[index, default: 0] += UInt64(count)
      } else {
        zeros += UInt64(count)
      }
    }
    exponential?.add(zeros: zeros, counts: powers, scale: DeliveryBounds.exponentialScale, sum: tally.sum)
  }
}
