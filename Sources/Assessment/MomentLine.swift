/// The moments of one destination without their times, each kept as what has changed since the one before: an exporter may
/// watch ten thousand destinations, and in most of them nothing moves most of the time, but that what waits grows older.
struct MomentLine: Sendable {
  /// How many moments there are.
  private(set) var count = 0
  /// The newest.
  private(set) var last = Moment(time: 0)
  /// For each moment: which of its words have changed, the first's since a moment of zeros, a bit each in two bytes, and
  /// what they are now. Two more bits tell of ages that have grown by the time that passed.
  private var changes: [UInt8] = []

  /// Times of one event that differ by less are the same to the window; see ``DueEvents/tolerance``.
  private static let jitter = 0.001
  private static let ageGrew: UInt8 = 1 << 4
  private static let stuckAgeGrew: UInt8 = 1 << 5

  /// Adds the newest. Its time is later than that of the last.
  mutating func append(_ moment: Moment) {
    var moment = moment
    let passed = moment.time - last.time
    moment.oldestDue = Self.settled(moment.oldestDue, last.oldestDue)
    moment.oldestTried = Self.settled(moment.oldestTried, last.oldestTried)
    if count == 0 {
      changes += Self.changes(from: Moment(time: 0), to: moment, after: nil)
    } else {
      moment.age = Self.settled(moment.age, last.age + passed) ?? moment.age
      moment.stuckAge = Self.settled(moment.stuckAge, last.stuckAge + passed) ?? moment.stuckAge
      changes += Self.changes(from: last, to: moment, after: passed)
    }
    last = moment
    count += 1
  }

  /// Adds the newest and forgets the oldest, where the line is full.
  ///
  /// - Parameter times: when the moments before were; of a full line, when all of its own were.
  mutating func append(_ moment: Moment, from times: [Double], _ capacity: Int) {
    append(moment)
    if count > capacity { removeFirst(at: times[0], before: times[1]) }
  }

  /// Forgets the oldest.
  ///
  /// - Parameters:
  ///   - first: when it was.
  ///   - second: when the next one was.
  mutating func removeFirst(at first: Double, before second: Double?) {
    guard count > 1, let second else {
      self = MomentLine()
      return
    }
    var place = 0
    var moment = Moment(time: 0)
    read(&place, into: &moment, at: first)
    read(&place, into: &moment, at: second)
    changes.replaceSubrange(..<place, with: Self.changes(from: Moment(time: 0), to: moment, after: nil))
    count -= 1
  }

  /// The moments, oldest first.
  ///
  /// - Parameter times: when they were, of each.
  func moments(at times: some Sequence<Double>) -> [Moment] {
    var moments: [Moment] = []
    moments.reserveCapacity(count)
    var place = 0
    var moment = Moment(time: 0)
    for time in times {
      read(&place, into: &moment, at: time)
      moments.append(moment)
    }
    return moments
  }

  private static func settled(_ time: Double?, _ before: Double?) -> Double? {
    guard let time, let before else { return time }
    return abs(time - before) < jitter ? before : time
  }

  /// - Parameter passed: the time between the two; nil where an age that has grown by it is not to be told so.
  private static func changes(from last: Moment, to moment: Moment, after passed: Double?) -> [UInt8] {
    var changes: [UInt8] = [0, 0]
    var last = last
    if let passed {
      if moment.age == last.age + passed {
        last.age = moment.age
        changes[1] |= ageGrew
      }
      if moment.stuckAge == last.stuckAge + passed {
        last.stuckAge = moment.stuckAge
        changes[1] |= stuckAgeGrew
      }
    }
    for index in 0..<Moment.wordCount {
      let word = moment[word: index]
      if word == last[word: index] { continue }
      changes[index / 8] |= 1 << UInt8(index % 8)
      // Seven bits a byte, the lowest first; all but the last have the eighth bit.
      var rest = word
      while rest > 0x7F {
        changes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      changes.append(UInt8(rest))
    }
    return changes
  }

  private func read(_ place: inout Int, into moment: inout Moment, at time: Double) {
    let changed = UInt16(changes[place]) | UInt16(changes[place + 1]) << 8
    if changes[place + 1] & Self.ageGrew != 0 { moment.age += time - moment.time }
    if changes[place + 1] & Self.stuckAgeGrew != 0 { moment.stuckAge += time - moment.time }
    moment.time = time
    place += 2
    for index in 0..<Moment.wordCount where changed & (1 << UInt16(index)) != 0 {
      var word: UInt64 = 0
      var shift: UInt64 = 0
      while changes[place] > 0x7F {
        word |= UInt64(changes[place] & 0x7F) << shift
        shift += 7
        place += 1
      }
      word |= UInt64(changes[place]) << shift
      place += 1
      moment[word: index] = word
    }
  }
}

extension Moment {
  fileprivate static let wordCount = 12

  /// Everything but the time, as words that are small for small numbers.
  fileprivate subscript(word index: Int) -> UInt64 {
    get {
      switch index {
      case 0: UInt64(bitPattern: Int64(ready))
      case 1: UInt64(bitPattern: Int64(due))
      case 2: UInt64(bitPattern: Int64(backingOff))
      case 3: UInt64(bitPattern: Int64(triedElsewhere))
      case 4: UInt64(bitPattern: Int64(parked))
      case 5: Self.word(oldestDue)
      case 6: Self.word(oldestTried)
      case 7: age.bitPattern.byteSwapped
      case 8: UInt64(bitPattern: Int64(stuck))
      case 9: stuckAge.bitPattern.byteSwapped
      case 10: UInt64(bitPattern: Int64(departures))
      default: UInt64(bitPattern: Int64(returned)) << 2 | (oldestIsOneOfMany ? 2 : 0) | (attempted ? 1 : 0)
      }
    }
    set {
      switch index {
      case 0: ready = Int(truncatingIfNeeded: newValue)
      case 1: due = Int(truncatingIfNeeded: newValue)
      case 2: backingOff = Int(truncatingIfNeeded: newValue)
      case 3: triedElsewhere = Int(truncatingIfNeeded: newValue)
      case 4: parked = Int(truncatingIfNeeded: newValue)
      case 5: oldestDue = Self.time(newValue)
      case 6: oldestTried = Self.time(newValue)
      case 7: age = Double(bitPattern: newValue.byteSwapped)
      case 8: stuck = Int(truncatingIfNeeded: newValue)
      case 9: stuckAge = Double(bitPattern: newValue.byteSwapped)
      case 10: departures = Int(truncatingIfNeeded: newValue)
      default:
        returned = Int(Int64(bitPattern: newValue) >> 2)
        oldestIsOneOfMany = newValue & 2 == 2
        attempted = newValue & 1 == 1
      }
    }
  }

  /// No time is this NaN.
  private static let none = UInt64.max

  private static func word(_ time: Double?) -> UInt64 { time?.bitPattern.byteSwapped ?? none }

  private static func time(_ word: UInt64) -> Double? {
    word == none ? nil : Double(bitPattern: word.byteSwapped)
  }
}
