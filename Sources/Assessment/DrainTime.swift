import Outbox

/// A time to come, with the range that holds it in nine of ten cases.
package struct TimeRange: Sendable, Hashable {
  /// The estimate.
  package var expected: Duration
  /// No sooner.
  package var earliest: Duration
  /// No later; nil where it may never come.
  package var latest: Duration?

  /// A range.
  package init(expected: Duration, earliest: Duration, latest: Duration?) {
    self.expected = expected
    self.earliest = earliest
    self.latest = latest
  }

  /// For people: `4m (3m 30s to 5m)`, without the range where it would say the same.
  package var text: String {
    let latest = latest?.text ?? "never"
    return earliest.text == latest ? expected.text : "\(expected.text) (\(earliest.text) to \(latest))"
  }
}

extension TimeRange {
  /// When a backlog that shrinks is empty.
  ///
  /// A backlog is a random walk with a drift: the time until it is empty has the variance B σ² / v³ of a first passage
  /// (E. Schrödinger, 1915), and the drift itself is known from a span W only up to σ / √W.
  ///
  /// - Parameter moments: since the backlog began to shrink.
  static func untilEmpty(_ moments: ArraySlice<Moment>, trend: Trend) -> TimeRange? {
    guard let first = moments.first, let last = moments.last, last.time > first.time, trend.slope < 0 else {
      return nil
    }
    let speed = -trend.slope
    let backlog = Double(last.ready)
    let noise = moments.noise(around: trend.slope)
    let steps = Double(moments.count - 1)
    let span = last.time - first.time
    let expected = backlog / speed
    let deviation =
      (backlog * noise / (speed * speed * speed) + backlog * backlog * noise / (speed * speed * speed * speed * span))
      .squareRoot()
    // 1.645 standard deviations hold 90 % where the noise is known; Student's factor for how few steps tell it. The
    // figures are a sample's: whatever happens is seen one step later at worst.
    let width = deviation * (1.645 + 2.6 / steps) + span / steps / 2
    return TimeRange(
      expected: .seconds(expected), earliest: .seconds(max(0, expected - width)), latest: .seconds(expected + width))
  }

  /// When the longest wait, which grows, reaches the promised age.
  static func untilBreach(of objective: Objective, age: Double, trend: Trend) -> TimeRange? {
    let rest = objective.age.seconds - age
    guard rest > 0, trend.slope > 0 else { return nil }
    // An event does not age faster than time goes by.
    func time(_ slope: Double) -> Duration? { slope > 0 ? .seconds(rest / min(slope, 1)) : nil }
    guard let expected = time(trend.slope), let earliest = time(trend.steepest) else { return nil }
    return TimeRange(expected: expected, earliest: min(earliest, expected), latest: time(trend.flattest))
  }
}
