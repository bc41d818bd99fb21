import Layouts
import Outbox
import SQLiteClient
import Stores
import TestSupport
import Testing

@Suite struct `Waiting events past the objective` {
  private let directory: TemporaryDirectory
  private let clock = TestClock(1_800_000_000)
  private var path: String { directory.path + "/outbox.sqlite" }

  init() throws {
    directory = try TemporaryDirectory()
    try SQLiteConnection(path: path, access: .readWrite).execute(
      """
      CREATE TABLE outbound_queue (
        id INTEGER PRIMARY KEY, ts REAL, target TEXT, status TEXT, attempts INTEGER, last_attempt REAL, sent_at REAL);
      CREATE INDEX idx_status ON outbound_queue (status);
      CREATE INDEX idx_sent_at ON outbound_queue (sent_at);
      INSERT INTO outbound_queue (ts, target, status, attempts) VALUES
        (1800000000 - 61, 'email:1', 'pending', 0), (1800000000 - 60, 'email:1', 'pending', 0),
        (1800000000 - 59, 'email:1', 'pending', 0), (1800000000 - 500, 'sms:1', 'sending', 0),
        (1800000000 - 500, 'sms:1', 'failed', 3), (1800000000 - 500, 'sms:1', 'permanent_failure', 3),
        (1800000000 - 500, 'sms:1', 'sent', 0), (1800000000 + 500, 'push:1', 'pending', 0);
      """)
  }

  private func store(_ objective: Objective?) -> SQLiteStore {
    SQLiteStore(
      OutboxDefinition(name: "o", address: .sqlite(path: path), layout: .praisonAI, objective: objective),
      now: { [clock] in clock.now })
  }

  @Test func `are counted by destination, and again when another one gets there without any write`() async throws {
    let store = store(Objective(age: .seconds(60), target: 0.99))
    for request in [SampleRequest(), SampleRequest(marks: [:])] {
      #expect(await store.sample(request).first?.snapshot?.overdue == ["email": 1, "sms": 2])
    }
    clock.advance(.milliseconds(500))
    #expect(await store.sample(SampleRequest()).first?.snapshot?.overdue == ["email": 2, "sms": 2])
    clock.advance(.milliseconds(501))
    #expect(await store.sample(SampleRequest(marks: [:])).first?.snapshot?.overdue == ["email": 3, "sms": 2])
  }

  @Test func `are not counted without an objective`() async {
    #expect(await store(nil).sample(SampleRequest(marks: [:])).first?.snapshot?.overdue == [:])
  }
}
