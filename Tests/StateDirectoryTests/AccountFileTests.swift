import Accounting
import Outbox
import SQLiteClient
import StateDirectory
import SystemCalls
import TestSupport
import Testing

@Suite struct `The kept accounts` {
  private let directory: TemporaryDirectory
  private var path: String { AccountKeeper.path(in: directory.path) }
  private let now = Timestamp(nanoseconds: 1_800_000_000_123_456_789)

  init() throws { directory = try TemporaryDirectory() }

  private func account(enqueued: Int, position: String) -> OutboxAccount {
    var account = OutboxAccount(mark: AccountingMark(.ledger, position, isDurable: true), objectiveAge: .seconds(45))
    account.open("email", start: now, overdue: 2)
    account.open("a 'quoted' \u{1F30D}\n;--", start: now.advanced(by: .seconds(1)), overdue: 0)
    var counts = Movements.Counts(
      enqueued: enqueued, requeued: 3,
      dispositions: [.delivered: 4, .retried: 5, .dead: 6, .released: 7, .discarded: 8, .unseen: 9], discardedLate: 1,
      requeuedLate: 2)
    for seconds in [0.0005, 45, 45.1, 1e9] { counts.durations.record(seconds, DeliveryBounds(objective: .seconds(45))) }
    account.record(["email": counts])
    account.note(overdue: ["email": 5])
    return account
  }

  @Test func `come back as they were committed`() throws {
    let accounts = [
      "orders": account(enqueued: 1, position: "17:20:18"), "mail/eu": account(enqueued: 2, position: ""),
    ]
    let (file, notice) = try AccountFile.open(path, now: now)
    #expect(notice == nil && file.found.isEmpty)
    try file.save(accounts, movements: [:], restarts: [:], at: now)
    let again = try AccountFile.open(path, now: now).0
    #expect(again.found == accounts)
    // Only what has changed is written; what is gone is gone.
    var changed = accounts
    changed["mail/eu"] = nil
    changed["orders"]?.destinations["email"] = nil
    changed["orders"]?.mark.position = "18:20:"
    try again.save(changed, movements: [:], restarts: [:], at: now)
    #expect(try AccountFile.open(path, now: now).0.found == changed)
  }

  @Test func `keep the durations of an outbox whose objective is another one meanwhile`() throws {
    let (file, _) = try AccountFile.open(path, now: now)
    try file.save(["orders": account(enqueued: 1, position: "1")], movements: [:], restarts: [:], at: now)
    let database = try SQLiteConnection(path: path, access: .readWrite)
    try database.execute("UPDATE accounts SET objective = NULL")
    let tally = try AccountFile.open(path, now: now).0.found["orders"]?.destinations["email"]?.totals.durations
    #expect(tally?.count == 4)
    // 45 s is no bound any more: what was counted up to it lies in the next one.
    let bounds = DeliveryBounds()
    #expect(tally?.counts == [bounds.bucket(of: 0.0005): 1, bounds.bucket(of: 45): 2, bounds.bucket(of: 1e9): 1])
  }

  @Test func `that are damaged are set aside, and say so`() throws {
    try directory.write("this is no database, it is a text of some length, long enough", to: "accounts.sqlite")
    let (file, notice) = try AccountFile.open(path, now: now)
    #expect(file.found.isEmpty)
    #expect(notice?.contains("set aside as \(path).damaged-1800000000") == true)
    #expect(try FileSystem.status("\(path).damaged-1800000000") != nil)
  }

  @Test func `begin anew where they begin in the future`() async throws {
    let first = AccountKeeper(directory: directory.path)
    _ = await first.save(["orders": account(enqueued: 1, position: "1")], movements: [:], restarts: [:], at: now)
    await first.close()
    let keeper = AccountKeeper(directory: directory.path)
    let found = await keeper.open(now: now.advanced(by: .seconds(-3600)))
    #expect(found.accounts.isEmpty)
    #expect(found.notices.count == 1 && found.notices[0].hasPrefix("orders: "))
    await keeper.close()
    let later = AccountKeeper(directory: directory.path)
    #expect(await later.open(now: now.advanced(by: .seconds(2))).accounts.keys.sorted() == ["orders"])
  }

  @Test func `begin anew where the last of them could not be kept`() async throws {
    let first = AccountKeeper(directory: directory.path)
    _ = await first.save(["orders": account(enqueued: 1, position: "1")], movements: [:], restarts: [:], at: now)
    let locked = try SQLiteConnection(path: path, access: .readWrite)
    try locked.execute("BEGIN IMMEDIATE")
    let second = await first.save(
      ["orders": account(enqueued: 2, position: "2")], movements: [:], restarts: [:], at: now)
    #expect(!second.isDurable)
    try locked.execute("ROLLBACK")
    let next = AccountKeeper(directory: directory.path)
    let found = await next.open(now: now)
    #expect(found.accounts.isEmpty && found.notices.count == 1 && found.notices[0].contains("begin anew"))
    await next.close()
    // Once they could be kept again, they are current again.
    let third = await first.save(
      ["orders": account(enqueued: 2, position: "2")], movements: [:], restarts: [:], at: now)
    #expect(third.isDurable)
    await first.close()
    let last = AccountKeeper(directory: directory.path)
    let kept = await last.open(now: now.advanced(by: .seconds(2)))
    #expect(kept.accounts["orders"]?.mark.position == "2", "\(kept.notices)")
  }

  @Test(arguments: ["a damaged log", "an older copy"])
  func `begin anew where the file has fallen behind what was sent`(how: String) async throws {
    let first = AccountKeeper(directory: directory.path)
    _ = await first.save(["orders": account(enqueued: 1, position: "1")], movements: [:], restarts: [:], at: now)
    let files = [path, path + "-wal"]
    let before = try files.map { try FileSystem.read($0, atMost: 1 << 24).bytes }
    for number in 2...6 {
      let saved = await first.save(
        ["orders": account(enqueued: number, position: "\(number)")], movements: [:], restarts: [:],
        at: now.advanced(by: .seconds(number)))
      #expect(saved.isDurable)
    }
    // As a process that is killed leaves them.
    var after = try files.map { try FileSystem.read($0, atMost: 1 << 24).bytes }
    await first.close()
    try FileSystem.remove(path + "-shm")
    func put(_ contents: [[UInt8]]) throws {
      for (file, bytes) in zip(files, contents) { try FileSystem.replace(file, with: bytes) }
    }
    try put(after)
    let whole = AccountKeeper(directory: directory.path)
    let found = await whole.open(now: now.advanced(by: .seconds(7)))
    #expect(found.accounts["orders"]?.mark.position == "6" && found.notices.isEmpty, "\(found.notices)")
    await whole.close()
    try? FileSystem.remove(path + "-shm")
    if how == "an older copy" { after = before } else { after[1][after[1].count * 6 / 10] ^= 1 }
    try put(after)
    let keeper = AccountKeeper(directory: directory.path)
    let left = await keeper.open(now: now.advanced(by: .seconds(8)))
    #expect(left.accounts.isEmpty && left.notices.count == 1)
    #expect(left.notices.first?.contains("are older than those that were sent last, which were lost with") == true)
    _ = await keeper.save(
      ["orders": account(enqueued: 1, position: "1")], movements: [:], restarts: [:], at: now.advanced(by: .seconds(8)))
    await keeper.close()
    let restarts = try MovementHistory(directory: directory.path, since: now, until: now.advanced(by: .seconds(9)))
      .restarts.map(\.reason)
    #expect(restarts.contains("the last counts were lost"))
    let last = AccountKeeper(directory: directory.path)
    #expect(await last.open(now: now.advanced(by: .seconds(9))).accounts.count == 1)
  }

  @Test(arguments: ["", nil]) func `that are gone say so, in the report too`(left: String?) async throws {
    let first = AccountKeeper(directory: directory.path)
    #expect(await first.open(now: now).notices.isEmpty)
    let kept = ["orders": account(enqueued: 1, position: "1")]
    _ = await first.save(kept, movements: [:], restarts: [:], at: now)
    await first.close()
    let began = try MovementHistory(directory: directory.path, since: now, until: now).restarts.map(\.reason)
    #expect(began == ["counting began"])
    // What is there and was never lost is no loss.
    let second = AccountKeeper(directory: directory.path)
    #expect(await second.open(now: now.advanced(by: .seconds(60))).notices.isEmpty)
    await second.close()
    for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(path + suffix) }
    if let left { try directory.write(left, to: "accounts.sqlite") }
    let keeper = AccountKeeper(directory: directory.path)
    let found = await keeper.open(now: now)
    #expect(found.accounts.isEmpty && found.notices.count == 1 && found.notices[0].contains("are gone"))
    _ = await keeper.save([:], movements: [:], restarts: [:], at: now)
    _ = await keeper.save(kept, movements: [:], restarts: [:], at: now)
    await keeper.close()
    let restarts = try MovementHistory(directory: directory.path, since: now, until: now).restarts
    #expect(restarts.map(\.reason) == ["the counters kept before are gone"])
  }

  @Test func `that cannot be written say so once, and lose nothing once they can be`() async throws {
    let keeper = AccountKeeper(directory: directory.path + "/missing")
    let found = await keeper.open(now: now)
    #expect(found.notices.count == 1 && found.notices[0].contains("cannot be kept"))
    let moved = ["orders": ["email": Movements.Counts(enqueued: 1)]]
    let first = await keeper.save(
      ["orders": account(enqueued: 1, position: "1")], movements: moved, restarts: [:], at: now)
    let second = await keeper.save(
      ["orders": account(enqueued: 2, position: "2")], movements: moved, restarts: [:], at: now)
    #expect(!first.isDurable && !second.isDurable && second.notice == nil)
    try FileSystem.makeDirectories(directory.path + "/missing")
    let third = await keeper.save(
      ["orders": account(enqueued: 3, position: "3")], movements: moved, restarts: [:], at: now)
    #expect(third.isDurable && third.notice?.contains("nothing was lost") == true)
    let database = try SQLiteConnection(path: AccountKeeper.path(in: directory.path + "/missing"), access: .readOnly)
    #expect(try database.integer("SELECT enqueued FROM movements") == 3)
  }

  @Test func `keep a history that grows coarser with age, and lose none of its counts`() throws {
    let (file, _) = try AccountFile.open(path, now: now)
    var counts = Movements.Counts(enqueued: 2, dispositions: [.delivered: 1])
    counts.durations.record(3, DeliveryBounds())
    let accounts = ["orders": OutboxAccount(mark: AccountingMark(.ledger, "1"), objectiveAge: nil)]
    var time = now
    for _ in 0..<(24 * 60) {
      try file.save(accounts, movements: ["orders": ["email": counts]], restarts: [:], at: time)
      time = time.advanced(by: .seconds(3_600))
    }
    let database = try SQLiteConnection(path: path, access: .readOnly)
    #expect(try database.integer("SELECT sum(enqueued) FROM movements") == 2 * 24 * 60)
    #expect(try database.integer("SELECT sum(count) FROM durations") == 24 * 60)
    #expect(try database.integer("SELECT sum(duration_sum) FROM movements") == 3 * 24 * 60)
    for (width, days) in [(300, 3), (3_600, 36)] {
      let oldest = try database.integer("SELECT min(slot) FROM movements WHERE width = \(width)") ?? 0
      #expect(time.nanoseconds / 1_000_000_000 - oldest <= days * 86_400)
    }
    #expect((try database.integer("SELECT count(*) FROM movements") ?? 0) < 49 + 35 * 24 + 30)
    // Whatever is older than 400 days goes.
    try file.save([:], movements: [:], restarts: ["orders": "x"], at: time.advanced(by: .seconds(500 * 86_400)))
    #expect(try database.integer("SELECT count(*) FROM movements WHERE width < 86400") == 0)
    #expect(try database.integer("SELECT count(*) FROM durations WHERE width < 86400") == 0)
  }
}
