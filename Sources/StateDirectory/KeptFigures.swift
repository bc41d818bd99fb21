package import Outbox

/// The figures of a sample as text: what the trend needs of it, and nothing else of what the sample found. One line each,
/// a destination at its end:
///
///     t STORE_TIME IMPLAUSIBLE
///     d STATE RETRY COUNT DESTINATION
///     a RETRY OLDEST MEDIAN P99 DESTINATION
///     s REASON COUNT OLDEST DESTINATION
///
/// Times and durations are nanoseconds, `-` where there is none.
package enum KeptFigures {
  /// The figures as text.
  package static func text(_ snapshot: Snapshot) -> String {
    var text = "t \(snapshot.storeTime.nanoseconds) \(snapshot.implausible)\n"
    for depth in snapshot.depths {
      text += "d \(depth.state.rawValue) \(depth.retry ? 1 : 0) \(depth.count) \(escaped(depth.destination))\n"
    }
    for age in snapshot.ages {
      text += "a \(age.retry ? 1 : 0) \(age.oldest.wholeNanoseconds) \(nanoseconds(age.median)) "
      text += "\(nanoseconds(age.p99)) \(escaped(age.destination))\n"
    }
    for stuck in snapshot.stuck {
      text += "s \(stuck.reason.rawValue) \(stuck.count) \(stuck.oldest.wholeNanoseconds) "
      text += "\(escaped(stuck.destination))\n"
    }
    return text
  }

  /// The figures of such a text; nil where it is none.
  package static func snapshot(_ text: String) -> Snapshot? {
    var snapshot: Snapshot?
    for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
      guard read(line, into: &snapshot) else { return nil }
    }
    return snapshot
  }

  private static func read(_ line: Substring.UTF8View, into snapshot: inout Snapshot?) -> Bool {
    func fields(_ count: Int) -> [String]? {
      let parts = line.split(separator: UInt8(ascii: " "), maxSplits: count, omittingEmptySubsequences: false)
      return parts.count == count + 1 ? parts.dropFirst().map { String($0) ?? "" } : nil
    }
    switch line.first {
    case UInt8(ascii: "t"):
      guard let fields = fields(2), let time = Int64(fields[0]), let implausible = Int(fields[1]) else { return false }
      snapshot = Snapshot(storeTime: Timestamp(nanoseconds: time), implausible: implausible)
    case UInt8(ascii: "d"):
      guard let fields = fields(4), let state = EventState(rawValue: fields[0]), let count = Int(fields[2]) else {
        return false
      }
      snapshot?.depths.append(
        .init(destination: unescaped(fields[3]), state: state, retry: fields[1] == "1", count: count))
    case UInt8(ascii: "a"):
      guard let fields = fields(5), let oldest = Int64(fields[1]) else { return false }
      snapshot?.ages.append(
        .init(
          destination: unescaped(fields[4]), retry: fields[0] == "1", oldest: .nanoseconds(oldest),
          median: Int64(fields[2]).map { .nanoseconds($0) }, p99: Int64(fields[3]).map { .nanoseconds($0) }))
    case UInt8(ascii: "s"):
      guard let fields = fields(4), let reason = StuckReason(rawValue: fields[0]), let count = Int(fields[1]),
        let oldest = Int64(fields[2])
      else { return false }
      snapshot?.stuck.append(
        .init(destination: unescaped(fields[3]), reason: reason, count: count, oldest: .nanoseconds(oldest)))
    default: return false
    }
    return snapshot != nil
  }

  private static func nanoseconds(_ duration: Duration?) -> String { duration.map { "\($0.wholeNanoseconds)" } ?? "-" }

  private static func escaped(_ destination: String) -> String {
    guard destination.utf8.contains(where: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\\") }) else {
      return destination
    }
    var text = ""
    for scalar in destination.unicodeScalars {
      switch scalar {
      case "\n": text += "\\n"
      case "\\": text += "\\\\"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  private static func unescaped(_ text: String) -> String {
    guard text.utf8.contains(UInt8(ascii: "\\")) else { return text }
    var destination = ""
    var isEscape = false
    for scalar in text.unicodeScalars {
      if isEscape {
        destination.unicodeScalars.append(scalar == "n" ? "\n" : scalar)
        isEscape = false
      } else if scalar == "\\" {
        isEscape = true
      } else {
        destination.unicodeScalars.append(scalar)
      }
    }
    return destination
  }
}
