-- An application with several outboxes in one database: what writes to them, and what works at them. Each of these calls is
-- one transaction that also writes down what it has done, so that the truth commits with the rows.

CREATE TABLE outboxes (name text PRIMARY KEY, reaper boolean NOT NULL DEFAULT true, lease float8 NOT NULL);

-- What arrives for a destination in a second, how much of it is poison, and whether the far side refuses everything.
CREATE TABLE destinations (
  outbox text NOT NULL REFERENCES outboxes, topic text NOT NULL, rate float8 NOT NULL, poison float8 NOT NULL DEFAULT 0,
  refuses boolean NOT NULL DEFAULT false, PRIMARY KEY (outbox, topic));

CREATE TABLE truth (
  outbox text NOT NULL, topic text NOT NULL, kind text NOT NULL, count bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp());

-- When each session did something.
CREATE TABLE turns (session text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());

CREATE FUNCTION make(outbox text, lease float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO outboxes VALUES (outbox, true, lease);
  EXECUTE format(
    'CREATE TABLE %I (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, status text NOT NULL DEFAULT ''pending'',
      attempts integer NOT NULL DEFAULT 0, poison boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(), next_attempt_at timestamptz, locked_at timestamptz,
      locked_by text, finished_at timestamptz)', outbox);
  EXECUTE format('CREATE INDEX ON %I (status, next_attempt_at)', outbox);
END $$;

-- Writes what arrives in so many seconds, and takes back claims whose lease is over where a reaper does that.
CREATE FUNCTION live(session text, seconds float8) RETURNS void LANGUAGE plpgsql AS $$
DECLARE d record;
BEGIN
  INSERT INTO turns VALUES (session);
  FOR d IN SELECT * FROM destinations ORDER BY outbox, topic LOOP
    EXECUTE format(
      'WITH added AS (
        INSERT INTO %I (topic, poison)
        SELECT $1, random() < $2 FROM generate_series(1, floor($3 + random())::int) RETURNING topic)
      INSERT INTO truth SELECT $4, topic, ''enqueued'', count(*) FROM added GROUP BY topic', d.outbox)
      USING d.topic, d.poison, d.rate * seconds, d.outbox;
  END LOOP;
  FOR d IN SELECT * FROM outboxes WHERE reaper LOOP
    EXECUTE format(
      'WITH freed AS (
        UPDATE %I SET status = ''pending'', locked_at = NULL, locked_by = NULL
        WHERE status = ''sending'' AND locked_at < clock_timestamp() - make_interval(secs => $1) RETURNING topic)
      INSERT INTO truth SELECT $2, topic, ''released'', count(*) FROM freed GROUP BY topic', d.name)
      USING d.lease, d.name;
  END LOOP;
END $$;

-- A worker finishes what it has in hand and takes the next events. A back-off doubles from one minute to four.
CREATE FUNCTION work(session text, outbox text, worker text, capacity int, minute float8) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
  INSERT INTO turns VALUES (session);
  EXECUTE format(
    'WITH ended AS (
      UPDATE %I e SET
        status = CASE WHEN e.poison THEN ''dead'' WHEN d.refuses THEN ''pending'' ELSE ''sent'' END,
        attempts = e.attempts + (e.poison OR d.refuses)::int, locked_at = NULL, locked_by = NULL,
        next_attempt_at = CASE WHEN NOT e.poison AND d.refuses
          THEN clock_timestamp() + make_interval(secs => least(2 ^ e.attempts, 4) * $3) END,
        finished_at = CASE WHEN e.poison OR NOT d.refuses THEN clock_timestamp() END
      FROM destinations d
      WHERE d.outbox = $1 AND d.topic = e.topic AND e.status = ''sending'' AND e.locked_by = $2
      RETURNING e.topic, e.status)
    INSERT INTO truth
    SELECT $1, topic, CASE status WHEN ''sent'' THEN ''delivered'' WHEN ''dead'' THEN ''dead'' ELSE ''retried'' END, count(*)
    FROM ended GROUP BY topic, status', outbox) USING outbox, worker, minute;
  EXECUTE format(
    'UPDATE %I SET status = ''sending'', locked_at = clock_timestamp(), locked_by = $1 WHERE id IN (
      SELECT id FROM %I WHERE status = ''pending'' AND coalesce(next_attempt_at, created_at) <= clock_timestamp()
      ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)', outbox, outbox) USING worker, capacity;
END $$;

-- What a reader of the rows finds at a time, destination by destination.
CREATE FUNCTION found(outbox text, at float8) RETURNS TABLE (topic text, figure text, value float8) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE format(
    'WITH events AS (
      SELECT e.topic, e.attempts > 0 AS tried, $1 - extract(epoch FROM created_at)::float8 AS age,
        $1 - extract(epoch FROM finished_at)::float8 AS over,
        $1 - extract(epoch FROM locked_at)::float8 - o.lease AS stuck,
        CASE WHEN status = ''pending'' AND extract(epoch FROM next_attempt_at) > $1 THEN ''scheduled''
          WHEN status = ''pending'' THEN ''ready'' ELSE status END AS state
      FROM %I e, outboxes o WHERE o.name = $2 AND status <> ''sent'')
    SELECT d.topic, f.figure, f.value::float8 FROM destinations d, LATERAL (
      SELECT count(*) FILTER (WHERE state = ''ready'') AS ready, count(*) FILTER (WHERE state = ''scheduled'') AS scheduled,
        count(*) FILTER (WHERE state = ''sending'') AS claimed, count(*) FILTER (WHERE state = ''dead'') AS dead,
        count(*) FILTER (WHERE tried AND state <> ''dead'') AS retrying,
        count(*) FILTER (WHERE state = ''sending'' AND stuck > 0) AS stuck,
        coalesce(max(age) FILTER (WHERE state <> ''dead''), 0) AS oldest,
        coalesce(max(stuck) FILTER (WHERE state = ''sending'' AND stuck > 0), 0) AS stuck_age,
        coalesce(max(over) FILTER (WHERE state = ''dead''), 0) AS dead_age
      FROM events e WHERE e.topic = d.topic) s, LATERAL (VALUES
        (''ready'', s.ready), (''scheduled'', s.scheduled), (''claimed'', s.claimed), (''dead'', s.dead),
        (''retrying'', s.retrying), (''stuck'', s.stuck), (''oldest'', s.oldest), (''stuck_age'', s.stuck_age),
        (''dead_age'', s.dead_age)) AS f (figure, value)
    WHERE d.outbox = $2', outbox) USING at, outbox;
END $$;

-- What met a promise of so many seconds between two times and what missed it, each event once.
CREATE FUNCTION kept(outbox text, promise float8, since float8, until float8)
RETURNS TABLE (result text, value float8) LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE format(
    'WITH judged AS (
      SELECT CASE WHEN status = ''sent'' AND finished_at <= deadline THEN ''on_time'' ELSE ''late'' END AS result,
        extract(epoch FROM least(finished_at, deadline)) AS at
      FROM (SELECT *, created_at + make_interval(secs => $1) AS deadline FROM %I) e)
    SELECT result, count(*)::float8 FROM judged WHERE at > $2 AND at <= $3 GROUP BY result', outbox)
  USING promise, since, until;
END $$;
