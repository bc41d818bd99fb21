import Outbox

extension Layout {
  /// Relaycast's durable event queue and its two delivery tables.
  package static let relaycast = Layout(
    name: "relaycast",
    summary: "Relaycast, self-hosted: pending_events, webhook_deliveries and deliveries in SQLite, or the older "
      + "pending_events in PostgreSQL",
    systems: [.sqlite, .postgresql],
    queues: [pendingEvents, webhookDeliveries, deliveries],
    limits: .init(
      age: .init(warning: .seconds(15 * 60), critical: .seconds(60 * 60)), stuck: .init(warning: 1),
      dead: .init(warning: 1)),
    sources: [
      "AgentWorkforce/relaycast packages/engine/src/engine/eventQueue.ts (2fdff64a)",
      "AgentWorkforce/relaycast packages/engine/src/adapters/node/event-queue.ts (2fdff64a)",
      "AgentWorkforce/relaycast packages/engine/src/engine/eventDelivery.ts (38432908)",
      "AgentWorkforce/relaycast packages/engine/src/engine/delivery.ts (00280356)",
      "AgentWorkforce/relaycast packages/engine/src/db/migrations (0000, 0010, 0017, 0021, 0067)",
      "AgentWorkforce/relaycast packages/server/src/db/migrations/0002_pending_events.sql (43010264)",
    ],
    notes: [
      "A worker that dies on an event's last attempt leaves it `pending` with all attempts used: nobody claims it, fails "
        + "it or prunes it. It counts as ready and as stuck (`attempts_exhausted`) from the end of that lease on.",
      "In pending_events a claim only moves `process_after`, the due time, to the end of its lease (60 s). The first "
        + "attempt is recognised as claimed; later, an event that was claimed again still carries its last error and "
        + "cannot be told from one that is backing off, so both count as scheduled. The very last attempt is claimed.",
      "Once an event was tried its due time is gone: its age then starts at its creation, an upper bound.",
      "Delivered events are deleted. Failed ones are deleted within about a day of their creation: a falling dead-letter "
        + "queue is not a recovery.",
      "webhook_deliveries are destined by the type of their event. One that is due while its event is no longer pending "
        + "(the subscription was switched off meanwhile) is stuck as `unclaimable`.",
      "In deliveries, `delivered` means sent to the node and waiting for its acknowledgement, so it counts as claimed; "
        + "`acked` is delivered. The destination is the kind of node (`route_node_kind`).",
      "A delivery past its `expires_at` waits for the sweep that dead-letters it. Until then it is stuck: `unclaimable` "
        + "while queued, as no node is offered an expired one; `lease_expired` while its acknowledgement is awaited.",
      "deliveries are found through (workspace_id, status, …), as no index leads with `status` alone: unknown values of "
        + "their `status` cannot be seen. Those of the other two tables can.",
      "deliveries from before the mailbox (migration 0017) meant something else by `delivered` and are refused.",
      "The table of files to clean up is no outbox and is not counted.",
    ])

  private static let pendingEvents = TableQueue(
    suffix: "pending_events",
    tables: ["events": TableName("pending_events")],
    columns: [
      "id": .column("id"),
      "destination": .column("event_type"),
      "status": .column("status"),
      "attempts": .column("attempts"),
      "max_attempts": .column("max_attempts"),
      "last_error": .column("last_error"),
      "created": .column("created_at", encoding: .unixSeconds),
      "due": .column("process_after", encoding: .unixSeconds),
      "completed": .column("completed_at", encoding: .unixSeconds),
    ],
    stateColumn: "status",
    knownStates: ["pending", "failed", "completed"],
    destination: "{destination}",
    untilCoversClock: true,
    selections: [
      Selection(
        rows: "{status} = 'pending'", only: "{due} <= {due.now}", state: .ready, retry: "{attempts} > 0",
        since: firstDue, stuck: .init(.attemptsExhausted, rows: "{attempts} >= {max_attempts}", since: "{due.seconds}")),
      Selection(
        rows: "{status} = 'pending'",
        only: "{due} > {due.now} AND {attempts} > 0 AND ({last_error} IS NULL OR {attempts} >= {max_attempts})",
        state: .ready, until: .init("{due.seconds}", .claimed), retry: "{attempts} > 1", since: "{created.seconds}"),
      Selection(
        rows: "{status} = 'pending'",
        only: "{due} > {due.now} AND ({attempts} <= 0 OR ({last_error} IS NOT NULL AND {attempts} < {max_attempts}))",
        state: .ready, until: .init("{due.seconds}", .scheduled), retry: "{attempts} > 0", since: firstDue),
      Selection(
        rows: "{status} = 'failed'", state: .dead, since: "COALESCE({completed.seconds}, {created.seconds})"),
    ],
    accounting: .init(created: "created"),
    // A claim raises the attempts, a failure does not; success deletes what was claimed.
    ledger: LedgerRules(
      waiting: "COALESCE({status}, '') NOT IN ('failed', 'completed')", delivered: "{status} = 'completed'",
      dead: "{status} = 'failed'",
      failed: "{attempts} > 0 AND {attempts} = {old:attempts} AND {last_error} IS NOT NULL "
        + "AND ({due} <> {old:due} OR {last_error} <> COALESCE({old:last_error}, ''))",
      released: "{attempts} > {old:attempts} AND {old:attempts} > 0 AND {old:last_error} IS NULL",
      removed: "{attempts} > 0", firstDue: firstDue))

  private static let firstDue = "CASE WHEN {attempts} > 0 THEN {created.seconds} ELSE {due.seconds} END"

  private static let webhookDeliveries = TableQueue(
    suffix: "webhook_deliveries",
    tables: ["events": TableName("webhook_deliveries"), "parents": TableName("pending_events")],
    columns: [
      "id": .column("id"),
      "event": .column("event_id"),
      "status": .column("status"),
      "attempts": .column("attempts"),
      "last_error": .column("last_error"),
      "created": .column("created_at", encoding: .unixSeconds),
      "due": .column("next_attempt_at", encoding: .unixSeconds),
      "completed": .column("completed_at", encoding: .unixSeconds),
      "destination": .expression("SELECT p.event_type FROM {table:parents} p WHERE p.id = {event}"),
      // Named in the subqueries as they are.
      "parent_id": .column("id", table: "parents"),
      "parent_type": .column("event_type", table: "parents"),
      "parent_status": .column("status", table: "parents"),
    ],
    stateColumn: "status",
    knownStates: ["pending", "succeeded", "failed", "dead_letter"],
    destination: "{destination}",
    // A claim clears the last error here, so that claimed and backing off can be told apart at every attempt.
    untilCoversClock: true,
    selections: [
      Selection(
        rows: "{status} = 'pending'", only: "{due} <= {due.now}", state: .ready, retry: "{attempts} > 0",
        since: firstDue,
        stuck: .init(
          .unclaimable,
          rows: "COALESCE((SELECT p.status FROM {table:parents} p WHERE p.id = {event}), '') <> 'pending'",
          since: "{due.seconds}")),
      Selection(
        rows: "{status} = 'pending'", only: "{due} > {due.now} AND {attempts} > 0 AND {last_error} IS NULL",
        state: .ready, until: .init("{due.seconds}", .claimed), retry: "{attempts} > 1", since: "{created.seconds}"),
      Selection(
        rows: "{status} = 'pending'", only: "{due} > {due.now} AND ({attempts} <= 0 OR {last_error} IS NOT NULL)",
        state: .ready, until: .init("{due.seconds}", .scheduled), retry: "{attempts} > 0", since: firstDue),
      Selection(
        rows: "{status} IN ('failed', 'dead_letter')", state: .dead,
        since: "COALESCE({completed.seconds}, {created.seconds})"),
    ],
    accounting: .init(created: "created"),
    // A claim raises the attempts and clears the last error; a failure sets it.
    ledger: LedgerRules(
      waiting: "COALESCE({status}, '') NOT IN ('succeeded', 'failed', 'dead_letter')",
      delivered: "{status} = 'succeeded'", dead: "{status} IN ('failed', 'dead_letter')",
      failed: "{attempts} > 0 AND {last_error} IS NOT NULL AND ({old:last_error} IS NULL OR {due} <> {old:due})",
      released: "{attempts} > {old:attempts} AND {old:attempts} > 0 AND {old:last_error} IS NULL",
      parents: .init(table: "parents", id: "parent_id", destination: "parent_type", reference: "{event}"),
      firstDue: firstDue))

  private static let deliveries = TableQueue(
    suffix: "deliveries",
    tables: ["events": TableName("deliveries"), "workspaces": TableName("workspaces")],
    columns: [
      "id": .column("id"),
      "workspace": .column("workspace_id"),
      "status": .column("status"),
      "attempts": .column("dispatch_attempts", optional: true),
      "destination": .column("route_node_kind", optional: true),
      "created": .column("created_at", encoding: .unixSeconds),
      "updated": .column("updated_at", encoding: .unixSeconds),
      "available": .column("available_at", encoding: .unixSeconds),
      "next_attempt": .column("next_attempt_at", encoding: .unixSeconds, optional: true),
      "delivered": .column("delivered_at", encoding: .unixSeconds),
      "expires": .column("expires_at", encoding: .unixSeconds),
      "dead_lettered": .column("dead_lettered_at", encoding: .unixSeconds),
      "acked": .column("acked_at", encoding: .unixSeconds, optional: true),
      "any_workspace": .column("id", table: "workspaces"),
    ],
    stateColumn: "status",
    knownStates: ["queued", "delivered", "acked", "failed", "dead_lettered"],
    destination: "{destination}",
    untilCoversClock: true,
    selections: [
      Selection(
        rows: unsettled, only: "{status} = 'queued'", state: .ready,
        until: .init(
          "CASE WHEN {available} > {next_attempt} THEN {available.seconds} "
            + "ELSE COALESCE({next_attempt.seconds}, {available.seconds}) END",
          .scheduled),
        retry: "COALESCE({attempts}, 0) > 0 OR {delivered} IS NOT NULL",
        since: "CASE WHEN COALESCE({attempts}, 0) > 0 OR {delivered} IS NOT NULL THEN {created.seconds} "
          + "ELSE COALESCE({available.seconds}, {created.seconds}) END",
        stuck: .init(.unclaimable, since: "{expires.seconds}")),
      Selection(
        rows: unsettled, only: "{status} = 'delivered'", state: .claimed, retry: "{attempts} > 1",
        since: "{created.seconds}", stuck: .init(.leaseExpired, since: "{expires.seconds}")),
      Selection(
        rows: "\(inAnyWorkspace) AND {status} IN ('failed', 'dead_lettered')", state: .dead,
        since: "COALESCE({dead_lettered.seconds}, {updated.seconds}, {created.seconds})"),
    ],
    accounting: .init(
      created: "created",
      delivered: .init(rows: "{status} = 'acked'", finished: "acked", since: "{created.seconds}")),
    // A dispatch that fails raises the attempts and plans the next one; one that is sent again was never acknowledged.
    ledger: LedgerRules(
      waiting: "{status} IN ('queued', 'delivered')", delivered: "{status} = 'acked'",
      dead: "{status} IN ('failed', 'dead_lettered')",
      failed: "COALESCE({attempts}, 0) > COALESCE({old:attempts}, 0) AND {status} = 'queued' "
        + "AND {next_attempt} IS NOT NULL",
      released: "{old:status} = 'delivered' AND ({status} = 'queued' OR {attempts} > {old:attempts})",
      firstDue: "CASE WHEN COALESCE({attempts}, 0) > 0 OR {delivered} IS NOT NULL THEN {created.seconds} "
        + "ELSE COALESCE({available.seconds}, {created.seconds}) END"))

  // Every delivery has a workspace; naming them lets the index on (workspace_id, status, created_at) serve.
  private static let unsettled = "\(inAnyWorkspace) AND {status} IN ('queued', 'delivered')"
  private static let inAnyWorkspace = "{workspace} IN (SELECT w.id FROM {table:workspaces} w)"
}
