/// Up to where a reader has counted a ledger: a snapshot of the database, which says of every transaction whether it was
/// over. What commits late, however late, is in no snapshot before it committed, and so in none that was counted.
package struct LedgerMark: Sendable, Hashable {
  /// Who reads: its rows are kept until it has read them.
  package var reader: String
  /// Which ledger it was: another one has other rows.
  package var installation: String
  /// The timeline of the server's log: after a failover, transactions may be gone and their numbers used again.
  package var timeline: Int
  /// Up to where the server's log went, and when; nil where a replica was read.
  package var log: LogEnd?
  /// Transactions below were over.
  package var floor: UInt64
  /// Transactions from here on had not begun.
  package var ceiling: UInt64
  /// Transactions between the two that were not over.
  package var open: [UInt64]
  /// What the triggers were: others may have been off for a while. Empty in a mark of before this was kept.
  package var triggers = ""
  /// What was known of losses that could not be noted; nil in a mark of before this was kept.
  package var unnoted: Unnoted?
  /// How many events waited, by what was counted until then; nil where no sample has shown figures of that very moment.
  package var depth: Int?

  /// The end of a server's log at one moment. A checkpoint that is made later lies behind it, unless the log was cut: by a
  /// crash that took what was not flushed, or by a backup that was restored.
  package struct LogEnd: Sendable, Hashable {
    /// The position, in bytes.
    package var position: UInt64
    /// The server's clock, in microseconds since 1970.
    package var time: Int64

    /// An end.
    package init(position: UInt64, time: Int64) {
      self.position = position
      self.time = time
    }
  }

  /// How far the sequence was that counts losses which could not be noted. It does not wait for the transaction that lost.
  package struct Unnoted: Sendable, Hashable {
    /// What was taken from it.
    package var taken: Int
    /// Transactions below were there when something had been taken, and may have lost what they are still to commit; nil
    /// where none is awaited.
    package var awaited: UInt64?

    /// Reads ``text``; nil where it is none.
    package init?(_ text: some StringProtocol) {
      let parts = text.split(separator: "@", omittingEmptySubsequences: false)
      guard let taken = Int(parts[0]), parts.count == 1 || parts.count == 2 && UInt64(parts[1]) != nil else {
        return nil
      }
      self.taken = taken
      awaited = parts.count == 2 ? UInt64(parts[1]) : nil
    }

    /// As it is kept.
    package var text: String { "\(taken)\(awaited.map { "@\($0)" } ?? "")" }
  }

  /// A mark.
  package init(reader: String, installation: String, timeline: Int, floor: UInt64, ceiling: UInt64, open: [UInt64]) {
    self.reader = reader
    self.installation = installation
    self.timeline = timeline
    self.floor = floor
    self.ceiling = ceiling
    self.open = open
  }

  /// Reads ``text``; nil where it is none.
  package init?(_ text: String) {
    var parts = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    var unnoted: Unnoted?
    if parts.count > 5, let last = parts.last, last.hasPrefix(Self.unnotedPrefix) {
      guard let read = Unnoted(last.dropFirst()) else { return nil }
      unnoted = read
      parts.removeLast()
    }
    guard parts.count == 5 || parts.count == 6 && parts[5] != "", parts[4] == "-" || Int(parts[4]) != nil else {
      return nil
    }
    let place = parts[2].split(separator: "@", omittingEmptySubsequences: false)
    guard let timeline = Int(place[0]), place.count == 1 || place.count == 3 else { return nil }
    self.init(reader: parts[0], installation: parts[1], timeline: timeline, snapshot: parts[3])
    if place.count == 3 {
      guard let position = UInt64(place[1]), let time = Int64(place[2]) else { return nil }
      log = LogEnd(position: position, time: time)
    }
    depth = Int(parts[4])
    triggers = parts.count == 6 ? parts[5] : ""
    self.unnoted = unnoted
  }

  private static let unnotedPrefix = "u"

  /// A mark from a snapshot as PostgreSQL writes it, `floor:ceiling:open,open`; nil where it is none.
  package init?(reader: String, installation: String, timeline: Int, snapshot: String) {
    let parts = snapshot.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, let floor = UInt64(parts[0]), let ceiling = UInt64(parts[1]) else { return nil }
    let open = parts[2].split(separator: ",").map { UInt64($0) }
    guard !open.contains(nil) else { return nil }
    self.init(
      reader: reader, installation: installation, timeline: timeline, floor: floor, ceiling: ceiling,
      open: open.compactMap { $0 })
  }

  /// True where the same transactions were over.
  package func isSameMoment(as other: LedgerMark) -> Bool {
    timeline == other.timeline && floor == other.floor && ceiling == other.ceiling && open == other.open
  }

  /// Goes on waiting for the transactions that an earlier mark waited for, as long as one of them may be there.
  package mutating func await(from earlier: LedgerMark) {
    guard let awaited = earlier.unnoted?.awaited, unnoted?.awaited == nil, floor < awaited,
      timeline == earlier.timeline, ceiling >= earlier.ceiling
    else { return }
    unnoted?.awaited = awaited
  }

  /// The mark as it is kept.
  package var text: String {
    "\(reader) \(installation) \(timeline)\(log.map { "@\($0.position)@\($0.time)" } ?? "") "
      + "\(floor):\(ceiling):\(open.map(String.init).joined(separator: ",")) " + (depth.map(String.init) ?? "-")
      + (triggers.isEmpty ? "" : " \(triggers)") + (unnoted.map { " \(Self.unnotedPrefix)\($0.text)" } ?? "")
  }
}
