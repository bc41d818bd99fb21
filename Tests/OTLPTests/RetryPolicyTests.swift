import Outbox
import Testing

@testable import OTLP

/// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 §5.6.7.
private let example: Int64 = 784_111_777

struct `Back-off` {
  private let policy = RetryPolicy()

  @Test func `what a gRPC server asks for grows up to the longest back-off, or is itself longer [89] [90]`() {
    let policy = RetryPolicy()
    #expect(policy.throttle(after: nil, serverDelay: nil) == nil)
    #expect(policy.throttle(after: .seconds(25), serverDelay: nil) == .seconds(30))
    #expect(policy.throttle(after: .seconds(60), serverDelay: nil) == .seconds(60))
    #expect(policy.throttle(after: .seconds(4), serverDelay: .seconds(20)) == .seconds(20))
    #expect(policy.throttle(after: nil, serverDelay: .seconds(86_400)) == .seconds(300))
  }

  @Test func `it grows by half from one second to thirty`() {
    let longest = (1...12).map { policy.delay(failures: $0, serverDelay: nil, random: 1) / .seconds(1) }
    let expected = [1, 1.5, 2.25, 3.375, 5.0625, 7.59375, 11.390625, 17.0859375, 25.62890625, 30, 30, 30]
    for (delay, wanted) in zip(longest, expected) { #expect(abs(delay - wanted) < 1e-9) }
    #expect(policy.delay(failures: 1_000_000, serverDelay: nil, random: 1) == .seconds(30))
  }

  @Test func `chance takes at most half of it [51]`() {
    for failures in 1...12 {
      let longest = policy.delay(failures: failures, serverDelay: nil, random: 1)
      #expect(policy.delay(failures: failures, serverDelay: nil, random: 0) == longest / 2)
      let middle = policy.delay(failures: failures, serverDelay: nil, random: 0.5)
      #expect(middle > longest / 2 && middle < longest)
    }
  }

  @Test func `the server can ask for more, up to five minutes, and not for less [56] [62]`() {
    #expect(policy.delay(failures: 1, serverDelay: .seconds(7), random: 0) == .seconds(7))
    #expect(policy.delay(failures: 9, serverDelay: .seconds(7), random: 1) > .seconds(25))
    #expect(policy.delay(failures: 1, serverDelay: .zero, random: 1) == .seconds(1))
    #expect(policy.delay(failures: 1, serverDelay: .seconds(63_072_000), random: 0) == .seconds(300))
  }
}

struct `Retry-After` {
  private let now = Timestamp(nanoseconds: (example - 7) * 1_000_000_000)

  @Test(arguments: [("0", 0), ("7", 7), ("007", 7), ("63072000", 63_072_000), ("9999999999", 9_999_999_999)])
  func `seconds`(text: String, seconds: Int) {
    #expect(RetryAfter.delay([text], now: now) == .seconds(seconds))
  }

  @Test(arguments: [
    "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
  ])
  func `a date in each of the three forms [55]`(text: String) {
    #expect(RetryAfter.delay([text], now: now) == .seconds(7))
    #expect(RetryAfter.delay([text], now: now.advanced(by: .seconds(60))) == .zero, "a date in the past")
  }

  @Test(arguments: [
    "", "soon", "-5", "1.5", "+5", "5 s", "99999999999999999999", "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 94 08:49:37 GMT",
    "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
    "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 08:49:37 CET", "Sun Nov 6 1994", "٣",
  ])
  func `nonsense is as good as nothing [57]`(text: String) {
    #expect(RetryAfter.delay([text], now: now) == nil)
  }

  @Test func `the longest of several counts [58]`() {
    #expect(RetryAfter.delay(["3", "soon", "11", "2"], now: now) == .seconds(11))
    #expect(RetryAfter.delay([], now: now) == nil)
  }

  @Test(arguments: [
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
    ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800), ("Thu, 31 Dec 2026 23:59:59 GMT", 1_798_761_599),
    ("Fri, 01 Jan 2100 00:00:00 GMT", 4_102_444_800),
  ])
  func `dates at the edges of the calendar`(text: String, seconds: Int) {
    #expect(RetryAfter.httpDate(text, nowSeconds: 0) == seconds)
  }

  @Test func `two digits of a year mean at most fifty years ahead`() {
    let in2026 = 1_795_224_000
    #expect(RetryAfter.httpDate("Sunday, 06-Nov-94 08:49:37 GMT", nowSeconds: in2026) == 784_111_777)
    #expect(RetryAfter.httpDate("Friday, 06-Nov-26 08:49:37 GMT", nowSeconds: in2026) == 1_793_954_977)
  }
}
