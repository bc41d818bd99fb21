import Outbox

/// A day of the Gregorian calendar, in UTC.
struct CalendarDay {
  /// When it is over.
  let end: Timestamp

  /// The day of a text such as `2026-12-01` (ISO 8601, extended format); nil where there is no such day, or where it is
  /// beyond what a timestamp holds.
  init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.map(\.utf8.count) == [4, 2, 2], text.utf8.allSatisfy({ $0 == 0x2d || (0x30...0x39).contains($0) }),
      let year = Int64(parts[0]), let month = Int64(parts[1]), let day = Int64(parts[2]), (1970...2261).contains(year),
      (1...12).contains(month), (1...Self.days(in: month, of: year)).contains(day)
    else { return nil }
    // Years that begin in March end with the leap day.
    let marchYear = month > 2 ? year : year - 1
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let leapDays = marchYear / 4 - marchYear / 100 + marchYear / 400
    let sinceEpoch = marchYear * 365 + leapDays + dayOfYear - 719_468
    end = Timestamp(nanoseconds: (sinceEpoch + 1) * 86_400 * 1_000_000_000)
  }

  private static func days(in month: Int64, of year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}
