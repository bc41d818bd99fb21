import Glibc

/// A PostgreSQL cluster in a temporary directory, with a private socket and a port on the loopback address.
///
/// Connections through the socket are trusted; connections over TCP need a SCRAM password. Set-up and expected values
/// go through `psql`, so that they owe nothing to the code under test.
package final class TemporaryPostgres: Sendable {
  /// Why no cluster can be had on this machine; nil where one can.
  package static let unavailable: String? =
    directoryOfPrograms == nil ? "no PostgreSQL server (pg_ctl) in /usr/lib/postgresql or on PATH" : nil

  /// One cluster for all tests of this process.
  package static func shared() throws -> TemporaryPostgres { try sharedCluster.get() }
  private static let sharedCluster = Result { try TemporaryPostgres() }

  /// The directory of the socket; a `host` for libpq.
  package var socketDirectory: String { directory.path }
  /// The port, also part of the socket's name.
  package let port: Int

  private let directory: TemporaryDirectory
  // Never touched again; held so that it goes when the cluster goes.
  private nonisolated(unsafe) let watchdog: ChildProcess

  /// Makes and starts a cluster.
  ///
  /// - Parameter settings: added to postgresql.conf, e.g. `"max_connections": "10"`.
  package init(settings: [String: String] = [:]) throws {
    directory = try TemporaryDirectory(openToAll: true)
    port = freePort()
    unsafe watchdog = try Self.stopWhenThisProcessEnds(directory.path)
    try Self.call(
      "initdb",
      ["-D", "\(directory.path)/data", "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"])
    try configure(settings)
    try start()
  }

  /// Makes and starts a streaming replica of a cluster.
  package init(replicaOf primary: TemporaryPostgres) throws {
    directory = try TemporaryDirectory(openToAll: true)
    port = freePort()
    unsafe watchdog = try Self.stopWhenThisProcessEnds(directory.path)
    try Self.call(
      "pg_basebackup",
      [
        "-D", "\(directory.path)/data", "-h", primary.socketDirectory, "-p", "\(primary.port)", "-U", "postgres", "-R",
        "--checkpoint=fast", "--no-sync",
      ])
    try configure([:])
    try start()
  }

  deinit {
    try? stop()
  }

  private func configure(_ settings: [String: String]) throws {
    var lines = [
      "port = \(port)", "listen_addresses = '127.0.0.1'", "unix_socket_directories = '\(directory.path)'",
      "fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum = off", "shared_buffers = 16MB",
      "log_line_prefix = '%m [%p] database=%d application=%a '", "max_connections = 60", "max_wal_senders = 3",
      "password_encryption = 'scram-sha-256'",
    ]
    lines += settings.sorted { $0.key < $1.key }.map { "\($0.key) = '\($0.value)'" }
    // Files that the server's user owns are changed as that user.
    let script = "cat >>\"$1/postgresql.conf\" && printf '%s\\n' \"$2\" >\"$1/pg_hba.conf\""
    let access = "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 scram-sha-256"
    let result = try run(
      Self.asServerUser(["sh", "-c", script, "sh", "\(directory.path)/data", access]),
      input: lines.joined(separator: "\n") + "\n")
    guard result.code == 0 else { throw Failure(program: "sh", text: result.error) }
  }

  // MARK: - Running

  /// Starts the server and waits until it takes connections.
  package func start() throws {
    try Self.call("pg_ctl", ["-D", "\(directory.path)/data", "-l", "\(directory.path)/log", "-w", "-s", "start"])
  }

  /// Stops the server; its connections are ended.
  package func stop() throws {
    try Self.call("pg_ctl", ["-D", "\(directory.path)/data", "-m", "fast", "-w", "-s", "stop"])
  }

  /// Ends the server as a crash does.
  package func crash() throws {
    try Self.call("pg_ctl", ["-D", "\(directory.path)/data", "-m", "immediate", "-w", "-s", "stop"])
  }

  /// Kills a process of the server, by its number.
  package func kill(_ process: String) throws {
    let result = try run(Self.asServerUser(["kill", "-KILL", process]))
    guard result.code == 0 else { throw Failure(program: "kill", text: result.error) }
  }

  /// What the server has logged so far.
  package var log: String { directory.read("log") }

  /// Makes a database and runs statements in it. Its name is new, so that tests do not meet.
  ///
  /// - Parameter encoding: of its text; nil for UTF-8.
  package func createDatabase(_ statements: String = "", encoding: String? = nil) throws -> TemporaryDatabase {
    let database = TemporaryDatabase(name: uniqueName("test"), server: self)
    try psql("CREATE DATABASE \(database.name)" + (encoding.map { " TEMPLATE template0 ENCODING '\($0)'" } ?? ""))
    if !statements.isEmpty { try database.psql(statements) }
    return database
  }

  /// A name for a role or a database that nobody else uses.
  package func uniqueName(_ prefix: String) -> String { "\(prefix)_\(UInt64.random(in: 0...UInt64.max))" }

  /// Runs statements through psql and answers what they print: a line for each row, fields separated by `|`.
  @discardableResult
  package func psql(_ statements: String, database: String = "postgres", user: String = "postgres") throws -> String {
    let result = try run(
      "psql",
      [
        "-h", socketDirectory, "-p", "\(port)", "-U", user, "-d", database, "-X", "-q", "-A", "-t", "-v",
        "ON_ERROR_STOP=1", "-f", "-",
      ], environment: ["PGOPTIONS": nil, "PGTZ": nil, "PGAPPNAME": nil], input: statements)
    guard result.code == 0 else { throw Failure(program: "psql", text: result.error) }
    return result.output.hasSuffix("\n") ? String(result.output.dropLast()) : result.output
  }

  /// What pg_dump says of a database.
  package func dump(_ database: TemporaryDatabase) throws -> String {
    let program = "pg_dump"
    let result = try run(
      "\(Self.directoryOfPrograms ?? "")/\(program)",
      ["-h", socketDirectory, "-p", "\(port)", "-U", "postgres", database.name])
    guard result.code == 0 else { throw Failure(program: program, text: result.error) }
    return result.output
  }

  /// A program that did not do its part.
  package struct Failure: Error, CustomStringConvertible {
    let program: String
    let text: String
    package var description: String { "\(program) failed: \(text)" }
  }

  // MARK: - Programs

  private static let directoryOfPrograms: String? = {
    let listed = (try? run("sh", ["-c", "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V"]).output) ?? ""
    let newest = listed.split(separator: "\n").last { unsafe access("\($0)/pg_ctl", X_OK) == 0 }
    return newest.map(String.init)
      ?? programOnPath("pg_ctl").map { String($0.dropLast("/pg_ctl".utf8.count)) }
  }()

  private static func call(_ program: String, _ arguments: [String]) throws {
    guard let directory = directoryOfPrograms else { throw Failure(program: program, text: unavailable ?? "") }
    let result = try run(asServerUser(["\(directory)/\(program)"] + arguments))
    guard result.code == 0 else { throw Failure(program: program, text: result.error + result.output) }
  }

  /// PostgreSQL and PgBouncer refuse to run as root.
  static func asServerUser(_ command: [String]) -> [String] {
    getuid() == 0 ? ["runuser", "-u", "postgres", "--"] + command : command
  }

  /// A server outlives a test process that is killed, and a `static let` is never freed: somebody else cleans up.
  private static func stopWhenThisProcessEnds(_ directory: String) throws -> ChildProcess {
    let script = """
      while kill -0 \(getpid()) 2>/dev/null; do sleep 0.5; done
      if [ -r "$1/data/postmaster.pid" ]; then kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")"; sleep 0.5; fi
      rm -rf -- "$1"
      """
    return try ChildProcess("sh", ["-c", script, "sh", directory])
  }
}

/// A database of its own in a ``TemporaryPostgres``.
package struct TemporaryDatabase: Sendable {
  /// Its name; needs no quotes.
  package let name: String
  /// The cluster that it is in.
  package let server: TemporaryPostgres

  /// A database that is there already.
  package init(name: String, server: TemporaryPostgres) {
    self.name = name
    self.server = server
  }

  /// A conninfo through the socket, where every role is trusted.
  package func conninfo(user: String = "postgres") -> String {
    "host=\(server.socketDirectory) port=\(server.port) dbname=\(name) user=\(user)"
  }

  /// A conninfo over TCP, where a role needs its password.
  package func conninfo(user: String, password: String?) -> String {
    "host=127.0.0.1 port=\(server.port) dbname=\(name) user=\(user)" + (password.map { " password='\($0)'" } ?? "")
  }

  /// Runs statements through psql and answers what they print: a line for each row, fields separated by `|`.
  @discardableResult
  package func psql(_ statements: String, user: String = "postgres") throws -> String {
    try server.psql(statements, database: name, user: user)
  }

  /// Waits until no session but the exporter's has it open: one of psql lingers for a moment after psql has ended. False where
  /// that does not happen.
  @discardableResult
  package func waitUntilLeft() throws -> Bool {
    // From elsewhere: who asks has the database open as well.
    let others =
      "SELECT count(*) FROM pg_stat_activity WHERE datname = '\(name)' AND application_name <> 'outbox-exporter'"
    return try eventually { try server.psql(others) == "0" }
  }

  /// A session that holds whatever its statements take (a lock, a transaction) until it is let go of.
  package func holding(_ statements: String) throws -> HeldTransaction {
    try HeldTransaction(statements, in: self)
  }

  /// How many statements (or messages of several statements) our client has sent to this database, by the server's log.
  /// The database has to have `log_statement = 'all'`.
  package func loggedMessages(application: String = "outbox-exporter") -> [String] {
    let prefix = "database=\(name) application=\(application) LOG:  statement: "
    var messages: [String] = []
    var isOpen = false
    // By bytes: a log of every statement is long, and most of its lines go on with the one before.
    for bytes in Array(server.log.utf8).split(separator: UInt8(ascii: "\n")) {
      if bytes.first == UInt8(ascii: "\t") {
        if isOpen { messages[messages.count - 1] += "\n" + String(decoding: bytes.dropFirst(), as: UTF8.self) }
        continue
      }
      let line = String(decoding: bytes, as: UTF8.self)
      let start = line.firstRange(of: prefix)
      if let start { messages.append(String(line[start.upperBound...])) }
      isOpen = start != nil
    }
    return messages
  }
}

/// A transaction that another session keeps open.
package final class HeldTransaction {
  private let database: TemporaryDatabase
  private let name: String
  private let client: ChildProcess

  fileprivate init(_ statements: String, in database: TemporaryDatabase) throws {
    self.database = database
    name = database.server.uniqueName("holding")
    client = try ChildProcess(
      "psql", ["-d", "\(database.conninfo()) application_name=\(name)", "-X", "-q", "-f", "-"],
      input: "BEGIN;\n\(statements);\nSELECT pg_sleep(600);\n")
    guard try eventually({ try sessions("AND wait_event = 'PgSleep'") == "1" }) else {
      throw TemporaryPostgres.Failure(program: "psql", text: client.standardError)
    }
  }

  /// Ends the session and waits until all that it held is free.
  package func release() throws {
    try database.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '\(name)'")
    guard try eventually({ try sessions() == "0" }) else {
      throw TemporaryPostgres.Failure(program: "psql", text: "the session \(name) does not end")
    }
  }

  private func sessions(_ condition: String = "") throws -> String {
    try database.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = '\(name)' \(condition)")
  }

  deinit {
    try? release()
  }
}

/// Runs a command given as one list.
func run(_ command: [String], input: String? = nil) throws -> (code: Int32, output: String, error: String) {
  try run(command[0], Array(command.dropFirst()), input: input)
}
