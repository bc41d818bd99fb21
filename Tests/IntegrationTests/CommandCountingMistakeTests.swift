import TestSupport
import Testing

/// What is wrong with the state directory, the store or the machine ends in a clear message and a new start time of the
/// counters, never in a wrong number. By the real sidecar; what only root may bring about is skipped for others.
@Suite(withPostgreSQL, programs("otelcol", "sqlite3"))
struct CommandCountingMistakeTests {
  private let collector: OTLPReceiver

  init() throws { collector = try OTLPReceiver.collector() }

  // MARK: The state directory

  @Test func `damaged counters are set aside and begin anew`() async throws {
    let outbox = try CountedOutbox("damaged", .sqlite, collector)
    let first = try outbox.start()
    try await sampled(first)
    try outbox.enqueue(3)
    let start = try #require(await outbox.counted(3, first))
    kill(first)
    for suffix in ["", "-wal", "-shm"] { outbox.command.home.remove("state/accounts.sqlite" + suffix) }
    try outbox.command.home.write(String(repeating: "no database", count: 1_000), to: "state/accounts.sqlite")
    try outbox.enqueue(2)
    let second = try outbox.start()
    await outbox.expectsWords("were damaged", second)
    await outbox.expectsWords("all of them begin anew", second)
    _ = await outbox.counted(0, since: start, second)
    try outbox.enqueue(1)
    _ = await outbox.counted(1, since: start, second)
    outbox.expectHonesty()
  }

  @Test func `counters of another host's clock begin anew`() async throws {
    let outbox = try CountedOutbox("foreign", .sqlite, collector)
    for column in ["totals SET start = start", "accounts SET saved = saved"] {
      let before = outbox.last
      let first = try outbox.start()
      try await sampled(first)
      try outbox.enqueue(3)
      let start = try #require(await outbox.counted((before?.value ?? 0) + 3, first))
      kill(first)
      try outbox.state("UPDATE \(column) + 86400000000000")
      let second = try outbox.start()
      await outbox.expectsWords("from the future", second)
      try outbox.enqueue(1)
      _ = await outbox.counted(1, since: start, second)
      kill(second)
    }
    outbox.expectHonesty()
  }

  @Test func `counters that somebody else has locked go on, and are kept later`() async throws {
    let outbox = try CountedOutbox("locked", .sqlite, collector)
    let sidecar = try outbox.start()
    try await sampled(sidecar)
    try outbox.enqueue(3)
    let start = try #require(await outbox.counted(3, sidecar))
    let holder = try ChildProcess(
      "sqlite3", [outbox.command.path("state/accounts.sqlite")],
      input: "BEGIN IMMEDIATE;\n.shell echo held && exec sleep 600\n")
    #expect(await happens { holder.standardOutput.contains("held") }, "\(holder.standardError)")
    try outbox.enqueue(2)
    await outbox.expectsWords("another program has locked it", sidecar)
    #expect(await outbox.counted(5, sidecar) == start)
    _ = try run("pkill", ["-P", "\(holder.pid)"])
    holder.signal(9)
    holder.wait()
    await outbox.expectsWords(
      "are kept in \(outbox.command.path("state/accounts.sqlite")) again; nothing was lost", sidecar)
    outbox.expectHonesty()
  }

  @Test(.enabled(if: PrivateDisk.isPossible, "only root may mount a file system"))
  func `on a full disk the counters go on in memory, and begin anew after a restart`() async throws {
    let outbox = try CountedOutbox("full", .sqlite, collector)
    let disk = try await PrivateDisk(at: outbox.command.path("state"), kilobytes: 3_000)
    let first = try outbox.start(behind: disk.inside)
    try await sampled(first)
    try outbox.enqueue(3)
    let start = try #require(await outbox.counted(3, first))
    try disk.fill()
    try outbox.enqueue(3)
    await outbox.expectsWords("make room on its file system", first)
    #expect(await outbox.counted(6, first) == start)
    kill(first)
    try disk.makeRoom()
    // What was counted and is gone could not be counted again from what was kept.
    try outbox.sql("DELETE FROM outbound_queue WHERE id > 3")
    let second = try outbox.start(behind: disk.inside)
    await outbox.expectsWords("could not be kept; all of them begin anew", second)
    try outbox.enqueue(1)
    _ = await outbox.counted(1, since: start, second)
    outbox.expectHonesty()
  }

  @Test func `a file of the counters that may not be written leaves them in memory`() async throws {
    let outbox = try CountedOutbox("readonly", .sqlite, collector)
    let first = try outbox.start()
    try await sampled(first)
    try outbox.enqueue(3)
    let start = try #require(await outbox.counted(3, first))
    kill(first)
    for suffix in ["", "-wal", "-shm"] { outbox.command.setPermissions("state/accounts.sqlite" + suffix, 0) }
    let second = try outbox.start(obeysPermissions: true)
    await outbox.expectsWords("make the state directory writable", second)
    try await sampled(second)
    try outbox.enqueue(2)
    let next = try #require(await outbox.counted(2, since: start, second))
    kill(second)
    for suffix in ["", "-wal", "-shm"] { outbox.command.setPermissions("state/accounts.sqlite" + suffix, 0o600) }
    // What was sent last is in no file, and nothing may seem to begin before it.
    let third = try outbox.start()
    await outbox.expectsWords("could not be kept; all of them begin anew", third)
    try outbox.enqueue(1)
    _ = await outbox.counted(1, since: next, third)
    outbox.expectHonesty()
  }

  @Test(.enabled(if: PrivateDisk.isPossible, "only root may mount a file system"))
  func `a state directory that may only be read is refused, and the counters go on once it may be written`()
    async throws
  {
    let outbox = try CountedOutbox("readonly-disk", .sqlite, collector)
    let disk = try await PrivateDisk(at: outbox.command.path("state"), kilobytes: 3_000)
    let first = try outbox.start(behind: disk.inside)
    try await sampled(first)
    try outbox.enqueue(3)
    let start = try #require(await outbox.counted(3, first))
    kill(first)
    try disk.remount("ro")
    let second = try outbox.start(behind: disk.inside)
    #expect(second.wait() == 78)
    #expect(second.standardError.contains("point --state-dir to one that may be written"), "\(second.standardError)")
    try disk.remount("rw")
    try outbox.enqueue(2)
    let third = try outbox.start(behind: disk.inside)
    #expect(await outbox.counted(5, third) == start)
    outbox.expectHonesty()
  }

  @Test(.enabled(if: PrivateDisk.isPossible, "only root may mount a file system"))
  func `counters are not sent while a disk that failed keeps neither them nor that they are behind`() async throws {
    guard FailingDisk.isPossible else { return print("not tried: there is no loop device to mount") }
    let outbox = try CountedOutbox("failing-disk", .sqlite, collector)
    let disk = try await FailingDisk(at: outbox.command.path("state"), image: outbox.command.path("disk"))
    let first = try outbox.start(behind: disk.inside)
    try await sampled(first)
    try outbox.enqueue(3)
    let start = try #require(await outbox.counted(3, first))
    try disk.fail()
    try outbox.enqueue(2)
    await outbox.expectsWords(
      "nor can that be noted there for whoever starts next, so they are not sent until it can", first)
    try await sampled(first)
    #expect(outbox.last?.value == 3 && first.isRunning)
    kill(first)
    try disk.mend()
    // What was not sent is counted from what was kept.
    let second = try outbox.start(behind: disk.inside)
    #expect(await outbox.counted(5, second) == start)
    outbox.expectHonesty()
  }

  // MARK: The store and the machine

  @Test func `a reset of the database's statistics begins the counters anew`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    let outbox = try CountedOutbox("reset", .postgresql(database), collector)
    let sidecar = try outbox.start()
    try await sampled(sidecar)
    try outbox.enqueue(3)
    let start = try #require(await outbox.counted(3, sidecar))
    try outbox.sql("SELECT pg_stat_reset()")
    await outbox.expectsWords("the database's statistics were reset", sidecar)
    try outbox.enqueue(2)
    _ = await outbox.counted(2, since: start, sidecar)
    outbox.expectHonesty()
  }

  @Test func `a ledger that is installed by half is not counted by, nor one whose table was altered`() async throws {
    let database = try TemporaryPostgres.shared().createDatabase()
    let outbox = try CountedOutbox("ledger", .postgresql(database), collector)
    try outbox.ledger("install")
    let first = try outbox.start()
    try await sampled(first)
    try outbox.enqueue(3)
    let start = try #require(await outbox.counted(3, first))
    kill(first)
    try outbox.sql(
      "DO $$ BEGIN EXECUTE (SELECT format('DROP TRIGGER %I ON outbox', tgname) FROM pg_trigger "
        + "WHERE tgrelid = 'outbox'::regclass AND tgname LIKE '%update%' LIMIT 1); END $$")
    let second = try outbox.start()
    await outbox.expectsWords("`outbox-exporter ledger install` mends it", second)
    await outbox.expectsWords("movements are counted by statistics from now on instead of ledger", second)
    let other = try #require(await outbox.counted(0, since: start, second))
    kill(second)
    try outbox.ledger("install")
    let third = try outbox.start()
    await outbox.expectsWords("movements are counted by ledger from now on instead of statistics", third)
    let restored = try #require(await outbox.counted(0, since: other, third))
    // The triggers look for a column that is gone; the application does not notice.
    try outbox.sql("ALTER TABLE outbox DROP COLUMN locked_at; UPDATE outbox SET status = 'sending'")
    await outbox.expectsWords("ledger: what moves is counted anew from here", third)
    let hasBegunAnew = await slowly { (outbox.last?.start ?? 0) > restored }
    #expect(hasBegunAnew, "\(third.standardError)")
    outbox.expectHonesty()
  }

  @Test(.enabled(if: PrivateDisk.isPossible, "only root may have a user namespace everywhere"))
  func
    `without the kernel's reports a directory is compared, which is another series, and the log says which limit it is`()
    async throws
  {
    let outbox = try CountedOutbox("watches", .files, collector)
    let limited = [
      "unshare", "-U", "-r", "sh", "-c", "echo 0 >/proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"",
    ]
    let first = try outbox.start()
    try await sampled(first)
    try outbox.enqueue(2)
    let watched = try #require(await outbox.counted(2, first))
    kill(first)
    let sidecar = try outbox.start(behind: limited)
    await outbox.expectsWords("fs.inotify.max_user_watches", sidecar)
    await outbox.expectsWords("names are compared: counting begins anew", sidecar)
    try await sampled(sidecar)
    try outbox.enqueue(3)
    let compared = try #require(await outbox.counted(3, since: watched, sidecar))
    kill(sidecar)
    let third = try outbox.start()
    await outbox.expectsWords("reported again: counting begins anew", third)
    try await sampled(third)
    try outbox.enqueue(1)
    _ = await outbox.counted(1, since: compared, third)
    outbox.expectHonesty()
  }

  // MARK: Doing

  /// Waits until the sidecar has sampled twice: what comes from then on is counted.
  private func sampled(_ sidecar: ChildProcess) async throws {
    let exports = collector.exportsListed
    #expect(await happens { collector.exportsListed >= exports + 2 || !sidecar.isRunning })
    #expect(sidecar.isRunning, "\(sidecar.standardError)")
  }

  private func kill(_ sidecar: ChildProcess) {
    sidecar.signal(9)
    sidecar.wait()
  }
}

/// A small file system that only those inside see. It goes when the last of them ends.
private final class PrivateDisk {
  static let isPossible =
    (try? run("unshare", ["-m", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"]).code) == 0
    && (try? run("unshare", ["-U", "-r", "true"]).code) == 0

  private let holder: ChildProcess
  private let path: String

  init(at path: String, kilobytes: Int) async throws {
    self.path = path
    holder = try ChildProcess(
      "unshare",
      [
        "-m", "sh", "-c",
        "mount -t tmpfs -o size=\(kilobytes)k tmpfs '\(path)' && echo mounted && exec sleep 600",
      ])
    #expect(await happens { holder.standardOutput.contains("mounted") }, "\(holder.standardError)")
  }

  /// What stands in front of a command line to run it inside.
  var inside: [String] { ["nsenter", "-m", "-t", "\(holder.pid)"] }

  func remount(_ option: String) throws { try shell("mount -o remount,\(option) '\(path)'") }

  func fill() throws { try shell("cat /dev/zero >'\(path)/filling' 2>/dev/null || true") }

  func makeRoom() throws { try shell("rm '\(path)/filling'") }

  private func shell(_ script: String) throws {
    let outcome = try run(inside[0], Array(inside.dropFirst()) + ["sh", "-c", script])
    #expect(outcome.code == 0, "\(outcome.error)")
  }
}

/// A file system on a device that fails, as a disk does: the kernel then lets nobody write any more.
private final class FailingDisk {
  /// Containers often lack the device, where the rest can be done.
  static let isPossible = {
    let script = """
      cd "$(mktemp -d)" && dd if=/dev/zero of=image bs=1M count=4 2>/dev/null && mkfs.ext4 -q image && mkdir place &&
      mount -o loop image place && umount place; code=$?; rm -rf "$PWD"; exit $code
      """
    return (try? run("unshare", ["-m", "sh", "-c", script]).code) == 0
  }()

  private let holder: ChildProcess
  private let path: String
  private let image: String

  init(at path: String, image: String) async throws {
    self.path = path
    self.image = image
    let script = """
      dd if=/dev/zero of='\(image)' bs=1M count=16 2>/dev/null && mkfs.ext4 -q '\(image)' &&
      mount -o loop,errors=remount-ro '\(image)' '\(path)' && echo mounted && exec sleep 600
      """
    holder = try ChildProcess("unshare", ["-m", "sh", "-c", script])
    #expect(await happens { holder.standardOutput.contains("mounted") }, "\(holder.standardError)")
  }

  var inside: [String] { ["nsenter", "-m", "-t", "\(holder.pid)"] }

  func fail() throws {
    try shell("echo 1 >/sys/fs/ext4/$(basename $(findmnt -n -o SOURCE '\(path)'))/trigger_fs_error")
  }

  func mend() throws {
    try shell("umount '\(path)' && { e2fsck -fy '\(image)' || true; } && mount -o loop '\(image)' '\(path)'")
  }

  private func shell(_ script: String) throws {
    let outcome = try run(inside[0], Array(inside.dropFirst()) + ["sh", "-c", script])
    #expect(outcome.code == 0, "\(outcome.error)")
  }
}
