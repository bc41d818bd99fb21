import CSQLite

/// What SQLite could not do. The kinds are SQLite's own result codes (sqlite.org/rescode.html).
package struct SQLiteError: Error, Sendable, Hashable {
  /// What a caller can act on.
  package enum Kind: Sendable, Hashable {
    /// The file could not be opened.
    case cannotOpen
    /// The file is no database.
    case notADatabase
    /// The file is damaged.
    case corrupt
    /// Another process holds a lock.
    case busy
    /// The time limit was reached.
    case interrupted
    /// The operating system refused access.
    case permission
    /// A write was needed where nothing may be written.
    case readOnly
    /// Reading or writing failed below SQLite.
    case inputOutput
    /// A statement is wrong, or a table or column is not there.
    case statement
    /// The disk is full.
    case full
    /// Anything else.
    case other
  }

  /// The extended result code.
  package var code: Int32
  /// SQLite's own words.
  package var message: String
  /// What was tried.
  package var attempt: String
  /// The operating system's error number, where it was one that failed; else 0.
  package var systemError: Int32

  init(code: Int32, message: String, attempt: String, systemError: Int32 = 0) {
    self.code = code
    self.message = message
    self.attempt = attempt
    self.systemError = systemError
  }

  /// Something that SQLite did, and yet cannot be gone on with; its kind is `other`.
  package init(attempt: String, message: String) {
    self.init(code: SQLITE_MISMATCH, message: message, attempt: attempt)
  }

  init(_ connection: OpaquePointer, _ attempt: String) {
    unsafe self.init(
      code: sqlite3_extended_errcode(connection), message: String(cString: sqlite3_errmsg(connection)),
      attempt: attempt, systemError: sqlite3_system_errno(connection))
  }

  /// What a caller can act on.
  package var kind: Kind {
    switch code & 0xff {
    case SQLITE_CANTOPEN: .cannotOpen
    case SQLITE_NOTADB: .notADatabase
    case SQLITE_CORRUPT: .corrupt
    case SQLITE_BUSY, SQLITE_LOCKED: .busy
    case SQLITE_INTERRUPT: .interrupted
    case SQLITE_PERM, SQLITE_AUTH: .permission
    case SQLITE_READONLY: .readOnly
    case SQLITE_IOERR: .inputOutput
    case SQLITE_ERROR: .statement
    case SQLITE_FULL: .full
    default: .other
    }
  }
}

extension SQLiteError: CustomStringConvertible {
  package var description: String { "cannot \(attempt): \(message) (SQLite code \(code))" }
}
