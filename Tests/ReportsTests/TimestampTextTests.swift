import Outbox
import Reports
import Testing

@Suite struct `Timestamp text` {
  // Expected values from `date -u -d @N +%FT%T`.
  @Test(arguments: [
    (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
    (951_782_400_000, "2000-02-29T00:00:00.000Z"), (1_800_000_000_007, "2027-01-15T08:00:00.007Z"),
    (4_107_542_399_050, "2100-02-28T23:59:59.050Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    (-1, "1969-12-31T23:59:59.999Z"), (-8_520_336_000_000, "1700-01-01T00:00:00.000Z"),
  ]) func `is RFC 3339 in UTC`(milliseconds: Int64, text: String) {
    #expect(Timestamp(nanoseconds: milliseconds * 1_000_000).text == text)
  }
}
