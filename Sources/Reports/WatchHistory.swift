package import Assessment
package import Outbox

/// What `watch` has seen so far: the last sample of every outbox, and how its backlog came there.
package struct WatchHistory: Sendable {
  /// So many samples of each outbox are kept.
  package static let capacity = 120
  /// The rate is that of so many steps between samples: fewer jump about, more are late.
  private static let rateSteps = 6

  /// One outbox.
  struct Entry: Sendable {
    /// The last sample.
    var sample: OutboxSample
    /// What its trend says.
    var assessment: OutboxAssessment
    /// The last sample that succeeded.
    var lastGood: OutboxSample?
    /// The last samples, oldest first.
    var points: [Point] = []
    /// How many samples there were.
    var count = 0
  }

  /// What is kept of a sample.
  struct Point: Sendable {
    var time: Timestamp
    /// Nil where the sample failed.
    var backlog: Int?
    /// What moved since the sample before, over all destinations; nil where nobody counted.
    var movements: Movements.Counts?
  }

  /// What comes and goes in a second.
  enum Flow: Sendable, Hashable {
    /// The change of the backlog, where movements are not counted.
    case net(Double)
    /// What came in and what left.
    case counted(enqueued: Double, left: Double)
  }

  private(set) var entries: [String: Entry] = [:]
  /// The exporter's wall clock at the last round; nil before the first.
  package private(set) var time: Timestamp?

  /// A history of nothing.
  package init() {}

  /// Takes what a round brought. A sample that is known already is no new one.
  ///
  /// - Parameters:
  ///   - vanished: outboxes that are not there any more.
  ///   - time: the exporter's wall clock.
  package mutating func take(
    _ samples: [OutboxSample], assessments: [String: OutboxAssessment], vanished: [String] = [], at time: Timestamp
  ) {
    self.time = time
    for name in vanished { entries[name] = nil }
    for sample in samples {
      let name = sample.outbox.name
      var entry = entries[name] ?? Entry(sample: sample, assessment: OutboxAssessment(outbox: name))
      let isNew = entry.count == 0 || sample.startedAt != entry.sample.startedAt
      entry.sample = sample
      if let assessment = assessments[name] { entry.assessment = assessment }
      if sample.snapshot != nil { entry.lastGood = sample }
      if isNew {
        entry.count += 1
        entry.points.append(Point(sample))
        if entry.points.count > Self.capacity { entry.points.removeFirst() }
      }
      entries[name] = entry
    }
  }

  /// The rate of the last steps; nil where fewer than two samples show it, or the last one failed.
  static func flow(of points: [Point]) -> Flow? {
    let recent = points.suffix(rateSteps + 1).drop { $0.backlog == nil }
    guard let first = recent.first, let last = recent.last, let before = first.backlog, let after = last.backlog,
      last.time > first.time
    else { return nil }
    let seconds = last.time.since(first.time).seconds
    let counted = recent.dropFirst().filter { $0.backlog != nil }.map(\.movements)
    if counted.allSatisfy({ $0 != nil }) {
      var sum = Movements.Counts()
      for movements in counted { if let movements { sum.add(movements) } }
      let arrived = sum.enqueued + sum.requeued
      return .counted(
        enqueued: Double(arrived) / seconds, left: Double(arrived - sum.depthChange) / seconds)
    }
    return .net(Double(after - before) / seconds)
  }
}

extension WatchHistory.Entry {
  var flow: WatchHistory.Flow? { WatchHistory.flow(of: points) }

  /// The backlog in so many columns, the largest of each few samples where there are more; a column keeps its samples
  /// while new ones come, so that the picture moves without changing its shape.
  func backlog(in columns: Int) -> [Int?] {
    guard columns > 0 else { return [] }
    let size = max(1, (points.count + columns - 1) / columns)
    let first = count - points.count
    var buckets: [(number: Int, highest: Int?)] = []
    for (index, point) in points.enumerated() {
      let number = (first + index) / size
      if buckets.last?.number == number {
        buckets[buckets.count - 1].highest = [buckets[buckets.count - 1].highest, point.backlog].compactMap { $0 }.max()
      } else {
        buckets.append((number, point.backlog))
      }
    }
    return buckets.suffix(columns).map(\.highest)
  }

  /// The time that the kept samples cover.
  var span: Duration {
    guard let first = points.first, let last = points.last else { return .zero }
    return last.time.since(first.time)
  }
}

extension WatchHistory.Point {
  init(_ sample: OutboxSample) {
    time = sample.startedAt
    backlog = sample.snapshot?.depth(.ready)
    movements = sample.accounting?.movements.map { movements in
      movements.destinations.values.reduce(into: Movements.Counts()) { $0.add($1) }
    }
  }
}
