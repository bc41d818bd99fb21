import Outbox
import Testing

@Suite struct `A timestamp` {
  @Test(
    arguments: [
      (0, 0), (1.5, 1_500_000_000), (-1.5, -1_500_000_000), (1_800_000_000.25, 1_800_000_000_250_000_000),
      (1e-9, 1), (1e300, Int64.max), (-1e300, Int64.min), (Double.infinity, Int64.max), (-Double.infinity, Int64.min),
      (9_223_372_036.854_775_807, Int64.max), (Double.nan, 0),
    ] as [(Double, Int64)]) func `of seconds is clamped to what 64 bits hold`(seconds: Double, nanoseconds: Int64)
  {
    #expect(Timestamp(seconds: seconds).nanoseconds == nanoseconds)
  }

  @Test func `shows seconds to the last digit that a number holds`() {
    #expect(Timestamp(nanoseconds: 1_800_000_015_002_000_000).seconds == 1_800_000_015.002)
    #expect(Timestamp(nanoseconds: -1_500_000_000).seconds == -1.5)
    #expect(Timestamp(nanoseconds: 1).seconds == 1e-9)
  }

  @Test func `subtracts without overflow`() {
    let (first, last) = (Timestamp(nanoseconds: .min), Timestamp(nanoseconds: .max))
    #expect(last.since(first) == .nanoseconds(Int64.max))
    #expect(first.since(last) == .nanoseconds(Int64.min))
    #expect(Timestamp(nanoseconds: 5).since(Timestamp(nanoseconds: 8)) == .nanoseconds(-3))
    #expect(first.since(first) == .zero)
  }

  @Test func `moves without overflow`() {
    #expect(Timestamp(nanoseconds: .max).advanced(by: .nanoseconds(1)).nanoseconds == .max)
    #expect(Timestamp(nanoseconds: .min).advanced(by: .nanoseconds(-1)).nanoseconds == .min)
    #expect(Timestamp(nanoseconds: 7).advanced(by: .milliseconds(-1)).nanoseconds == -999_993)
    #expect(Timestamp(nanoseconds: 0).advanced(by: .seconds(Int64.max)).nanoseconds == .max)
    #expect(Timestamp(nanoseconds: 0).advanced(by: .seconds(Int64.min)).nanoseconds == .min)
  }

  @Test func `is ordered by time`() {
    #expect(Timestamp(nanoseconds: -1) < Timestamp(nanoseconds: 0))
    #expect(!(Timestamp(nanoseconds: 0) < Timestamp(nanoseconds: 0)))
  }

  @Test(arguments: UInt64(1)...4) func `comes back from where it was moved`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<1000 {
      let start = Timestamp(nanoseconds: .random(in: (.min / 2)...(.max / 2), using: &random))
      let distance = Int64.random(in: (.min / 2)...(.max / 2), using: &random)
      let moved = start.advanced(by: .nanoseconds(distance))
      #expect(moved.since(start).wholeNanoseconds == distance, "seed \(seed)")
      #expect((start < moved) == (distance > 0), "seed \(seed)")
    }
  }

  @Test(
    arguments: [
      (Duration.zero, 0), (.milliseconds(1500), 1.5), (.milliseconds(-1500), -1.5), (.nanoseconds(1), 1e-9),
      (.seconds(86_400), 86_400),
    ] as [(Duration, Double)]) func `a duration in seconds`(duration: Duration, seconds: Double)
  {
    #expect(duration.seconds == seconds)
  }

  @Test func `a duration in nanoseconds is whole and clamped`() {
    #expect(Duration(secondsComponent: 0, attosecondsComponent: 1_999_999_999).wholeNanoseconds == 1)
    #expect(Duration(secondsComponent: 0, attosecondsComponent: -1_999_999_999).wholeNanoseconds == -1)
    #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
    #expect(Duration.seconds(Int64.min).wholeNanoseconds == .min)
    #expect(Duration.nanoseconds(Int64.max).wholeNanoseconds == .max)
    #expect(Duration.nanoseconds(Int64.min).wholeNanoseconds == .min)
  }
}

/// A generator with a seed (SplitMix64, Steele and others 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
