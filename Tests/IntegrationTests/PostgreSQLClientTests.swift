import PostgreSQLClient
import TestSupport
import Testing

/// Needs a PostgreSQL server on this machine.
let withPostgreSQL = ConditionTrait.enabled(
  if: TemporaryPostgres.unavailable == nil, Comment(rawValue: TemporaryPostgres.unavailable ?? ""))

@Suite(withPostgreSQL)
struct PostgreSQLClientTests {
  private func connect(_ conninfo: String, within limit: Duration = .seconds(10)) -> PostgreSQLError? {
    do throws(PostgreSQLError) {
      _ = try PostgreSQLConnection(to: conninfo, within: limit)
      return nil
    } catch {
      return error
    }
  }

  @Test func `several statements in one message give one result each`() throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    try database.server.psql("ALTER DATABASE \(database.name) SET log_statement = 'all'")
    var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
    let results = try connection.query(
      "SELECT 1, NULL, '', 'žluť' UNION ALL SELECT 2, 'b', NULL, 't'; SET work_mem = '1MB'; SELECT 2.5, true WHERE true",
      within: .seconds(10))
    #expect(
      results == [
        PostgreSQLResult(rows: [["1", nil, "", "žluť"], ["2", "b", nil, "t"]]), PostgreSQLResult(rows: []),
        PostgreSQLResult(rows: [["2.5", "t"]]),
      ])
    #expect(results[0].text(0, 1) == nil)
    #expect(results[0].text(0, 2) == "")
    #expect(results[0].text(1, 1) == "b")
    #expect(results[0].integer(1, 0) == 2)
    #expect(results[2].number(0, 0) == 2.5)
    #expect(results[2].truth(0, 1) == true)
    #expect(database.loggedMessages().count == 1)
  }

  @Test func `a result larger than any socket buffer arrives whole`() throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
    let results = try connection.query(
      "SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i", within: .seconds(30))
    #expect(results[0].rowCount == 5000)
    #expect(results[0].integer(4999, 0) == 5000)
    #expect(results[0].text(4999, 1)?.utf8.count == 1000)
  }

  @Test func `a statement larger than any socket buffer is sent whole`() throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
    let text = String(repeating: "x", count: 8_000_000)
    let results = try connection.query("SELECT length('\(text)')", within: .seconds(30))
    #expect(results[0].integer(0, 0) == 8_000_000)
  }

  @Test func `the session says who it is and speaks UTF-8`() throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
    let results = try connection.query(
      "SELECT current_setting('application_name'), current_setting('client_encoding'), current_database()",
      within: .seconds(10))
    #expect(results == [PostgreSQLResult(rows: [["outbox-exporter", "UTF8", database.name]])])
    let names = (connection.databaseName, connection.userName)
    #expect(names == (database.name, "postgres"))
  }

  @Test func `an application name of the user's own is kept`() throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    var connection = try PostgreSQLConnection(
      to: database.conninfo() + " application_name=mine", within: .seconds(10))
    let results = try connection.query("SHOW application_name", within: .seconds(10))
    #expect(results == [PostgreSQLResult(rows: [["mine"]])])
  }

  @Test func `an error of the server leaves the connection usable`() throws {
    let database = try TemporaryPostgres.shared().createDatabase("CREATE TABLE outbox (id int, status text)")
    var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
    do throws(PostgreSQLError) {
      _ = try connection.query("BEGIN; SELECT statu FROM outbox; SELECT 1", within: .seconds(10))
      Issue.record("a missing column was not reported")
    } catch {
      guard case .server(let report) = error else {
        Issue.record("unexpected \(error)")
        return
      }
      #expect(report.sqlState == "42703")
      #expect(report.sqlStateClass == "42")
      #expect(report.message.contains("statu"))
      #expect(report.hint?.contains("status") == true)
    }
    let afterError = (connection.isUsable, connection.isInTransaction)
    #expect(afterError == (true, true))
    _ = try connection.query("ROLLBACK", within: .seconds(10))
    let isInTransaction = connection.isInTransaction
    #expect(!isInTransaction)
    let results = try connection.query("SELECT 7", within: .seconds(10))
    #expect(results[0].integer(0, 0) == 7)
  }

  @Test func `a query past the deadline is cancelled, and its connection used again`() throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
    #expect(throws: PostgreSQLError.timedOut(while: .querying)) {
      try connection.query("SELECT 1; SELECT pg_sleep(600)", within: .milliseconds(100))
    }
    let isUsable = connection.isUsable
    #expect(isUsable)
    let others = try connection.query(
      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%sleep(600)'"
        + " AND pid <> pg_backend_pid()", within: .seconds(10))
    #expect(others == [PostgreSQLResult(rows: [["0"]])])
  }

  @Test func `a query past the deadline that is not cancelled is given up, and the connection with it`() throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
    let backend = try connection.query("SELECT pg_backend_pid()", within: .seconds(10))[0].text(0, 0)
    let process = try #require(Int32(backend ?? ""))
    signalProcess(process, stop: true)
    defer { signalProcess(process, stop: false) }
    #expect(throws: PostgreSQLError.timedOut(while: .querying)) {
      try connection.query("SELECT 1", within: .milliseconds(100))
    }
    let isUsable = connection.isUsable
    #expect(!isUsable)
    #expect(throws: PostgreSQLError.closed(message: "the connection was given up")) {
      try connection.query("SELECT 1", within: .seconds(10))
    }
  }

  @Test func `a host that accepts and never answers is given up`() throws {
    let server = try BlackholeServer()
    #expect(
      connect("host=127.0.0.1 port=\(server.port) dbname=d user=u", within: .milliseconds(200))
        == .timedOut(while: .connecting))
  }

  @Test(arguments: ["host", "hostaddr"])
  func `a server that hangs leaves time for the next one named`(keyword: String) throws {
    let (first, second) = (try BlackholeServer(), try BlackholeServer())
    let server = try TemporaryPostgres.shared()
    let role = server.uniqueName("app")
    let database = try server.createDatabase("CREATE ROLE \(role) LOGIN PASSWORD 'right'")
    let ports = "\(first.port),\(freePort()),\(second.port),\(server.port)"
    var connection = try PostgreSQLConnection(
      to:
        "\(keyword)=127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1 port=\(ports) dbname=\(database.name) user=\(role) password=right",
      within: .seconds(4))
    let results = try connection.query("SELECT current_database()", within: .seconds(10))
    #expect(results == [PostgreSQLResult(rows: [[database.name]])])
    #expect(
      connect("\(keyword)=127.0.0.1,127.0.0.1 port=\(first.port),\(second.port) user=u", within: .milliseconds(400))
        == .timedOut(while: .connecting))
  }

  @Test func `a closed port is reported with its address`() throws {
    let port = freePort()
    guard case .cannotConnect(nil, let message) = connect("host=127.0.0.1 port=\(port) dbname=d user=u") else {
      Issue.record("a closed port was not reported")
      return
    }
    #expect(message.contains("127.0.0.1") && message.contains("\(port)"))
    #expect(!message.contains("\n"))
  }

  @Test func `a wrong password is told apart by its SQLSTATE and is not repeated`() throws {
    let server = try TemporaryPostgres.shared()
    let role = server.uniqueName("app")
    let database = try server.createDatabase("CREATE ROLE \(role) LOGIN PASSWORD 'right-password'")
    #expect(connect(database.conninfo(user: role, password: "right-password")) == nil)
    guard case .authentication(let message) = connect(database.conninfo(user: role, password: "wrong-password")) else {
      Issue.record("a wrong password was not reported")
      return
    }
    #expect(message.contains(role))
    #expect(!message.contains("wrong-password") && !message.contains("28P01") && !message.contains("auth.c"))
  }

  @Test func `the SQLSTATE of a refused connection is found in any language`() {
    let german = ConnectionFailureReport(
      verbose: """
        Verbindung zum Server auf »localhost« (127.0.0.1), Port 5432 fehlgeschlagen: FATAL:  28P01: \
        Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen
        ORT:  auth_failed, auth.c:331

        """)
    #expect(german.sqlState == "28P01")
    #expect(
      german.message == "Verbindung zum Server auf »localhost« (127.0.0.1), Port 5432 fehlgeschlagen: FATAL:  "
        + "Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen")
    let refused = ConnectionFailureReport(
      verbose: """
        connection to server at "127.0.0.1", port 5432 failed: Connection refused
        \tIs the server running on that host and accepting TCP/IP connections?

        """)
    #expect(refused.sqlState == nil)
    #expect(
      refused.message == "connection to server at \"127.0.0.1\", port 5432 failed: Connection refused "
        + "Is the server running on that host and accepting TCP/IP connections?")
  }

  @Test func `a missing password and a role that does not exist are authentication failures`() throws {
    let server = try TemporaryPostgres.shared()
    let role = server.uniqueName("app")
    let database = try server.createDatabase("CREATE ROLE \(role) LOGIN PASSWORD 'right-password'")
    for conninfo in [
      database.conninfo(user: role, password: nil) + " passfile=/nonexistent",
      database.conninfo(user: "nobody_\(role)", password: "p"),
      database.conninfo(user: "nobody_\(role)"),
    ] {
      guard case .authentication = connect(conninfo) else {
        Issue.record("no authentication failure: \(String(describing: connect(conninfo)))")
        continue
      }
    }
  }

  @Test func `a database that does not exist is reported with its SQLSTATE`() throws {
    let server = try TemporaryPostgres.shared()
    let conninfo = "host=\(server.socketDirectory) port=\(server.port) dbname=nowhere user=postgres"
    guard case .cannotConnect("3D000", let message) = connect(conninfo) else {
      Issue.record("a missing database was not reported: \(String(describing: connect(conninfo)))")
      return
    }
    #expect(message.contains("nowhere"))
  }

  @Test(arguments: [
    "host=127.0.0.1 password=two words", "postgresql://user:pa/words@127.0.0.1/d", "postgresql://u:a@words@127.0.0.1/d",
    "postgresql://user:words%zz@127.0.0.1/d", "host=127.0.0.1 password=a words=b", "host=127.0.0.1 password='words",
  ])
  func `a connection string that cannot be read is refused without quoting it`(conninfo: String) {
    guard case .cannotConnect(nil, let message) = connect(conninfo, within: .milliseconds(500)) else {
      Issue.record("it was not refused")
      return
    }
    #expect(!message.contains("words") && !message.contains("pa/"), "\(message)")
  }

  @Test func `a server that goes away is noticed`() throws {
    let server = try TemporaryPostgres.shared()
    let database = try server.createDatabase()
    var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
    let results = try connection.query("SELECT pg_backend_pid()", within: .seconds(10))
    let pid = try #require(results[0].text(0, 0))
    try database.psql("SELECT pg_terminate_backend(\(pid), 10000)")
    do throws(PostgreSQLError) {
      _ = try connection.query("SELECT 1", within: .seconds(10))
      Issue.record("the end of the session was not noticed")
    } catch {
      switch error {
      case .server(let report): #expect(report.sqlState == "57P01")
      case .closed: break
      default: Issue.record("unexpected \(error)")
      }
    }
    let isUsable = connection.isUsable
    #expect(!isUsable)
  }

  @Test func `a statement that would copy data is refused`() throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    var connection = try PostgreSQLConnection(to: database.conninfo(), within: .seconds(10))
    #expect(throws: PostgreSQLError.self) {
      try connection.query("COPY (SELECT 1) TO STDOUT", within: .seconds(10))
    }
    let isUsable = connection.isUsable
    #expect(!isUsable)
  }
}
