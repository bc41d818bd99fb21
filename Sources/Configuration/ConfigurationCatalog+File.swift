extension ConfigurationCatalog {
  static let general: [ConfigurationKey] = [
    .init("environment", nil, "As `--environment`."),
    .init("state_dir", nil, "As `--state-dir`."),
    .init("interval", "15s", "As `--interval`."),
    .init("window", nil, "As `--window`."),
    .init("database_share", "1%", "As `--database-share`: `0.5%`, or `0.005`."),
    .init("liveness_file", nil, "As `--liveness-file`."),
    .init("exit_after_failed_cycles", nil, "As `--exit-after-failed-cycles`."),
    .init("log_level", "info", "As `--log-level`."),
    .init("end_series_on_stop", "true", "Whether a clean stop marks every series as ended."),
    .init(
      "destinations.limit", "100", "Destinations of one outbox that have series of their own; others are `_other`."),
    .init(
      "spool.max_bytes", "67108864",
      "Bytes of requests that are kept in the state directory for each endpoint until it takes them; beyond it the "
        + "oldest are dropped. Without a state directory 16 MiB are kept in memory."),
    .init("spool.max_age", "1d", "How long they are kept."),
    .init("timeouts.connect", "5s", "The most time to connect to a store."),
    .init("timeouts.statement", "5s", "The most time that the statement of a sample takes."),
    .init("timeouts.lock", "500ms", "The most time to wait for somebody else's lock."),
    .init(
      "verdicts.<verdict>", "stalled, spinning, stuck: critical; rewound, falling_behind: warning",
      "What a verdict makes of the health of `--once`: ok, warning or critical."),
    .init("resource_attributes.<name>", nil, "A resource attribute; beats OTEL_RESOURCE_ATTRIBUTES."),
  ]

  static let outboxKeys: [ConfigurationKey] =
    [
      .init("outboxes[].name", "the layout's name", "What the outbox is called in metrics; no name twice."),
      .init("outboxes[].dsn", nil, "Where it is: as `--dsn`, but a password may stand in it."),
      .init("outboxes[].dsn_file", nil, "A file that holds the DSN."),
      .init("outboxes[].layout", nil, "A layout by name, or one written out, with the keys below `layouts.<name>`."),
      .init("outboxes[].tables.<role>", "the layout's", "Another table name: `table` or `schema.table`."),
      .init("outboxes[].columns.<role>", "the layout's", "Another column name."),
      .init("outboxes[].objective.age", nil, "The age by which events are promised to be delivered."),
      .init("outboxes[].objective.target", nil, "The promised share of them, above 0 and at most 1."),
      .init(
        "outboxes[].acknowledged[].dead", nil,
        "So many dead events are known: only those beyond count for the limit. All keys but `destination` are needed."),
      .init("outboxes[].acknowledged[].destination", "all", "The destination whose dead events they are."),
      .init("outboxes[].acknowledged[].reason", nil, "Why they may stay, e.g. a ticket."),
      .init(
        "outboxes[].acknowledged[].until", nil,
        "The last day, in UTC, on which that holds, as `2026-12-01`; then they count again."),
      .init("outboxes[].verdicts.<verdict>", "the file's", "As `verdicts.<verdict>`, for this outbox."),
    ] + limits("outboxes[].limits", "the layout's")

  static let exportKeys: [ConfigurationKey] = [
    .init(
      "export[].endpoint", nil,
      "Base URL; `/v1/metrics` is appended. With gRPC scheme, host and port."),
    .init("export[].url", nil, "Instead of `endpoint`, not with gRPC: the whole URL, used as it is."),
    .init("export[].protocol", "http/protobuf", "`http/protobuf`, `http/json` or `grpc`."),
    .init("export[].headers.<name>", nil, "A header that is sent with every request."),
    .init("export[].headers_file", nil, "A file with one `Name: value` a line."),
    .init("export[].timeout", "10s", "The most time that one attempt takes; `0s` for no limit."),
    .init("export[].compression", "none", "`gzip` or `none`."),
    .init(
      "export[].max_request_bytes", "4152357",
      "The largest request before compression; larger batches are split. Not every receiver takes 4 MiB over gRPC."),
    .init(
      "export[].temporality_preference", "cumulative",
      "As `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`: `cumulative`, `delta` or `lowmemory`."),
    .init(
      "export[].default_histogram_aggregation", "explicit_bucket_histogram",
      "As `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`, or `base2_exponential_bucket_histogram`."),
    .init("export[].certificate", nil, "PEM file with the only authorities to trust, instead of the system's."),
    .init("export[].client_certificate", nil, "PEM file with the client's certificate and its chain."),
    .init("export[].client_key", nil, "PEM file with the client's key, not encrypted."),
  ]

  static let layoutKeys: [ConfigurationKey] =
    [
      .init("layouts.<name>.summary", nil, "Which system, which versions. A layout of yours replaces a built-in one."),
      .init("layouts.<name>.systems", "postgresql and sqlite, or files", "The kinds of store it is for."),
      .init("layouts.<name>.created_lazily", "false", "Whether the file or directory appears only when it is needed."),
      .init("layouts.<name>.sources", nil, "Where its facts come from."),
      .init("layouts.<name>.notes", nil, "What an operator has to know."),
      .init("layouts.<name>.queues[].suffix", nil, "Appended to the outbox's name, where there are several queues."),
      .init("layouts.<name>.queues[].tables.<role>", nil, "A table's name; the role `events` has to be there."),
      .init("layouts.<name>.queues[].tables.<role>.name", nil, "The same, written out."),
      .init("layouts.<name>.queues[].tables.<role>.optional", "false", "Whether it works without the table."),
      .init("layouts.<name>.queues[].columns.<role>", nil, "A column's name."),
      .init("layouts.<name>.queues[].columns.<role>.column", nil, "The same, written out."),
      .init("layouts.<name>.queues[].columns.<role>.sql", nil, "Instead of a column: SQL over other roles."),
      .init("layouts.<name>.queues[].columns.<role>.table", "events", "The role of its table."),
      .init(
        "layouts.<name>.queues[].columns.<role>.encoding", nil,
        "How it stores a time: unix_seconds, unix_fractional_seconds, unix_milliseconds, timestamptz, naive_utc, "
          + "`naive:Europe/Paris` or iso8601."),
      .init("layouts.<name>.queues[].columns.<role>.optional", "false", "Whether it works without the column."),
      .init("layouts.<name>.queues[].state_column", nil, "The role of the column that holds the state."),
      .init("layouts.<name>.queues[].known_states", nil, "Every value of it that means something."),
      .init(
        "layouts.<name>.queues[].until_covers_clock", "false",
        "Whether `until` names every time that the SQL compares with the clock; an idle database is then not counted."),
      .init("layouts.<name>.queues[].destination", "`default`", "SQL of the destination: few values, never a person."),
      .init("layouts.<name>.queues[].rows[].table", "events", "The role of the table."),
      .init("layouts.<name>.queues[].rows[].where", nil, "SQL that picks the rows; no row may be picked twice."),
      .init(
        "layouts.<name>.queues[].rows[].only", nil,
        "SQL that picks among them by what no index knows; rows with the same `where` are read in one pass."),
      .init("layouts.<name>.queues[].rows[].state", nil, "ready, scheduled, claimed, parked, dead or unknown."),
      .init("layouts.<name>.queues[].rows[].until.time", nil, "SQL of a time in unix seconds; until then …"),
      .init("layouts.<name>.queues[].rows[].until.state", nil, "… the row is in this state."),
      .init("layouts.<name>.queues[].rows[].retry", "false", "SQL, true for rows that were tried before."),
      .init(
        "layouts.<name>.queues[].rows[].since", nil, "SQL of the first due time (dead rows: of death), unix seconds."),
      .init(
        "layouts.<name>.queues[].rows[].stuck.reason", nil, "lease_expired, attempts_exhausted or unclaimable."),
      .init("layouts.<name>.queues[].rows[].stuck.when", "true", "SQL that picks the rows; not about the time."),
      .init("layouts.<name>.queues[].rows[].stuck.since", nil, "SQL of the time from which on they are stuck."),
      .init("layouts.<name>.queues[].rows[].destination", "the queue's", "SQL of the destination of these rows."),
      .init(
        "layouts.<name>.queues[].rows[].id", "`{id}`, if there is one",
        "SQL of the identifier that `--once` shows; `null` for none."),
      .init(
        "layouts.<name>.queues[].accounting.created", nil,
        "The role of the column that says when an event was written; it never changes."),
      .init(
        "layouts.<name>.queues[].accounting.retries", nil,
        "SQL: how many attempts of a waiting or delivered row ended with a retry."),
      .init("layouts.<name>.queues[].accounting.dead_retries", "`retries`", "The same for a dead row of `events`."),
      .init(
        "layouts.<name>.queues[].accounting.delivered.where", nil,
        "SQL that picks the delivered rows, where they stay: deliveries are then counted from them."),
      .init(
        "layouts.<name>.queues[].accounting.delivered.finished", nil,
        "The role of the column that says when each was delivered; it takes an index that leads with it."),
      .init(
        "layouts.<name>.queues[].accounting.delivered.since", nil,
        "SQL of the first due time of these rows, unix seconds."),
      .init(
        "layouts.<name>.queues[].ledger.waiting", nil, "For `ledger`: SQL, true for rows that wait, whatever the time."),
      .init("layouts.<name>.queues[].ledger.delivered", nil, "SQL, true for delivered rows that are kept."),
      .init("layouts.<name>.queues[].ledger.dead", nil, "SQL, true for dead rows of the main table."),
      .init(
        "layouts.<name>.queues[].ledger.failed", nil,
        "SQL of a changed row, true where an attempt failed; `{old:role}` is the row before."),
      .init("layouts.<name>.queues[].ledger.released", nil, "The same, true where a claim expired or was given back."),
      .init("layouts.<name>.queues[].ledger.removed", nil, "SQL, true for waiting rows whose deletion is a delivery."),
      .init("layouts.<name>.queues[].ledger.buried", nil, "SQL, true for waiting rows that are deleted when given up."),
      .init("layouts.<name>.queues[].ledger.first_due", nil, "SQL of the first due time, unix seconds."),
      .init(
        "layouts.<name>.queues[].ledger.parents.table", nil,
        "For SQLite: the role of the table that has the destinations, where the events do not."),
      .init("layouts.<name>.queues[].ledger.parents.id", nil, "The role of its column that events refer to."),
      .init("layouts.<name>.queues[].ledger.parents.destination", nil, "The role of its column with the destination."),
      .init("layouts.<name>.queues[].ledger.parents.of", nil, "SQL of an event: the id that it refers to."),
      .init("layouts.<name>.directory.file_suffix", nil, "The suffix of an event's file, e.g. `.json`."),
      .init("layouts.<name>.directory.dead_directory", nil, "The subdirectory of dead events."),
      .init("layouts.<name>.directory.fields.id", nil, "JSON fields of the identifier, in the order of trying."),
      .init("layouts.<name>.directory.fields.created", nil, "Fields of the creation time."),
      .init("layouts.<name>.directory.fields.attempts", nil, "Fields of the number of failed attempts."),
      .init("layouts.<name>.directory.fields.last_attempt", nil, "Fields of the last attempt's time."),
      .init("layouts.<name>.directory.fields.claimed", nil, "Fields of the time of the hand-over."),
      .init("layouts.<name>.directory.fields.recovery_state", nil, "Fields of the recovery's state."),
      .init("layouts.<name>.directory.fields.destination", nil, "Fields of the destination."),
      .init("layouts.<name>.directory.backoff", nil, "The waits by failed attempts: `[0s, 5s, 25s]`."),
      .init(
        "layouts.<name>.directory.max_attempts", nil, "Failed attempts after which an event is not tried any more."),
      .init(
        "layouts.<name>.directory.claimed_states.<state>", nil,
        "A recovery state that means in flight, and why such an event is stuck once its lease is over."),
      .init("layouts.<name>.directory.lease", nil, "An in-flight file untouched for so long is stuck."),
      .init(
        "layouts.<name>.directory.delivered_suffix", nil,
        "A file that gets this suffix in the place of its own was delivered, e.g. `.delivered`."),
      .init(
        "layouts.<name>.directory.removal", "unseen",
        "What it means that a file is removed without that mark: delivered, discarded or unseen."),
    ] + limits("layouts.<name>.limits", "never")

  private static func limits(_ path: String, _ standard: String) -> [ConfigurationKey] {
    [
      .init("\(path).age.warning", standard, "`--once` warns when an event waits so long; `never` for no limit."),
      .init("\(path).age.critical", standard, "… and is critical."),
      .init("\(path).ready.warning", standard, "`--once` warns at so many ready events."),
      .init("\(path).ready.critical", standard, "… and is critical."),
      .init("\(path).stuck.warning", standard, "`--once` warns at so many stuck events."),
      .init("\(path).stuck.critical", standard, "… and is critical."),
      .init("\(path).dead.warning", standard, "`--once` warns at so many dead events."),
      .init("\(path).dead.critical", standard, "… and is critical."),
    ]
  }
}
