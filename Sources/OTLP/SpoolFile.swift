internal import Outbox
internal import SQLiteClient
internal import SystemCalls

/// What a spool that holds a request knows about it without reading its body.
struct SpooledRequest: Sendable, Hashable {
  var id: Int64
  var created: Timestamp
  var pointCount: Int
  var encoding: OTLPEncoding
  var compression: OTLPDestination.Compression
  var byteCount: Int
}

/// A request that leaves the spool, points that are lost, or both, as one entry of the accounts.
struct SpoolRemoval: Sendable, Hashable {
  /// The request; nil where only points are counted.
  var id: Int64?
  /// Why points were lost; nil where all of them arrived.
  var reason: DropReason?
  var points = 0
}

/// The requests of one destination in an SQLite file, and the accounts of what was dropped.
///
/// Every commit is synchronised to the disk (write-ahead log, `synchronous=FULL`): what was committed survives the end
/// of the process at any instant, and the loss of power as far as the disk keeps what it has acknowledged.
final class SpoolFile {
  /// Where the accounts of what was dropped begin.
  let start: Timestamp
  /// Data points that were dropped, as committed.
  let dropped: [DropReason: Int]
  /// What was found, oldest first.
  let found: [SpooledRequest]
  /// What the destination was told of each series once all of that is delivered.
  let told: [String: String]
  let connection: SQLiteConnection
  private var lastID: Int64

  private static let version: Int64 = 1

  /// Opens a spool and makes one where there is none. A damaged one is set aside under another name.
  ///
  /// - Returns: the spool, and what an operator should know about a damaged one.
  /// - Throws: the file can be neither used nor replaced.
  static func open(_ path: String, now: Timestamp) throws(SQLiteError) -> (SpoolFile, notice: String?) {
    var cause = ""
    do throws(SpoolDefect) {
      return (try SpoolFile(path, now: now), nil)
    } catch {
      switch error {
      case .unusable(let error): throw error
      case .damaged(let text): cause = text
      }
    }
    let aside = "\(path).damaged-\(now.nanoseconds / 1_000_000_000)"
    // The write-ahead log belongs to the file; a new file must not find it.
    for suffix in ["", "-wal", "-shm"] { try? FileSystem.move(path + suffix, to: aside + suffix) }
    do throws(SpoolDefect) {
      let spool = try SpoolFile(path, now: now)
      return (
        spool,
        "the spool \(path) was damaged (\(cause)) and is set aside as \(aside); what it still held is not delivered, "
          + "and outbox.spool.dropped begins anew"
      )
    } catch {
      switch error {
      case .unusable(let error): throw error
      case .damaged(let text): throw SQLiteError(attempt: "replace the damaged spool \(path)", message: text)
      }
    }
  }

  private enum SpoolDefect: Error {
    case unusable(SQLiteError)
    case damaged(String)

    init(_ error: SQLiteError) {
      self = error.kind == .corrupt || error.kind == .notADatabase ? .damaged("\(error)") : .unusable(error)
    }
  }

  private init(_ path: String, now: Timestamp) throws(SpoolDefect) {
    do throws(SQLiteError) {
      connection = try SQLiteConnection(path: path, access: .readWrite, keepsStatements: true)
      connection.setBusyTimeout(.seconds(1))
      try connection.execute(
        """
        PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 1048576;
        PRAGMA cache_size = -512
        """)
      if try connection.integer("PRAGMA schema_version") == 0 { try Self.create(connection, now: now) }
    } catch {
      throw SpoolDefect(error)
    }
    var found: [SpooledRequest] = []
    var dropped: [DropReason: Int] = [:]
    var check = ""
    var told: [String: String] = [:]
    let start: Int64?
    do throws(SQLiteError) {
      try connection.query("PRAGMA quick_check(1)") { check = $0.text(0) ?? "" }
      guard check == "ok", try connection.integer("PRAGMA user_version") == Self.version else {
        throw SQLiteError(attempt: "use the spool", message: check == "ok" ? "it has another version" : check)
      }
      start = try connection.integer("SELECT started FROM accounts")
      try connection.query("SELECT reason, points FROM dropped") { row in
        if let reason = row.text(0).flatMap(DropReason.init) { dropped[reason] = Int(clamping: row.integer(1) ?? 0) }
      }
      if try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'told'") == 1 {
        try connection.query("SELECT series, value FROM told") { row in
          if let series = row.text(0) { told[series] = row.text(1) }
        }
      }
      try connection.query("SELECT id, created, points, encoding, length(body) FROM requests ORDER BY id") { row in
        let form = (row.text(3) ?? "").split(separator: "+")
        found.append(
          SpooledRequest(
            id: row.integer(0) ?? 0, created: Timestamp(nanoseconds: row.integer(1) ?? 0),
            pointCount: Int(clamping: row.integer(2) ?? 0), encoding: form.contains("json") ? .json : .protobuf,
            compression: form.contains("gzip") ? .gzip : .none,
            byteCount: Int(clamping: row.integer(4) ?? 0)))
      }
    } catch {
      // A table that is not there, or another version, cannot be continued either.
      throw error.kind == .statement || error.kind == .other ? .damaged(error.message) : SpoolDefect(error)
    }
    guard let start else { throw .damaged("it has no accounts") }
    self.start = Timestamp(nanoseconds: start)
    self.dropped = dropped
    self.found = found
    self.told = told
    lastID = found.last?.id ?? 0
  }

  private static func create(_ connection: borrowing SQLiteConnection, now: Timestamp) throws(SQLiteError) {
    try connection.execute(
      """
      BEGIN IMMEDIATE;
      CREATE TABLE requests (id INTEGER PRIMARY KEY, created INTEGER NOT NULL, points INTEGER NOT NULL,
        encoding TEXT NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL);
      CREATE TABLE dropped (reason TEXT PRIMARY KEY, points INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE accounts (started INTEGER NOT NULL);
      INSERT INTO accounts VALUES (\(now.nanoseconds));
      PRAGMA user_version = \(version);
      COMMIT
      """)
  }

  /// Keeps the requests of a batch, all of them or none.
  ///
  /// - Parameter told: what the destination was told of series once they are delivered; nil forgets a series.
  /// - Returns: their numbers; later ones have higher numbers.
  /// - Throws: it could not be committed and is not kept.
  func append(_ requests: [QueuedRequest], told: [String: String?]) throws(SQLiteError) -> [Int64] {
    guard !requests.isEmpty || !told.isEmpty else { return [] }
    // A number is never used twice, not even after a commit whose outcome is uncertain.
    let ids = requests.indices.map { lastID + 1 + Int64($0) }
    lastID += Int64(requests.count)
    try commit { connection throws(SQLiteError) in
      for (id, request) in zip(ids, requests) {
        try connection.run(
          """
          INSERT INTO requests (id, created, points, encoding, checksum, body)
          VALUES (:id, :created, :points, :encoding, :checksum, :body)
          """,
          [
            "id": .integer(id), "created": .integer(request.created.nanoseconds),
            "points": .integer(Int64(request.pointCount)),
            "encoding": .text(Self.form(request)), "checksum": .integer(checksum(request.body)),
            "body": .blob(request.body),
          ])
      }
      guard !told.isEmpty else { return }
      try connection.execute(
        "CREATE TABLE IF NOT EXISTS told (series TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
      for (series, value) in told {
        if let value {
          try connection.run(
            "INSERT OR REPLACE INTO told VALUES (:series, :value)", ["series": .text(series), "value": .text(value)])
        } else {
          try connection.run("DELETE FROM told WHERE series = :series", ["series": .text(series)])
        }
      }
    }
    return ids
  }

  /// Forgets what the destination was told: it gets everything since the beginning from now on.
  func forgetTold() throws(SQLiteError) {
    if !told.isEmpty { try connection.execute("DROP TABLE told") }
  }

  /// What the bytes are, for who reads them later: empty for protobuf as it is.
  private static func form(_ request: QueuedRequest) -> String {
    let parts = [request.encoding == .json ? "json" : nil, request.compression == .gzip ? "gzip" : nil]
    return parts.compactMap(\.self).joined(separator: "+")
  }

  /// The bytes of a request; nil where they are not those that were kept.
  ///
  /// - Throws: the file cannot be read.
  func body(_ id: Int64) throws(SQLiteError) -> [UInt8]? {
    var body: [UInt8]?
    try connection.query("SELECT checksum, body FROM requests WHERE id = :id", [":id": .integer(id)]) { row in
      let bytes = row.blob(1)
      if row.integer(0) == checksum(bytes) { body = bytes }
    }
    return body
  }

  /// Removes requests and counts what was lost, in one transaction.
  ///
  /// - Throws: nothing was removed and nothing counted.
  func remove(_ removals: [SpoolRemoval]) throws(SQLiteError) {
    try commit { connection throws(SQLiteError) in
      for removal in removals {
        if let id = removal.id {
          try connection.run("DELETE FROM requests WHERE id = :id", ["id": .integer(id)])
        }
        guard let reason = removal.reason else { continue }
        try connection.run(
          """
          INSERT INTO dropped (reason, points) VALUES (:reason, :points)
          ON CONFLICT (reason) DO UPDATE SET points = points + excluded.points
          """,
          ["reason": .text(reason.rawValue), "points": .integer(Int64(removal.points))])
      }
    }
  }

  private func commit(
    _ body: (borrowing SQLiteConnection) throws(SQLiteError) -> Void
  ) throws(SQLiteError) {
    try connection.execute("BEGIN IMMEDIATE")
    do throws(SQLiteError) {
      try body(connection)
      try connection.execute("COMMIT")
    } catch {
      // SQLite may have rolled back by itself.
      try? connection.execute("ROLLBACK")
      throw error
    }
  }
}

extension SQLiteConnection {
  fileprivate borrowing func run(_ sql: String, _ parameters: [String: SQLiteValue]) throws(SQLiteError) {
    try query(sql, Dictionary(uniqueKeysWithValues: parameters.map { (":" + $0.key, $0.value) })) { _ in }
  }
}

/// FNV-1a with 64 bits, as SQLite stores it: finds what a disk has changed (Fowler, Noll and Vo).
func checksum(_ bytes: some Sequence<UInt8>) -> Int64 {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  return Int64(bitPattern: hash)
}
