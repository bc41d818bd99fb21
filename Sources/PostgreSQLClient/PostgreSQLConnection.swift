import CLibPQ
import Glibc

/// One connection to a PostgreSQL server, or to a pooler in front of it.
///
/// Nothing here waits longer than it was told to: libpq runs non-blocking and every wait is a `poll` with the rest of
/// the deadline. The one exception is name resolution, which libpq leaves to the C library's blocking `getaddrinfo`: it
/// takes as long as resolv.conf allows (`timeout` × `attempts` for each name server), and the deadline is checked when
/// it comes back. An address in place of a name avoids it.
@safe package struct PostgreSQLConnection: ~Copyable {
  private let handle: OpaquePointer
  private var isAbandoned = false

  /// Connects to what a libpq URL or conninfo string names. What it leaves open comes from libpq's environment
  /// variables and password file.
  ///
  /// No start-up `options` are sent, since a pooler refuses them. Where several servers are named, they share the time,
  /// so that one that hangs does not keep the exporter from the next.
  ///
  /// - Parameter conninfo: may hold a password; it is handed to libpq and kept nowhere else.
  package init(to conninfo: String, within limit: Duration) throws(PostgreSQLError) {
    if let problem = ConnectionString.problem(in: conninfo) {
      throw .cannotConnect(sqlState: nil, message: problem)
    }
    unsafe handle = try Self.openAny(conninfo, until: .now + limit)
  }

  deinit {
    // Says good-bye only if that does not block, then closes.
    unsafe PQfinish(handle)
  }

  /// Sends one simple-query message, which may hold several statements, and returns the result of each: one round trip.
  ///
  /// At the first error the server skips the statements that follow; it is thrown once the server is ready again, and
  /// an open transaction is then to be rolled back. Once the time is over the server is asked to stop; where it does, the
  /// connection can be used again, as ``isUsable`` says, and otherwise it is only to be closed.
  package mutating func query(
    _ statements: String, within limit: Duration
  ) throws(PostgreSQLError) -> [PostgreSQLResult] {
    guard isUsable else { throw .closed(message: "the connection was given up") }
    do throws(PostgreSQLError) {
      return try unsafe Self.exchange(handle, statements, until: .now + limit)
    } catch {
      switch error {
      case .server: break
      case .timedOut: isAbandoned = !isStopped()
      default: isAbandoned = true
      }
      throw error
    }
  }

  /// Asks the server to stop, and gives it a moment. True where it is ready for something else then.
  private func isStopped() -> Bool {
    unsafe CancelRequest.send(for: handle)
    do throws(PostgreSQLError) {
      _ = try unsafe Self.results(handle, until: .now + Self.graceAfterCancelling)
      return true
    } catch {
      if case .server = error { return true } else { return false }
    }
  }

  /// How long a server that was asked to stop is waited for.
  package static let graceAfterCancelling = Duration.seconds(1)

  /// False once the connection broke or a deadline passed in the middle of an exchange.
  package var isUsable: Bool { unsafe !isAbandoned && PQstatus(handle) == CONNECTION_OK }

  /// True from `BEGIN` on, in a failed transaction too, until it is committed or rolled back.
  package var isInTransaction: Bool { unsafe PQtransactionStatus(handle) != PQTRANS_IDLE }

  /// The server's version as libpq numbers it, e.g. 150018 for 15.18.
  package var serverVersion: Int { unsafe Int(PQserverVersion(handle)) }

  /// The database that the session is in; for messages.
  package var databaseName: String { unsafe text(PQdb(handle)) }

  /// The role that the session was opened for; for messages.
  package var userName: String { unsafe text(PQuser(handle)) }
}

// MARK: - Connecting

extension PostgreSQLConnection {
  private static func openAny(
    _ conninfo: String, until deadline: ContinuousClock.Instant
  ) throws(PostgreSQLError) -> OpaquePointer {
    var servers = ServerList(conninfo)
    for left in stride(from: servers.count, to: 1, by: -1) {
      do throws(PostgreSQLError) {
        return try unsafe open(conninfo, &servers, until: .now + (deadline - .now) / left)
      } catch {
        guard case .timedOut = error else { throw error }
      }
    }
    return try unsafe open(conninfo, &servers, until: deadline)
  }

  /// A database in SQL_ASCII keeps any bytes for text. A client that asks for UTF-8 gets an error at the first that are
  /// none (PostgreSQL manual, "Character Set Support"), so it has to take them as they are; ``PostgreSQLResult`` repairs
  /// them. What a session says of the server's encoding comes with the greeting: no other database costs a round trip.
  private static func takeBytesAsText(
    _ handle: OpaquePointer, until deadline: ContinuousClock.Instant
  ) throws(PostgreSQLError) {
    guard unsafe text(PQparameterStatus(handle, "server_encoding")) == "SQL_ASCII" else { return }
    _ = try unsafe exchange(handle, "SET client_encoding = 'SQL_ASCII'", until: deadline)
  }

  private static func open(
    _ conninfo: String, _ servers: inout ServerList, until deadline: ContinuousClock.Instant
  ) throws(PostgreSQLError) -> OpaquePointer {
    // Later keywords win over earlier ones, and `dbname` stands for all that the conninfo names.
    let options =
      [("fallback_application_name", "outbox-exporter"), ("dbname", conninfo), ("client_encoding", "UTF8")]
      + servers.options
    let started = unsafe withCStrings(options.map(\.0)) { keywords in
      unsafe withCStrings(options.map(\.1)) { values in unsafe PQconnectStartParams(keywords, values, 1) }
    }
    guard let handle = unsafe started else {
      throw .cannotConnect(sqlState: nil, message: "out of memory")
    }
    do throws(PostgreSQLError) {
      // A failed start has no PGresult to take an SQLSTATE from; verbose messages spell it out in any language.
      unsafe PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
      unsafe PQsetNoticeReceiver(handle, { _, _ in }, nil)
      try unsafe finishConnecting(handle, until: deadline)
      unsafe PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
      unsafe PQsetnonblocking(handle, 1)
      try unsafe takeBytesAsText(handle, until: deadline)
      return unsafe handle
    } catch {
      unsafe servers.moveToBack(host: text(PQhost(handle)), port: text(PQport(handle)))
      unsafe PQfinish(handle)
      throw error
    }
  }

  private static func finishConnecting(
    _ handle: OpaquePointer, until deadline: ContinuousClock.Instant
  ) throws(PostgreSQLError) {
    // libpq asks to be treated as if it had just said "writing".
    var next = PGRES_POLLING_WRITING
    while unsafe PQstatus(handle) != CONNECTION_BAD {
      switch next {
      case PGRES_POLLING_OK: return
      case PGRES_POLLING_READING:
        try unsafe wait(for: POLLIN, on: handle, until: deadline, while: .connecting)
      case PGRES_POLLING_WRITING:
        try unsafe wait(for: POLLOUT, on: handle, until: deadline, while: .connecting)
      default: throw unsafe connectionFailure(handle)
      }
      next = unsafe PQconnectPoll(handle)
    }
    throw unsafe connectionFailure(handle)
  }

  private static func connectionFailure(_ handle: OpaquePointer) -> PostgreSQLError {
    let report = unsafe ConnectionFailureReport(verbose: text(PQerrorMessage(handle)))
    if unsafe report.sqlState?.hasPrefix("28") == true || PQconnectionNeedsPassword(handle) != 0 {
      return .authentication(message: report.message)
    }
    return .cannotConnect(sqlState: report.sqlState, message: report.message)
  }
}

// MARK: - Querying

extension PostgreSQLConnection {
  private static func exchange(
    _ handle: OpaquePointer, _ statements: String, until deadline: ContinuousClock.Instant
  ) throws(PostgreSQLError) -> [PostgreSQLResult] {
    guard unsafe PQsendQuery(handle, statements) == 1 else { throw unsafe brokenConnection(handle) }
    var pending = unsafe PQflush(handle)
    while pending == 1 {
      // The server may fill its own buffers before it reads on: take what it sends while sending.
      let ready = try unsafe wait(for: POLLIN | POLLOUT, on: handle, until: deadline, while: .querying)
      if ready & POLLIN != 0 { try unsafe consumeInput(handle) }
      pending = unsafe PQflush(handle)
    }
    guard pending == 0 else { throw unsafe brokenConnection(handle) }
    return try unsafe results(handle, until: deadline)
  }

  /// Takes the results of a message that was sent, until the server is ready again.
  private static func results(
    _ handle: OpaquePointer, until deadline: ContinuousClock.Instant
  ) throws(PostgreSQLError) -> [PostgreSQLResult] {
    var results: [PostgreSQLResult] = []
    var failure: PostgreSQLError?
    while true {
      while unsafe PQisBusy(handle) == 1 {
        try unsafe wait(for: POLLIN, on: handle, until: deadline, while: .querying)
        try unsafe consumeInput(handle)
      }
      guard let result = unsafe PQgetResult(handle) else { break }
      defer { unsafe PQclear(result) }
      switch unsafe PQresultStatus(result) {
      case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
        results.append(PostgreSQLResult(copying: result))
      case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE:
        if failure == nil { failure = unsafe report(result) }
      default:
        throw .closed(message: "a statement wants to copy data, which a sample never does")
      }
    }
    if let failure { throw failure }
    guard unsafe PQstatus(handle) == CONNECTION_OK else { throw unsafe brokenConnection(handle) }
    return results
  }

  private static func consumeInput(_ handle: OpaquePointer) throws(PostgreSQLError) {
    guard unsafe PQconsumeInput(handle) == 1 else { throw unsafe brokenConnection(handle) }
  }

  private static func brokenConnection(_ handle: OpaquePointer) -> PostgreSQLError {
    .closed(message: unsafe oneLine(text(PQerrorMessage(handle))))
  }

  private static func report(_ result: OpaquePointer) -> PostgreSQLError {
    // libpq makes an error of its own, without an SQLSTATE, when the connection breaks.
    guard let sqlState = unsafe field(result, "C") else {
      return .closed(message: unsafe oneLine(text(PQresultErrorMessage(result))))
    }
    return .server(
      PostgreSQLError.ServerError(
        sqlState: sqlState, message: unsafe oneLine(field(result, "M") ?? ""),
        hint: unsafe field(result, "H").map(oneLine), routine: unsafe field(result, "R")))
  }

  /// A field of an error report by its letter in the protocol ("Error and Notice Message Fields").
  private static func field(_ result: OpaquePointer, _ letter: Unicode.Scalar) -> String? {
    guard let value = unsafe PQresultErrorField(result, Int32(letter.value)) else { return nil }
    return unsafe String(cString: value)
  }
}

// MARK: - Waiting

extension PostgreSQLConnection {
  /// Waits until the socket is ready, with whatever libpq has open at that moment.
  @discardableResult
  private static func wait(
    for events: Int32, on handle: OpaquePointer, until deadline: ContinuousClock.Instant,
    while activity: PostgreSQLError.Activity
  ) throws(PostgreSQLError) -> Int32 {
    while true {
      let rest = deadline - .now
      guard rest > .zero else { throw .timedOut(while: activity) }
      let (seconds, attoseconds) = rest.components
      // Rounded up, so that the last wait does not spin.
      let milliseconds = Int32(clamping: min(seconds, 1_000_000) * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
      var descriptor = unsafe pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
      let count = unsafe poll(&descriptor, 1, milliseconds)
      if count > 0 { return Int32(descriptor.revents) }
      if count < 0 && errno != EINTR { throw .closed(message: "cannot wait for the server's socket: error \(errno)") }
    }
  }
}

private func text(_ pointer: UnsafePointer<CChar>?) -> String {
  guard let pointer = unsafe pointer else { return "" }
  return unsafe String(cString: pointer)
}

private func text(_ pointer: UnsafeMutablePointer<CChar>?) -> String {
  unsafe text(UnsafePointer(pointer))
}

private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
  let copies = unsafe strings.map { unsafe strdup($0) }
  defer { unsafe copies.forEach { unsafe free($0) } }
  let pointers = unsafe copies.map { unsafe UnsafePointer($0) } + [nil]
  return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
}
