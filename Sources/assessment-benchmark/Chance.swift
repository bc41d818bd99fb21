/// Chance with a seed, so that every trace can be had again (SplitMix64; Steele, Lea and Flood, 2014).
struct Chance: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  mutating func between(_ low: Double, _ high: Double) -> Double { Double.random(in: low..<high, using: &self) }

  mutating func between(_ low: Int, _ high: Int) -> Int { Int.random(in: low...high, using: &self) }

  mutating func happens(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }

  /// How often something happens that is expected so often (Poisson; Knuth, volume 2, 3.4.1, in steps that do not
  /// underflow).
  mutating func count(_ expected: Double) -> Int {
    var rest = expected
    var total = 0
    while rest > 0 {
      let part = min(rest, 16)
      rest -= part
      let limit = Self.exponential(-part)
      var product = between(0, 1.0)
      while product > limit {
        total += 1
        product *= between(0, 1.0)
      }
    }
    return total
  }

  /// e to the power of a number: its series where it converges fast, squared back.
  static func exponential(_ power: Double) -> Double {
    let small = power / 64
    var (term, sum) = (1.0, 1.0)
    for index in 1...12 {
      term *= small / Double(index)
      sum += term
    }
    for _ in 0..<6 { sum *= sum }
    return sum
  }
}
