import TestSupport

/// KaireonAI's, AiHummer's and Relaycast's tables in one PostgreSQL database, with events in every state, and what
/// hand-written SQL says of them. All times are far from the moment at which they would make an event change.
struct EndToEndPostgreSQLStores {
  let database: TemporaryDatabase

  /// The entries below `outboxes:`.
  var configuration: String {
    """
      - {name: decisions, dsn: "\(database.conninfo())", layout: kaireon, objective: {age: 60s, target: 0.999}}
      - {name: hummer, dsn: "\(database.conninfo())", layout: aihummer}
      - {name: relay-old, dsn: "\(database.conninfo())", layout: relaycast}

    """
  }

  init() throws {
    database = try TemporaryPostgres.shared().createDatabase(Self.kaireonRows + Self.aiHummerRows + Self.relaycastRows)
  }

  func figures(environment: String) throws -> [EndToEndFigures] {
    func sql(_ events: String, _ outbox: String, _ reasons: [String]) throws -> EndToEndFigures {
      let statement = EndToEndSQL.figures(events, now: "EXTRACT(epoch FROM clock_timestamp())")
      return EndToEndFigures(
        try database.psql("SET TimeZone TO 'Asia/Kolkata';\n" + statement), outbox: outbox, stuckReasons: reasons,
        environment: environment)
    }
    return [
      try sql(Self.kaireon, "decisions", ["lease_expired"]), try sql(Self.aiHummer, "hummer", ["lease_expired"]),
      try sql(
        Self.relaycast, "relay-old/pending_events", ["lease_expired", "attempts_exhausted", "unclaimable"]),
    ]
  }

  // MARK: - KaireonAI

  private static let kaireonRows = """
    CREATE TABLE outbox_events (
      id text PRIMARY KEY, status text NOT NULL, topic text, "eventType" text NOT NULL, payload jsonb NOT NULL,
      "retryCount" int NOT NULL DEFAULT 0, "createdAt" timestamp(3) NOT NULL, "updatedAt" timestamp(3) NOT NULL);
    CREATE INDEX ON outbox_events (status, "updatedAt");
    CREATE TABLE dead_letter_events (id text PRIMARY KEY, topic text, payload jsonb, "failedAt" timestamp(3) NOT NULL);
    INSERT INTO outbox_events
    SELECT 'o' || i,
      (ARRAY['pending', 'pending', 'processing', 'published', 'failed', 'dead_letter', 'quarantined'])[1 + i % 7],
      (ARRAY[NULL, 'offers', 'scores'])[1 + i % 3], 'decision.made', '{"secret": 1}', i % 4,
      now() AT TIME ZONE 'UTC' - (i * 61 + 4000) * interval '1 second',
      now() AT TIME ZONE 'UTC' - (i * 7) * interval '1 second' - interval '5 seconds'
    FROM generate_series(1, 300) i WHERE i * 7 NOT BETWEEN 200 AND 300;
    UPDATE outbox_events SET "createdAt" = '1970-01-01 00:00:05' WHERE id IN ('o7', 'o70', 'o71');
    INSERT INTO dead_letter_events
    SELECT 'dle_' || i, (ARRAY['offers', 'refunds'])[1 + i % 2], '{}', now() AT TIME ZONE 'UTC' - i * interval '1 hour'
    FROM generate_series(1, 9) i;

    """

  private static let kaireon = """
    SELECT COALESCE(topic, "eventType") AS dest,
      CASE WHEN status = 'pending' THEN 'ready' WHEN status = 'processing' THEN 'claimed'
        WHEN status IN ('failed', 'dead_letter') THEN 'dead' ELSE 'unknown' END AS state,
      (status IN ('pending', 'processing') AND "retryCount" > 0)::int AS retry,
      EXTRACT(epoch FROM (CASE WHEN status IN ('failed', 'dead_letter') THEN "updatedAt" ELSE "createdAt" END)
        AT TIME ZONE 'UTC') AS due,
      'lease_expired' AS reason,
      CASE status WHEN 'processing' THEN EXTRACT(epoch FROM "updatedAt" AT TIME ZONE 'UTC') + 300 END AS since
    FROM outbox_events WHERE status <> 'published'
    UNION ALL
    SELECT topic, 'dead', 0, EXTRACT(epoch FROM "failedAt" AT TIME ZONE 'UTC'), NULL, NULL FROM dead_letter_events
    """

  // MARK: - AiHummer

  private static let aiHummerRows = """
    CREATE TABLE outbox (
      id bigint PRIMARY KEY, tenant_id text NOT NULL, channel text, payload jsonb NOT NULL, status text NOT NULL,
      attempts int NOT NULL, next_attempt_at timestamptz, locked_at timestamptz, created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL);
    CREATE INDEX ON outbox (status, next_attempt_at);
    CREATE TABLE outbox_dlq (id bigint PRIMARY KEY, channel text, failed_at timestamptz NOT NULL);
    INSERT INTO outbox
    SELECT i, 't' || i, (ARRAY['whatsapp', 'mail', '', NULL])[1 + i % 4], '{"secret": 1}',
      (ARRAY['pending', 'failed', 'sending', 'processing', 'delivered', 'dead', 'pending', 'bounced'])[1 + i % 8],
      CASE WHEN i % 3 = 0 THEN i % 5 ELSE 0 END,
      CASE WHEN i % 5 > 0 THEN now() + CASE WHEN i % 2 = 0 THEN -1 ELSE 4 END * (1000 + i) * interval '1 second' END,
      CASE WHEN i % 6 > 1 THEN now() - (i % 6) * interval '130 seconds' END,
      now() - (5000 + i * 23) * interval '1 second', now() - (600 + i) * interval '1 second'
    FROM generate_series(1, 400) i;
    UPDATE outbox SET created_at = now() + interval '2 days' WHERE id % 97 = 0;
    INSERT INTO outbox_dlq SELECT i, 'mail', now() - i * interval '1 day' FROM generate_series(1, 4) i;

    """

  private static let aiHummer = """
    SELECT channel AS dest,
      CASE WHEN status = 'dead' THEN 'dead' WHEN status IN ('sending', 'processing') THEN 'claimed'
        WHEN status NOT IN ('pending', 'failed') THEN 'unknown'
        WHEN EXTRACT(epoch FROM next_attempt_at) > now THEN 'scheduled' ELSE 'ready' END AS state,
      (status IN ('pending', 'sending', 'processing') AND attempts > 0 OR status = 'failed')::int AS retry,
      EXTRACT(epoch FROM CASE WHEN status = 'dead' THEN updated_at
        WHEN attempts > 0 OR status = 'failed' THEN created_at
        WHEN status IN ('sending', 'processing') AND EXTRACT(epoch FROM next_attempt_at) > now THEN created_at
        ELSE COALESCE(next_attempt_at, created_at) END) AS due,
      'lease_expired' AS reason,
      CASE WHEN status IN ('sending', 'processing')
        THEN EXTRACT(epoch FROM COALESCE(locked_at, updated_at)) + 300 END AS since
    FROM outbox CROSS JOIN clock WHERE status <> 'delivered'
    UNION ALL SELECT channel, 'dead', 0, EXTRACT(epoch FROM failed_at), NULL, NULL FROM outbox_dlq
    """

  // MARK: - Relaycast

  private static let relaycastRows = """
    CREATE TABLE pending_events (
      id text PRIMARY KEY, workspace_id text NOT NULL, event_type text NOT NULL, payload jsonb NOT NULL,
      status text NOT NULL DEFAULT 'pending', attempts smallint NOT NULL DEFAULT 0,
      max_attempts smallint NOT NULL DEFAULT 5, last_error text, created_at timestamptz NOT NULL DEFAULT now(),
      process_after timestamptz NOT NULL DEFAULT now(), completed_at timestamptz);
    CREATE INDEX ON pending_events (status, process_after);
    INSERT INTO pending_events
    SELECT 'p' || i, 'w', (ARRAY['message.created', 'agent.joined', 'file.shared'])[1 + i % 3], '{"secret": 1}',
      (ARRAY['pending', 'pending', 'pending', 'pending', 'failed', 'completed', 'paused'])[1 + i % 7], i % 6, 5,
      CASE WHEN i % 4 = 0 THEN 'HTTP 503' END, now() - (50000 + i * 31) * interval '1 second',
      now() + CASE WHEN i % 5 < 3 THEN -(900 + i) ELSE 3600 END * interval '1 second',
      CASE WHEN i % 2 = 0 THEN now() - (2000 + i) * interval '1 second' END
    FROM generate_series(1, 250) i;

    """

  private static let relaycast = """
    SELECT event_type AS dest,
      CASE WHEN status = 'failed' THEN 'dead' WHEN status <> 'pending' THEN 'unknown'
        WHEN EXTRACT(epoch FROM process_after) <= now THEN 'ready'
        WHEN attempts > 0 AND (last_error IS NULL OR attempts >= max_attempts) THEN 'claimed'
        ELSE 'scheduled' END AS state,
      (status = 'pending' AND attempts > CASE WHEN EXTRACT(epoch FROM process_after) > now
        AND (last_error IS NULL OR attempts >= max_attempts) THEN 1 ELSE 0 END)::int AS retry,
      EXTRACT(epoch FROM CASE WHEN status = 'failed' THEN COALESCE(completed_at, created_at)
        WHEN attempts > 0 THEN created_at ELSE process_after END) AS due,
      'attempts_exhausted' AS reason,
      CASE WHEN status = 'pending' AND attempts >= max_attempts THEN EXTRACT(epoch FROM process_after) END AS since
    FROM pending_events CROSS JOIN clock WHERE status <> 'completed'
    """
}
