"""The outboxes of systems that keep them in PostgreSQL."""

from tables import EXTRA, Queue


class PostgreSQLQueue(Queue):
    def elapsed(self):
        """Seconds since the transaction read its clock for the ages of events."""
        return float(self.run("SELECT extract(epoch FROM clock_timestamp() - now())::float8").fetchone()[0])


class AiHummerOutbox(PostgreSQLQueue):
    table = "outbox"
    destination = "channel"
    dead_table = ("outbox_dlq", "channel", "failed_at", "created_at")
    due = "(next_attempt_at IS NULL OR next_attempt_at <= now())"
    waiting = f"status IN ('pending', 'failed') AND {due}"
    cancellable = "status = 'pending'"
    claimed = "status = 'sending'"
    expired = "status = 'sending' AND locked_at < now() - interval '5 minutes'"
    dead = "status = 'dead'"
    prunable = "status = 'delivered'"
    first_due = "CASE WHEN attempts > 0 THEN created_at ELSE COALESCE(next_attempt_at, created_at) END"
    age = f"extract(epoch FROM now() - {first_due})::float8"
    failed_assignments = "status = 'failed', attempts = attempts + 1, next_attempt_at = now(), updated_at = now()"
    dead_assignments = "status = 'dead', attempts = attempts + 1, updated_at = clock_timestamp()"
    released_assignments = "status = 'pending', locked_at = NULL"
    reaped_assignments = "locked_at = now()"
    requeued_assignments = "status = 'pending', attempts = 0, next_attempt_at = NULL"

    def now(self):
        return "clock_timestamp()"

    def write(self, destination, chance, returned=0):
        delay = "clock_timestamp() + interval '0.3 s'" if chance.random() < 0.1 and not returned else "NULL"
        self.run(
            f"INSERT INTO outbox (channel, created_at, next_attempt_at, returned, touched) "
            f"VALUES (%s, clock_timestamp(), {delay}, %s, %s)", (destination, returned, self.epoch))

    def claimed_assignments(self, chance):
        since = "now() - interval '400 s'" if "reap" in self.operations and chance.random() < 0.1 else "now()"
        return f"status = 'sending', locked_at = {since}"

    def delivered(self, events, touched):
        return self.change(
            events, f"status = 'delivered', delivered_at = clock_timestamp(), updated_at = now(), {touched}",
            f"channel, extract(epoch FROM delivered_at - {self.first_due})::float8")


class KaireonOutbox(PostgreSQLQueue):
    table = "outbox_events"
    destination = "topic"
    dead_table = ("dead_letter_events", "topic", '"failedAt"', '"createdAt"')
    exhumed = (
        "INSERT INTO outbox_events (id, status, topic, \"createdAt\", \"updatedAt\", returned, touched) "
        "VALUES (%s, 'pending', %s, %s, {now}, 1, %s)")
    attempts = '"retryCount"'
    waiting = "status = 'pending'"
    cancellable = waiting
    claimed = "status = 'processing'"
    expired = "status = 'processing' AND \"updatedAt\" < (now() AT TIME ZONE 'UTC') - interval '5 minutes'"
    dead = "status IN ('failed', 'dead_letter', 'dead')"
    prunable = "status IN ('published', 'processed', 'completed', 'sent')"
    age = "extract(epoch FROM (now() AT TIME ZONE 'UTC') - \"createdAt\")::float8"
    failed_assignments = "status = 'pending', \"retryCount\" = \"retryCount\" + 1, \"updatedAt\" = {now}"
    dead_assignments = "status = 'failed', \"updatedAt\" = {now}"
    released_assignments = "status = 'pending', \"updatedAt\" = {now}"
    reaped_assignments = "\"updatedAt\" = {now}"
    requeued_assignments = "status = 'pending', \"retryCount\" = 0, \"updatedAt\" = {now}"

    def now(self):
        return "(clock_timestamp() AT TIME ZONE 'UTC')"

    def write(self, destination, chance, returned=0):
        self.run(
            "INSERT INTO outbox_events (id, status, topic, \"createdAt\", \"updatedAt\", returned, touched) "
            "VALUES (gen_random_uuid(), 'pending', %s, {now}, {now}, %s, %s)", (destination, returned, self.epoch))

    def claimed_assignments(self, chance):
        old = "reap" in self.operations and chance.random() < 0.1
        return "status = 'processing', \"updatedAt\" = {now}" + (" - interval '400 s'" if old else "")

    def delivered(self, events, touched):
        return self.change(
            events, f"status = 'published', \"publishedAt\" = {{now}}, \"updatedAt\" = {{now}}, {touched}",
            "topic, extract(epoch FROM \"publishedAt\" - \"createdAt\")::float8")


class RelaycastEvents(PostgreSQLQueue):
    """The older queue. A claim raises the attempts, and success deletes."""

    suffix = "pending_events"
    table = "pending_events"
    destination = "event_type"
    waiting = "status = 'pending' AND held = 0 AND process_after <= now() AND attempts < max_attempts"
    cancellable = "status = 'pending' AND attempts = 0"
    claimed = "held = 1"
    expired = "held = 1 AND last_error IS NULL AND process_after < now() AND attempts < max_attempts"
    dead = "status = 'failed'"
    # An attempt is counted when it begins.
    attempts = "attempts - 1"
    age = "extract(epoch FROM now() - CASE WHEN attempts > 0 THEN created_at ELSE process_after END)::float8"
    failed_assignments = "last_error = 'HTTP 503', process_after = clock_timestamp()"
    dead_assignments = "status = 'failed', last_error = 'HTTP 503', completed_at = clock_timestamp()"
    reaped_assignments = "attempts = attempts + 1, process_after = now() + interval '60 s'"
    requeued_assignments = "status = 'pending', attempts = 0, last_error = NULL, process_after = created_at"

    def now(self):
        return "clock_timestamp()"

    def write(self, destination, chance, returned=0):
        self.run(
            "INSERT INTO pending_events (id, workspace_id, event_type, created_at, process_after, touched) "
            "SELECT gen_random_uuid(), 'w', %s, t, t, %s FROM clock_timestamp() t", (destination, self.epoch))

    def claimed_assignments(self, chance):
        lease = "CASE WHEN last_error IS NULL THEN -1 ELSE 60 END" if (
            "reap" in self.operations and chance.random() < 0.1) else "60"
        return f"attempts = attempts + 1, process_after = clock_timestamp() + {lease} * interval '1 s'"

    def delivered(self, events, touched):
        if not events:
            return []
        where, values = self.database.keys("id", [event.key for event in events])
        return self.run(
            f"DELETE FROM pending_events WHERE {where} "
            "RETURNING event_type, extract(epoch FROM clock_timestamp() - created_at)::float8", values).fetchall()


class AiHummer:
    def queues(self, database):
        return [AiHummerOutbox]

    def schema(self, isIndexed):
        return f"""
            CREATE TABLE outbox (
              id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, channel text, status text NOT NULL DEFAULT 'pending',
              attempts integer NOT NULL DEFAULT 0, next_attempt_at timestamptz, locked_at timestamptz,
              created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, delivered_at timestamptz, {EXTRA});
            CREATE INDEX ON outbox (status, next_attempt_at);
            {'CREATE INDEX ON outbox (delivered_at);' if isIndexed else ''}
            CREATE TABLE outbox_dlq (
              id bigint, channel text, failed_at timestamptz, created_at timestamptz, touched integer);
            CREATE TABLE truth (entry text);
            """


class Kaireon:
    def queues(self, database):
        return [KaireonOutbox]

    def schema(self, isIndexed):
        return f"""
            CREATE TABLE outbox_events (
              id text PRIMARY KEY, status text NOT NULL, topic text, "retryCount" integer NOT NULL DEFAULT 0,
              "createdAt" timestamp(3) NOT NULL, "updatedAt" timestamp(3) NOT NULL, "publishedAt" timestamp(3), {EXTRA});
            CREATE INDEX ON outbox_events (status, "updatedAt");
            {'CREATE INDEX ON outbox_events ("publishedAt");' if isIndexed else ''}
            CREATE TABLE dead_letter_events (
              id text, topic text, "failedAt" timestamp(3), "createdAt" timestamp(3), touched integer);
            CREATE TABLE truth (entry text);
            """


class RelaycastInPostgreSQL:
    def queues(self, database):
        return [RelaycastEvents]

    def schema(self, isIndexed):
        return f"""
            CREATE TABLE pending_events (
              id text PRIMARY KEY, workspace_id text NOT NULL, event_type text NOT NULL,
              payload jsonb NOT NULL DEFAULT '{{}}', status text NOT NULL DEFAULT 'pending',
              attempts smallint NOT NULL DEFAULT 0, max_attempts smallint NOT NULL DEFAULT 30, last_error text,
              created_at timestamptz NOT NULL DEFAULT now(), process_after timestamptz NOT NULL DEFAULT now(),
              completed_at timestamptz, {EXTRA});
            CREATE INDEX idx_pending_events_status ON pending_events (status, process_after);
            CREATE INDEX idx_pending_events_workspace ON pending_events (workspace_id);
            CREATE TABLE truth (entry text);
            """
