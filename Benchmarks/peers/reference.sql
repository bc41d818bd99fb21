-- 1,000,000 rows: 990,000 delivered, 8,000 waiting, 1,000 in flight, 1,000 dead.
CREATE TABLE outbox_events (
  id uuid PRIMARY KEY, topic text NOT NULL, payload jsonb NOT NULL,
  status text NOT NULL CHECK (status IN ('pending', 'processing', 'published', 'failed')),
  attempts int NOT NULL DEFAULT 0, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL);
INSERT INTO outbox_events
SELECT gen_random_uuid(), 'topic.' || (g % 20), jsonb_build_object('n', g, 'pad', repeat('x', 200)),
  CASE WHEN g <= 990000 THEN 'published' WHEN g <= 998000 THEN 'pending' WHEN g <= 999000 THEN 'processing' ELSE 'failed' END,
  CASE WHEN g > 999000 THEN 10 ELSE g % 3 END,
  now() - (1000000 - g) * interval '0.1 second',
  now() - CASE WHEN g BETWEEN 998001 AND 999000 THEN (g - 998000 + 300) * interval '1 second' ELSE (1000000 - g) * interval '0.1 second' END
FROM generate_series(1, 1000000) g;
CREATE INDEX outbox_status_created ON outbox_events (status, created_at);
CREATE ROLE exporter LOGIN;
GRANT pg_monitor TO exporter;
GRANT SELECT ON outbox_events TO exporter;
VACUUM (ANALYZE) outbox_events;
CHECKPOINT;
