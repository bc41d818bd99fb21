import Layouts
import Ledger
import Outbox
import PostgreSQLClient
import SampleSQL

/// Keeps what the last exact count of one queue found, for as long as it is known to be exact still. Lives inside its
/// store's actor, as long as the tables are as they were looked up.
final class PostgreSQLKeptCount {
  /// What was counted, and what has to be as it was for it to be exact.
  struct Count {
    var snapshot: Snapshot
    var moment: PostgreSQLMoment
    /// The store's clock, in seconds, at which time alone changes a figure; nil where it never does.
    var nextChange: Double?
    /// What counted the movements up to there; nil where nobody asked for them.
    var accounting: AccountingReading?
    /// The counters of the database that are not part of any transaction, where movements are counted by them.
    var counters: [String]?
    /// When it was counted, on a clock that never jumps.
    var countedAt: Int64
    /// True once the rows are known to be in this server, and nowhere else.
    var isLocal = false
  }

  private(set) var count: Count?
  /// How many counts in a row have run out of time.
  var timeouts = 0
  private var lastMoment: PostgreSQLMoment?
  private var isQuiet = false

  /// However quiet it is, it is counted anew after so long.
  private static let longest = Duration.seconds(60)

  /// Takes note of when something was read of the queue.
  func note(_ moment: PostgreSQLMoment?) {
    isQuiet = moment != nil && moment == lastMoment
    lastMoment = moment
    if let count, count.moment != moment { self.count = nil }
  }

  /// Keeps a count, if it can be known at all whether it is exact later.
  func keep(_ count: Count) {
    self.count = count.moment.isSettled && count.moment == lastMoment ? count : nil
  }

  /// The rows are where a change of them shows.
  func noteLocal() { count?.isLocal = true }

  func forget() { count = nil }

  /// The kept count, where it is likely to be exact still: the last two readings saw no transaction end.
  ///
  /// - Parameter mark: up to where movements are counted, if that is known; nil where nobody asks for them.
  func candidate(_ mark: AccountingMark??, at time: Int64) -> Count? {
    guard isQuiet, let count, .nanoseconds(time - count.countedAt) < Self.longest else { return nil }
    guard let mark else { return count }
    guard let mark, let last = count.accounting?.mark, last.method == mark.method, last.position == mark.position else {
      return nil
    }
    return count
  }
}

extension PostgreSQLKeptCount.Count {
  /// True where neither a figure nor a counter has changed by itself.
  func isTrue(at clock: Double, counters now: [String]?) -> Bool {
    // To the microsecond, as the times are: a sum may be a little less than that off.
    clock >= snapshot.storeTime.seconds && (nextChange.map { clock < $0 - 1e-6 } ?? true) && counters == now
  }
}

extension PostgreSQLQueues {
  /// The last count of a queue, where nothing has changed since; nil where it has to be counted, and where it is not worth
  /// asking.
  func unchanged(_ queue: Prepared, mark: AccountingMark??) throws(SampleFailure) -> Outcome? {
    guard let kept = queue.kept.candidate(mark, at: clock()) else { return nil }
    let counters = kept.counters == nil ? nil : queue.accounting?.counters
    let statements = queue.unchanged(counters: counters, isLocal: kept.isLocal)
    let results: [PostgreSQLResult]
    do throws(PostgreSQLError) {
      results = try self.results(PostgreSQLMessage.sample(statements, limitsInForce), of: queue, statements.count)
    } catch {
      queue.kept.forget()
      guard session.isConnected else { throw failure(error) }
      // What is wrong is the count's to say.
      return nil
    }
    // Noted with the results: of another moment there is none any more.
    guard queue.kept.count != nil else { return nil }
    guard kept.isTrue(at: results[0].number(0, 0) ?? 0, counters: counters.map { _ in results[1].counters }),
      kept.isLocal || results.last?.truth(0, 0) == true
    else {
      queue.kept.forget()
      return nil
    }
    queue.kept.noteLocal()
    let snapshot = kept.snapshot.later(
      Timestamp(seconds: results[0].number(0, 0) ?? 0), replicaLag: results[0].number(0, 1).map { .seconds($0) })
    return (snapshot, try reading(kept.accounting, mark, queue))
  }

  /// What moved since the mark of the last count: nothing. The journal of a ledger is emptied as after any other sample.
  private func reading(
    _ last: AccountingReading?, _ mark: AccountingMark??, _ queue: Prepared
  ) throws(SampleFailure) -> AccountingReading? {
    guard let mark, let mark else { return nil }
    let reading = AccountingReading(mark: mark, movements: Movements(), notice: last?.notice)
    guard mark.method == .ledger else { return reading }
    do throws(PostgreSQLError) {
      let ledger = try queue.ledger.current(queue.queue, queue.schema, objective: definition.objective?.age)
      if let ledger, mark.isDurable, let known = ledger.mark(mark).mark {
        queue.ledger.purge(ledger, through: known, isTransient: mark.isTransient)
      }
    } catch {
      throw failure(error)
    }
    queue.ledger.note(counted: reading.movements)
    return reading
  }

  /// What a message counted, which is kept for the case that nothing changes.
  ///
  /// - Parameters:
  ///   - results: the answers to the message: the clock first, and last the identifiers, if they were asked for.
  ///   - rows: its figures.
  func outcome(
    of queue: Prepared, _ results: [PostgreSQLResult], _ rows: [FigureRow], eventIDs: Bool,
    _ accounting: AccountingReading? = nil
  ) -> Outcome {
    let ids = eventIDs && queue.hasIDs ? results.last : nil
    let snapshot = Snapshot(clock: results[0], rows, eventIDs: ids)
    if !eventIDs, let moment = PostgreSQLMoment(results[0]), isExact(accounting, moment, queue) {
      // The counters stand between the clock and the figures.
      let counters = accounting?.mark.method == .statistics ? results[1].counters : nil
      queue.kept.keep(
        .init(
          snapshot: snapshot, moment: moment, nextChange: rows.compactMap(\.nextChange).filter { !$0.isNaN }.min(),
          accounting: accounting, counters: counters, countedAt: clock()))
    }
    return (snapshot, accounting)
  }

  /// True where all that had been committed was counted. A ledger may be read in parts, and on a replica not before that
  /// has come as far as the last server.
  private func isExact(_ accounting: AccountingReading?, _ moment: PostgreSQLMoment, _ queue: Prepared) -> Bool {
    guard queue.query.isSteady else { return false }
    guard let mark = accounting?.mark, mark.method == .ledger else { return !isEarly }
    return !isInDoubt && LedgerMark(mark.position)?.ceiling == moment.ceiling
  }
}

extension PostgreSQLQueues.Prepared {
  /// What is asked beside the clock to know whether a count is exact still.
  ///
  /// - Parameters:
  ///   - counters: asks for the counters that are part of no transaction; nil where movements are not counted by them.
  ///   - isLocal: whether the rows are known to be where a change of them shows.
  func unchanged(counters: String?, isLocal: Bool) -> [String] {
    [counters, isLocal ? nil : PostgreSQLMessage.locality(of: schema.tables.values.map(\.reference))].compactMap { $0 }
  }
}

extension Snapshot {
  /// The same events at a later time.
  fileprivate func later(_ time: Timestamp, replicaLag: Duration?) -> Snapshot {
    let passed = time.since(storeTime)
    var later = self
    later.storeTime = time
    later.replicaLag = replicaLag
    for index in ages.indices {
      later.ages[index].oldest += passed
      later.ages[index].median? += passed
      later.ages[index].p99? += passed
    }
    for index in stuck.indices { later.stuck[index].oldest += passed }
    for index in dead.indices { later.dead[index].oldest? += passed }
    return later
  }
}

extension PostgreSQLResult {
  /// The counters of a queue as texts, in an order of their own, without who had the database open meanwhile.
  fileprivate var counters: [String] {
    (0..<rowCount).filter { !["sessions", "busy"].contains(text($0, 0)) }.map { row in
      (0..<columnCount).map { text(row, $0) ?? "" }.joined(separator: " ")
    }.sorted()
  }
}
