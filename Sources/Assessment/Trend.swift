/// The slope of a series and how sure it is.
///
/// The slope is Theil's and Sen's: the median of the slopes between all pairs of points, which a fifth of wild points
/// does not move (P. K. Sen, 1968). Whether there is one at all says the test of Mann and Kendall with its correction
/// for ties (M. G. Kendall, "Rank Correlation Methods", 1975). Neighbouring samples of a queue resemble each other, so
/// that a test for independent ones would see trends everywhere: the variance is widened by the first autocorrelation
/// of what the line leaves over (H. von Storch, 1995).
package struct Trend: Sendable, Hashable {
  /// Change per unit of time.
  package var slope: Double
  /// Standard deviations between the series and one without a trend; the sign is that of the trend.
  package var score: Double
  /// The lower end of Sen's interval for the slope at 90 %.
  package var flattest: Double
  /// Its upper end.
  package var steepest: Double

  /// The trend of values over times; nil for fewer than three points, or where no two times differ.
  ///
  /// - Parameter significance: nil comes back too where the score cannot reach it; that is known long before the slope.
  package init?(times: [Double], values: [Double], significance: Double = 0) {
    let count = min(times.count, values.count)
    guard count >= 3 else { return nil }
    var sum = 0
    for later in 1..<count {
      for earlier in 0..<later where times[later] > times[earlier] {
        sum += values[later] > values[earlier] ? 1 : values[later] < values[earlier] ? -1 : 0
      }
    }
    let least = Self.variance(values)
    if significance > 0, sum == 0 || Double(abs(sum)) < significance * least.squareRoot() { return nil }
    var slopes: [Double] = []
    slopes.reserveCapacity(count * (count - 1) / 2)
    for later in 1..<count {
      for earlier in 0..<later where times[later] > times[earlier] {
        slopes.append((values[later] - values[earlier]) / (times[later] - times[earlier]))
      }
    }
    guard !slopes.isEmpty else { return nil }
    slopes.sort()
    slope = (slopes[(slopes.count - 1) / 2] + slopes[slopes.count / 2]) / 2
    let (times, values) = (times.prefix(count), values.prefix(count))
    let residues = zip(times, values).map { [slope] time, value in value - slope * time }
    let variance = least * Self.inflation(residues)
    score = sum == 0 || variance <= 0 ? 0 : Double(sum - sum.signum()) / variance.squareRoot()
    let reach = 1.645 * max(0, variance).squareRoot()
    let (low, high) = ((Double(slopes.count) - reach) / 2, (Double(slopes.count) + reach) / 2)
    flattest = slopes[max(0, Int(low.rounded()) - 1)]
    steepest = slopes[min(slopes.count - 1, Int(high.rounded()))]
  }

  /// The middle of the values, the mean of the two middle ones where their number is even; 0 for none.
  package static func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return 0 }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// The variance of Kendall's sum over a series without trend: (n(n−1)(2n+5) − Σ t(t−1)(2t+5)) / 18, over groups of t
  /// equal values.
  static func variance(_ values: [Double]) -> Double {
    func term(_ count: Int) -> Double { Double(count * (count - 1) * (2 * count + 5)) }
    let sorted = values.sorted()
    var ties = 0.0
    var start = 0
    for index in 1...max(1, sorted.count) where index >= sorted.count || sorted[index] != sorted[start] {
      ties += term(index - start)
      start = index
    }
    return (term(values.count) - ties) / 18
  }

  /// How much wider the variance is because neighbours resemble each other: (1 + r) / (1 − r) for a first
  /// autocorrelation r between 0 and 0.8.
  static func inflation(_ residues: [Double]) -> Double {
    let mean = residues.reduce(0, +) / Double(residues.count)
    var (square, product) = (0.0, 0.0)
    for index in residues.indices {
      square += (residues[index] - mean) * (residues[index] - mean)
      if index > 0 { product += (residues[index] - mean) * (residues[index - 1] - mean) }
    }
    guard square > 0 else { return 1 }
    let correlation = min(max(product / square, 0), 0.8)
    return (1 + correlation) / (1 - correlation)
  }
}
