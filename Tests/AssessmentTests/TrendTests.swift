import Assessment
import Testing

@Suite struct `A trend` {
  // Slope and interval from scipy.stats.theilslopes at 90 %; the score from Kendall's sum S and variance V by hand:
  // (S ∓ 1) / √V where what the line leaves over has no positive autocorrelation.
  @Test(
    arguments: [
      ([0, 1, 2, 3, 4, 5, 6, 7], [3, 1, 4, 1, 5, 9, 2, 6], 0.46428571, (11.0 - 1) / 64.33333333.squareRoot()),
      ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [2, 4, 6, 8, 10, 12, 14, 16, 18, 20], 2, (45.0 - 1) / 125.squareRoot()),
      ([0, 1, 2, 4, 7, 8, 9], [10, 9, 7, 7, 3, 2, 100], -0.83333333, (-8.0 + 1) / 43.33333333.squareRoot()),
      (
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [5, 5, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9], 0.42857143,
        (56.0 - 1) / 200.squareRoot()
      ),
    ] as [([Double], [Double], Double, Double)])
  func `has the slope of Theil and Sen and the score of Mann and Kendall`(
    times: [Double], values: [Double], slope: Double, score: Double
  ) throws {
    let trend = try #require(Trend(times: times, values: values))
    #expect(abs(trend.slope - slope) < 1e-6)
    #expect(abs(trend.score) <= abs(score) + 1e-6)
    #expect((trend.score < 0) == (score < 0))
    #expect(trend.flattest <= trend.slope && trend.slope <= trend.steepest)
  }

  @Test func `has Sen's interval`() throws {
    let trend = try #require(Trend(times: [0, 1, 2, 3, 4, 5, 6, 7], values: [3, 1, 4, 1, 5, 9, 2, 6]))
    #expect(abs(trend.score - 1.24675745) < 1e-6)
    #expect(abs(trend.flattest + 0.50000000) < 1e-6)
    #expect(abs(trend.steepest - 1.66666667) < 1e-6)
  }

  @Test func `is not moved by a wild value`() throws {
    let times = (0..<20).map(Double.init)
    var values = times.map { 3 * $0 }
    values[7] = 1e9
    #expect(try #require(Trend(times: times, values: values)).slope == 3)
  }

  @Test func `believes a walk less than as many independent values`() throws {
    let times = (0..<16).map(Double.init)
    // Both have the same ranks' sum; the first wanders around its line in long waves.
    let walk: [Double] = [0, 2, 4, 6, 8, 9, 8, 8, 7, 7, 8, 10, 12, 14, 16, 18]
    let line = times.map { $0 * 1.0 }
    let (ofWalk, ofLine) = (
      try #require(Trend(times: times, values: walk)), try #require(Trend(times: times, values: line))
    )
    #expect(ofLine.score > 5)
    #expect(ofWalk.score < ofLine.score / 2)
  }

  @Test func `of nothing, of one time or of equal values is none`() throws {
    #expect(Trend(times: [], values: []) == nil)
    #expect(Trend(times: [1, 2], values: [1, 2]) == nil)
    #expect(Trend(times: [1, 1, 1], values: [1, 2, 3]) == nil)
    let flat = try #require(Trend(times: [1, 2, 3, 4], values: [7, 7, 7, 7]))
    #expect(flat.slope == 0 && flat.score == 0)
    #expect(Trend(times: [1, 2, 3, 4], values: [7, 7, 7, 7], significance: 1) == nil)
  }

  @Test func `has a median`() {
    #expect(Trend.median([]) == 0)
    #expect(Trend.median([3, 1, 2]) == 2)
    #expect(Trend.median([4, 1, 2, 3]) == 2.5)
  }
}
