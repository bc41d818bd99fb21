package import Outbox

/// The `Retry-After` header (RFC 9110 §10.2.3): seconds, or a date in one of three forms.
package enum RetryAfter {
  /// The longest delay among the values, or nil where none makes sense: the ordinary back-off applies then. A date in
  /// the past is no delay.
  package static func delay(_ values: [String], now: Timestamp) -> Duration? {
    values.compactMap { delay($0, now: now) }.max()
  }

  private static func delay(_ value: String, now: Timestamp) -> Duration? {
    if !value.isEmpty, value.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) {
      // More than 10 digits are not seconds but nonsense.
      return value.utf8.count <= 10 ? Int(value).map { .seconds($0) } : nil
    }
    let nowSeconds = Int(now.nanoseconds / 1_000_000_000)
    return httpDate(value, nowSeconds: nowSeconds).map { .seconds(max(0, $0 - nowSeconds)) }
  }

  /// Seconds since 1970 of an HTTP-date (RFC 9110 §5.6.7), or nil.
  static func httpDate(_ text: String, nowSeconds: Int) -> Int? {
    let fields = text.split { $0 == " " || $0 == "," || $0 == "-" }.map(String.init)
    switch (fields.count, text.contains("-"), text.contains(",")) {
    // Sun, 06 Nov 1994 08:49:37 GMT
    case (6, false, true) where fields[5] == "GMT":
      guard let year = number(fields[3], digits: 4) else { return nil }
      return seconds(year: year, month: fields[2], day: fields[1], time: fields[4])
    // Sunday, 06-Nov-94 08:49:37 GMT
    case (6, true, true) where fields[5] == "GMT":
      guard let shortYear = number(fields[3], digits: 2) else { return nil }
      // "More than 50 years in the future" means the last century that ends in these digits.
      let currentYear = 1970 + nowSeconds / 31_556_952
      var year = currentYear / 100 * 100 + shortYear
      if year > currentYear + 50 { year -= 100 }
      return seconds(year: year, month: fields[2], day: fields[1], time: fields[4])
    // Sun Nov  6 08:49:37 1994
    case (5, false, false):
      guard let year = number(fields[4], digits: 4) else { return nil }
      return seconds(year: year, month: fields[1], day: fields[2], time: fields[3])
    default: return nil
    }
  }

  private static func seconds(year: Int, month: String, day: String, time: String) -> Int? {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let clock = time.split(separator: ":", omittingEmptySubsequences: false).compactMap {
      number(String($0), digits: 2)
    }
    guard let month = months.firstIndex(of: month).map({ $0 + 1 }), let day = number(day, digits: day.utf8.count),
      (1...31).contains(day), year >= 1970, clock.count == 3, clock[0] < 24, clock[1] < 60, clock[2] <= 60
    else { return nil }
    // Days since 1970 in the proleptic Gregorian calendar, the year beginning in March.
    let shiftedYear = month <= 2 ? year - 1 : year
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    let days = 365 * shiftedYear + shiftedYear / 4 - shiftedYear / 100 + shiftedYear / 400 + dayOfYear - 719_468
    return ((days * 24 + clock[0]) * 60 + clock[1]) * 60 + clock[2]
  }

  private static func number(_ text: String, digits: Int) -> Int? {
    text.utf8.count == digits && text.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      ? Int(text) : nil
  }
}
