import CSQLite
import Glibc

/// One connection to an SQLite database. It belongs to one thread and is closed when it goes out of use.
@safe package struct SQLiteConnection: ~Copyable {
  let handle: OpaquePointer
  private let deadline = Deadline()
  private let kept: KeptStatements?

  /// How a database file is opened.
  package enum Access: Sendable {
    /// Nothing is ever written; the file has to exist. `mode=ro` without `immutable`: an immutable open would not see
    /// the rows that are still in the write-ahead log (sqlite.org/c3ref/open.html).
    case readOnly
    /// Reading and writing; the file is created where it is not there.
    case readWrite
    /// Reading and writing; nothing is created.
    case existing
    /// A private database in memory.
    case memory
  }

  /// Opens a database file.
  ///
  /// - Parameter keepsStatements: whether ``query(_:_:row:)`` keeps the statements that it has prepared for the next time:
  ///   for a file of few statements that are run over and over.
  /// - Throws: the file cannot be opened. What is wrong with its content shows at the first statement only.
  package init(path: String, access: Access, keepsStatements: Bool = false) throws(SQLiteError) {
    let (name, flags): (String, Int32) =
      switch access {
      case .readOnly: ("file:\(percentEncoded(path))?mode=ro", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI)
      case .readWrite:
        ("file:\(percentEncoded(path))?mode=rwc", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI)
      case .existing: ("file:\(percentEncoded(path))?mode=rw", SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI)
      case .memory: (":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY)
      }
    var opened: OpaquePointer?
    let code = unsafe sqlite3_open_v2(name, &opened, flags | SQLITE_OPEN_NOMUTEX, nil)
    guard code == SQLITE_OK, let connection = unsafe opened else {
      let error =
        if let connection = unsafe opened {
          unsafe SQLiteError(connection, "open the database")
        } else {
          SQLiteError(code: code, message: "out of memory", attempt: "open the database")
        }
      unsafe sqlite3_close_v2(opened)
      throw error
    }
    unsafe handle = connection
    kept = keepsStatements ? KeptStatements() : nil
    unsafe sqlite3_extended_result_codes(handle, 1)
    // SQLite asks every few thousand steps; the deadline outlives the connection, which closes first.
    unsafe sqlite3_progress_handler(
      handle, 4_000,
      { unsafe Unmanaged<Deadline>.fromOpaque($0!).takeUnretainedValue().hasPassed ? 1 : 0 },
      Unmanaged.passUnretained(deadline).toOpaque())
  }

  /// How long a statement waits for another process's lock before it fails with "busy".
  package borrowing func setBusyTimeout(_ limit: Duration) {
    let (seconds, attoseconds) = limit.components
    unsafe sqlite3_busy_timeout(handle, Int32(clamping: seconds * 1_000 + attoseconds / 1_000_000_000_000_000))
  }

  /// Statements that still run after so long from now fail with "interrupted"; nil lifts the limit.
  package borrowing func setTimeLimit(_ limit: Duration?) {
    deadline.nanoseconds = limit.map { limit in
      let (seconds, attoseconds) = limit.components
      return monotonicNanoseconds() + seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
  }

  /// Runs statements that return nothing.
  ///
  /// - Throws: the first statement that fails.
  package borrowing func execute(_ sql: String) throws(SQLiteError) {
    guard unsafe sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else {
      throw unsafe SQLiteError(handle, "run a statement")
    }
  }

  /// Makes a statement that can be run many times.
  ///
  /// - Throws: a syntax error, or a table or column that is not there.
  package borrowing func prepare(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
    var statement: OpaquePointer?
    guard unsafe sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil) == SQLITE_OK,
      let statement = unsafe statement
    else { throw unsafe SQLiteError(handle, "prepare a statement") }
    return unsafe SQLiteStatement(statement, connection: handle)
  }

  /// Runs one query to its end and hands each row to a closure.
  ///
  /// - Throws: whatever preparing or running it throws.
  package borrowing func query(
    _ sql: String, _ parameters: [String: SQLiteValue] = [:], row: (borrowing SQLiteStatement) -> Void
  ) throws(SQLiteError) {
    let statement: SQLiteStatement
    if let known = unsafe kept?.take(sql) {
      statement = unsafe SQLiteStatement(known, connection: handle)
    } else {
      statement = try prepare(sql)
    }
    for (name, value) in parameters { statement.bind(name, value) }
    while try statement.step() { row(statement) }
    if let kept { unsafe kept.put(statement.unused(), sql) }
  }

  /// The first column of the first row as a whole number.
  ///
  /// - Throws: whatever preparing or running the query throws.
  package borrowing func integer(_ sql: String) throws(SQLiteError) -> Int64? {
    var value: Int64?
    try query(sql) { row in if value == nil { value = row.integer(0) } }
    return value
  }

  deinit {
    kept?.end()
    unsafe sqlite3_close_v2(handle)
  }
}

/// Prepared statements that nobody runs at the moment, by their text.
@safe private final class KeptStatements {
  private var statements: [String: OpaquePointer] = unsafe [:]

  private static let most = 32

  func take(_ sql: String) -> OpaquePointer? { unsafe statements.removeValue(forKey: sql) }

  func put(_ statement: OpaquePointer, _ sql: String) {
    // What a PRAGMA answers may be found out when it is prepared.
    if unsafe statements.count < Self.most && !sql.hasPrefix("PRAGMA") && statements[sql] == nil {
      unsafe statements[sql] = statement
    } else {
      unsafe sqlite3_finalize(statement)
    }
  }

  func end() {
    while let (_, statement) = unsafe statements.popFirst() { unsafe sqlite3_finalize(statement) }
  }
}

private final class Deadline {
  var nanoseconds: Int64?
  var hasPassed: Bool { nanoseconds.map { monotonicNanoseconds() >= $0 } ?? false }
}

private func monotonicNanoseconds() -> Int64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Escapes what has a meaning in SQLite's file URIs: `%`, `?` and `#` (sqlite.org/uri.html §3.1).
private func percentEncoded(_ path: String) -> String {
  var text = ""
  for character in path.unicodeScalars {
    switch character {
    case "%": text += "%25"
    case "?": text += "%3f"
    case "#": text += "%23"
    default: text.unicodeScalars.append(character)
    }
  }
  return text
}
