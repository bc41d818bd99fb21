"""Many outboxes in many databases of one cluster."""

SCHEMA = """
CREATE TABLE outbox_events_{n} (
  id text PRIMARY KEY, status text NOT NULL DEFAULT 'pending', topic text, payload jsonb NOT NULL DEFAULT '{{}}',
  "tenantId" text, "retryCount" integer NOT NULL DEFAULT 0, error text,
  "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(3) NOT NULL,
  "publishedAt" timestamp(3));
CREATE INDEX ON outbox_events_{n} (status, "updatedAt");
INSERT INTO outbox_events_{n} (id, status, topic, "createdAt", "updatedAt", "publishedAt")
  SELECT 'e' || i, CASE WHEN i % 6 = 0 THEN 'pending' ELSE 'published' END, 'topic' || i / 6 % {destinations},
    now() AT TIME ZONE 'UTC' - i * interval '1 second', now() AT TIME ZONE 'UTC' - i * interval '1 second',
    CASE WHEN i % 6 <> 0 THEN now() AT TIME ZONE 'UTC' END
  FROM generate_series(1, {rows}) i;
GRANT SELECT ON outbox_events_{n} TO PUBLIC;
"""


def build(cluster, databases, outboxes, destinations, rows=1200):
    """Databases d0, d1, …, each with so many outboxes of so many destinations; a sixth of the rows waits."""
    cluster.sql("CREATE DATABASE d0")
    for number in range(outboxes):
        cluster.sql(SCHEMA.format(n=number, destinations=destinations, rows=rows), "d0")
    cluster.sql("VACUUM ANALYZE", "d0")
    for number in range(1, databases):
        cluster.sql(f"CREATE DATABASE d{number} TEMPLATE d0 STRATEGY file_copy")
    cluster.sql("CREATE ROLE monitor LOGIN")


def configuration(cluster, databases, outboxes, interval, endpoint):
    lines = [f"interval: {interval}", "outboxes:"]
    for database in range(databases):
        for number in range(outboxes):
            lines.append(
                f"  - {{name: o{database}-{number}, dsn: \"{cluster.url(f'd{database}', 'monitor')}\", layout: kaireon, "
                f"tables: {{events: outbox_events_{number}}}}}")
    lines += ["export:", f"  - {{endpoint: \"{endpoint}\"}}"]
    return "\n".join(lines) + "\n"
