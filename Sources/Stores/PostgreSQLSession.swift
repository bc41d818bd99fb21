import Outbox
import PostgreSQLClient
import SystemCalls

/// The one connection that a store has to its database: opened when it is needed, replaced when it breaks, left alone
/// for a while when it cannot be had. Lives inside its store's actor.
final class PostgreSQLSession {
  private let conninfo: Secret
  private let limits: PostgreSQLLimits
  private let clock: @Sendable () -> Int64
  private var connection: PostgreSQLConnection?
  private let early: EarlyConnection
  private var backOff: PostgreSQLBackOff
  private var lastFailure: PostgreSQLError?
  /// True once a pooler has shown that it ends sessions in which a transaction is open.
  private var isPooledByStatement = false
  /// Counts the connections. What was learnt about the database holds for one of them.
  private(set) var generation = 0
  /// The database and the role of the last connection, for messages.
  private(set) var databaseName = ""
  private(set) var userName = ""
  /// For how many seconds the database has worked for us: what it said itself, and how long we have waited for an error.
  private(set) var serverTime = 0.0
  /// For how many seconds we have waited for what ended with the session: it may have worked, or have been away.
  private(set) var lostTime = 0.0

  /// - Parameter early: a connection that somebody opened for it already.
  init(
    conninfo: Secret, limits: PostgreSQLLimits, clock: @escaping @Sendable () -> Int64,
    spread: @escaping @Sendable () -> Double, early: EarlyConnection = EarlyConnection()
  ) {
    self.early = early
    self.conninfo = conninfo
    self.limits = limits
    self.clock = clock
    self.backOff = PostgreSQLBackOff(longest: limits.longestBackOff, spread: spread)
  }

  /// Sends a message of ``PostgreSQLMessage``, which begins and commits a transaction, and returns the result of each statement
  /// but for the last two, which tell how long the database worked, and end it.
  ///
  /// While the database is left alone, fails at once with what went wrong last.
  func query(_ message: String) throws(PostgreSQLError) -> [PostgreSQLResult] {
    let began = SystemClock.monotonicNanoseconds()
    let results = try results(of: message)
    guard results.count >= 2 else { return results }
    // The server's clock may be set while it works.
    let waited = Duration.nanoseconds(SystemClock.monotonicNanoseconds() - began).seconds
    serverTime += min(waited, max(0, results[results.count - 2].number(0, 0) ?? 0))
    return results.dropLast(2)
  }

  private func results(of message: String) throws(PostgreSQLError) -> [PostgreSQLResult] {
    let wasConnected = connection != nil || early.isOpen
    do {
      return try attempt(message)
    } catch {
      if error.hidesAnotherBehindAPooler, !isPooledByStatement {
        isPooledByStatement = true
      } else {
        // A server that was restarted, or a pooler that closes idle clients, is noticed only when it is spoken to.
        guard wasConnected, connection == nil, error.meansThatTheSessionEnded else { throw error }
      }
      backOff.succeed()
      return try attempt(message)
    }
  }

  /// True while there is a connection of which nothing bad is known.
  var isConnected: Bool { connection != nil }

  func close() {
    connection = nil
  }

  private func attempt(_ message: String) throws(PostgreSQLError) -> [PostgreSQLResult] {
    if connection == nil {
      if let lastFailure, backOff.isWaiting(at: clock()) { throw lastFailure }
      try connect()
    }
    let began = SystemClock.monotonicNanoseconds()
    do throws(PostgreSQLError) {
      let text = isPooledByStatement ? PostgreSQLMessage.withoutBlock(message) : message
      guard let results = try connection?.query(text, within: limits.roundTrip) else { return [] }
      backOff.succeed()
      lastFailure = nil
      return results
    } catch {
      let waited = Duration.nanoseconds(SystemClock.monotonicNanoseconds() - began).seconds
      if error.meansThatTheDatabaseIsAway {
        lostTime += waited
      } else if !error.meansThatATableIsLocked {
        serverTime += waited
      }
      tidyUp(after: error)
      throw error
    }
  }

  private func connect() throws(PostgreSQLError) {
    do throws(PostgreSQLError) {
      let opened =
        if let opened = try early.take() { opened } else {
          try PostgreSQLConnection(to: conninfo.revealed, within: limits.connect)
        }
      databaseName = opened.databaseName
      userName = opened.userName
      connection = consume opened
      generation += 1
    } catch {
      note(error)
      throw error
    }
  }

  /// Leaves the connection outside of any transaction, or gives it up.
  private func tidyUp(after error: PostgreSQLError) {
    if case .timedOut = error {
      // Even where it could be cancelled: the other outboxes are not to wait as long, each in its turn.
      connection = nil
      note(error)
      return
    }
    if connection?.isUsable == true, connection?.isInTransaction == true {
      _ = try? connection?.query("ROLLBACK", within: limits.roundTrip)
    }
    if connection?.isUsable == true, connection?.isInTransaction == false {
      // The server answered, even if it did not like the question.
      backOff.succeed()
      lastFailure = nil
    } else {
      connection = nil
      if error.meansThatTheDatabaseIsAway { note(error) }
    }
  }

  private func note(_ error: PostgreSQLError) {
    lastFailure = error
    backOff.fail(at: clock())
  }
}

extension PostgreSQLError {
  /// True where a pooler in statement mode takes a transaction that failed, and so is not over at the end of its message,
  /// for one that is left open: it closes the connection, and what went wrong is lost.
  fileprivate var hidesAnotherBehindAPooler: Bool {
    // PgBouncer's own words, in no other language.
    if case .closed(let message) = self { message.contains("statement pooling mode") } else { false }
  }

  /// True where the session ended without this query's doing, so that a new session may well answer it.
  fileprivate var meansThatTheSessionEnded: Bool {
    if case .timedOut = self { false } else { meansThatTheDatabaseIsAway }
  }

  /// True where another session's lock was waited for: the database has not worked.
  var meansThatATableIsLocked: Bool {
    if case .server(let report) = self { report.sqlState == "55P03" } else { false }
  }

  /// True for a statement that took longer than it may.
  var meansThatTimeRanOut: Bool {
    switch self {
    case .timedOut(while: .querying): true
    case .server(let report): report.sqlState == "57014"
    default: false
    }
  }

  /// True where the other outboxes of the database would fail in the same way.
  fileprivate var meansThatTheDatabaseIsAway: Bool {
    switch self {
    case .cannotConnect, .authentication, .timedOut, .closed: true
    // Connection exceptions, and operator intervention but for a cancelled statement.
    case .server(let report):
      report.sqlStateClass == "08" || report.sqlStateClass == "57" && report.sqlState != "57014"
    }
  }
}
