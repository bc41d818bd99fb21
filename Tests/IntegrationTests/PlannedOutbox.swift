import Layouts
import Outbox
import TestSupport
import Testing

/// A system with its own schema and indexes, and the statements that fill it.
struct PlannedOutbox: Sendable, CustomTestStringConvertible {
  let name: String
  let layout: Layout
  let schema: String
  /// Writes delivered rows with the numbers from 1 to 30,000, an hour ago and more.
  let delivered: String
  /// Writes a row that waits or is dead for each number of a series.
  let active: @Sendable (_ series: String) -> String
  /// True where an index holds all that the figures need.
  var isCovered = false

  var testDescription: String { name }
  var table: String { layout.queues[0].tables[TableQueue.mainTable]?.name ?? "" }

  static let deliveredCount = 30_000
  static let activeCount = 300
  static let waiting = "generate_series(\(deliveredCount + 1), \(deliveredCount + activeCount)) i"
  static let finished = "generate_series(1, \(deliveredCount)) i"

  static let all: [PlannedOutbox] =
    [aiHummer, kaireon].flatMap { [$0, $0.withEnum] } + [relaycast, unpublished, covered, dispatched, joined]

  // MARK: - Built-in layouts

  static let aiHummer = PlannedOutbox(
    name: "aihummer", layout: .aiHummer,
    schema: """
      CREATE TABLE outbox (
        id bigint PRIMARY KEY, tenant_id text NOT NULL DEFAULT 'a', channel text, ledger_key text, payload jsonb,
        status text NOT NULL DEFAULT 'pending', attempts integer NOT NULL DEFAULT 0, next_attempt_at timestamptz,
        locked_at timestamptz, locked_by text, last_error text, created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz, delivered_at timestamptz);
      CREATE INDEX ON outbox (status, next_attempt_at);
      CREATE INDEX ON outbox (delivered_at);
      """,
    delivered: """
      INSERT INTO outbox (id, channel, status, next_attempt_at, created_at, delivered_at)
      SELECT i, 'mail', 'delivered', now() - i * interval '1 s', now() - interval '2 days', now() - interval '1 hour'
      FROM \(finished)
      """,
    active: {
      """
      INSERT INTO outbox (id, channel, status, attempts, next_attempt_at, locked_at)
      SELECT i, 'mail', (ARRAY['pending', 'sending', 'dead'])[1 + i % 3], i % 2, now() - i * interval '1 s', now()
      FROM \($0)
      """
    })

  static let kaireon = PlannedOutbox(
    name: "kaireon", layout: .kaireon,
    schema: """
      CREATE TABLE outbox_events (
        id text PRIMARY KEY, status varchar(30) NOT NULL, topic text, payload jsonb NOT NULL DEFAULT '{}', "tenantId" text,
        "retryCount" integer NOT NULL DEFAULT 0, error text, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
        "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "publishedAt" timestamp(3));
      CREATE INDEX ON outbox_events (status, "updatedAt");
      CREATE INDEX ON outbox_events ("publishedAt") WHERE status IN ('published', 'processed', 'completed', 'sent');
      CREATE TABLE dead_letter_events (id text PRIMARY KEY, topic text, "failedAt" timestamp(3));
      """,
    delivered: """
      INSERT INTO outbox_events (id, status, topic, "publishedAt")
      SELECT i, 'published', 'offers', (now() AT TIME ZONE 'UTC') - interval '1 hour' FROM \(finished)
      """,
    active: {
      """
      INSERT INTO outbox_events (id, status, topic)
      SELECT i, (ARRAY['pending', 'processing', 'failed'])[1 + i % 3], 'offers' FROM \($0)
      """
    })

  /// The same with a type of its own for the state, which lacks some of the words that the layout accepts.
  var withEnum: PlannedOutbox {
    let words = "'pending', 'sending', 'processing', 'delivered', 'published', 'dead', 'failed'"
    return PlannedOutbox(
      name: "\(name), enum", layout: layout,
      schema: "CREATE TYPE states AS ENUM (\(words));"
        + schema.split(separator: " WHERE status IN ('published', 'processed', 'completed', 'sent')")
        .joined(separator: " WHERE status = 'published'")
        .split(separator: "status varchar(30)").joined(separator: "status states")
        .split(separator: "status text").joined(separator: "status states"),
      delivered: delivered,
      active: { [active] series in
        active(series).split(separator: "[1 + i % 3],").joined(separator: "[1 + i % 3]::states,")
      })
  }

  static let relaycast = PlannedOutbox(
    name: "relaycast", layout: .relaycast,
    schema: """
      CREATE TABLE pending_events (
        id text PRIMARY KEY, workspace_id text NOT NULL, event_type text NOT NULL, payload jsonb NOT NULL DEFAULT '{}',
        status text NOT NULL DEFAULT 'pending', attempts smallint NOT NULL DEFAULT 0,
        max_attempts smallint NOT NULL DEFAULT 5, last_error text, created_at timestamptz NOT NULL DEFAULT now(),
        process_after timestamptz NOT NULL DEFAULT now(), completed_at timestamptz);
      CREATE INDEX idx_pending_events_status ON pending_events (status, process_after);
      CREATE INDEX idx_pending_events_workspace ON pending_events (workspace_id);
      """,
    delivered: """
      INSERT INTO pending_events (id, workspace_id, event_type, status, process_after)
      SELECT i, 'w', 'message', 'completed', now() - i * interval '1 s' FROM \(finished)
      """,
    active: {
      """
      INSERT INTO pending_events (id, workspace_id, event_type, status, attempts, process_after)
      SELECT i, 'w', 'message', (ARRAY['pending', 'pending', 'failed'])[1 + i % 3], i % 2,
        now() + (i % 2 * 2 - 1) * interval '1 min' FROM \($0)
      """
    })

  // MARK: - Layouts of a user's own

  /// Delivered is what has a time of publication; two partial indexes.
  static let unpublished = PlannedOutbox(
    name: "partial indexes",
    layout: own(
      [
        "id": .column("id"), "topic": .column("topic"), "attempts": .column("attempts"),
        "created": .column("created_at", encoding: .timestamptz),
        "failed": .column("failed_at", encoding: .timestamptz),
        "published": .column("published_at", encoding: .timestamptz),
      ],
      [
        Selection(
          rows: "{published} IS NULL AND {failed} IS NULL", state: .ready, retry: "{attempts} > 0",
          since: "{created.seconds}"),
        Selection(rows: "{failed} IS NOT NULL", state: .dead, since: "{failed.seconds}"),
      ],
      accounting: .init(
        created: "created", retries: "{attempts}",
        delivered: .init(rows: "{published} IS NOT NULL", finished: "published", since: "{created.seconds}"))),
    schema: """
      CREATE TABLE mine (
        id bigint PRIMARY KEY, topic text NOT NULL, payload bytea, attempts int NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(), published_at timestamptz, failed_at timestamptz);
      CREATE INDEX ON mine (created_at) WHERE published_at IS NULL AND failed_at IS NULL;
      CREATE INDEX ON mine (failed_at) WHERE failed_at IS NOT NULL;
      CREATE INDEX ON mine (published_at) WHERE published_at IS NOT NULL;
      """,
    delivered: """
      INSERT INTO mine (id, topic, created_at, published_at)
      SELECT i, 'orders', now() - interval '2 days', now() - interval '1 hour' FROM \(finished)
      """,
    active: {
      """
      INSERT INTO mine (id, topic, attempts, failed_at)
      SELECT i, 'orders', i % 3, CASE WHEN i % 4 = 0 THEN now() END FROM \($0)
      """
    })

  /// One index leads to the waiting rows and holds their destinations and times.
  static let covered = PlannedOutbox(
    name: "covering index",
    layout: own(
      [
        "id": .column("id"), "topic": .column("topic"), "created": .column("created_at", encoding: .timestamptz),
        "published": .column("published_at"),
      ], [Selection(rows: "{published} IS NULL", state: .ready, since: "{created.seconds}", id: nil)]),
    schema: """
      CREATE TABLE mine (
        id bigint PRIMARY KEY, topic text NOT NULL, payload bytea, created_at timestamptz NOT NULL DEFAULT now(),
        published_at timestamptz);
      CREATE INDEX ON mine (topic, created_at) WHERE published_at IS NULL;
      """,
    delivered: "INSERT INTO mine (id, topic, published_at) SELECT i, 'orders', now() FROM \(finished)",
    active: { "INSERT INTO mine (id, topic) SELECT i, 'orders' FROM \($0)" }, isCovered: true)

  /// A state that is true or false, as NServiceBus has it.
  static let dispatched = PlannedOutbox(
    name: "boolean state",
    layout: own(
      [
        "id": .column("MessageId"), "state": .column("Dispatched"),
        "created": .column("CreatedAt", encoding: .naiveUTC),
      ], [Selection(rows: "{state} = false", state: .ready, since: "{created.seconds}")],
      stateColumn: "state", knownStates: ["true", "false"]),
    schema: """
      CREATE TABLE mine (
        "MessageId" varchar(200) PRIMARY KEY, "Operations" jsonb, "CreatedAt" timestamp NOT NULL DEFAULT now(),
        "Dispatched" boolean NOT NULL);
      CREATE INDEX ON mine ("Dispatched");
      """,
    delivered: "INSERT INTO mine (\"MessageId\", \"Dispatched\") SELECT i, true FROM \(finished)",
    active: { "INSERT INTO mine (\"MessageId\", \"Dispatched\") SELECT i, false FROM \($0)" })

  /// The waiting rows are those that another table names.
  static let joined = PlannedOutbox(
    name: "membership in another table",
    layout: own(
      [
        "id": .column("id"), "topic": .column("topic"), "created": .column("created_at", encoding: .timestamptz),
        "member": .column("job_id", table: "ready"), "failed": .column("job_id", table: "failed"),
      ],
      [
        Selection(
          rows: "EXISTS (SELECT FROM {table:ready} r WHERE r.job_id = {id})", state: .ready, since: "{created.seconds}"),
        Selection(
          rows: "EXISTS (SELECT FROM {table:failed} r WHERE r.job_id = {id})", state: .dead, since: "{created.seconds}"),
      ], tables: ["ready": TableName("ready"), "failed": TableName("failed")]),
    schema: """
      CREATE TABLE mine (id bigint PRIMARY KEY, topic text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
      CREATE TABLE ready (job_id bigint PRIMARY KEY);
      CREATE TABLE failed (job_id bigint PRIMARY KEY);
      """,
    delivered: "INSERT INTO mine (id, topic) SELECT i, 'orders' FROM \(finished)",
    active: {
      """
      INSERT INTO mine (id, topic) SELECT i, 'orders' FROM \($0);
      INSERT INTO ready SELECT i FROM \($0) WHERE i % 3 > 0; INSERT INTO failed SELECT i FROM \($0) WHERE i % 3 = 0;
      ANALYZE ready; ANALYZE failed
      """
    })

  static func own(
    _ columns: [String: ColumnDefinition], _ selections: [Selection], stateColumn: String? = nil,
    knownStates: [String] = [], tables: [String: TableName] = [:], accounting: QueueAccounting = .init()
  ) -> Layout {
    Layout(
      name: "mine", summary: "", systems: [.postgresql],
      queues: [
        TableQueue(
          tables: tables.merging(["events": TableName("mine")]) { $1 }, columns: columns, stateColumn: stateColumn,
          knownStates: knownStates, destination: columns["topic"] == nil ? nil : "{topic}", selections: selections,
          accounting: accounting)
      ])
  }
}
