import SQLiteClient
import TestSupport
import Testing

/// Files and directories that cannot be read: UNKNOWN with the cause and what to do, and never OK.
@Suite struct `Stores that the command cannot read` {
  /// Runs the health check for people and for programs.
  private func expectUnknown(
    _ fixture: CommandFixture, _ arguments: [String], reason: String, _ words: [String],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let text = try fixture.run(["--once"] + arguments, obeysPermissions: true, sourceLocation: sourceLocation)
    text.expectUnknown(words, sourceLocation: sourceLocation)
    let json = try fixture.run(
      ["--once", "--format", "json"] + arguments, obeysPermissions: true, sourceLocation: sourceLocation)
    #expect(json.code == 3, sourceLocation: sourceLocation)
    #expect(json.output.contains("\"reason\": \"\(reason)\""), "\(json.output)", sourceLocation: sourceLocation)
    #expect(!json.output.contains("\"depth\""), "a figure of a store that was not read", sourceLocation: sourceLocation)
  }

  private func sqlite(_ path: String, _ layout: String = "praisonai") -> [String] {
    ["--dsn", "sqlite:\(path)", "--layout", layout]
  }

  // MARK: - Paths

  @Test func `a mistyped directory of an SQLite file`() throws {
    try expectUnknown(
      CommandFixture(), sqlite("state/outbox.sqlite"), reason: "absent",
      ["there is no file state/outbox.sqlite", "→ check the path"])
  }

  @Test func `a file that its application creates later is not in use yet`() throws {
    let outcome = try CommandFixture().run(["--once"] + sqlite("outbox.sqlite"))
    #expect(outcome.code == 0 && outcome.output.contains("not in use yet"), "\(outcome)")
  }

  @Test func `a missing file of an application that always has one`() throws {
    try expectUnknown(
      CommandFixture(), sqlite("broker.db", "relaycast"), reason: "absent", ["there is no file broker.db", "→ check"])
  }

  @Test func `a pattern that matches no file`() throws {
    try expectUnknown(
      CommandFixture(), sqlite("state/*.sqlite"), reason: "absent", ["state/*.sqlite: no file matches", "quote it"])
  }

  @Test func `a directory in place of a file`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write("", to: "state/other")
    try expectUnknown(fixture, sqlite("state"), reason: "absent", ["state is a directory", "→ name the file"])
  }

  @Test func `a mistyped directory queue`() throws {
    let fixture = try CommandFixture()
    let arguments = ["--dsn", "files:nowhere/delivery-queue", "--layout", "openclaw-files"]
    try expectUnknown(fixture, arguments, reason: "absent", ["nowhere/delivery-queue: no such directory", "→ check"])
  }

  @Test func `a file in place of a directory queue`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write("", to: "delivery-queue")
    let arguments = ["--dsn", "files:delivery-queue", "--layout", "openclaw-files"]
    try expectUnknown(fixture, arguments, reason: "schema", ["delivery-queue: not a directory", "→"])
  }

  @Test func `a pattern that matches no directory`() throws {
    let arguments = ["--dsn", "files:*/delivery-queue", "--layout", "openclaw-files"]
    try expectUnknown(CommandFixture(), arguments, reason: "absent", ["no directory matches", "→ check the pattern"])
  }

  // MARK: - Permissions

  @Test func `an SQLite file of somebody else`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox()
    fixture.exporter.setPermissions("outbox.sqlite", 0)
    try expectUnknown(
      fixture, arguments, reason: "permission", ["outbox.sqlite", "→ run the exporter as the user who owns the file"])
  }

  @Test func `an SQLite file in a directory of somebody else`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write("", to: "state/outbox.sqlite")
    fixture.exporter.setPermissions("state", 0)
    try expectUnknown(
      fixture, sqlite("state/outbox.sqlite"), reason: "permission", ["may not be searched", "→ run the exporter as"])
    fixture.exporter.setPermissions("state", 0o755)
  }

  @Test func `a WAL database without its -shm file where nothing can be written`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write("", to: "state/other")
    try fixture.writeOutbox("state/outbox.sqlite", waiting: [5])
    fixture.exporter.setPermissions("state", 0o555)
    try expectUnknown(
      fixture, sqlite("state/outbox.sqlite"), reason: "permission",
      ["state/outbox.sqlite", "-shm", "keep the application"])
    fixture.exporter.setPermissions("state", 0o755)
    #expect(try fixture.run(["--once"] + sqlite("state/outbox.sqlite")).code == 0)
  }

  @Test func `a directory queue of somebody else`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write("{}", to: "delivery-queue/a.json")
    fixture.exporter.setPermissions("delivery-queue", 0)
    let arguments = ["--dsn", "files:delivery-queue", "--layout", "openclaw-files"]
    try expectUnknown(fixture, arguments, reason: "permission", ["delivery-queue", "ermission denied", "→"])
    fixture.exporter.setPermissions("delivery-queue", 0o755)
  }

  // MARK: - Content

  @Test func `a file that is no database`() throws {
    let fixture = try CommandFixture()
    try fixture.exporter.home.write(String(repeating: "an ordinary text file\n", count: 100), to: "notes.db")
    try expectUnknown(
      fixture, sqlite("notes.db"), reason: "corrupt", ["file is not a database", "→ the file is no SQLite"])
  }

  @Test func `a damaged database`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(
      more: """
        INSERT INTO outbound_queue (id, target, ts, content)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
        SELECT i, 'telegram:1', 1700000000, hex(zeroblob(200)) FROM n
        """)
    // The first page holds the schema; whatever is behind it is gone.
    _ = try fixture.exporter.runShell(
      "pages=$(($(stat -c %s outbox.sqlite) / 4096)); "
        + "tr '\\0' '\\377' </dev/zero | dd of=outbox.sqlite bs=4096 seek=1 count=$((pages - 1)) conv=notrunc status=none"
    )
    try expectUnknown(fixture, arguments, reason: "corrupt", ["malformed", "→ run `PRAGMA integrity_check`"])
  }

  @Test func `a database without the table`() throws {
    let fixture = try CommandFixture()
    let connection = try SQLiteConnection(path: fixture.exporter.path("other.db"), access: .readWrite)
    try connection.execute("CREATE TABLE invoices (id)")
    try expectUnknown(
      fixture, sqlite("other.db"), reason: "schema",
      ["there is no table outbound_queue", "→ name the right table", "tables:"])
  }

  @Test func `a table without a column`() throws {
    let fixture = try CommandFixture()
    let connection = try SQLiteConnection(path: fixture.exporter.path("old.db"), access: .readWrite)
    try connection.execute("CREATE TABLE outbound_queue (id, target, status, ts, last_attempt)")
    try expectUnknown(
      fixture, sqlite("old.db"), reason: "schema",
      ["outbound_queue has no column attempts", "it has id", "→ name the right column", "columns: {attempts: …}"])
  }

  @Test func `a database that another process keeps locked`() throws {
    let fixture = try CommandFixture()
    let arguments = try fixture.writeOutbox(more: "PRAGMA journal_mode = DELETE")
    let locker = try SQLiteConnection(path: fixture.exporter.path("outbox.sqlite"), access: .readWrite)
    try locker.execute("BEGIN EXCLUSIVE")
    try expectUnknown(fixture, arguments, reason: "lock_timeout", ["locked", "→ another process"])
    try locker.execute("ROLLBACK")
  }

  @Test func `a database that is locked for a while is waited for as long as it was told to`() async throws {
    let fixture = try CommandFixture()
    try fixture.writeOutbox(waiting: [5], more: "PRAGMA journal_mode = DELETE")
    let configured = try fixture.configured(
      """
      timeouts: {lock: 60s, statement: 60s}
      outboxes:
        - {name: o, dsn: "sqlite:outbox.sqlite", layout: praisonai}
      """)
    let locker = try SQLiteConnection(path: fixture.exporter.path("outbox.sqlite"), access: .readWrite)
    try locker.execute("BEGIN EXCLUSIVE")
    let command = try fixture.exporter.start(configured + ["--once"])
    // Longer than the default of half a second.
    try await Task.sleep(for: .milliseconds(1_500))
    try locker.execute("ROLLBACK")
    #expect(try CommandFixture.outcome(of: command).code == 0)
  }
}
