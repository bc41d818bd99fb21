import Outbox
import TestSupport
import Testing

/// An outbox of AiHummer at which several sessions work by chance. Each writes down what it has done in the transaction
/// that does it, so that the truth commits and rolls back with the rows.
struct AiHummerWorkers {
  static let schema = """
    CREATE TABLE outbox (
      id bigserial PRIMARY KEY, tenant_id text NOT NULL DEFAULT 'a', channel text, ledger_key text, payload jsonb,
      status text NOT NULL DEFAULT 'pending', attempts integer NOT NULL DEFAULT 0, next_attempt_at timestamptz,
      locked_at timestamptz, locked_by text, last_error text, created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz, delivered_at timestamptz);
    CREATE INDEX ON outbox (status, next_attempt_at);
    CREATE INDEX ON outbox (delivered_at);
    CREATE TABLE truth (channel text, kind text, seconds float8);
    """

  /// Every transaction takes its times from its beginning or from the moment, may wait before it ends, has savepoints, and
  /// may roll back.
  private static let work = """
    CREATE PROCEDURE work(seed float8, steps int) LANGUAGE plpgsql AS $$
    DECLARE r outbox%ROWTYPE; dice int; t timestamptz; c text;
    BEGIN
      PERFORM setseed(seed);
      FOR i IN 1..steps LOOP
        dice := floor(random() * 10);
        t := CASE WHEN random() < 0.5 THEN now() ELSE clock_timestamp() END;
        IF dice < 4 THEN
          c := (ARRAY['mail', 'sms', 'push'])[1 + floor(random() * 3)::int];
          INSERT INTO outbox (channel, created_at) VALUES (c, t);
          INSERT INTO truth VALUES (c, 'enqueued');
        ELSE
          SELECT * INTO r FROM outbox WHERE status IN ('pending', 'failed') ORDER BY random() LIMIT 1
            FOR UPDATE SKIP LOCKED;
          IF FOUND THEN
            IF dice < 7 THEN
              UPDATE outbox SET status = 'delivered', delivered_at = t, updated_at = t WHERE id = r.id;
              INSERT INTO truth
                VALUES (r.channel, 'delivered', greatest(0, extract(epoch FROM t - r.created_at)::numeric));
            ELSIF dice < 9 THEN
              UPDATE outbox SET status = 'failed', attempts = attempts + 1, updated_at = t WHERE id = r.id;
              INSERT INTO truth VALUES (r.channel, 'retried');
              BEGIN
                UPDATE outbox SET attempts = attempts + 1 WHERE id = r.id;
                RAISE EXCEPTION 'rolled back to a savepoint';
              EXCEPTION WHEN OTHERS THEN NULL;
              END;
            ELSE
              UPDATE outbox SET status = 'dead', attempts = attempts + 1, updated_at = t WHERE id = r.id;
              INSERT INTO truth VALUES (r.channel, 'dead');
            END IF;
          END IF;
        END IF;
        IF random() < 0.05 THEN PERFORM pg_sleep(random() * 0.1); END IF;
        IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
        PERFORM pg_sleep(random() * 0.002);
      END LOOP;
    END $$;
    """

  let database: TemporaryDatabase

  init() throws {
    database = try TemporaryPostgres.shared().createDatabase(Self.schema + Self.work)
  }

  /// A session that works and ends.
  func start(seed: Double, steps: Int) throws -> ChildProcess { try session("CALL work(\(seed), \(steps));") }

  /// A session that runs statements and ends.
  func session(_ statements: String) throws -> ChildProcess {
    try ChildProcess(
      "psql", ["-d", database.conninfo(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"], input: statements)
  }

  /// A session with a transaction that has run statements and stays open until ``commit()``.
  func open(_ statements: String) async throws -> ChildProcess {
    try database.psql("CREATE TABLE commit_now ()")
    let session = try session(
      """
      BEGIN;
      \(statements);
      DO $$ BEGIN
        WHILE NOT EXISTS (SELECT FROM commit_now) LOOP PERFORM pg_sleep(0.01); END LOOP;
      END $$;
      COMMIT;
      """)
    let waiting =
      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'DO %commit_now%'"
    let isOpen = try await happens { try database.psql(waiting) == "1" }
    #expect(isOpen, "\(session.standardError)")
    return session
  }

  /// Has the open transaction commit.
  func commit() throws { try database.psql("INSERT INTO commit_now DEFAULT VALUES") }

  /// A dead event of each channel comes back with its attempts forgotten.
  func requeue() throws {
    try database.psql(
      """
      WITH back AS (
        UPDATE outbox SET status = 'pending', attempts = 0
        WHERE id IN (SELECT min(id) FROM outbox WHERE status = 'dead' GROUP BY channel) RETURNING channel)
      INSERT INTO truth SELECT channel, 'requeued' FROM back
      """)
  }

  /// True counts, by destination and kind.
  func truth() throws -> Set<String> {
    Set(
      try database.psql("SELECT channel || ' ' || kind || ' ' || count(*) FROM truth GROUP BY channel, kind")
        .split(separator: "\n").map(String.init))
  }

  /// How many deliveries took no longer than each bound, in seconds.
  func deliveries(upTo bounds: [Double]) throws -> [Int] {
    let list = bounds.map { "\($0)" }.joined(separator: ", ")
    return try database.psql(
      """
      SELECT (SELECT count(*) FROM truth WHERE kind = 'delivered' AND seconds <= b)
      FROM unnest(ARRAY[\(list)]::numeric[]) WITH ORDINALITY AS v(b, n) ORDER BY n
      """
    ).split(separator: "\n").compactMap { Int($0) }
  }

  /// Many events that were written and delivered at one moment.
  func deliver(_ count: Int, ago seconds: Int = 0) throws {
    try database.psql(
      "INSERT INTO outbox (channel, status, created_at, delivered_at) SELECT 'mail', 'delivered', t, t FROM "
        + "generate_series(1, \(count)), (SELECT clock_timestamp() - interval '\(seconds) s' AS t) moment")
  }
}

extension AccountingMark {
  /// The mark as it would be if so many seconds had passed since.
  func older(seconds: Int64) -> AccountingMark {
    var lines = position.split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0.split(separator: " ", omittingEmptySubsequences: false).map(String.init) }
    func earlier(_ line: Int, _ field: Int) {
      if let time = Int64(lines[line][field]) { lines[line][field] = "\(time - seconds * 1_000_000)" }
    }
    earlier(0, 1)
    earlier(0, 2)
    for line in lines.indices where lines[line].first == "b" { earlier(line, 1) }
    return AccountingMark(method, lines.map { $0.joined(separator: " ") }.joined(separator: "\n"))
  }
}
