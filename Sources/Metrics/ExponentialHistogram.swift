/// A distribution whose buckets grow by a constant factor: with scale *s*, bucket *i* holds values in (b^i, b^(i+1)] where
/// b = 2^(2^−s) (OTLP data model, "ExponentialHistogram").
///
/// It starts at its finest scale and halves its resolution as often as a value needs that lies further away than its
/// buckets reach.
package struct ExponentialHistogram: Sendable, Hashable {
  /// Counts of neighbouring buckets.
  package struct Buckets: Sendable, Hashable {
    /// The index of the first.
    package private(set) var offset = 0
    /// One count per bucket, from the first that was ever filled to the last.
    package private(set) var counts: [UInt64] = []

    /// All measurements in them.
    package var count: UInt64 { counts.reduce(0, +) }

    fileprivate func range(with index: Int) -> ClosedRange<Int> {
      counts.isEmpty ? index...index : min(offset, index)...max(offset + counts.count - 1, index)
    }

    fileprivate mutating func add(_ count: UInt64, at index: Int) {
      if counts.isEmpty { offset = index }
      if index < offset {
        counts.insert(contentsOf: repeatElement(0, count: offset - index), at: 0)
        offset = index
      }
      if index >= offset + counts.count {
        counts.append(contentsOf: repeatElement(0, count: index - offset - counts.count + 1))
      }
      counts[index - offset] += count
    }

    fileprivate mutating func downscale(by steps: Int) {
      guard steps > 0, !counts.isEmpty else { return }
      var coarse = Buckets()
      for (place, count) in counts.enumerated() { coarse.add(count, at: (offset + place) >> steps) }
      self = coarse
    }

    /// Without what was there earlier; nil where some of that is gone.
    fileprivate func since(_ earlier: Buckets) -> Buckets? {
      var rest = self
      for (place, count) in earlier.counts.enumerated() where count > 0 {
        let index = earlier.offset + place - offset
        guard counts.indices.contains(index), rest.counts[index] >= count else { return nil }
        rest.counts[index] -= count
      }
      return rest
    }
  }

  /// The scale that the specification begins with, and so many buckets for each sign (metrics/sdk.md, "Base2 Exponential
  /// Bucket Histogram Aggregation").
  package static let finestScale = 20
  /// How many buckets there may be for each sign.
  package static let standardSize = 160
  /// The finest scale that is sent: Prometheus keeps no finer one. With 160 buckets no distribution of doubles needs a
  /// coarser one than −4, which is the coarsest that Prometheus takes.
  package static let sentScale = 8

  /// How fine the buckets are at the moment.
  package private(set) var scale: Int
  /// Measurements of exactly zero.
  package private(set) var zeroCount: UInt64 = 0
  /// Measurements above zero.
  package private(set) var positive = Buckets()
  /// Measurements below zero, by their absolute value.
  package private(set) var negative = Buckets()
  /// The sum of all measurements.
  package private(set) var sum: Double = 0
  private let size: Int

  /// An empty distribution.
  package init(scale: Int = Self.finestScale, size: Int = Self.standardSize) {
    self.scale = scale
    self.size = size
  }

  /// All measurements.
  package var count: UInt64 { zeroCount + positive.count + negative.count }

  /// False where a measurement was below zero, so that the sum may fall; it is not sent then (metrics.proto).
  package var isSumCounter: Bool { negative.counts.isEmpty }

  /// Adds one measurement; one that is not finite is left out.
  package mutating func record(_ value: Double) {
    guard value.isFinite else { return }
    sum += value
    if value == 0 {
      zeroCount += 1
    } else {
      add(1, at: Self.index(of: value.magnitude, scale: scale), scale: scale, isNegative: value < 0)
    }
  }

  /// Adds measurements that were counted at a scale: those above zero by the index of their bucket there.
  package mutating func add(zeros: UInt64, counts: [Int: UInt64], scale: Int, sum: Double) {
    zeroCount += zeros
    self.sum += sum
    if scale < self.scale { downscale(to: scale) }
    for (index, count) in counts.sorted(by: { $0.key < $1.key }) where count > 0 {
      add(count, at: index >> (scale - self.scale), scale: self.scale, isNegative: false)
    }
  }

  private mutating func add(_ count: UInt64, at index: Int, scale: Int, isNegative: Bool) {
    let range = (isNegative ? negative : positive).range(with: index)
    var steps = 0
    while (range.upperBound >> steps) - (range.lowerBound >> steps) >= size { steps += 1 }
    downscale(to: scale - steps)
    if isNegative { negative.add(count, at: index >> steps) } else { positive.add(count, at: index >> steps) }
  }

  /// Makes the buckets coarser: each new one holds whole old ones (OTLP data model, "Perfect subsetting").
  package mutating func downscale(to coarser: Int) {
    guard coarser < scale else { return }
    positive.downscale(by: scale - coarser)
    negative.downscale(by: scale - coarser)
    scale = coarser
  }

  /// The measurements since an earlier moment of the same distribution; nil where it is not the same.
  package func since(_ earlier: ExponentialHistogram) -> ExponentialHistogram? {
    var rest = self
    var earlier = earlier
    earlier.downscale(to: scale)
    rest.downscale(to: earlier.scale)
    guard zeroCount >= earlier.zeroCount, let positive = rest.positive.since(earlier.positive),
      let negative = rest.negative.since(earlier.negative)
    else { return nil }
    rest.zeroCount -= earlier.zeroCount
    rest.positive = positive
    rest.negative = negative
    rest.sum = rest.count == 0 ? 0 : sum - earlier.sum
    return rest
  }

  /// The bucket of a finite number above zero.
  ///
  /// Exact for powers of two, which lie on bounds. In between, each step of the scale is one more binary digit of the
  /// logarithm: squaring doubles it. A coarser index is therefore always the finer one shifted.
  package static func index(of value: Double, scale: Int) -> Int {
    let exponent = Int(value.exponent)
    var rest = value.significand
    guard rest != 1 else { return scale > 0 ? (exponent << scale) - 1 : (exponent - 1) >> -scale }
    guard scale > 0 else { return exponent >> -scale }
    var index = exponent
    for _ in 0..<scale {
      rest *= rest
      index <<= 1
      if rest >= 2 {
        index += 1
        rest /= 2
      }
    }
    return index
  }
}

extension ExponentialHistogram {
  /// The figures in one line, for ``init(text:)``.
  var text: String {
    "\(scale) \(size) \(zeroCount) \(sum) \(Self.text(positive)) \(Self.text(negative))"
  }

  /// What ``text`` has written; nil where it is something else.
  init?(text: Substring) {
    let words = text.split(separator: " ")
    guard words.count == 6, let scale = Int(words[0]), let size = Int(words[1]), let zeros = UInt64(words[2]),
      let sum = Double(words[3]), let positive = Self.buckets(words[4]), let negative = Self.buckets(words[5])
    else { return nil }
    self.init(scale: scale, size: size)
    zeroCount = zeros
    self.sum = sum
    self.positive = positive
    self.negative = negative
  }

  private static func text(_ buckets: Buckets) -> String {
    "\(buckets.offset):" + buckets.counts.map { "\($0)" }.joined(separator: ",")
  }

  private static func buckets(_ text: Substring) -> Buckets? {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let offset = Int(parts[0]) else { return nil }
    var buckets = Buckets()
    for (place, word) in parts[1].split(separator: ",").enumerated() {
      guard let count = UInt64(word) else { return nil }
      buckets.add(count, at: offset + place)
    }
    return buckets
  }
}
