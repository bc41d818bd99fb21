import Outbox
import Testing

@testable import Metrics

@Suite struct `The bucket of a number` {
  @Test(arguments: [
    (0, 1.0, -1), (0, 2, 0), (0, 3, 1), (0, 4, 1), (0, 4.0000001, 2), (0, 0.5, -2), (0, 0.75, -1), (3, 2, 7),
    (3, 1, -1),
    (3, 1.05, 0), (3, 1.0905, 0), (3, 1.0906, 1), (-1, 4, 0), (-1, 5, 1), (-1, 16, 1), (-1, 17, 2), (20, 1, -1),
    (20, 2, (1 << 20) - 1), (-10, 1, -1), (-10, 1.5, 0),
  ]) func `is the specification's, exactly so for powers of two [161] [162]`(scale: Int, value: Double, index: Int) {
    #expect(ExponentialHistogram.index(of: value, scale: scale) == index)
  }

  @Test(arguments: -10...20) func `of any double fits a sint32 [163]`(scale: Int) {
    let values = [
      Double.greatestFiniteMagnitude, .leastNormalMagnitude, .leastNonzeroMagnitude, .leastNonzeroMagnitude * 3,
      1.0.nextUp, 1.0.nextDown, 2.0.nextDown,
    ]
    var last = Int.min
    for value in values.sorted() {
      let index = ExponentialHistogram.index(of: value, scale: scale)
      #expect(Int32(exactly: index) != nil && index >= last, "\(value) at \(scale): \(index)")
      last = index
      // Alone it is counted at the finest scale.
      var one = ExponentialHistogram()
      one.record(value)
      #expect(one.scale == 20 && one.count == 1)
    }
  }

  @Test func `holds it, by bounds that were computed elsewhere`() {
    // Python 3: [2 ** (i / 8) for i in range(-3, 4)]
    let bounds = [
      0.7711054127039704, 0.8408964152537145, 0.9170040432046712, 1.0, 1.0905077326652577, 1.189207115002721,
      1.2968395546510096,
    ]
    for (place, pair) in zip(bounds, bounds.dropFirst()).enumerated() {
      for value in [pair.0 + 1e-12, (pair.0 + pair.1) / 2, pair.1 - 1e-12] {
        #expect(ExponentialHistogram.index(of: value, scale: 3) == place - 3, "\(value)")
      }
    }
  }
}

@Suite struct `An exponential histogram` {
  private static func random(_ random: inout SeededGenerator, octaves: Int) -> [Double] {
    (0..<Int.random(in: 1...300, using: &random)).map { _ in
      let exponent = Int.random(in: -octaves...octaves, using: &random)
      return switch Int.random(in: 0..<8, using: &random) {
      case 0: 0
      case 1: Double(sign: .plus, exponent: exponent, significand: 1)
      default: Double(sign: .plus, exponent: exponent, significand: .random(in: 1..<2, using: &random))
      }
    }
  }

  @Test func `of one value is as fine as can be [166]`() {
    for value in [1e-9, 0.3, 1, 86_400] {
      var histogram = ExponentialHistogram()
      #expect(histogram.scale == 20)
      histogram.record(value)
      #expect(histogram.scale == 20 && histogram.positive.counts == [1])
    }
  }

  @Test(arguments: UInt64(1)...20)
  func `gets coarser only as far as its values need, and loses none [164] [167]`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let values = Self.random(&random, octaves: Int.random(in: 1...40, using: &random))
    var histogram = ExponentialHistogram()
    for value in values { histogram.record(value) }
    let positive = values.filter { $0 > 0 }
    #expect(histogram.count == UInt64(values.count) && histogram.zeroCount == UInt64(values.count - positive.count))
    #expect(histogram.positive.count == UInt64(positive.count))
    #expect(histogram.positive.counts.count <= 160)
    #expect(abs(histogram.sum - values.reduce(0, +)) <= 1e-9 * histogram.sum)
    guard let low = positive.min(), let high = positive.max() else { return }
    // One step finer would not have held them.
    let finer = histogram.scale + 1
    let span =
      ExponentialHistogram.index(of: high, scale: finer) - ExponentialHistogram.index(of: low, scale: finer) + 1
    #expect(histogram.scale == 20 || span > 160, "seed \(seed): \(span) buckets at \(finer)")
  }

  @Test(arguments: UInt64(1)...20) func `made coarser is the one that was coarse from the beginning [165]`(seed: UInt64)
  {
    var random = SeededGenerator(seed: seed)
    let values = Self.random(&random, octaves: 30)
    let scale = Int.random(in: -4...5, using: &random)
    var fine = ExponentialHistogram(scale: 8, size: 1 << 15)
    var coarse = ExponentialHistogram(scale: scale, size: 1 << 15)
    for value in values {
      fine.record(value)
      coarse.record(value)
    }
    fine.downscale(to: scale)
    #expect(fine == coarse, "seed \(seed)")
    for value in values where value > 0 {
      #expect(
        ExponentialHistogram.index(of: value, scale: 20) >> (20 - scale)
          == ExponentialHistogram.index(of: value, scale: scale), "seed \(seed): \(value)")
    }
  }

  @Test func `counts what is below zero apart, and has no sum then`() {
    var histogram = ExponentialHistogram()
    for value in [-2.0, -1, 0, 4, .nan, .infinity] { histogram.record(value) }
    #expect(histogram.count == 4 && histogram.zeroCount == 1)
    #expect(histogram.negative.count == 2 && histogram.positive.count == 1)
    #expect(!histogram.isSumCounter)
  }

  @Test func `of every double there is stays within what Prometheus takes [169]`() {
    var histogram = ExponentialHistogram()
    for exponent in stride(from: -1074, through: 1023, by: 1) {
      histogram.record(Double(sign: .plus, exponent: exponent, significand: 1))
      var sent = histogram
      sent.downscale(to: ExponentialHistogram.sentScale)
      #expect((-4...8).contains(sent.scale) && sent.positive.counts.count <= 160)
    }
    #expect(histogram.scale == -4)
  }

  @Test(arguments: UInt64(1)...20) func `since an earlier moment is what came after it`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var whole = ExponentialHistogram()
    for value in Self.random(&random, octaves: Int.random(in: 1...10, using: &random)) { whole.record(value) }
    let earlier = whole
    let later = Self.random(&random, octaves: Int.random(in: 1...40, using: &random))
    for value in later { whole.record(value) }
    let rest = try #require(whole.since(earlier))
    #expect(rest.scale == whole.scale && rest.count == UInt64(later.count), "seed \(seed)")
    var expected = ExponentialHistogram(scale: whole.scale)
    for value in later { expected.record(value) }
    #expect(rest.zeroCount == expected.zeroCount && rest.positive.count == expected.positive.count, "seed \(seed)")
    for (place, count) in expected.positive.counts.enumerated() {
      let index = expected.positive.offset + place - rest.positive.offset
      #expect(rest.positive.counts[index] == count, "seed \(seed)")
    }
    #expect(later.isEmpty || earlier.since(whole) == nil)
  }
}

@Suite struct `Durations that a database has counted` {
  @Test(arguments: UInt64(1)...5) func `make the exponential histogram of the durations themselves`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for objective in [nil, Duration.seconds(45), .milliseconds(1500)] {
      let bounds = DeliveryBounds(objective: objective)
      var tally = DurationTally()
      var expected = ExponentialHistogram(scale: 3)
      for _ in 0..<500 {
        // Databases keep microseconds.
        let microseconds =
          Int.random(in: 0..<3, using: &random) == 0
          ? Int.random(in: 0...5, using: &random) : 1 << Int.random(in: 0...40, using: &random)
        let seconds = Double(microseconds + Int.random(in: 0...microseconds, using: &random)) / 1e6
        tally.record(seconds, bounds)
        expected.record(seconds)
      }
      let found = HistogramValue(tally, bounds, isExponential: true)
      #expect(found.exponential?.zeroCount == expected.zeroCount, "seed \(seed)")
      #expect(found.exponential?.positive == expected.positive, "seed \(seed)")
      #expect(found.exponential?.scale == expected.scale && found.count == 500)
    }
  }

  @Test func `are told apart by explicit bounds as before`() {
    let bounds = DeliveryBounds(objective: .seconds(45))
    #expect(Set(bounds.exported).isSubset(of: bounds.kept) && bounds.exported.contains(45))
    #expect(bounds.kept == bounds.kept.sorted() && Set(bounds.kept).count == bounds.kept.count)
    #expect(bounds.objective.map { bounds.kept[$0] } == 45)
    #expect(DeliveryBounds(objective: .seconds(60)).kept == DeliveryBounds().kept)
  }
}
