import Outbox

extension Layout {
  /// PraisonAI's durable outbox and its two dead-letter files.
  package static let praisonAI = Layout(
    name: "praisonai",
    summary: "PraisonAI bots: the outbound queue and the outbound and inbound dead-letter files, one SQLite file each",
    systems: [.sqlite],
    queues: [outboundQueue, outboundDeadLetters, inboundDeadLetters],
    createdLazily: true,
    limits: .init(
      age: .init(warning: .seconds(15 * 60), critical: .seconds(60 * 60)), stuck: .init(warning: 1),
      dead: .init(warning: 1)),
    sources: [
      "MervinPraison/PraisonAI src/praisonai-bot/praisonai_bot/bots/_outbox.py (52e3e37b)",
      "MervinPraison/PraisonAI src/praisonai-bot/praisonai_bot/bots/_resilience.py (praisonai-bot 0.1.16)",
      "MervinPraison/PraisonAI src/praisonai-bot/praisonai_bot/bots/_dlq.py (52e3e37b)",
    ],
    notes: [
      "`failed` is a transient state and not the dead-letter queue; dead is `permanent_failure`.",
      "There are two dead-letter queues and neither includes the other: `permanent_failure` rows in the outbox, and the "
        + "files outbound_dlq.sqlite and inbound_dlq.sqlite. Watch each file as an outbox of its own, e.g. with a glob.",
      "The due time of a retry is not stored: a tried event counts as scheduled for its nominal back-off "
        + "(2 s × 1.8ⁿ after n failures, at most 30 s, without jitter), then as ready.",
      "Nothing polls: the queue drains at start-up, when a channel recovers and around a new message, so a ready event "
        + "may wait long in a healthy process. Age matters more than depth.",
      "A claim counts as stuck after 300 s, when the library would take it back.",
      "Of a dead event's attempts the last one counts as none that was retried, unless there were five or more: the "
        + "library then gave up without another one (`max_attempts`, 5 unless a bot sets it).",
      "Dead letters shrink by eviction (7 days, size limits): a falling depth is not a recovery.",
      "The destination is the platform in front of the colon of `target`; the chat behind it is never read.",
    ])

  private static let outboundQueue = TableQueue(
    tables: ["events": TableName("outbound_queue")],
    columns: [
      "id": .column("id"),
      "target": .column("target"),
      "status": .column("status"),
      "attempts": .column("attempts"),
      "created": .column("ts", encoding: .unixFractionalSeconds),
      "last_attempt": .column("last_attempt", encoding: .unixFractionalSeconds),
      "sent": .column("sent_at", encoding: .unixFractionalSeconds, optional: true),
    ],
    stateColumn: "status",
    knownStates: ["pending", "sending", "recovered", "failed", "permanent_failure", "sent"],
    destination: "substr({target}, 1, instr({target}, ':') - 1)",
    selections: [
      Selection(
        rows: "{status} IN ('pending', 'failed', 'recovered')", state: .ready,
        until: .init(
          "{last_attempt.seconds} + CASE {attempts} WHEN 0 THEN 2.0 WHEN 1 THEN 3.6 WHEN 2 THEN 6.48 "
            + "WHEN 3 THEN 11.664 WHEN 4 THEN 20.9952 ELSE 30.0 END",
          .scheduled),
        retry: "{status} <> 'pending' OR {attempts} > 0 OR {last_attempt} IS NOT NULL", since: "{created.seconds}"),
      Selection(
        rows: "{status} = 'sending'", state: .claimed, retry: "{attempts} > 0", since: "{created.seconds}",
        stuck: .init(.leaseExpired, since: "COALESCE({last_attempt.seconds} + 300, {created.seconds})")),
      Selection(
        rows: "{status} = 'permanent_failure'", state: .dead,
        since: "COALESCE({last_attempt.seconds}, {created.seconds})"),
    ],
    accounting: .init(
      created: "created", retries: "{attempts}",
      // The attempt that met a permanent error is counted; giving up after the fifth one is none.
      deadRetries: "CASE WHEN {attempts} = 0 OR {attempts} >= 5 THEN {attempts} ELSE {attempts} - 1 END",
      delivered: .init(rows: "{status} = 'sent'", finished: "sent", since: "{created.seconds}")),
    ledger: LedgerRules(
      waiting: "COALESCE({status}, '') NOT IN ('sent', 'permanent_failure')", delivered: "{status} = 'sent'",
      dead: "{status} = 'permanent_failure'",
      failed: "{attempts} > {old:attempts} OR {status} = 'failed' AND {old:status} <> 'failed'",
      released: "{old:status} = 'sending' AND ({status} IN ('pending', 'recovered') "
        + "OR {status} = 'sending' AND {last_attempt} <> {old:last_attempt} AND {old:last_attempt.seconds} + 300 <= {now})",
      firstDue: "{created.seconds}"))

  private static let outboundDeadLetters = TableQueue(
    tables: ["events": TableName("outbound_entries")],
    columns: [
      "id": .column("id"), "platform": .column("platform"),
      "created": .column("ts", encoding: .unixFractionalSeconds),
    ],
    destination: "{platform}",
    selections: [Selection(rows: "true", state: .dead, since: "{created.seconds}")], ledger: deadOnArrival)

  private static let inboundDeadLetters = TableQueue(
    tables: ["events": TableName("entries")],
    columns: [
      "id": .column("id"), "platform": .column("platform"),
      "created": .column("ts", encoding: .unixFractionalSeconds),
    ],
    destination: "{platform}",
    selections: [Selection(rows: "true", state: .dead, since: "{created.seconds}")], ledger: deadOnArrival)

  /// Every row is a dead letter, which is counted when it comes.
  private static let deadOnArrival = LedgerRules(waiting: "1 = 0", dead: "1 = 1", firstDue: "{created.seconds}")
}
