import Layouts
import Outbox
import SQLiteClient
import Stores
import Synchronization
import TestSupport
import Testing

/// PraisonAI's own table, as `_outbox.py` creates it.
private let outboundQueue = """
  CREATE TABLE outbound_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, idempotency_key TEXT UNIQUE NOT NULL,
    target TEXT NOT NULL, payload TEXT NOT NULL DEFAULT '{}', metadata TEXT NOT NULL DEFAULT '{}',
    status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER DEFAULT 0, last_attempt REAL, error TEXT, sent_at REAL);
  CREATE INDEX idx_status ON outbound_queue(status);
  CREATE INDEX idx_ts ON outbound_queue(ts);
  """

@Suite struct `SQLite store` {
  private let directory: TemporaryDirectory
  private let path: String
  private let clock = TestClock(1_800_000_000)

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/outbox.sqlite"
  }

  private func store(_ path: String? = nil, layout: Layout = .praisonAI) -> SQLiteStore {
    SQLiteStore(
      OutboxDefinition(name: "bots", address: .sqlite(path: path ?? self.path), layout: layout),
      now: { [clock] in clock.now })
  }

  private func write(_ sql: String) throws {
    let connection = try SQLiteConnection(path: path, access: .readWrite)
    try connection.execute("PRAGMA journal_mode=WAL")
    try connection.execute(sql)
  }

  @Test func `every state of PraisonAI's outbox is counted where it belongs`() async throws {
    try write(outboundQueue)
    try write(
      """
      INSERT INTO outbound_queue(ts, idempotency_key, target, status, attempts, last_attempt, sent_at) VALUES
        (1799999990, 'a', 'telegram:1', 'pending', 0, NULL, NULL),
        (1799999980, 'b', 'telegram:2', 'pending', 0, NULL, NULL),
        (1799999000, 'c', 'slack:1', 'failed', 2, 1799999999, NULL),
        (1799998000, 'd', 'slack:1', 'failed', 9, 1799999000, NULL),
        (1799997000, 'e', 'slack:1', 'recovered', 0, 1799999999.5, NULL),
        (1799999970, 'f', 'telegram:1', 'sending', 0, 1799999999, NULL),
        (1799999000, 'g', 'telegram:1', 'sending', 1, 1799999600, NULL),
        (1799990000, 'h', 'telegram:1', 'permanent_failure', 5, 1799995000, NULL),
        (1799990000, 'i', 'telegram:1', 'sent', 0, NULL, 1799990001),
        (12, 'j', 'telegram:1', 'pending', 0, NULL, NULL),
        (1800000500, 'k', 'nocolon', 'pending', 0, NULL, NULL),
        (1799999999, 'l', 'telegram:1', 'surprise', 0, NULL, NULL);
      """)
    let samples = await store().sample(eventIDs: true)
    #expect(samples.map(\.outbox.name) == ["bots"])
    let snapshot = try #require(samples.first?.snapshot)
    typealias Depth = Snapshot.Depth
    #expect(
      Set(snapshot.depths) == [
        Depth(destination: "telegram", state: .ready, retry: false, count: 3),
        Depth(destination: "slack", state: .scheduled, retry: true, count: 2),
        Depth(destination: "slack", state: .ready, retry: true, count: 1),
        Depth(destination: "telegram", state: .claimed, retry: false, count: 1),
        Depth(destination: "telegram", state: .claimed, retry: true, count: 1),
        Depth(destination: "default", state: .ready, retry: false, count: 1),
        Depth(destination: "telegram", state: .unknown, retry: false, count: 1),
      ])
    #expect(
      Set(snapshot.ages) == [
        .init(destination: "telegram", retry: false, oldest: .seconds(30), median: .seconds(20), p99: .seconds(30)),
        .init(
          destination: "telegram", retry: true, oldest: .seconds(1000), median: .seconds(1000), p99: .seconds(1000)),
        .init(destination: "slack", retry: true, oldest: .seconds(3000), median: .seconds(2000), p99: .seconds(3000)),
      ])
    #expect(
      snapshot.stuck == [
        .init(destination: "telegram", reason: .leaseExpired, count: 1, oldest: .seconds(100))
      ])
    #expect(snapshot.dead == [.init(destination: "telegram", count: 1, oldest: .seconds(5000))])
    #expect(snapshot.implausible == 2)
    #expect(
      snapshot.eventIDs == .init(oldest: ["5", "4", "3", "7", "6"], stuck: ["7"], newestDead: ["8"]))
  }

  @Test func `an unchanged database ages and moves on without being written`() async throws {
    try write(outboundQueue)
    try write(
      """
      INSERT INTO outbound_queue(ts, idempotency_key, target, status, attempts, last_attempt) VALUES
        (1799999990, 'a', 'telegram:1', 'pending', 0, NULL),
        (1799999990, 'b', 'telegram:1', 'failed', 1, 1799999999),
        (1799999990, 'c', 'telegram:1', 'sending', 0, 1799999990);
      """)
    let store = store()
    var snapshot = try #require(await store.sample(eventIDs: false).first?.snapshot)
    #expect(snapshot.depth(.scheduled) == 1)
    #expect(snapshot.oldestAge == .seconds(10))
    clock.advance(.milliseconds(2_600))  // the back-off of 3.6 s that began a second before the first sample is over
    snapshot = try #require(await store.sample(eventIDs: false).first?.snapshot)
    #expect(snapshot.depth(.scheduled) == 0)
    #expect(snapshot.depth(.ready) == 2)
    #expect(snapshot.oldestAge == .milliseconds(12_600))
    #expect(snapshot.stuckCount == 0)
    clock.advance(.seconds(300))
    snapshot = try #require(await store.sample(eventIDs: false).first?.snapshot)
    #expect(snapshot.stuckCount == 1)
    #expect(snapshot.stuck.first?.oldest == .milliseconds(12_600))
    try write("DELETE FROM outbound_queue WHERE status = 'pending'")
    snapshot = try #require(await store.sample(eventIDs: false).first?.snapshot)
    #expect(snapshot.depth(.ready) == 1)
  }
}

final class TestClock: Sendable {
  private let time: Mutex<Timestamp>

  init(_ seconds: Double) {
    time = Mutex(Timestamp(seconds: seconds))
  }

  var now: Timestamp { time.withLock { $0 } }

  func advance(_ duration: Duration) {
    time.withLock { $0 = $0.advanced(by: duration) }
  }
}
