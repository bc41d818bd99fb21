import Ledger
import Outbox
import PostgreSQLClient
import SampleSQL

/// The ledger beside one queue, as long as it can be read.
struct PostgreSQLLedger {
  /// What keeps it from being emptied.
  let notice: String?
  private let script: LedgerScript
  private let bounds: DeliveryBounds
  private let isPurgeable: Bool

  /// - Parameter obstacle: why our role may not purge it; nil where it may.
  init(_ script: LedgerScript, obstacle: String?, objective: Duration?) {
    self.script = script
    self.bounds = DeliveryBounds(objective: objective)
    isPurgeable = obstacle == nil
    notice = obstacle.map { "the ledger \(script.names.label) grows: \($0)" }
  }

  /// The position of a mark, as far as it is one of a ledger, and why it cannot be gone on from.
  func mark(_ mark: AccountingMark?) -> (mark: LedgerMark?, restart: String?) {
    guard let mark else { return (nil, nil) }
    guard mark.method == .ledger else {
      return (nil, "movements are counted by ledger from now on instead of \(mark.method.rawValue)")
    }
    guard let read = LedgerMark(mark.position) else { return (nil, "what was kept of the counting is damaged") }
    return (read, nil)
  }

  /// The statement of a sample with the counting in it.
  func statement(figures: String, mark: LedgerMark?) -> String {
    LedgerReading.statement(figures: figures, script: script, mark: mark, bounds: bounds)
  }

  /// What a sample counted; nil where the ledger is none any more. It is in doubt where figures and movements do not agree:
  /// rows in states that nobody has looked for yet are the harmless cause.
  ///
  /// - Parameters:
  ///   - rows: the answer to ``statement(figures:mark:)``.
  ///   - mark: the mark that the statement went on from.
  ///   - restart: why there was none.
  func reading(
    _ rows: PostgreSQLResult, from mark: LedgerMark?, restart: String?
  ) -> (reading: AccountingReading, isInDoubt: Bool)? {
    guard let state = LedgerState(rows), state.version == LedgerScript.version, state.isOfThisCluster,
      state.triggers == script.changes.count, var next = state.mark
    else { return nil }
    next.reader = mark?.reader ?? String(UInt64.random(in: .min ... .max), radix: 16)
    guard let mark else { return (reading(next, nil, restart), false) }
    next.await(from: mark)
    if let obstacle = state.obstacle(from: mark, to: next) {
      next.reader = mark.reader
      return (reading(next, nil, obstacle), false)
    }
    // A replica that is behind the server that was read last is waited for.
    if state.isReplica, next.ceiling < mark.ceiling { return (reading(mark, Movements(), nil), false) }
    let movements = movements(rows)
    let counted = mark.depth.map { $0 + movements.destinations.values.reduce(0) { $0 + $1.depthChange } }
    if let counted, let depth = next.depth, depth != counted {
      next.reader = mark.reader
      let why = LedgerTally.disagreement(depth - counted, "writes to a partition by the partition's own name")
      return (reading(next, nil, why), true)
    }
    next.depth = next.depth ?? counted
    if next.isSameMoment(as: mark) { next.log = mark.log }
    return (reading(next, movements, nil), false)
  }

  private func reading(_ mark: LedgerMark, _ movements: Movements?, _ restart: String?) -> AccountingReading {
    AccountingReading(
      mark: AccountingMark(.ledger, mark.text), movements: movements, restart: restart, notice: notice)
  }

  private func movements(_ rows: PostgreSQLResult) -> Movements {
    var tally = LedgerTally(bounds)
    for row in 0..<rows.rowCount where rows.text(row, 1) == LedgerReading.movementState {
      guard let destination = rows.text(row, 0), let kind = rows.text(row, 3), let count = rows.integer(row, 4) else {
        continue
      }
      tally.add(
        count, kind, to: destination, bucket: rows.integer(row, 6), seconds: rows.number(row, 5) ?? 0)
    }
    return tally.movements
  }

  // MARK: - Emptying

  /// What its journal is called.
  var label: String { script.names.label }

  /// The message that throws away some of what every reader has read and kept; nil where nothing may be.
  ///
  /// - Parameter isTransient: true where this reader, once it has ended, never comes back.
  func purge(through mark: LedgerMark, isTransient: Bool, _ limits: PostgreSQLLimits) -> String? {
    guard isPurgeable else { return nil }
    let reader = (isTransient ? LedgerNames.transientReader : "") + mark.reader
    let arguments = [
      SQLIdentifier.literal(script.names.label, .postgresql), SQLIdentifier.literal(reader, .postgresql),
      "'\(mark.floor)'", "\(Self.purgeBatch)",
    ]
    return PostgreSQLMessage.change(
      ["SELECT \(LedgerNames.purge)(\(arguments.joined(separator: ", ")))"], limits)
  }

  /// So many rows are deleted by one transaction.
  static let purgeBatch = 20_000
}

/// The row of a sample that says what the ledger is and up to where it was read.
private struct LedgerState {
  /// The mark after this reading, without its reader; nil where the snapshot cannot be read.
  var mark: LedgerMark?
  var losses: Int
  var purged: UInt64
  var version: Int
  var isOfThisCluster: Bool
  var isReplica: Bool
  /// True where the server's log was cut since the mark.
  var isCut: Bool
  var triggers: Int

  init?(_ rows: PostgreSQLResult) {
    guard let row = (0..<rows.rowCount).last(where: { rows.text($0, 1) == LedgerReading.markState }) else { return nil }
    let moment = (rows.text(row, 3) ?? "").split(separator: " ").map(String.init)
    let place = (rows.text(row, 0) ?? "").split(separator: " ").map(String.init)
    mark = LedgerMark(
      reader: "", installation: place.first ?? "", timeline: rows.integer(row, 5) ?? 0, snapshot: moment.first ?? "")
    if place.count == 3, let position = UInt64(place[1]), let time = Int64(place[2]) {
      mark?.log = .init(position: position, time: time)
    }
    isReplica = rows.integer(row, 2) == 1
    isCut = rows.integer(row, 2) == 2
    mark?.unnoted = moment.count > 1 ? LedgerMark.Unnoted(moment[1]) : nil
    mark?.triggers = moment.count > 2 ? moment[2] : ""
    if rows.integer(row, 10) == 1 {
      mark?.depth = FigureRow.all(rows).reduce(0) { $0 + ($1.state == .dead ? 0 : $1.count) }
    }
    losses = rows.integer(row, 4) ?? 0
    purged = UInt64(rows.number(row, 6) ?? 0)
    version = rows.integer(row, 7) ?? 0
    isOfThisCluster = rows.integer(row, 8) == 1
    triggers = rows.integer(row, 9) ?? 0
  }

  /// Why what lies between two marks cannot be known; nil where it can.
  func obstacle(from mark: LedgerMark, to next: LedgerMark) -> String? {
    if mark.installation != next.installation { return "the ledger was installed anew" }
    if mark.timeline != next.timeline { return "another server has taken over, and may lack what was counted already" }
    if isCut || !isReplica && next.ceiling < mark.ceiling {
      return "the database is older than it was: a crash took its last transactions, or a backup was restored"
    }
    if !mark.triggers.isEmpty, mark.triggers != next.triggers {
      return "the ledger's triggers were switched off, or made anew, and may have missed something"
    }
    if losses > 0 { return "\(losses.counted("change")) could not be written into the ledger" }
    if let unnoted = next.unnoted, !isReplica || next.ceiling >= mark.ceiling {
      if unnoted.taken != mark.unnoted?.taken ?? 0 {
        return "changes could not be written into the ledger, nor could it be noted which"
      }
      if let awaited = mark.unnoted?.awaited, next.floor >= awaited {
        return "transactions have ended that may have lost changes, of which it could not be noted which"
      }
    }
    if mark.floor < purged {
      return "the ledger was purged by another reader, which did not know of this one or had waited for it for a week "
        + "(an hour without a state directory)"
    }
    return nil
  }
}
