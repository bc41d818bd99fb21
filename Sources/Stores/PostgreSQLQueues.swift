import Layouts
import Outbox
import PostgreSQLClient
import SampleSQL

/// The queues of one configured outbox in one database, with the statements that sample them. Lives inside its store's
/// actor.
final class PostgreSQLQueues {
  /// What a sample of one queue brought.
  typealias Outcome = (snapshot: Snapshot, accounting: AccountingReading?)

  let definition: OutboxDefinition
  let session: PostgreSQLSession
  /// As they are configured.
  private let limits: PostgreSQLLimits
  /// The limits of what is sent now.
  private(set) var limitsInForce: PostgreSQLLimits
  let clock: @Sendable () -> Int64
  private var prepared: [Prepared] = []
  private var isPreparedForCounting = false
  private var preparedAt: Int64 = 0
  private var preparedIn: Int?
  /// The last parts of the outboxes' names, as far as they are known.
  private(set) var knownSuffixes: [String?] = [nil]
  private var unknownStates: [Int: [StoredState]] = [:]
  private var ledgers: [Int: PostgreSQLLedgerWatch] = [:]
  /// True where figures and ledger of the last sample do not agree.
  private(set) var isInDoubt = false
  /// True where the server may not have counted all that was inserted before movements are counted.
  private(set) var isEarly = false
  /// For how many seconds the database has worked for readings so far.
  private(set) var readingTime = 0.0
  /// True where the last sample has read another table, or other indexes, than counting was prepared for.
  private var isOutdated = false

  init(
    _ definition: OutboxDefinition, session: PostgreSQLSession, limits: PostgreSQLLimits,
    clock: @escaping @Sendable () -> Int64
  ) {
    self.definition = definition
    self.session = session
    self.limits = limits
    limitsInForce = limits
    self.clock = clock
  }

  /// How long the next statements wait for another session's lock.
  func wait(forLocks duration: Duration) { limitsInForce.lock = duration }

  /// The queues that the database has, looked up anew where a new connection, an error or an hour's time asks for it.
  ///
  /// - Parameter counting: whether movements are to be counted too, which takes another look at the catalogue.
  func current(counting: Bool) throws(SampleFailure) -> [Prepared] {
    let age = Duration.nanoseconds(clock() - preparedAt)
    if preparedIn != session.generation || age >= limits.schemaLifetime {
      // A connection may break while this is looked up, and what was learnt then holds for the next one.
      prepared = try prepare()
      isPreparedForCounting = false
      preparedIn = session.generation
      preparedAt = clock()
      knownSuffixes = prepared.map(\.suffix)
    }
    if counting, !isPreparedForCounting {
      for index in prepared.indices {
        prepared[index] = try searched(prepared[index])
        prepared[index].accounting = try accounting(prepared[index].queue, prepared[index].query)
      }
      isPreparedForCounting = true
    }
    return prepared
  }

  /// Reads one queue in one round trip. Where its tables have changed since they were looked up, once more.
  ///
  /// - Parameter marks: up to where its movements have been counted, if that is known; nil where nobody asks for them.
  func sample(_ queue: Prepared, eventIDs: Bool, mark: AccountingMark??) throws(SampleFailure) -> Outcome {
    queue.kept.forget()
    if mark == nil, let outcome = try searchAndRead(queue, eventIDs: eventIDs) { return outcome }
    isInDoubt = false
    isEarly = false
    isOutdated = false
    let outcome = try reading(queue) { queue throws(PostgreSQLError) in
      try read(queue, eventIDs: eventIDs, mark: mark)
    }
    // Rows in a state that has not been looked for yet are in the movements and not in the figures.
    guard isOutdated || isInDoubt && queue.query.states != nil else { return outcome }
    preparedIn = nil
    guard let again = try current(counting: true).first(where: { $0.suffix == queue.suffix }) else { return outcome }
    isOutdated = false
    let second = try reading(again) { queue throws(PostgreSQLError) in try read(queue, eventIDs: eventIDs, mark: mark) }
    // In the middle of a migration there are figures; what moves is counted by the next sample.
    if isOutdated { preparedIn = nil }
    return second
  }

  /// Reads something of a queue, once more where its tables have changed since they were looked up.
  func reading<Value>(
    _ queue: Prepared, _ read: (Prepared) throws(PostgreSQLError) -> Value
  ) throws(SampleFailure) -> Value {
    do throws(PostgreSQLError) {
      return try read(queue)
    } catch {
      guard error.meansThatTheSchemaChanged(queue.schema) else { throw failure(error) }
      let counting = isPreparedForCounting
      preparedIn = nil
      guard let found = try current(counting: counting).first(where: { $0.suffix == queue.suffix }) else {
        throw failure(error)
      }
      let again = try searched(found)
      do throws(PostgreSQLError) {
        return try read(again)
      } catch {
        // The next sample looks again: the tables may be in the middle of a migration.
        preparedIn = nil
        throw failure(error)
      }
    }
  }

  private func read(
    _ queue: Prepared, eventIDs: Bool, mark: AccountingMark??
  ) throws(PostgreSQLError) -> Outcome {
    if let mark, let outcome = try readLedger(queue, eventIDs: eventIDs, mark: mark) { return outcome }
    guard let mark, let accounting = queue.accounting else {
      let message = queue.message(counting: [queue.query.figures], eventIDs: eventIDs, limitsInForce)
      let results = try results(message, of: queue, 1, eventIDs: eventIDs)
      return outcome(of: queue, results, FigureRow.all(results[1]), eventIDs: eventIDs)
    }
    var (known, restart) = accounting.mark(mark)
    if let mark = known, CountingMark.triesDeliveries(after: queue.kept.timeouts),
      try isTooMuch(accounting.delivered(since: mark), queue)
    {
      (known, restart) = (nil, CountingMark.tooMuch)
    }
    let (look, rows, results) = try count(queue, accounting, from: known, eventIDs: eventIDs)
    // Not kept: the next sample is to count.
    if isOutdated {
      return (Snapshot(clock: results[0], rows, eventIDs: eventIDs && queue.hasIDs ? results.last : nil), nil)
    }
    guard let known, let obstacle = accounting.obstacle(from: known, to: look) else {
      let (reading, isEarly) = accounting.reading(from: known, to: look, restart: restart)
      self.isEarly = isEarly
      return outcome(of: queue, results, rows, eventIDs: eventIDs, reading.noticing(queue.ledger.notice))
    }
    // What the mark made the look see is of no use to begin with.
    let (first, others, again) = try count(queue, accounting, from: nil, eventIDs: eventIDs)
    if isOutdated {
      return (Snapshot(clock: again[0], others, eventIDs: eventIDs && queue.hasIDs ? again.last : nil), nil)
    }
    let (reading, isEarly) = accounting.reading(from: nil, to: first, restart: obstacle)
    self.isEarly = isEarly
    return outcome(of: queue, again, others, eventIDs: eventIDs, reading)
  }

  /// Reads the figures and the ledger in one statement; nil where there is no ledger that can be read.
  private func readLedger(
    _ queue: Prepared, eventIDs: Bool, mark: AccountingMark?
  ) throws(PostgreSQLError) -> Outcome? {
    guard let ledger = try queue.ledger.current(queue.queue, queue.schema, objective: definition.objective?.age) else {
      return nil
    }
    let (known, restart) = ledger.mark(mark)
    var failure = PostgreSQLError.server(
      .init(sqlState: "42P17", message: "the ledger changes while it is read", hint: nil))
    // What was kept with the mark of the request need not be kept in the ledger too.
    if let known, let mark, mark.isDurable {
      queue.ledger.purge(ledger, through: known, isTransient: mark.isTransient)
    }
    do throws(PostgreSQLError) {
      let statement = ledger.statement(figures: queue.query.figures, mark: known)
      let message = queue.message(counting: [statement], eventIDs: eventIDs, limitsInForce)
      let results = try results(message, of: queue, 1, eventIDs: eventIDs)
      if let (reading, isInDoubt) = ledger.reading(results[1], from: known, restart: restart) {
        self.isInDoubt = isInDoubt
        queue.ledger.note(counted: reading.movements)
        return outcome(
          of: queue, results, FigureRow.all(results[1]), eventIDs: eventIDs, reading.noticing(queue.ledger.notice))
      }
    } catch {
      guard case .server = error else { throw error }
      failure = error
    }
    // Where the ledger is not what it was a minute ago, the figures do not depend on it.
    queue.ledger.forget()
    guard try queue.ledger.current(queue.queue, queue.schema, objective: definition.objective?.age) == nil else {
      throw failure
    }
    return nil
  }

  /// True where it is what was delivered that takes so long, and not what waits.
  private func isTooMuch(_ statements: [String]?, _ queue: Prepared) throws(PostgreSQLError) -> Bool {
    guard let statements else { return false }
    do throws(PostgreSQLError) {
      let message = queue.message(counting: statements, eventIDs: false, limitsInForce)
      _ = try results(message, of: queue, statements.count)
      return false
    } catch {
      guard error.meansThatTimeRanOut else { throw error }
      return true
    }
  }

  private func count(
    _ queue: Prepared, _ accounting: PostgreSQLAccounting, from mark: CountingMark?, eventIDs: Bool
  ) throws(PostgreSQLError) -> (look: CountingLook, figures: [FigureRow], results: [PostgreSQLResult]) {
    let message = queue.message(counting: accounting.statements(mark), eventIDs: eventIDs, limitsInForce)
    var results: [PostgreSQLResult]
    do throws(PostgreSQLError) {
      results = try self.results(message, of: queue, 3, eventIDs: eventIDs)
      queue.kept.timeouts = 0
    } catch {
      queue.kept.timeouts = error.meansThatTimeRanOut ? queue.kept.timeouts + 1 : 0
      throw error
    }
    isOutdated = !accounting.holds(results.remove(at: 3))
    let rows = results[2]
    let figures = FigureRow.all(rows)
    let look = accounting.look(
      mark, time: results[0].number(0, 0) ?? 0, lag: results[0].number(0, 1), state: results[1],
      figures: figures, delivered: (0..<rows.rowCount).compactMap { DeliveredRow(rows, row: $0) })
    return (look, figures, results)
  }

  /// The results of a message's own statements: the clock, as many as are said, and the identifiers.
  func results(
    _ message: String, of queue: Prepared, _ count: Int, eventIDs: Bool = false
  ) throws(PostgreSQLError) -> [PostgreSQLResult] {
    let before = session.serverTime
    defer { readingTime += session.serverTime - before }
    let results = try session.query(message)
    let first = PostgreSQLMessage.firstResult
    let hasIDs = eventIDs && queue.hasIDs
    guard results.count == first + count + (hasIDs ? 2 : 1), results[first].rowCount == 1,
      results[first].number(0, 0) != nil
    else {
      throw .server(
        .init(sqlState: "42601", message: "the statements of the layout gave \(results.count) results", hint: nil))
    }
    queue.kept.note(PostgreSQLMoment(results[first]))
    return Array(results.dropFirst(first))
  }

  // MARK: - Looking at the database

  private func prepare() throws(SampleFailure) -> [Prepared] {
    let queues = definition.layout.queues
    var tables = PostgreSQLTables(try look(PostgreSQLMessage.columns(of: queues))[0], of: queues)
    if !tables.unreadTypes.isEmpty {
      tables.take(try look(PostgreSQLMessage.types(tables.unreadTypes.keys.sorted()))[0])
    }
    if let hidden = tables.underRowSecurity.first {
      throw .rowSecurity(
        "database \(session.databaseName): row-level security is in force on \(hidden)", role: session.userName)
    }
    var prepared: [Prepared] = []
    for (index, queue) in queues.enumerated() {
      guard let schema = tables.schemas[index], schema.tables[TableQueue.mainTable] != nil else { continue }
      let query = try query(queue, schema, unknownStates: unknownStates[index, default: []])
      let ledger = ledgers[index] ?? PostgreSQLLedgerWatch(session, limits, clock: clock)
      ledgers[index] = ledger
      ledger.forget()
      prepared.append(Prepared(index, queue, schema: schema, query: query, ledger))
    }
    if prepared.isEmpty { throw try missingTables() }
    return prepared
  }

  private func query(
    _ queue: TableQueue, _ schema: QueueSchema, unknownStates: [StoredState]
  ) throws(SampleFailure) -> SampleQuery {
    do throws(LayoutProblem) {
      return try SampleQuery(
        queue: queue, schema: schema, dialect: .postgresql, unknownStates: unknownStates,
        objective: definition.objective?.age)
    } catch {
      throw failure(error)
    }
  }

  func failure(_ problem: LayoutProblem) -> SampleFailure {
    SampleFailure(.schema, "database \(session.databaseName): \(problem.message)", hint: problem.hint)
  }

  /// A queue whose unknown states have been looked for. A search that the server refuses leaves those of the last one: what
  /// is wrong with the table is the sample's to say.
  func searched(_ queue: Prepared) throws(SampleFailure) -> Prepared {
    guard let search = queue.search else { return queue }
    do throws(SampleFailure) {
      return try noting(try look(search)[0], in: queue)
    } catch {
      guard session.isConnected else { throw error }
      return try noting(nil, in: queue)
    }
  }

  /// The first sample, with the search for unknown states in the same message; nil where there is nothing to look for, and
  /// where the figures have to be read without it, or with what it found.
  private func searchAndRead(_ queue: Prepared, eventIDs: Bool) throws(SampleFailure) -> Outcome? {
    guard let search = queue.search else { return nil }
    let results: [PostgreSQLResult]
    do throws(PostgreSQLError) {
      let message = queue.message(counting: [search, queue.query.figures], eventIDs: eventIDs, limitsInForce)
      results = try self.results(message, of: queue, 2, eventIDs: eventIDs)
    } catch {
      guard session.isConnected, !error.meansThatATableIsLocked else { throw failure(error) }
      _ = try noting(nil, in: queue)
      return nil
    }
    let searched = try noting(results[1], in: queue)
    if searched.query == queue.query {
      return outcome(of: searched, results, FigureRow.all(results[2]), eventIDs: eventIDs)
    }
    return try reading(searched) { queue throws(PostgreSQLError) in try read(queue, eventIDs: eventIDs, mark: nil) }
  }

  /// Takes note of what a search has found; nil of one that found nothing out.
  private func noting(_ found: PostgreSQLResult?, in queue: Prepared) throws(SampleFailure) -> Prepared {
    var queue = queue
    queue.search = nil
    if let found {
      let unknown = (0..<found.rowCount).compactMap { found.bytes($0, 0) }
        .map { StoredState(text: $0, .postgresql) }.filter { !$0.isKnown(to: queue.queue) }
      if unknown != unknownStates[queue.index, default: []] {
        unknownStates[queue.index] = unknown
        queue.query = try query(queue.queue, queue.schema, unknownStates: unknown)
        queue.kept.forget()
      }
    }
    for position in prepared.indices where prepared[position].index == queue.index { prepared[position] = queue }
    return queue
  }

  /// How the movements of a queue can be counted here; nil where the table went away meanwhile.
  private func accounting(_ queue: TableQueue, _ query: SampleQuery) throws(SampleFailure) -> PostgreSQLAccounting? {
    let counting: AccountingQuery
    do throws(LayoutProblem) {
      counting = try query.accounting()
    } catch {
      throw failure(error)
    }
    let columns = counting.columns[counting.table, default: []]
    guard let relation = PostgreSQLRelation(try look(PostgreSQLRelation.statements(counting.table, columns: columns)))
    else { return nil }
    return PostgreSQLAccounting(
      counting, queue: queue, relation: relation, objective: definition.objective?.age,
      allowance: limits.clockAllowance
    ) { name, statements in
      guard let plan = try? look(statements).last else { return false }
      return (0..<plan.rowCount).contains { plan.text($0, 0)?.contains(name) == true }
    }
  }

  /// The tables that the layout cannot do without, and what they may be called instead.
  private func missingTables() throws(SampleFailure) -> SampleFailure {
    let names = definition.layout.queues.compactMap { $0.tables[TableQueue.mainTable]?.name }
    let problem = LayoutProblem.missingTable(role: TableQueue.mainTable, name: names.joined(separator: " or "))
    let namesakes = try look(names.map(PostgreSQLMessage.namesakes)).flatMap { result in
      (0..<result.rowCount).map { "\(result.text($0, 0) ?? "").\(result.text($0, 1) ?? "")" }
    }
    let found = namesakes.isEmpty ? "" : "; there is \(namesakes.joined(separator: ", "))"
    return SampleFailure(
      .schema, "database \(session.databaseName): \(problem.message)\(found)", hint: problem.hint)
  }

  /// Runs statements in one round trip and answers their results.
  private func look(_ statements: String...) throws(SampleFailure) -> [PostgreSQLResult] { try look(statements) }

  func look(_ statements: [String]) throws(SampleFailure) -> [PostgreSQLResult] {
    do throws(PostgreSQLError) {
      let results = try session.query(PostgreSQLMessage.transaction(statements, limitsInForce))
      return Array(results.dropFirst(PostgreSQLMessage.firstResult))
    } catch {
      throw failure(error)
    }
  }

  func failure(_ error: PostgreSQLError) -> SampleFailure {
    SampleFailure(error, database: session.databaseName, role: session.userName, limits: limits)
  }
}

extension Snapshot {
  /// Puts the clock of a message, its figures and its identifiers together.
  init(clock: PostgreSQLResult, _ rows: [FigureRow], eventIDs: PostgreSQLResult? = nil) {
    self.init(
      storeTime: Timestamp(seconds: clock.number(0, 0) ?? 0), rows: rows,
      replicaLag: clock.number(0, 1).map { .seconds($0) }, eventIDs: eventIDs.map(EventIDs.init))
  }
}

extension PostgreSQLError {
  /// True for names that are not known, and for whatever else is wrong with a statement that once was right. A word that
  /// an enum type had and has no more is a value that cannot be read.
  fileprivate func meansThatTheSchemaChanged(_ schema: QueueSchema) -> Bool {
    guard case .server(let report) = self else { return false }
    if report.sqlState == "22P02" { return schema.tables.values.contains { !$0.enums.isEmpty } }
    return report.sqlStateClass == "42" && report.sqlState != "42501"
  }
}
