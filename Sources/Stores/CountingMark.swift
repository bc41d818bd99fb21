import Layouts
import Outbox
import SampleSQL

/// Up to where rows have been counted: what was seen of the recent past, so that what commits late is told from what was
/// counted before.
struct CountingMark: Sendable, Hashable {
  /// Which database, table and objective it holds for.
  var identity: String
  /// The store's clock at the last look, in microseconds.
  var time: Int64
  /// No commit that was not seen yet comes from a transaction that began before this, but for ``open``.
  var since: Int64
  /// The beginnings of the cells, the last of them ``time``.
  var starts: [Int64]
  /// What was seen, by destination.
  var rows: [String: CountedRows] = [:]
  /// The transactions that were open, each with the latest time before which it may have begun.
  var open: [String: Int64] = [:]
  /// What only ever grows in one database.
  var position: Int64 = 0
  /// Rows ever inserted, by the table or partition that counted them.
  var inserted: [String: Int64] = [:]
  /// The highest number that any table of the database had.
  var newest: Int64 = 0
  /// What changes when those counters are reset.
  var reset = ""
  /// What is late of the database's own count of insertions.
  var late = LateInsertions()
  /// How far a writer's clock may be behind, and how long it may take from looking at it to its transaction, in
  /// microseconds. Not part of what is kept.
  var allowance: Int64 = standardAllowance

  static let standardAllowance: Int64 = 30_000_000
  /// How much of the past is looked at where nothing is known of it.
  static let beginning: Int64 = 300_000_000
  /// Commits of transactions that are open for longer are not waited for.
  static let longest: Int64 = 3_600_000_000
  /// Of more numbers than this a mark has fewer and longer cells.
  static let largest = 20_000
  /// How many rows are told apart at the most; of more than that the older ones are only counted.
  static let mostKeys = 300_000
  /// So many of the seconds before a look are a cell of their own, however long ago the look before it was: the next one reads
  /// no more than that once more.
  static let recent: Int64 = 30

  /// What a mark holds for: numbers of one place say nothing in another, nor for another layout or other buckets.
  static func identity(place: String, _ queue: TableQueue, objective: Duration?) -> String {
    let accounting = queue.accounting
    let rules: [String?] =
      [
        queue.destination, accounting.created, accounting.retries, accounting.deadRetries, accounting.delivered?.rows,
        accounting.delivered?.finished, accounting.delivered?.since,
      ] + queue.selections.flatMap { [$0.table, $0.rows, $0.only, $0.state.rawValue, $0.destination] }
    // FNV-1a: the same in every run, as Swift's own hash is not.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in rules.map({ $0 ?? "" }).joined(separator: "\n").utf8 {
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    return "\(place)/\(objective.map { "\($0.seconds)" } ?? "-")/\(String(hash, radix: 16))"
  }

  /// The cell from which on a transaction that began at a time may have written.
  func cell(ofTransactionFrom time: Int64) -> Int64 {
    starts.cell(of: time - allowance) ?? starts.first ?? time
  }

  /// The beginnings of the cells of a look at a time in microseconds.
  func starts(at clock: Int64) -> [Int64] {
    let last = starts.last ?? time
    // A whole second is the same number in the store.
    let recent = max((clock / 1_000_000 - Self.recent) * 1_000_000, last + 1)
    return starts + [recent, max(clock, last + 2)]
  }

  /// The cells of a look from this mark on that hold what is new.
  var new: CountingCells.New { .init(first: starts.count, recent: starts.count + 1) }

  /// Those of a look that begins.
  static let newAtFirst = CountingCells.New(first: 1, recent: 4)

  /// Seconds before the first look at which cells begin; the last one is the look itself.
  static let beginnings: [Int64] = [300, 120, 60, recent, 15, 5, 0]

  /// Whether, after so many counts in a row that ran out of time, the deliveries are to be tried by themselves first. Not each
  /// time, as that takes from the time of the count.
  static func triesDeliveries(after timeouts: Int) -> Bool { timeouts % 3 == 2 }

  /// Why counting begins anew where what was delivered since the mark cannot be counted, not even by itself.
  static let tooMuch = "more was delivered since the last count than can be counted in the time of a sample"

  /// Puts cells together and forgets those that no commit can reach any more.
  mutating func thin() {
    let needed = max(min(since, open.values.min() ?? since) - allowance, time - Self.longest)
    let first = starts.cell(of: needed) ?? starts.first ?? time
    put(into: apart(6, from: first))
    // None of the time may be forgotten, however many destinations there are.
    if rows.values.reduce(0, { $0 + $1.size }) > Self.largest { put(into: apart(2, from: first)) }
    var count = 0
    var isFull = false
    for start in starts.reversed() {
      count += rows.values.reduce(0) { $0 + ($1.keyCount(start) ?? 0) }
      isFull = isFull || count > Self.mostKeys
      if isFull { for name in rows.keys { rows[name]?.forgetKeys(start) } }
    }
  }

  /// The number of the first cell whose rows are told apart, all later ones' too.
  var told: Int {
    let counted = starts.lastIndex { start in rows.values.contains { $0.keyCount(start) == nil } }
    return (counted ?? -1) + 2
  }

  /// The beginnings of cells of at least a part of the allowance each, and longer ones of longer ago.
  private func apart(_ part: Int64, from first: Int64) -> [Int64] {
    var kept: [Int64] = []
    for start in starts where start >= first {
      let least = max(allowance / part, (time - start) / min(part, 4))
      if kept.last.map({ start - $0 >= least }) ?? true || start == starts.last { kept.append(start) }
    }
    return kept
  }

  private mutating func put(into kept: [Int64]) {
    rows = rows.mapValues { $0.inCells(kept) }.filter { !$0.value.isEmpty }
    starts = kept
  }
}

// MARK: - As text

extension CountingMark {
  private static let version = 4

  /// The mark as it is kept: a line for each thing, names last.
  var text: String {
    var lines = [
      "\(Self.version) \(time) \(since) \(position) \(late.balance) \(late.doubtfulSince ?? 0) \(escaped(identity))"
    ]
    lines.append("r \(escaped(reset))")
    lines.append(
      (["b"] + starts.indices.map { "\(starts[$0] - ($0 == 0 ? 0 : starts[$0 - 1]))" }).joined(separator: " "))
    if newest > 0 { lines.append("t \(newest)") }
    for (name, start) in open.sorted(by: { $0.key < $1.key }) { lines.append("o \(start) \(escaped(name))") }
    for (name, start) in late.busy.sorted(by: { $0.key < $1.key }) {
      lines.append("h \(start) \(escaped(name))")
    }
    for seen in late.seen { lines.append("s \(seen.time) \(seen.count)") }
    for (name, count) in inserted.sorted(by: { $0.key < $1.key }) { lines.append("n \(count) \(escaped(name))") }
    for (name, rows) in rows.sorted(by: { $0.key < $1.key }) {
      lines.append(
        "d \(rows.depth) \(rows.dead.count) \(rows.deadElsewhere.count) \(rows.retries) \(escaped(name))")
      for (index, start) in starts.enumerated() {
        if let written = rows.created[start] {
          lines.append("c \(index) \(written.count)")
          lines.append("kc \(index) \(KeyText.text(written.keys))")
        }
        for (letter, dead) in [("x", rows.dead), ("y", rows.deadElsewhere)] {
          guard let died = dead.died[start] else { continue }
          lines.append("\(letter) \(index) \(died.text)")
          lines.append("k\(letter) \(index) \(KeyText.text(died.keys))")
        }
        if let delivered = rows.delivered[start] {
          lines.append("f \(index) \(delivered.text)")
          lines.append("kf \(index) \(KeyText.text(delivered.keys))")
        }
      }
    }
    return lines.joined(separator: "\n")
  }

  /// Reads what ``text`` wrote; nil where it is something else.
  init?(text: String, allowance: Int64 = standardAllowance) {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
    guard let head = lines.popFirst()?.split(separator: " ", maxSplits: 6, omittingEmptySubsequences: false),
      head.count == 7, head[0] == "\(Self.version)", let numbers = whole(head[1..<6])
    else { return nil }
    self.init(identity: unescaped(head[6]), time: numbers[0], since: numbers[1], starts: [])
    self.allowance = allowance
    position = numbers[2]
    late.balance = Int(numbers[3])
    late.doubtfulSince = numbers[4] == 0 ? nil : numbers[4]
    var destination: String?
    for line in lines {
      let fields = line.split(separator: " ", omittingEmptySubsequences: false)
      switch fields.first {
      case "r"? where fields.count == 2: reset = unescaped(fields[1])
      case "t"? where fields.count == 2:
        guard let number = Int64(fields[1]) else { return nil }
        newest = number
      case "b"?:
        guard let steps = whole(fields.dropFirst()) else { return nil }
        starts = steps.reduce(into: []) { $0.append(($0.last ?? 0) + $1) }
      case "o"?, "n"?, "h"?:
        guard fields.count == 3, let number = Int64(fields[1]) else { return nil }
        switch fields[0] {
        case "o": open[unescaped(fields[2])] = number
        case "n": inserted[unescaped(fields[2])] = number
        default: late.busy[unescaped(fields[2])] = number
        }
      case "s"?:
        guard let numbers = whole(fields.dropFirst()), numbers.count == 2 else { return nil }
        late.seen.append(.init(time: numbers[0], count: Int(numbers[1])))
      case "d"?:
        guard fields.count == 6, let numbers = whole(fields[1..<5]) else { return nil }
        let name = unescaped(fields[5])
        destination = name
        rows[name] = CountedRows(
          depth: Int(numbers[0]), dead: .init(count: Int(numbers[1])), deadElsewhere: .init(count: Int(numbers[2])),
          retries: Int(numbers[3]))
      default:
        guard let destination, fields.count > 2, let index = Int(fields[1]), starts.indices.contains(index)
        else { return nil }
        let start = starts[index]
        if fields[0].hasPrefix("k") {
          let keys = KeyText.keys(fields[2])
          switch fields[0] {
          case "kc": rows[destination]?.created[start]?.keys = keys
          case "kx": rows[destination]?.dead.died[start]?.keys = keys
          case "ky": rows[destination]?.deadElsewhere.died[start]?.keys = keys
          default: rows[destination]?.delivered[start]?.keys = keys
          }
          continue
        }
        guard let numbers = whole(fields.dropFirst(2)) else { return nil }
        switch fields[0] {
        case "c": rows[destination]?.created[start] = CountedRows.Written(count: Int(numbers[0]))
        case "x": rows[destination]?.dead.died[start] = CountedRows.Finished(numbers)
        case "y": rows[destination]?.deadElsewhere.died[start] = CountedRows.Finished(numbers)
        case "f": rows[destination]?.delivered[start] = CountedRows.Finished(numbers)
        default: return nil
        }
      }
    }
    guard starts.last == time else { return nil }
  }
}

extension CountedRows.Finished {
  fileprivate var text: String {
    (["\(count) \(sum) \(retries)"] + buckets.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })
      .joined(separator: " ")
  }

  fileprivate init(_ numbers: [Int64]) {
    self.init()
    guard numbers.count >= 3 else { return }
    (count, sum, retries) = (Int(numbers[0]), numbers[1], Int(numbers[2]))
    for index in stride(from: 3, to: numbers.count - 1, by: 2) {
      buckets[Int(numbers[index])] = Int(numbers[index + 1])
    }
  }
}

/// Keys as text: eight characters each, one for six bits, and a line for those that are only counted.
private enum KeyText {
  private static let width = 8

  static func text(_ keys: [UInt64]?) -> String {
    guard let keys else { return "-" }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.width * keys.count)
    for key in keys {
      for place in 0..<Self.width { bytes.append(UInt8(ascii: "0") + UInt8(key >> (6 * place) & 63)) }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func keys(_ text: Substring) -> [UInt64]? {
    let bytes = Array(text.utf8)
    guard bytes.count % width == 0 else { return nil }
    return stride(from: 0, to: bytes.count, by: width).map { first in
      (0..<width).reduce(0) { $0 | UInt64(bytes[first + $1] &- UInt8(ascii: "0")) << (6 * $1) }
    }
  }
}

private func whole(_ fields: ArraySlice<Substring>) -> [Int64]? {
  let numbers = fields.compactMap { Int64($0) }
  return numbers.count == fields.count ? numbers : nil
}

/// Names are data of the outbox: what separates fields and lines is written as a code.
private func escaped(_ name: String) -> String {
  var text = ""
  for scalar in name.unicodeScalars {
    switch scalar {
    case "%": text += "%25"
    case " ": text += "%20"
    case "\n": text += "%0A"
    default: text.unicodeScalars.append(scalar)
    }
  }
  return text
}

private func unescaped(_ text: Substring) -> String {
  var name = ""
  var rest = text.unicodeScalars
  while let scalar = rest.popFirst() {
    guard scalar == "%" else {
      name.unicodeScalars.append(scalar)
      continue
    }
    switch String(String.UnicodeScalarView(rest.prefix(2))) {
    case "20": name += " "
    case "0A": name += "\n"
    default: name += "%"
    }
    rest = rest.dropFirst(2)
  }
  return name
}
