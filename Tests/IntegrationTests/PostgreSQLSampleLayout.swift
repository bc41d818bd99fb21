import Layouts
import Outbox
import Stores
import TestSupport

/// A layout with a due time, a lease, a dead-letter table and an optional column: everything that the PostgreSQL store
/// has to deal with, in one small queue.
enum PostgreSQLSampleLayout {
  static let schema = """
    CREATE TYPE outbox_status AS ENUM ('pending', 'sending', 'sent', 'odd');
    CREATE TABLE outbox (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, status outbox_status NOT NULL DEFAULT 'pending',
      "Topic" text, attempts int NOT NULL DEFAULT 0, payload text NOT NULL DEFAULT 'private',
      created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'), due_at timestamptz NOT NULL DEFAULT now(),
      locked_until timestamptz);
    CREATE INDEX outbox_by_status ON outbox (status, due_at);
    CREATE TABLE dead_letters (id bigint PRIMARY KEY, "Topic" text, failed_at timestamptz NOT NULL DEFAULT now());

    """

  static let rows = """
    INSERT INTO outbox (status, "Topic", attempts, created_at, due_at, locked_until)
    SELECT (ARRAY['pending', 'pending', 'sending', 'sent'])[1 + i % 4]::outbox_status, (ARRAY['mail', 'push'])[1 + i / 4 % 2],
      i % 3, now() AT TIME ZONE 'UTC' - i * interval '10 seconds', now() - i * interval '10 seconds' + (i % 5) * interval '1 hour',
      now() + (i - 60.5) * interval '10 minutes'
    FROM generate_series(1, 120) i;
    INSERT INTO dead_letters SELECT i, 'mail', now() - i * interval '1 day' FROM generate_series(1, 7) i;

    """

  static func layout(
    table: String = "outbox", dead: String = "dead_letters", rows: String = "{status} = 'pending'",
    destination: String = "{topic}", topic: String = "Topic"
  ) -> Layout {
    Layout(
      name: "sample", summary: "A queue for tests.", systems: [.postgresql],
      queues: [
        TableQueue(
          tables: ["events": TableName(table), "dead": TableName(dead, optional: true)],
          columns: [
            "id": .column("id"), "status": .column("status"), "topic": .column(topic), "attempts": .column("attempts"),
            "created": .column("created_at", encoding: .naiveUTC), "due": .column("due_at", encoding: .timestamptz),
            "lease": .column("locked_until", encoding: .timestamptz),
            "priority": .column("priority", optional: true),
            "deadId": .column("id", table: "dead"), "deadTopic": .column("Topic", table: "dead"),
            "failed": .column("failed_at", table: "dead", encoding: .timestamptz),
          ],
          stateColumn: "status", knownStates: ["pending", "sending", "sent"], destination: destination,
          selections: [
            Selection(
              rows: rows, state: .ready, until: .init("{due.seconds}", .scheduled), retry: "{attempts} > 0",
              since: "{due.seconds}"),
            Selection(
              rows: "{status} = 'sending'", state: .claimed, retry: "{attempts} > 0", since: "{due.seconds}",
              stuck: .init(.leaseExpired, since: "{lease.seconds}")),
            Selection(
              table: "dead", rows: "true", state: .dead, since: "{failed.seconds}", destination: "{deadTopic}",
              id: "{deadId}"),
          ])
      ])
  }

  static func store(
    _ conninfo: String, _ layout: Layout = layout(), names: [String] = ["orders"],
    limits: PostgreSQLLimits = PostgreSQLLimits(), clock: ManualClock? = nil
  ) -> PostgreSQLStore {
    let definitions = names.map {
      OutboxDefinition(name: $0, address: .postgresql(Secret(conninfo)), layout: layout)
    }
    let now: @Sendable () -> Timestamp = { Timestamp(seconds: 1_800_000_000) }
    guard let clock else { return PostgreSQLStore(definitions, limits: limits, now: now) }
    return PostgreSQLStore(
      definitions, limits: limits, now: now, monotonicNanoseconds: { clock.nanoseconds }, spread: { 1 })
  }
}
