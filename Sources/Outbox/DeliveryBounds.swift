/// The bounds by which delivery durations are counted, in seconds.
///
/// Every bound of a histogram that may be sent is one of them, with explicit buckets or with exponential ones, so that
/// either can be had from what a database has counted by them.
package struct DeliveryBounds: Sendable, Hashable {
  /// What is counted by and kept: fine enough to tell a median and a 99th percentile within a tenth. Bucket 0 holds what
  /// took no time.
  package let kept: [Double]
  /// What `outbox.delivery.duration` is sent with: some of the kept ones, the objective among them.
  package let exported: [Double]
  /// The objective's place among the kept bounds: what is in a later bucket was late.
  package let objective: Int?
  /// The age by which events are to be delivered.
  package let objectiveAge: Duration?

  /// The bounds of an outbox.
  package init(objective age: Duration? = nil) {
    objectiveAge = age
    guard let age else {
      (kept, exported, objective) = (Self.standardKept, Self.round, nil)
      return
    }
    exported = Self.round.contains(age.seconds) ? Self.round : (Self.round + [age.seconds]).sorted()
    kept =
      Self.standardKept.contains(age.seconds) ? Self.standardKept : (Self.standardKept + [age.seconds]).sorted()
    objective = kept.firstIndex(of: age.seconds)
  }

  /// The bucket that a duration falls into; one that equals a bound falls below it.
  package func bucket(of seconds: Double) -> Int { Self.place(of: seconds, in: kept) }

  // MARK: - Exponential buckets

  /// The scale of the exponential buckets whose bounds are among the kept ones: eight for each doubling (OTLP data model,
  /// "Exponential Scale").
  package static let exponentialScale = 3

  /// The index of the exponential bucket at ``exponentialScale`` that a bucket lies in; nil for what took no time.
  ///
  /// What took less than a microsecond, the resolution of databases, or longer than 68 years is counted as if it did not.
  package func exponentialIndex(ofBucket bucket: Int) -> Int? {
    guard bucket > 0 else { return nil }
    let last = Self.powers.count - 1
    let place = bucket < kept.count ? min(Self.place(of: kept[bucket], in: Self.powers), last) : last
    return Self.octaves.lowerBound * Self.roots.count + place - 1
  }

  /// From a microsecond to what has passed since 1970, and more.
  private static let octaves = -20..<31
  /// 2^(i/8).
  private static let roots = [
    1, 1.090507732665257659, 1.189207115002721067, 1.296839554651009666, 1.414213562373095049, 1.542210825407940824,
    1.681792830507429086, 1.834008086409342463,
  ]
  private static let powers: [Double] =
    octaves.flatMap { octave in roots.map { Double(sign: .plus, exponent: octave, significand: $0) } }
    + [Double(sign: .plus, exponent: octaves.upperBound, significand: 1)]
  private static let round = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 43_200, 86_400,
  ]
  private static let standardKept = Set([0] + powers + round).sorted()

  private static func place(of number: Double, in bounds: [Double]) -> Int {
    var (low, high) = (0, bounds.count)
    while low < high {
      let middle = (low + high) / 2
      if bounds[middle] < number { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
