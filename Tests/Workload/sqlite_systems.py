"""The outboxes of systems that keep them in SQLite."""

import os, time

from tables import DESTINATIONS, EXTRA, Queue

EXPIRED = 400


class SQLiteQueue(Queue):
    # Times as the system stores them: so many to a second, whole or not.
    scale = 1
    isWhole = True

    def now(self, seconds=0):
        value = (time.time() + seconds) * self.scale
        return str(int(value)) if self.isWhole else repr(value)

    def sql(self, text):
        clock = repr(time.time() * self.scale)
        return text.replace("{now}", self.now()).replace("{expired}", self.now(-EXPIRED)).replace("{clock}", clock)

    def pick(self, condition, count, chance, pauses=0):
        self.picked = time.time()
        events = super().pick(condition, count, chance, pauses)
        self.seen = time.time()
        return events

    def elapsed(self):
        return time.time() - self.picked

    def claimed_assignments(self, chance):
        return self.late_claim if "reap" in self.operations and chance.random() < 0.1 else self.claim_assignments

    def take(self, events, seconds):
        """Success deletes the row."""
        # The clock of the ages was read before the events were seen: whoever is kept waiting in between has waited longer.
        since = time.time() - self.seen
        durations = [(event.destination, event.age + since if seconds else 0) for event in events]
        self.remove(events)
        return durations


def identifier():
    return os.urandom(12).hex()


class OutboundQueue(SQLiteQueue):
    table = "outbound_queue"
    isWhole = False
    destination = "substr(target, 1, instr(target, ':') - 1)"
    waiting = "status IN ('pending', 'failed', 'recovered')"
    cancellable = "status = 'pending'"
    claimed = "status = 'sending'"
    expired = "status = 'sending' AND last_attempt < {now} - 300"
    dead = "status = 'permanent_failure'"
    prunable = "status = 'sent'"
    age = "{clock} - ts"
    claim_assignments = "status = 'sending', last_attempt = {now}"
    late_claim = "status = 'sending', last_attempt = {expired}"
    failed_assignments = "status = 'failed', attempts = attempts + 1, last_attempt = {now}"
    dead_assignments = "status = 'permanent_failure', attempts = attempts + 1, last_attempt = {now}"
    released_assignments = "status = 'pending'"
    reaped_assignments = "status = 'recovered', last_attempt = {now}"
    requeued_assignments = "status = 'pending', attempts = 0"

    def write(self, destination, chance, returned=0):
        self.run(
            "INSERT INTO outbound_queue (ts, idempotency_key, target, payload, metadata, touched) "
            "VALUES ({now}, ?, ?, '{}', '{}', ?)", (identifier(), destination + ":1", self.epoch))

    def delivered(self, events, touched):
        return self.change(
            events, f"status = 'sent', sent_at = {{now}}, {touched}", f"{self.destination}, sent_at - ts")


class PendingEvents(SQLiteQueue):
    suffix = "pending_events"
    table = "pending_events"
    destination = "event_type"
    waiting = "status = 'pending' AND held = 0 AND process_after <= {now}"
    cancellable = "status = 'pending' AND attempts = 0"
    claimed = "held = 1"
    expired = "held = 1 AND last_error IS NULL AND process_after < {now} AND attempts < max_attempts"
    dead = "status = 'failed'"
    attempts = "attempts - 1"
    age = "{clock} - CASE WHEN attempts > 0 THEN created_at ELSE process_after END"
    claim_assignments = "attempts = attempts + 1, process_after = {now} + 60"
    late_claim = (
        "attempts = attempts + 1, process_after = CASE WHEN last_error IS NULL THEN {expired} ELSE {now} + 60 END")
    failed_assignments = "last_error = 'HTTP 503', process_after = {now}"
    dead_assignments = "status = 'failed', last_error = 'HTTP 503', completed_at = {now}"
    reaped_assignments = claim_assignments
    requeued_assignments = "status = 'pending', attempts = 0, last_error = NULL, process_after = created_at"

    def write(self, destination, chance, returned=0):
        self.run(
            "INSERT INTO pending_events (id, workspace_id, event_type, payload, max_attempts, created_at, process_after, "
            "touched) VALUES (?, 'w', ?, '{}', 30, {now}, {now}, ?)", (identifier(), destination, self.epoch))

    def delivered(self, events, touched):
        return self.take(events, True)


class WebhookDeliveries(SQLiteQueue):
    suffix = "webhook_deliveries"
    table = "webhook_deliveries"
    destination = "substr(event_id, 8)"
    waiting = "status = 'pending' AND held = 0 AND next_attempt_at <= {now}"
    cancellable = "status = 'pending' AND attempts = 0"
    claimed = "held = 1"
    expired = "held = 1 AND next_attempt_at < {now} - 300"
    dead = "status IN ('failed', 'dead_letter')"
    prunable = "status = 'succeeded'"
    attempts = "attempts - 1"
    age = "{clock} - CASE WHEN attempts > 0 THEN created_at ELSE next_attempt_at END"
    claim_assignments = "attempts = attempts + 1, last_error = NULL, next_attempt_at = {now} + 60"
    late_claim = "attempts = attempts + 1, last_error = NULL, next_attempt_at = {expired}"
    failed_assignments = "last_error = 'HTTP 503', next_attempt_at = {now}"
    dead_assignments = "status = 'dead_letter', last_error = 'HTTP 503', completed_at = {now}"
    reaped_assignments = claim_assignments
    # A claim has put the next attempt off.
    requeued_assignments = (
        "status = 'pending', attempts = 0, last_error = NULL, completed_at = NULL, next_attempt_at = {now}")

    def write(self, destination, chance, returned=0):
        self.run(
            "INSERT INTO webhook_deliveries (id, event_id, subscription_id, created_at, next_attempt_at, touched) "
            "VALUES (?, ?, ?, {now}, {now}, ?)", (identifier(), f"parent-{destination}", identifier(), self.epoch))

    def delivered(self, events, touched):
        return self.change(
            events, f"status = 'succeeded', completed_at = {{now}}, {touched}",
            f"{self.destination}, completed_at - created_at")


class Deliveries(SQLiteQueue):
    suffix = "deliveries"
    table = "deliveries"
    destination = "route_node_kind"
    waiting = "status = 'queued'"
    cancellable = "status = 'queued'"
    claimed = "status = 'delivered'"
    expired = "status = 'delivered' AND updated_at < {now} - 300"
    dead = "status IN ('failed', 'dead_lettered')"
    prunable = "status = 'acked'"
    attempts = "dispatch_attempts"
    age = "{clock} - created_at"
    claim_assignments = "status = 'delivered', delivered_at = {now}, updated_at = {now}"
    late_claim = "status = 'delivered', delivered_at = {expired}, updated_at = {expired}"
    failed_assignments = (
        "status = 'queued', dispatch_attempts = dispatch_attempts + 1, next_attempt_at = {now}, updated_at = {now}")
    dead_assignments = "status = 'dead_lettered', dead_lettered_at = {now}, updated_at = {now}"
    released_assignments = "status = 'queued', updated_at = {now}"
    reaped_assignments = "status = 'queued', updated_at = {now}"
    requeued_assignments = "status = 'queued', dispatch_attempts = 0, delivered_at = NULL, updated_at = {now}"

    def write(self, destination, chance, returned=0):
        self.run(
            "INSERT INTO deliveries (id, workspace_id, message_id, agent_id, route_node_kind, available_at, created_at, "
            "updated_at, seq, touched) VALUES (?, 'w', ?, ?, ?, {now}, {now}, {now}, ?, ?)",
            (identifier(), identifier(), identifier(), destination, chance.getrandbits(60), self.epoch))

    def delivered(self, events, touched):
        return self.change(
            events, f"status = 'acked', acked_at = {{now}}, updated_at = {{now}}, {touched}",
            "route_node_kind, acked_at - created_at")


class DeliveryQueueEntries(SQLiteQueue):
    """OpenClaw's. A delivered row is deleted; a dead one loses its channel and its time of writing."""

    table = "delivery_queue_entries"
    scale = 1000
    destination = "COALESCE(channel, 'default')"
    waiting = "queue_name = 'outbound' AND status = 'pending' AND recovery_state IS NULL"
    cancellable = waiting
    claimed = "queue_name = 'outbound' AND status = 'pending' AND recovery_state = 'send_attempt_started'"
    expired = claimed + " AND platform_send_started_at < {now} - 300000"
    dead = "queue_name = 'outbound' AND status = 'failed'"
    attempts = "retry_count"
    age = "({clock} - enqueued_at) / 1000.0"
    claim_assignments = "recovery_state = 'send_attempt_started', platform_send_started_at = {now}, updated_at = {now}"
    late_claim = (
        "recovery_state = 'send_attempt_started', platform_send_started_at = {expired}, updated_at = {expired}")
    failed_assignments = (
        "recovery_state = NULL, retry_count = retry_count + 1, last_attempt_at = {now}, updated_at = {now}")
    dead_assignments = (
        "status = 'failed', recovery_state = NULL, channel = NULL, enqueued_at = {now}, failed_at = {now}, "
        "updated_at = {now}")
    released_assignments = "recovery_state = NULL, updated_at = {now}"
    reaped_assignments = "platform_send_started_at = {now}, updated_at = {now}"
    requeued_assignments = "status = 'pending', retry_count = 0, failed_at = NULL, updated_at = {now}"

    def write(self, destination, chance, returned=0):
        self.run(
            "INSERT INTO delivery_queue_entries (queue_name, id, status, channel, entry_json, enqueued_at, updated_at, touched) "
            "VALUES ('outbound', ?, 'pending', ?, '{}', {now}, {now}, ?)", (identifier(), destination, self.epoch))

    def delivered(self, events, touched):
        return self.take(events, True)


class DeadLetters(SQLiteQueue):
    """A file of PraisonAI's dead letters. What is written there has died; that it is tried again, replayed, evicted or purged
    moves nothing, and a file that shrinks has nothing delivered."""

    isWhole = False
    # The library's `max_size` and `ttl_seconds`, whose defaults would let nothing leave while a test lasts.
    most = 300
    lifetime = 2.0
    destination = "platform"

    def enqueue(self, chance):
        """The library evicts what is too old before it writes, and what is too much after it."""
        self.prune(chance)
        super().enqueue(chance)
        self.take_away("1", self.run(f"SELECT count(*) FROM {self.table}").fetchone()[0] - self.most)

    def note(self, kind, destination, count=1):
        super().note(kind, destination, count)
        if kind == "enqueued":
            super().note("dead", destination, count)
            super().note("dead letters", destination, count)

    def take_away(self, condition, most=1_000_000):
        """The oldest go first: unless it is done in haste, only those that no sample can have missed."""
        if "hasty" not in self.operations:
            condition = f"({condition}) AND touched < {self.epoch}"
        for (destination,) in self.run(
                f"DELETE FROM {self.table} WHERE id IN (SELECT id FROM {self.table} WHERE {condition} ORDER BY ts "
                f"LIMIT {max(0, most)}) RETURNING {self.destination}").fetchall():
            self.note("dead letters", destination, -1)

    def replay(self, chance):
        """From the oldest on; what fails again is kept, with one attempt more."""
        for (key,) in self.run(
                f"SELECT id FROM {self.table} ORDER BY ts LIMIT {chance.choice([1, 5, 40])}").fetchall():
            if chance.random() < 0.6:
                self.take_away(f"id = {key}")
            else:
                self.run(f"UPDATE {self.table} SET attempts = attempts + 1 WHERE id = {key}")

    def prune(self, chance):
        self.take_away(f"ts <= {self.now(-self.lifetime)}")

    def clear(self, chance):
        """Somebody purges the file, which is rarely done: little would be left to count."""
        if chance.random() < 0.05:
            self.take_away("1")


class OutboundLetters(DeadLetters):
    table = "outbound_entries"

    def write(self, destination, chance, returned=0):
        self.run(
            "INSERT INTO outbound_entries (ts, platform, channel_id, reply_text, error, touched) "
            "VALUES ({now}, ?, '1', 'x', 'HTTP 503', ?)", (destination, self.epoch))


class InboundLetters(DeadLetters):
    table = "entries"

    def write(self, destination, chance, returned=0):
        self.run(
            "INSERT INTO entries (ts, platform, user_id, prompt, error, touched) "
            "VALUES ({now}, ?, '1', 'x', 'HTTP 503', ?)", (destination, self.epoch))


class PraisonAI:
    def queues(self, database):
        return [OutboundQueue]

    def schema(self, isIndexed):
        return f"""
            CREATE TABLE outbound_queue (
              id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, idempotency_key TEXT NOT NULL UNIQUE,
              target TEXT NOT NULL, payload TEXT NOT NULL, metadata TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
              attempts INTEGER NOT NULL DEFAULT 0, last_attempt REAL, error TEXT, sent_at REAL, {EXTRA});
            CREATE INDEX idx_status ON outbound_queue (status);
            CREATE INDEX idx_ts ON outbound_queue (ts);
            {'CREATE INDEX idx_sent_at ON outbound_queue (sent_at);' if isIndexed else ''}
            CREATE TABLE truth (entry TEXT);
            """


class PraisonAIOutboundLetters:
    def queues(self, database):
        return [OutboundLetters]

    def schema(self, isIndexed):
        return f"""
            CREATE TABLE outbound_entries (
              id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, platform TEXT NOT NULL, channel_id TEXT NOT NULL,
              reply_text TEXT NOT NULL, thread_id TEXT DEFAULT '', reply_to TEXT DEFAULT '', error TEXT DEFAULT '',
              attempts INTEGER DEFAULT 0, {EXTRA});
            CREATE INDEX idx_outbound_ts ON outbound_entries (ts);
            CREATE TABLE truth (entry TEXT);
            """


class PraisonAIInboundLetters:
    def queues(self, database):
        return [InboundLetters]

    def schema(self, isIndexed):
        return f"""
            CREATE TABLE entries (
              id INTEGER PRIMARY KEY AUTOINCREMENT, ts REAL NOT NULL, platform TEXT NOT NULL, user_id TEXT NOT NULL,
              prompt TEXT NOT NULL, chat_id TEXT DEFAULT '', thread_id TEXT DEFAULT '', user_name TEXT DEFAULT '',
              error TEXT DEFAULT '', attempts INTEGER DEFAULT 0, {EXTRA});
            CREATE INDEX idx_ts ON entries (ts);
            CREATE TABLE truth (entry TEXT);
            """


class Relaycast:
    def queues(self, database):
        return [PendingEvents, WebhookDeliveries, Deliveries]

    def schema(self, isIndexed):
        parents = ", ".join(f"('parent-{name}', 'w', '{name}', '{{}}', 'completed')" for name in DESTINATIONS)
        return f"""
            CREATE TABLE workspaces (id TEXT PRIMARY KEY NOT NULL);
            CREATE TABLE pending_events (
              id TEXT PRIMARY KEY NOT NULL, workspace_id TEXT NOT NULL, event_type TEXT NOT NULL, payload TEXT NOT NULL,
              status TEXT DEFAULT 'pending' NOT NULL, attempts INTEGER DEFAULT 0 NOT NULL,
              max_attempts INTEGER DEFAULT 5 NOT NULL, last_error TEXT,
              created_at INTEGER DEFAULT (unixepoch()) NOT NULL, process_after INTEGER DEFAULT (unixepoch()) NOT NULL,
              completed_at INTEGER, webhook_initialized INTEGER NOT NULL DEFAULT 0, {EXTRA});
            CREATE INDEX idx_pending_events_status ON pending_events (status, process_after);
            CREATE INDEX idx_pending_events_workspace ON pending_events (workspace_id);
            CREATE TABLE webhook_deliveries (
              id TEXT PRIMARY KEY NOT NULL, event_id TEXT NOT NULL, subscription_id TEXT NOT NULL,
              status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0,
              next_attempt_at INTEGER NOT NULL DEFAULT (unixepoch()), last_error TEXT, last_status INTEGER,
              created_at INTEGER NOT NULL DEFAULT (unixepoch()), completed_at INTEGER, {EXTRA});
            CREATE UNIQUE INDEX webhook_deliveries_event_subscription_unique
              ON webhook_deliveries(event_id, subscription_id);
            CREATE INDEX idx_webhook_deliveries_due ON webhook_deliveries(status, next_attempt_at);
            CREATE INDEX idx_webhook_deliveries_subscription ON webhook_deliveries(subscription_id, created_at);
            CREATE TABLE deliveries (
              id TEXT PRIMARY KEY NOT NULL, workspace_id TEXT NOT NULL, message_id TEXT NOT NULL, agent_id TEXT NOT NULL,
              status TEXT NOT NULL DEFAULT 'queued', available_at INTEGER,
              created_at INTEGER NOT NULL DEFAULT (unixepoch()), updated_at INTEGER, seq INTEGER NOT NULL DEFAULT 0,
              expires_at INTEGER, delivered_at INTEGER, acked_at INTEGER, dead_lettered_at INTEGER, route_node_kind TEXT,
              dispatch_attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at INTEGER, {EXTRA});
            CREATE UNIQUE INDEX deliveries_message_agent_unique ON deliveries(message_id, agent_id);
            CREATE INDEX idx_deliveries_status ON deliveries(workspace_id, status, created_at);
            CREATE INDEX idx_deliveries_expires ON deliveries(workspace_id, status, expires_at);
            CREATE INDEX idx_deliveries_retry_due ON deliveries(status, next_attempt_at, created_at, id)
              WHERE next_attempt_at IS NOT NULL;
            {'CREATE INDEX idx_deliveries_acked ON deliveries(acked_at);' if isIndexed else ''}
            INSERT INTO workspaces VALUES ('w');
            INSERT INTO pending_events (id, workspace_id, event_type, payload, status) VALUES {parents};
            CREATE TABLE truth (entry TEXT);
            """


class OpenClaw:
    def queues(self, database):
        return [DeliveryQueueEntries]

    def schema(self, isIndexed):
        return f"""
            CREATE TABLE delivery_queue_entries (
              queue_name TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, entry_kind TEXT, session_key TEXT,
              channel TEXT, target TEXT, account_id TEXT, retry_count INTEGER NOT NULL DEFAULT 0,
              last_attempt_at INTEGER, last_error TEXT, recovery_state TEXT, platform_send_started_at INTEGER,
              entry_json TEXT NOT NULL, enqueued_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, failed_at INTEGER,
              {EXTRA}, PRIMARY KEY (queue_name, id)) STRICT;
            CREATE INDEX idx_delivery_queue_pending ON delivery_queue_entries(queue_name, status, enqueued_at, id);
            CREATE INDEX idx_delivery_queue_failed ON delivery_queue_entries(queue_name, status, failed_at, id);
            CREATE TABLE truth (entry TEXT);
            """
