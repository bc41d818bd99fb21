import Layouts
import Outbox
import PostgreSQLClient
import SampleSQL

/// How the movements of one queue in PostgreSQL are counted from its rows, worked out before any sample.
///
/// No session state is left behind: the time from which delivered rows are read is a setting of the transaction.
struct PostgreSQLAccounting {
  let method: AccountingMethod
  /// What keeps the better method from being used.
  let notice: String?
  private let query: AccountingQuery
  private let relation: PostgreSQLRelation
  private let bounds: DeliveryBounds
  private let deliveredIndex: String?
  private let identity: String
  private let hasObjective: Bool
  private let allowance: Int64

  /// - Parameters:
  ///   - relation: what the catalogue says of the main table.
  ///   - usesIndex: whether the planner can use a partial index of that name for a statement.
  init(
    _ query: AccountingQuery, queue: TableQueue, relation: PostgreSQLRelation, objective: Duration?,
    allowance: Duration, usesIndex: (_ name: String, _ statements: [String]) -> Bool
  ) {
    self.query = query
    self.relation = relation
    self.allowance = allowance.wholeNanoseconds / 1000
    bounds = DeliveryBounds(objective: objective)
    hasObjective = objective != nil
    identity = CountingMark.identity(
      place: "\(relation.database)/\(relation.oid)", queue, objective: objective)
    var found: PostgreSQLRelation.Index?
    if let finished = query.finishedColumn, relation.forbidden.isEmpty {
      let suitable = relation.indexes.filter { $0.leads(to: finished, after: query.stateColumn) }
      found =
        suitable.first { $0.isComplete && $0.columns.first == finished } ?? suitable.first { $0.isComplete }
        ?? suitable.first { index in
          let cells = CountingCells(starts: ["0"], countsDelivered: true, deliveredIndex: index.name)
          return usesIndex(index.name, [Self.setToNow, "EXPLAIN (COSTS OFF)\n" + query.statement(cells, bounds: [1])])
        }
    }
    method = found == nil ? .statistics : .history
    // A complete index that leads with the time is sure to be used only where nothing else is to choose from.
    let isSure = found.map { $0.isComplete && $0.columns.first == query.finishedColumn } ?? false
    deliveredIndex = isSure ? nil : found?.name
    notice = found == nil ? Self.notice(query, queue, relation) : nil
  }

  private static func notice(
    _ query: AccountingQuery, _ queue: TableQueue, _ relation: PostgreSQLRelation
  ) -> String? {
    guard let rule = queue.accounting.delivered else { return nil }
    guard let finished = query.finishedColumn else {
      return "deliveries are not counted: \(query.table) has no time of delivery; name its column under "
        + "`columns: {\(rule.finished): …}`"
    }
    if !relation.forbidden.isEmpty {
      return "deliveries are not counted: the role may not read \(relation.forbidden.joined(separator: ", ")) of "
        + "\(query.table); `outbox-exporter sql` prints the GRANT"
    }
    if !relation.mayHaveIndexes {
      return "deliveries are not counted: \(query.table) is a view or a foreign table, and no index of it is known"
    }
    return "deliveries are not counted, as no index leads to the latest: CREATE INDEX CONCURRENTLY ON \(query.table) "
      + "(\(SQLIdentifier.quoted(finished)))"
  }

  private static let noInsertions =
    "what comes and leaves between two samples is not counted: the server counts no insertions (track_counts = off)"

  private static let heldBack =
    "what comes and leaves between two samples is not counted yet: a session that has been in a transaction since before "
    + "counting began may hold the server's count of its insertions back"

  // MARK: - Asking

  /// The statements of one look: what there is to know beside the rows, the rows, and what table they are from.
  ///
  /// The transactions that are still open are listed before the statement that sees the rows takes its snapshot: one that
  /// is not in the list is seen by that statement, or begins after it. Behind that one the table's name cannot change its
  /// meaning any more: the statement had to wait for whoever replaced it, and holds its lock.
  func statements(_ mark: CountingMark?) -> [String] {
    return [
      method == .history ? transactions(mark) : statistics(also: Self.writers),
      query.statement(cells(mark), bounds: bounds.kept),
      PostgreSQLRelation.signature(of: query.table),
    ]
  }

  private func cells(_ mark: CountingMark?) -> CountingCells {
    // Statistics bring the number of insertions, and need no more rights than SELECT on what is counted.
    let isHistory = method == .history
    return CountingCells(
      starts: starts(mark), countsDelivered: isHistory, told: isHistory ? mark?.told ?? 1 : nil,
      new: mark?.new ?? CountingMark.newAtFirst, deliveredIndex: deliveredIndex)
  }

  private func starts(_ mark: CountingMark?) -> [String] {
    guard let mark, let last = mark.starts.last else {
      return CountingMark.beginnings.map { $0 == 0 ? Self.now : "\(Self.now) - \($0)" }
    }
    // As in `CountingMark.starts(at:)`. The cells have to rise, whatever the clock does.
    return mark.starts.map(Self.seconds) + [
      "greatest(floor(\(Self.now)) - \(CountingMark.recent), \(Self.seconds(last + 1)))",
      "greatest(\(Self.now), \(Self.seconds(last + 2)))",
    ]
  }

  private static let now = "date_part('epoch', now())"
  private static let setToNow = "SELECT set_config('\(AccountingQuery.setting)', \(now)::text, true)"

  /// Microseconds as seconds, exactly.
  private static func seconds(_ microseconds: Int64) -> String {
    let (whole, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    let digits = String(abs(rest))
    return "\(whole)." + String(repeating: "0", count: 6 - digits.count) + digits
  }

  private func transactions(_ mark: CountingMark?) -> String {
    var earliest = mark.map { Self.seconds($0.cell(ofTransactionFrom: $0.since)) } ?? "\(Self.now) - 300"
    if let mark, !mark.open.isEmpty, !relation.isReplica {
      let known = mark.open.sorted { $0.key < $1.key }.map { name, begin in
        "(\(SQLIdentifier.literal(name, .postgresql)), \(Self.seconds(mark.cell(ofTransactionFrom: begin)))::float8)"
      }
      earliest = """
        least(\(earliest), (
              SELECT min(k.earliest) FROM (VALUES \(known.joined(separator: ", "))) k(name, earliest)
              WHERE NOT EXISTS (SELECT FROM open_transactions o WHERE o.name = k.name)))
        """
    }
    return """
      WITH open_transactions(name, began) AS (
        SELECT l.virtualxid, date_part('epoch', a.xact_start)
        FROM \(Self.openTransactions)
        UNION ALL
        SELECT 'prepared ' || transaction::text, NULL FROM pg_prepared_xacts WHERE database = current_database()
      )
      SELECT 'since', NULL::text, set_config('\(AccountingQuery.setting)', (\(earliest))::text, true)::float8
      UNION ALL
      SELECT 'open', name, began FROM open_transactions
      UNION ALL
      \(Self.position)
      """
  }

  /// The transactions of other sessions of the database. No right is needed, but for what the sessions do.
  private static let openTransactions =
    "pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database() WHERE "
    + "l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()"

  private static let position = "SELECT 'position', txid_snapshot_xmax(txid_current_snapshot())::text, NULL::float8"

  /// Asks for what counts movements and is not part of any transaction: it is there a while after the commit, or is reset.
  /// Nil where there is nothing of the kind.
  var counters: String? { method == .statistics ? statistics() : nil }

  /// Who else has the database open, which has to be known before its counters are read. A session has counted all of its
  /// insertions by when it is gone; before PostgreSQL 15 it was a process of its own that counted, some time after.
  private static let writers = """
    SELECT 'sessions', count(*)::text, NULL::float8 FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
      OR current_setting('server_version_num')::int < 150000
    UNION ALL
    SELECT 'busy', l.pid::text, NULL FROM \(openTransactions)
    UNION ALL

    """

  /// The counters of the table, or of each of its partitions.
  ///
  /// A crash of the server discards them, which only the counters of the whole server tell the time of.
  ///
  /// - Parameter first: what is asked for before them.
  private func statistics(also first: String = "") -> String {
    """
    WITH RECURSIVE parts(oid) AS (
      SELECT \(relation.oid)::oid
      UNION ALL
      SELECT i.inhrelid FROM pg_inherits i JOIN parts p ON i.inhparent = p.oid
    )
    \(first)SELECT 'inserted', oid::text, pg_stat_get_tuples_inserted(oid)::float8 FROM parts
    UNION ALL
    SELECT 'tracking', current_setting('track_counts'), NULL
    UNION ALL
    SELECT 'newest', max(oid)::text, NULL FROM pg_class
    UNION ALL
    SELECT 'reset', concat_ws(' ', d.stats_reset, a.stats_reset), NULL
    FROM pg_stat_archiver a LEFT JOIN pg_stat_database d ON d.datname = current_database()
    UNION ALL
    \(Self.position)
    """
  }

  /// Those of ``statements(_:)`` that are about what was delivered since a mark; nil where deliveries are not counted.
  func delivered(since mark: CountingMark) -> [String]? {
    guard method == .history else { return nil }
    return query.deliveredStatement(cells(mark), bounds: bounds.kept).map { [transactions(mark), $0] }
  }

  // MARK: - Answering

  /// What a look saw.
  ///
  /// - Parameters:
  ///   - time: the store's clock in seconds.
  ///   - state: the answer to the first of ``statements(_:)``.
  func look(
    _ mark: CountingMark?, time: Double, lag: Double?, state: PostgreSQLResult, figures: [FigureRow],
    delivered: [DeliveredRow]
  ) -> CountingLook {
    let clock = Int64((time * 1e6).rounded())
    let starts = mark?.starts(at: clock) ?? CountingMark.beginnings.map { clock - $0 * 1_000_000 }
    var look = CountingLook(time: clock, starts: starts, since: .min)
    if relation.isReplica { look.replicaDelay = CountingMark.beginning + Int64((lag ?? 0) * 1e6) }
    var (hasSessions, busy) = (false, Set<String>())
    for row in 0..<state.rowCount {
      let text = state.text(row, 1) ?? ""
      let number = state.number(row, 2)
      switch state.text(row, 0) {
      case "since": look.since = Int64(((number ?? 0) * 1e6).rounded())
      case "open" where !relation.isReplica: look.open[text] = .some(number.map { Int64(($0 * 1e6).rounded()) })
      // Who reads a replica inserts nothing.
      case "sessions" where !relation.isReplica: hasSessions = text != "0"
      case "busy": busy.insert(text)
      case "position": look.position = Int64(text) ?? 0
      case "tracking": look.countsNoInsertions = text == "off" && !relation.isReplica
      case "newest": look.newest = Int64(text) ?? 0
      case "reset": look.reset = text
      // A replica counts no insertions of its own.
      case "inserted" where !relation.isReplica: look.inserted[text] = Int64(number ?? 0)
      default: break
      }
    }
    if hasSessions { look.writers = .some(busy: busy) }
    look.count(figures, delivered, deadKeepCreation: method == .history, bounds)
    return look
  }

  /// The mark of a request, as far as it can be used, and why it cannot.
  func mark(_ mark: AccountingMark?) -> (mark: CountingMark?, restart: String?) {
    guard let mark else { return (nil, nil) }
    guard mark.method == method else {
      return (nil, "movements are counted by \(method.rawValue) from now on instead of \(mark.method.rawValue)")
    }
    guard let read = CountingMark(text: mark.position, allowance: allowance) else {
      return (nil, "what was kept of the counting is damaged")
    }
    return (read, nil)
  }

  /// True where the table and its indexes are still what this was worked out for, by the answer to the last of
  /// ``statements(_:)``.
  func holds(_ answer: PostgreSQLResult) -> Bool { answer.rowCount == 1 && answer.text(0, 0) == relation.signature }

  /// Why a look cannot be counted on from a mark; nil where it can.
  func obstacle(from mark: CountingMark, to look: CountingLook) -> String? {
    let (counted, now) = (mark.identity.split(separator: "/"), identity.split(separator: "/"))
    if counted.first == now.first, counted.dropFirst().first != now.dropFirst().first {
      return "\(query.table) is another table than the one that was counted: it was replaced"
    }
    return mark.obstacle(to: look, identity: identity)
  }

  /// What has moved since the mark, and whether it is too early for what came and left: insertions from before counting began
  /// may be counted by the server later.
  func reading(
    from mark: CountingMark?, to look: CountingLook, restart: String?
  ) -> (reading: AccountingReading, isEarly: Bool) {
    var movements: Movements?
    var next = CountingMark(identity: identity, beginningWith: look, allowance: allowance)
    if let mark {
      (movements, next) = mark.advanced(
        to: look, knowsDelivered: method == .history, knowsCreated: query.hasCreationTimes,
        isDeadLetters: !query.hasWaitingRows, hasObjective: hasObjective)
    }
    let notices = [
      notice, look.countsNoInsertions ? Self.noInsertions : nil,
      next.late.isHeldBack(at: look.time) ? Self.heldBack : nil,
    ].compactMap { $0 }
    let reading = AccountingReading(
      mark: AccountingMark(method, next.text), movements: movements, restart: mark == nil ? restart : nil,
      notice: notices.isEmpty ? nil : notices.joined(separator: "; "))
    return (reading, next.late.doubtfulSince != nil)
  }
}

extension AccountingReading {
  /// The reading with another notice in front.
  func noticing(_ notice: String?) -> AccountingReading {
    var reading = self
    let notices = [notice, self.notice].compactMap { $0 }
    reading.notice = notices.isEmpty ? nil : notices.joined(separator: "; ")
    return reading
  }
}

extension DeliveredRow {
  /// Reads the columns in the order of ``AccountingQuery/statement(_:bounds:)``; nil for rows of other kinds.
  init?(_ result: PostgreSQLResult, row: Int) {
    guard result.text(row, 1) == EventState.delivered.rawValue else { return nil }
    let count = result.integer(row, 4) ?? 0
    self.init(
      destination: result.text(row, 0) ?? Snapshot.defaultDestination, cell: result.integer(row, 2) ?? 0, count: count,
      buckets: result.integer(row, 6).map { [$0: count] } ?? [:],
      sum: Int64(min(max(0, result.number(row, 5) ?? 0), 9e18)),
      retries: result.integer(row, 11) ?? 0, created: CountingCells.written(result.text(row, 12) ?? ""),
      rows: CountingCells.finished(result.text(row, 13) ?? ""))
  }
}
