import SQLiteClient
import TestSupport

/// Does to an outbox of PraisonAI what its library does, by chance, and keeps the true counts.
final class PraisonAIWorker {
  static let schema = """
    CREATE TABLE outbound_queue (
      id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, idempotency_key TEXT UNIQUE NOT NULL,
      target TEXT NOT NULL, payload TEXT NOT NULL DEFAULT '{}', metadata TEXT NOT NULL DEFAULT '{}',
      status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER DEFAULT 0, last_attempt REAL, error TEXT, sent_at REAL);
    CREATE INDEX idx_status ON outbound_queue(status);
    CREATE INDEX idx_ts ON outbound_queue(ts);
    CREATE INDEX idx_sent_at ON outbound_queue(sent_at);
    """

  private struct Event {
    var id: Int
    var destination: String
    var created: Double
    var attempts = 0
  }

  private let connection: SQLiteConnection
  private var waiting: [Event] = []
  private var dead: [Event] = []
  private var nextID = 1
  /// True counts, by destination and kind.
  private(set) var truth: [String: Int] = [:]
  /// How long each delivered event took, in seconds.
  private(set) var durations: [Double] = []

  init(path: String) throws {
    connection = try SQLiteConnection(path: path, access: .readWrite)
    try connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + Self.schema)
  }

  /// What may happen between two samples and be told apart afterwards.
  func act(at now: Double, _ chance: inout SeededChance) throws {
    switch Int.random(in: 0..<20, using: &chance) {
    case 0..<8: try enqueue(["telegram", "slack", "mail"].randomElement(using: &chance) ?? "", at: now)
    case 8..<13: try deliver(at: now, &chance)
    case 13..<16: try fail(at: now, &chance)
    case 16: try die(at: now, permanently: true, &chance)
    case 17: try die(at: now, permanently: false, &chance)
    case 18: try connection.execute("DELETE FROM outbound_queue WHERE status = 'sent' AND sent_at <= \(now - 600)")
    default: try rollBack(at: now)
    }
  }

  func enqueue(_ destination: String, at now: Double) throws {
    try connection.execute(
      """
      INSERT INTO outbound_queue (id, ts, idempotency_key, target)
      VALUES (\(nextID), \(now), 'k\(nextID)', '\(destination):4711')
      """)
    waiting.append(Event(id: nextID, destination: destination, created: now))
    nextID += 1
    count(destination, "enqueued")
  }

  func deliver(at now: Double, _ chance: inout SeededChance) throws {
    guard let event = take(&chance) else { return }
    try connection.execute("UPDATE outbound_queue SET status = 'sent', sent_at = \(now) WHERE id = \(event.id)")
    durations.append(now - event.created)
    count(event.destination, "delivered")
  }

  func fail(at now: Double, _ chance: inout SeededChance) throws {
    // The oldest, so that some are tried often.
    guard let index = waiting.indices.prefix(3).randomElement(using: &chance) else { return }
    waiting[index].attempts += 1
    try connection.execute(
      """
      UPDATE outbound_queue SET status = 'failed', error = 'x', last_attempt = \(now), attempts = attempts + 1
      WHERE id = \(waiting[index].id)
      """)
    count(waiting[index].destination, "retried")
  }

  func die(at now: Double, permanently: Bool, _ chance: inout SeededChance) throws {
    // A permanent error ends an attempt, which is counted; without one the library gives up after the fifth.
    guard var event = take(&chance, where: { permanently ? $0.attempts < 4 : $0.attempts >= 5 }) else { return }
    let (error, attempts) = permanently ? ("blocked", 1) : ("Max attempts exceeded", 0)
    event.attempts += attempts
    try connection.execute(
      """
      UPDATE outbound_queue SET status = 'permanent_failure', error = '\(error)', last_attempt = \(now),
        attempts = attempts + \(attempts) WHERE id = \(event.id)
      """)
    dead.append(event)
    count(event.destination, "dead")
  }

  private func rollBack(at now: Double) throws {
    try connection.execute("BEGIN IMMEDIATE")
    try connection.execute(
      "INSERT INTO outbound_queue (ts, idempotency_key, target) VALUES (\(now), 'rolled back', 'telegram:1')")
    try connection.execute("UPDATE outbound_queue SET status = 'sent', sent_at = \(now) WHERE status = 'pending'")
    try connection.execute("ROLLBACK")
  }

  /// A dead event comes back with its attempts forgotten.
  func requeue(_ chance: inout SeededChance) throws {
    guard let index = dead.indices.randomElement(using: &chance) else { return }
    var event = dead.remove(at: index)
    event.attempts = 0
    try connection.execute("UPDATE outbound_queue SET status = 'pending', attempts = 0 WHERE id = \(event.id)")
    waiting.append(event)
    count(event.destination, "requeued")
  }

  /// An event is deleted while it waits.
  func cancel(_ chance: inout SeededChance) throws {
    guard let event = take(&chance, where: { $0.attempts == 0 }) else { return }
    try connection.execute("DELETE FROM outbound_queue WHERE id = \(event.id)")
    count(event.destination, "unseen")
  }

  /// Runs statements as they are.
  func execute(_ sql: String) throws { try connection.execute(sql) }

  private func take(
    _ chance: inout SeededChance, where fits: (Event) -> Bool = { _ in true }
  ) -> Event? {
    waiting.indices.filter { fits(waiting[$0]) }.randomElement(using: &chance).map { waiting.remove(at: $0) }
  }

  private func count(_ destination: String, _ kind: String) { truth["\(destination) \(kind)", default: 0] += 1 }
}
