import Outbox

extension Layout {
  /// AiHummer's delivery outbox, from its public documentation.
  package static let aiHummer = Layout(
    name: "aihummer",
    summary:
      "AiHummer: the delivery outbox in PostgreSQL; no name of it is published, so all are conventional ones, to "
      + "be overridden where an installation differs",
    systems: [.postgresql],
    queues: [outbox],
    limits: .init(
      age: .init(warning: .seconds(5 * 60), critical: .seconds(15 * 60)), stuck: .init(warning: 1),
      dead: .init(warning: 1)),
    sources: [
      "docs.aihummer.ru/en/v1.0 delivery-outbox", "docs.aihummer.ru/en/v1.0 observability",
      "docs.aihummer.ru/en/v1.0 multitenancy-idempotency", "docs.aihummer.ru/en/v1.0 gateway-turn-engine",
    ],
    notes: [
      "The source is closed and no table or column name is published: these are conventional. Override what differs.",
      "Row-level security is on by default. The role aihummer_app sees only its tenant's rows, or none, so a sample with "
        + "it fails instead of showing zero: use the owner role, a role with BYPASSRLS, or a view that its owner reads.",
      "With the NATS transport on, work in flight may be in the bus; the row stays here until it is acknowledged.",
      "Delivered rows stay. Recommended index: `CREATE INDEX ON outbox (status, next_attempt_at)`. Without a complete "
        + "index that leads with `status`, unknown values of it cannot be seen and every sample reads the whole table.",
      "Deliveries are counted from `delivered_at`, which takes an index that leads with it: `CREATE INDEX ON outbox "
        + "(delivered_at)`. A dead row of `outbox` is taken to have been tried as often as `attempts` says.",
      "`failed` is transient and counts as scheduled or ready, as a retry; dead is `dead`, and all rows of "
        + "`outbox_dlq` where that table exists (`tables: {dead: …}` if it has another name).",
      "`attempts` is taken to count failed attempts, and a claim to be stuck 300 s after `locked_at`.",
      "Once an event was tried its first due time is gone: its age then starts at its creation, an upper bound.",
    ])

  private static let outbox = TableQueue(
    tables: ["events": TableName("outbox"), "dead": TableName("outbox_dlq", optional: true)],
    columns: [
      "id": .column("id"),
      "destination": .column("channel", optional: true),
      "status": .column("status"),
      "attempts": .column("attempts"),
      "due": .column("next_attempt_at", encoding: .timestamptz, optional: true),
      "locked": .column("locked_at", encoding: .timestamptz, optional: true),
      "created": .column("created_at", encoding: .timestamptz),
      "updated": .column("updated_at", encoding: .timestamptz, optional: true),
      "delivered": .column("delivered_at", encoding: .timestamptz, optional: true),
      "dead_id": .column("id", table: "dead"),
      "dead_destination": .column("channel", table: "dead", optional: true),
      "dead_since": .column("failed_at", table: "dead", encoding: .timestamptz, optional: true),
    ],
    stateColumn: "status",
    knownStates: ["pending", "sending", "processing", "failed", "delivered", "dead"],
    destination: "{destination}",
    untilCoversClock: true,
    selections: [
      Selection(
        rows: "{status} IN ('pending', 'failed')", state: .ready, until: .init("{due.seconds}", .scheduled),
        retry: "{attempts} > 0 OR {status} = 'failed'",
        since: "CASE WHEN {attempts} > 0 OR {status} = 'failed' THEN {created.seconds} "
          + "ELSE COALESCE({due.seconds}, {created.seconds}) END"),
      Selection(
        rows: "{status} IN ('sending', 'processing')", state: .claimed, until: .init("{due.seconds}", .claimed),
        retry: "{attempts} > 0",
        since: "CASE WHEN {attempts} > 0 OR {due.seconds} > {now} THEN {created.seconds} "
          + "ELSE COALESCE({due.seconds}, {created.seconds}) END",
        stuck: .init(.leaseExpired, since: "COALESCE({locked.seconds}, {updated.seconds}) + 300")),
      Selection(
        rows: "{status} = 'dead'", state: .dead, since: "COALESCE({updated.seconds}, {created.seconds})"),
      Selection(
        table: "dead", rows: "true", state: .dead, since: "{dead_since.seconds}", destination: "{dead_destination}",
        id: "{dead_id}"),
    ],
    accounting: .init(
      created: "created", retries: "{attempts}",
      deadRetries: "CASE WHEN {attempts} > 0 THEN {attempts} - 1 ELSE 0 END",
      delivered: .init(
        rows: "{status} = 'delivered'", finished: "delivered",
        since: "CASE WHEN {attempts} > 0 THEN {created.seconds} ELSE COALESCE({due.seconds}, {created.seconds}) END")),
    ledger: LedgerRules(
      waiting: "COALESCE({status}::text, '') NOT IN ('delivered', 'dead')",
      delivered: "{status}::text = 'delivered'", dead: "{status}::text = 'dead'",
      failed: "{attempts} > {old:attempts} OR {status}::text = 'failed' AND {old:status}::text <> 'failed'",
      released: "{old:status}::text IN ('sending', 'processing') AND ({status}::text = 'pending' "
        + "OR {status}::text IN ('sending', 'processing') AND {locked} <> {old:locked} "
        + "AND {old:locked.seconds} + 300 <= {now})",
      firstDue: "CASE WHEN {attempts} > 0 OR {status}::text = 'failed' THEN {created.seconds} "
        + "ELSE COALESCE({due.seconds}, {created.seconds}) END"))
}
