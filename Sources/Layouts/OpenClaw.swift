import Outbox

extension Layout {
  /// OpenClaw's delivery queue in its shared SQLite state database.
  package static let openClaw = Layout(
    name: "openclaw",
    summary: "OpenClaw since mid-2026: the outbound delivery queue in ~/.openclaw/state/openclaw.sqlite",
    systems: [.sqlite],
    queues: [deliveryQueue],
    limits: .init(
      age: .init(warning: .seconds(15 * 60), critical: .seconds(30 * 60)), stuck: .init(warning: 1)),
    sources: [
      "openclaw/openclaw src/infra/delivery-queue-sqlite.ts (0b03f834)",
      "openclaw/openclaw src/infra/delivery-queue-sqlite-bound.ts",
      "openclaw/openclaw issues 112313, 126522, 142983",
    ],
    notes: [
      "Installations from before the SQLite state database keep their queue in files: watch those with `openclaw-files`.",
      "Dead-lettered rows are compacted: they have no channel any more, so they count under the destination `default`, "
        + "and `enqueued_at` is overwritten, so their age is counted from `failed_at`.",
      "Permanent dead receipts never go away, and newer builds delete ordinary failed rows at once: alert on the growth "
        + "of the dead-letter queue, not on its depth. No limit is set on it.",
      "`failed` with the recovery state `settlement_pending` still owes work and counts as parked, not as dead.",
      "The due time of a retry is not stored: a tried event counts as scheduled for its nominal back-off (5 s, 25 s, "
        + "2 min, 10 min), then as ready.",
      "A producer's lease is only in the row's JSON (`availableAt`); of that JSON nothing else is read. A started send "
        + "counts as stuck after five minutes.",
      "`unknown_after_send` is never replayed blindly: after five minutes it counts as unclaimable, until a person decides.",
      "The queues of messages still being prepared or migrated count as parked. The queues `outbound-media-staging` "
        + "(leases of media files) and `session` are not counted.",
      "Names of queues that are not known here are found and count as unknown, all of their rows. Unknown values of "
        + "`status` cannot be seen: no index leads with that column.",
      "With a ledger, a row that is deleted while its send had begun counts as delivered, one that was failed and still owed "
        + "work as dead, any other as discarded: builds without that state delete what they give up, and it looks the same. "
        + "A message that moves from preparation to a queue counts as discarded there and as enqueued here.",
      "A restored backup shows zero: waiting rows are scrubbed from backups.",
    ])

  private static let executable = "('outbound', 'outbound-prepared-v1', 'outbound-session-generation-v1')"
  private static let preparing =
    "('outbound-preparing-v1', 'outbound-legacy-preparing-v1', 'outbound-prepared-migration-v1')"
  private static let messages =
    "('outbound', 'outbound-prepared-v1', 'outbound-session-generation-v1', 'outbound-preparing-v1', "
    + "'outbound-legacy-preparing-v1', 'outbound-prepared-migration-v1')"
  // Each of these is one range of an index, whatever the recovery state is.
  private static let pending = "{queue} IN \(executable) AND {status} = 'pending'"
  private static let failed = "{queue} IN \(messages) AND {status} = 'failed'"
  private static let fiveMinutesAfterSend =
    "COALESCE({last_attempt.seconds}, {send_started.seconds}, {updated.seconds}) + 300"

  private static let deliveryQueue = TableQueue(
    tables: ["events": TableName("delivery_queue_entries")],
    columns: [
      "queue": .column("queue_name"),
      "id": .column("id"),
      "status": .column("status"),
      "destination": .column("channel", optional: true),
      "recovery_state": .column("recovery_state", optional: true),
      "retries": .column("retry_count", optional: true),
      "last_attempt": .column("last_attempt_at", encoding: .unixMilliseconds, optional: true),
      "send_started": .column("platform_send_started_at", encoding: .unixMilliseconds, optional: true),
      "created": .column("enqueued_at", encoding: .unixMilliseconds),
      "updated": .column("updated_at", encoding: .unixMilliseconds),
      "failed": .column("failed_at", encoding: .unixMilliseconds),
      "entry": .column("entry_json"),
      // A malformed entry has no lease; without the check it would end the whole statement.
      "lease_end": .expression(
        "CASE WHEN json_valid({entry}) THEN json_extract({entry}, '$.availableAt') END", encoding: .unixMilliseconds),
    ],
    // The one column that leads an index, and the one that upstream adds values to.
    stateColumn: "queue",
    knownStates: [
      "outbound", "outbound-prepared-v1", "outbound-session-generation-v1", "outbound-preparing-v1",
      "outbound-legacy-preparing-v1", "outbound-prepared-migration-v1", "outbound-media-staging", "session",
    ],
    destination: "{destination}",
    selections: [
      Selection(
        rows: pending, only: "{recovery_state} IS NULL", state: .ready,
        until: .init(
          "CASE WHEN COALESCE({retries}, 0) > 0 OR {last_attempt} IS NOT NULL "
            + "THEN COALESCE({last_attempt.seconds}, {created.seconds}) + CASE COALESCE({retries}, 0) "
            + "WHEN 0 THEN 5 WHEN 1 THEN 25 WHEN 2 THEN 120 ELSE 600 END END",
          .scheduled),
        retry: "COALESCE({retries}, 0) > 0 OR {last_attempt} IS NOT NULL", since: "{created.seconds}"),
      Selection(
        rows: pending, only: "{recovery_state} IN ('producer_claimed', 'send_attempt_started')",
        state: .claimed, retry: "{retries} > 0", since: "{created.seconds}",
        stuck: .init(
          .leaseExpired,
          since: "CASE {recovery_state} WHEN 'producer_claimed' "
            + "THEN COALESCE({lease_end.seconds}, {updated.seconds} + 60) ELSE \(fiveMinutesAfterSend) END")),
      Selection(
        rows: pending, only: "{recovery_state} = 'unknown_after_send'",
        state: .claimed, retry: "{retries} > 0", since: "{created.seconds}",
        stuck: .init(.unclaimable, since: fiveMinutesAfterSend)),
      Selection(
        rows: pending,
        only: "{recovery_state} NOT IN ('producer_claimed', 'send_attempt_started', 'unknown_after_send')",
        state: .unknown, retry: "{retries} > 0", since: nil),
      Selection(
        rows: "{queue} IN \(preparing) AND {status} = 'pending'", state: .parked, retry: "{retries} > 0", since: nil),
      Selection(
        rows: failed, only: "{recovery_state} = 'settlement_pending'",
        state: .parked, retry: "true", since: nil),
      Selection(
        rows: failed, only: "COALESCE({recovery_state}, '') <> 'settlement_pending'",
        state: .dead, since: "{failed.seconds}"),
    ],
    accounting: .init(created: "created"),
    ledger: LedgerRules(
      waiting: "{queue} IN \(messages) AND ({status} = 'pending' "
        + "OR {status} = 'failed' AND {recovery_state} = 'settlement_pending') OR {queue} NOT IN \(known)",
      delivered: "{queue} IN \(messages) AND {status} = 'completed'",
      dead: "{queue} IN \(messages) AND {status} = 'failed'",
      failed: "COALESCE({retries}, 0) > COALESCE({old:retries}, 0)",
      released: "{old:recovery_state} = 'producer_claimed' AND {recovery_state} IS NULL",
      removed: "{queue} IN \(executable) AND {status} = 'pending' AND {recovery_state} = 'send_attempt_started'",
      buried: "{status} = 'failed'", firstDue: "{created.seconds}"))

  private static let known =
    "('outbound', 'outbound-prepared-v1', 'outbound-session-generation-v1', 'outbound-preparing-v1', "
    + "'outbound-legacy-preparing-v1', 'outbound-prepared-migration-v1', 'outbound-media-staging', 'session')"
}
