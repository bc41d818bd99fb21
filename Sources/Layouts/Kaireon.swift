import Outbox

extension Layout {
  /// KaireonAI's outbox, from its public documentation.
  package static let kaireon = Layout(
    name: "kaireon",
    summary: "KaireonAI, self-hosted: outbox_events and the dead-letter queue in PostgreSQL; names from the public "
      + "documentation, to be overridden where an installation differs",
    systems: [.postgresql],
    queues: [outboxEvents],
    limits: .init(
      age: .init(warning: .seconds(5 * 60), critical: .seconds(15 * 60)), ready: .init(warning: 101),
      stuck: .init(warning: 1), dead: .init(warning: 11, critical: 101)),
    sources: [
      "docs.kaireonai.com /self-host/configure/outbox-publisher",
      "docs.kaireonai.com /self-host/operate/metrics-reference",
      "docs.kaireonai.com /self-host/architecture/operations",
      "docs.kaireonai.com /api-reference/admin",
    ],
    notes: [
      "The source is not public. The table `outbox_events`, its columns `status` and `updatedAt` and the states `pending` "
        + "and `processing` are documented; every other name is a guess in the style of Prisma. Override what differs.",
      "Several words for success and failure are accepted; other values of `status` are found and count as unknown.",
      "Recommended index: `CREATE INDEX ON outbox_events (status, \"updatedAt\")`. Without a complete index that leads "
        + "with `status`, unknown values of it cannot be seen and every sample reads the whole table.",
      "Deliveries are counted from `publishedAt` where the table has it, or from the column named under `columns: "
        + "{finished: …}`, which takes an index that leads with it; `updatedAt` will not do, as later changes move it.",
      "Dead are the failed rows of outbox_events and all rows of `dead_letter_events`, where that table exists: set "
        + "`tables: {dead: …}` if it has another name, else dead letters that were moved there are not counted.",
      "A claim counts as stuck after 300 s. The documented reaper takes it back then, every two minutes, so a stuck event "
        + "is seen only for a while: watch the age too.",
      "The limits are the documented ones: more than 100 pending; 11 dead letters warn, 101 are critical.",
      "Prisma keeps UTC in `timestamp(3)` without a zone and is read so, whatever the session's zone.",
      "An event that was tried has no other due time than its creation: its age is an upper bound.",
      "The alert in the product's own documentation counts database connections, not events.",
    ])

  private static let outboxEvents = TableQueue(
    tables: ["events": TableName("outbox_events"), "dead": TableName("dead_letter_events", optional: true)],
    columns: [
      "id": .column("id"),
      "status": .column("status"),
      "created": .column("createdAt", encoding: .naiveUTC),
      "updated": .column("updatedAt", encoding: .naiveUTC),
      "attempts": .column("retryCount", optional: true),
      "finished": .column("publishedAt", encoding: .naiveUTC, optional: true),
      "topic": .column("topic", optional: true),
      "event_type": .column("eventType", optional: true),
      "destination": .expression("COALESCE({topic}, {event_type})"),
      "dead_id": .column("id", table: "dead"),
      "dead_destination": .column("topic", table: "dead", optional: true),
      "dead_since": .column("failedAt", table: "dead", encoding: .naiveUTC, optional: true),
    ],
    stateColumn: "status",
    knownStates: [
      "pending", "processing", "published", "processed", "completed", "sent", "failed", "dead_letter", "dead",
    ],
    destination: "{destination}",
    selections: [
      Selection(
        rows: "{status} = 'pending'", state: .ready, retry: "COALESCE({attempts}, 0) > 0", since: "{created.seconds}"),
      Selection(
        rows: "{status} = 'processing'", state: .claimed, retry: "COALESCE({attempts}, 0) > 0",
        since: "{created.seconds}", stuck: .init(.leaseExpired, since: "{updated.seconds} + 300")),
      Selection(
        rows: "{status} IN ('failed', 'dead_letter', 'dead')", state: .dead, since: "{updated.seconds}"),
      Selection(
        table: "dead", rows: "true", state: .dead, since: "{dead_since.seconds}", destination: "{dead_destination}",
        id: "{dead_id}"),
    ],
    accounting: .init(
      created: "created", retries: "COALESCE({attempts}, 0)",
      delivered: .init(
        rows: "{status} IN ('published', 'processed', 'completed', 'sent')", finished: "finished",
        since: "{created.seconds}")),
    ledger: LedgerRules(
      waiting: "COALESCE({status}::text, '') NOT IN \(finished)",
      delivered: "{status}::text IN \(published)", dead: "{status}::text IN \(failed)",
      failed: "COALESCE({attempts}, 0) > COALESCE({old:attempts}, 0) OR {attempts} IS NULL "
        + "AND {old:status}::text = 'processing' AND {status}::text = 'pending' AND {old:updated.seconds} + 300 > {now}",
      released: "{old:status}::text = 'processing' AND ({status}::text = 'pending' "
        + "OR {status}::text = 'processing' AND {updated} <> {old:updated} AND {old:updated.seconds} + 300 <= {now})",
      firstDue: "{created.seconds}"))

  private static let published = "('published', 'processed', 'completed', 'sent')"
  private static let failed = "('failed', 'dead_letter', 'dead')"
  private static let finished =
    "('published', 'processed', 'completed', 'sent', 'failed', 'dead_letter', 'dead')"
}
