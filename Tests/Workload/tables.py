"""What applications do to an outbox in a database, and what that does to its events.

Every operation is a transaction, and what it does is written down in the same transaction: the truth holds whenever a
process is killed.
"""

import collections, json, os, signal, sqlite3, time

try:
    import psycopg
except ImportError:
    psycopg = None

DESTINATIONS = ["telegram", "email", "sms", "push"]
MOST_ATTEMPTS = 4
# The bounds of outbox.delivery.duration, as they are documented for the objective.
OBJECTIVE = 2.0
BOUNDS = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, OBJECTIVE, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 43200, 86400]

# What the workload keeps beside the columns of a system: the pause after which an event was touched last, whether it
# came back once, and whether somebody works on it.
EXTRA = "touched integer NOT NULL DEFAULT 0, returned integer NOT NULL DEFAULT 0, held integer NOT NULL DEFAULT 0"

Event = collections.namedtuple("Event", "key destination attempts age returned touched")


def bound(seconds):
    """The bound below which a duration falls, to the microsecond, since fractions of large times are not exact; those below
    zero come of clocks that differ."""
    return next((str(bound) for bound in BOUNDS if max(0, round(float(seconds), 6)) <= bound), "inf")


class PostgreSQL:
    mark = "%s"
    lock = " FOR UPDATE SKIP LOCKED"
    # How exactly a trigger tells the time, in seconds.
    rounding = 0

    def __init__(self, address):
        self.address = address
        self.connection = psycopg.connect(address)

    def run(self, statement, values=()):
        return self.connection.execute(statement, values)

    def make(self, statements):
        self.connection.execute(statements)
        self.connection.commit()

    def keys(self, column, keys):
        return f"{column} = ANY(%s)", [keys]

    def begin(self):
        pass

    def commit(self):
        self.connection.commit()

    def rollback(self):
        self.connection.rollback()

    def close(self):
        """With the session its share of the database's statistics is handed in."""
        self.connection.close()

    def tidy(self, tables):
        self.connection.autocommit = True
        for table in tables:
            self.connection.execute(f"VACUUM {table}")


class SQLite:
    mark = "?"
    lock = ""
    rounding = 0.002

    def __init__(self, address):
        self.address = address
        self.connection = sqlite3.connect(address, timeout=60, isolation_level=None)
        self.run("PRAGMA synchronous = OFF")

    def run(self, statement, values=()):
        return self.connection.execute(statement, values)

    def make(self, statements):
        self.connection.executescript("PRAGMA journal_mode = WAL;" + statements)

    def keys(self, column, keys):
        return f"{column} IN ({', '.join('?' * len(keys))})", keys

    def begin(self):
        self.run("BEGIN IMMEDIATE")

    def commit(self):
        self.run("COMMIT")

    def rollback(self):
        self.run("ROLLBACK")

    def close(self):
        self.connection.close()

    def tidy(self, tables):
        pass


class Queue:
    """One outbox of a system. Conditions and assignments are SQL; `{now}` is the time as the system stores it."""

    suffix = ""
    key = "id"
    # A table of dead letters: its name and its columns for the destination, the time of death and that of writing.
    dead_table = None
    # How an event comes back from there with its identity and its time of writing; None where it gets new ones.
    exhumed = None
    attempts = "attempts"
    prunable = None

    def __init__(self, database):
        self.database = database
        self.entry = collections.Counter()
        # False where the duration of a delivery falls between these bounds or those, by when a trigger read its clock.
        self.isDecided = True
        self.operations = ()
        self.epoch = 1

    @property
    def isLedger(self):
        return "ledger" in self.operations

    def now(self, seconds=0):
        raise NotImplementedError

    def sql(self, text):
        return text.replace("{now}", self.now())

    def run(self, statement, values=()):
        return self.database.run(self.sql(statement), values)

    def note(self, kind, destination, count=1):
        self.entry[kind, destination] += count

    def pick(self, condition, count, chance, pauses=0):
        """Events that nobody else works on at the moment, and that nobody touched since so many pauses: no sample can have
        missed them."""
        if pauses:
            condition = f"({condition}) AND touched <= {self.epoch - pauses}"
        rows = self.run(
            f"SELECT {self.key}, {self.destination}, {self.attempts}, {self.age}, returned, touched FROM {self.table} "
            f"WHERE {condition} LIMIT {count}{self.database.lock}").fetchall()
        return [Event(*row) for row in rows]

    def change(self, events, assignments, returning=None):
        if not events:
            return []
        where, values = self.database.keys(self.key, [event.key for event in events])
        found = self.run(
            f"UPDATE {self.table} SET {assignments} WHERE {where}" + (f" RETURNING {returning}" if returning else ""),
            values)
        return found.fetchall() if returning else []

    def remove(self, events):
        if events:
            where, values = self.database.keys(self.key, [event.key for event in events])
            self.run(f"DELETE FROM {self.table} WHERE {where}", values)

    # Operations

    def enqueue(self, chance):
        for _ in range(chance.choice([1, 1, 1, 5, 40])):
            destination = chance.choice(DESTINATIONS)
            self.write(destination, chance)
            self.note("enqueued", destination)

    def claim(self, chance):
        """Takes events and leaves them claimed: what becomes of them is somebody's next operation."""
        events = self.pick(self.waiting, chance.choice([1, 5, 40]), chance)
        self.change(events, self.claimed_assignments(chance) + ", held = 1")

    def settle(self, chance):
        fates = collections.defaultdict(list)
        for event in self.pick(self.claimed, chance.choice([1, 5, 40]), chance):
            fate = chance.random()
            if fate < 0.6:
                fates["deliver"].append(event)
            elif fate < 0.9:
                isPoisoned = self.dead_table and "move" in self.operations and chance.random() < 0.2
                fates["fail" if event.attempts + 1 < MOST_ATTEMPTS and not isPoisoned else "die"].append(event)
            elif "release" in self.operations:
                fates["release"].append(event)
        for fate, events in fates.items():
            getattr(self, fate)(events, chance)

    def deliver(self, events, chance):
        touched = f"held = 0, touched = {self.epoch}"
        durations = self.delivered(events, touched)
        # A trigger has read its clock after the ages were read and before this moment.
        earlier, later = -self.database.rounding, self.elapsed() + self.database.rounding
        for destination, seconds in durations:
            self.note("delivered", destination)
            if not self.isLedger:
                self.note("took " + bound(seconds), destination)
        for event in events if self.isLedger else []:
            took = bound(float(event.age) + earlier)
            self.note("took " + took, event.destination)
            self.isDecided = self.isDecided and took == bound(float(event.age) + later)

    def fail(self, events, chance):
        self.change(events, self.failed_assignments + ", held = 0")
        for event in events:
            self.note("retried", event.destination)

    def die(self, events, chance):
        for event in events:
            self.note("dead", event.destination)
        buried = []
        if self.dead_table and "move" in self.operations and chance.random() < 0.5:
            buried = [event for event in events if self.isLedger or self.is_known(event)]
        self.bury(buried)
        self.change(
            [event for event in events if event not in buried],
            self.dead_assignments + f", held = 0, touched = {self.epoch}")

    def is_known(self, event):
        """Whether a method that sees rows only knows all of an event that it finds as a dead letter in a table of its own: it
        takes the attempts of one that vanishes off those of others, and for one that it never saw waiting and that comes back
        with its time of writing it counts an arrival."""
        return event.attempts == 0 and (not self.exhumed or event.touched < self.epoch)

    def release(self, events, chance):
        self.change(events, self.released_assignments + ", held = 0")
        for event in events:
            self.note("released", event.destination)

    def reap(self, chance):
        """Somebody else takes what a claim has held for too long."""
        events = self.pick(self.expired, chance.randint(1, 5), chance)
        self.change(events, self.reaped_assignments)
        for event in events:
            self.note("released", event.destination)

    def cancel(self, chance):
        # A method that sees rows only takes the attempts of an event that vanishes off those of others.
        # An event that came back was counted for the objective, which nobody can tell when it is cancelled.
        condition, pauses = f"{self.cancellable} AND returned = 0", 0
        if not self.isLedger:
            condition, pauses = f"{condition} AND {self.attempts} = 0", 1
        events = self.pick(condition, chance.randint(1, 3), chance, pauses)
        self.remove(events)
        for event in events:
            self.note("discarded", event.destination)
            # Until the event is gone its deadline may pass, and a sample may see that.
            if float(event.age) < OBJECTIVE + 0.01:
                self.note("discarded on time", event.destination)
            if float(event.age) < OBJECTIVE - 1.5:
                self.note("discarded surely on time", event.destination)

    def requeue(self, chance):
        pauses = 0 if self.isLedger else 1
        events = self.pick(self.dead, chance.randint(1, 3), chance, pauses)
        self.change(events, self.requeued_assignments + f", returned = 1, touched = {self.epoch}")
        for event in events:
            self.note("requeued", event.destination)
        if self.dead_table and "move" in self.operations:
            self.exhume(chance, pauses)

    def prune(self, chance):
        """Takes away what is finished: nothing that a sample can have missed, unless it is done in haste."""
        haste = "hasty" in self.operations
        for condition in [self.prunable] + ([self.dead] if "evict" in self.operations else []):
            if condition and haste:
                self.remove(self.pick(condition, 1000, chance))
            elif condition:
                self.remove(self.pick(condition, chance.randint(1, 40), chance, 1))

    def clear(self, chance):
        """Takes dead letters away for good."""
        self.take_dead_letters(chance.randint(1, 3), 1)

    def savepoint(self, chance):
        """A part of the transaction is taken back, the rest is not."""
        self.run("SAVEPOINT inner_part")
        self.write(chance.choice(DESTINATIONS), chance)
        self.run("ROLLBACK TO SAVEPOINT inner_part")
        self.enqueue(chance)

    # Dead letters with a table of their own

    def bury(self, events):
        if not events:
            return
        table, destination, since, created = self.dead_table
        where, values = self.database.keys(self.key, [event.key for event in events])
        self.run(
            f"WITH gone AS (DELETE FROM {self.table} WHERE {where} RETURNING id, {destination}, {created}) "
            f"INSERT INTO {table} (id, {destination}, {since}, {created}, touched) "
            f"SELECT id, {destination}, {{now}}, {created}, {self.epoch} FROM gone", values)

    def take_dead_letters(self, count, pauses):
        table, destination, _, created = self.dead_table
        return self.run(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE touched <= {self.epoch - pauses} LIMIT {count} "
            f"FOR UPDATE SKIP LOCKED) RETURNING id, {destination}, {created}").fetchall()

    def exhume(self, chance, pauses):
        for letter in self.take_dead_letters(chance.randint(1, 3), pauses):
            if self.exhumed:
                self.run(self.exhumed, letter + (self.epoch,))
            else:
                self.write(letter[1], chance, returned=1)
            # A method that sees rows only does not know one again that has a new identity and a new time.
            isKnown = self.exhumed or self.isLedger
            self.note("requeued" if isKnown else "enqueued", letter[1])


class Outbox:
    """The queues of one system with one connection, as one worker sees them."""

    OPERATIONS = ["enqueue", "claim", "settle", "reap", "cancel", "requeue", "prune", "clear", "replay", "savepoint"]
    # How often an operation is done beside those that are done once.
    WEIGHTS = {"enqueue": 3, "claim": 5, "settle": 6}

    def __init__(self, system, address, operations, slot=0, directory=None):
        self.database = (SQLite if address.startswith("/") else PostgreSQL)(address)
        self.system, self.address, self.operations = system, address, operations
        self.queues = [queue(self.database) for queue in system.queues(self.database)]
        for queue in self.queues:
            queue.operations = operations
        self.names = [name for name in operations if name in self.OPERATIONS]

    def step(self, chance, epoch):
        queue = chance.choice(self.queues)
        queue.epoch = epoch
        queue.entry.clear()
        queue.isDecided = True
        names = self.names
        if "tidal" in self.operations:
            names = [name for name in names if name == "claim" or (name == "enqueue") == (epoch % 2 == 1)]
        if "apart" in self.operations:
            # Between two samples, what comes back and what is gone without a trace cancel each other out, and what leaves the
            # dead letters may be what has come and died.
            back = ("requeue", "clear")
            names = [
                name for name in names if (name in ("enqueue", "claim") + back if epoch % 3 == 2 else name not in back)]
        self.database.begin()
        getattr(queue, chance.choices(names, [self.WEIGHTS.get(name, 1) for name in names])[0])(chance)
        if queue.entry:
            entry = json.dumps([[queue.suffix, kind, name, count] for (kind, name), count in queue.entry.items()])
            self.database.run(f"INSERT INTO truth VALUES ({self.database.mark})", (entry,))
        fate = chance.random()
        if "late" in self.operations and fate < 0.003:
            time.sleep(chance.uniform(0.2, 1.2))
        if "rollback" in self.operations and fate > 0.95 or not queue.isDecided:
            self.database.rollback()
        elif "crash" in self.operations and fate > 0.945:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            self.database.commit()
            if "quit" in self.operations and fate > 0.94:
                os.kill(os.getpid(), signal.SIGKILL)

    def rest(self):
        """Leaves nothing open while everybody pauses."""
        self.database.close()

    def resume(self):
        self.database = type(self.database)(self.address)
        for queue in self.queues:
            queue.database = self.database


def take_truth(system, address, truth):
    """Adds up what has been written down since the last pause. Nobody works meanwhile."""
    database = (SQLite if address.startswith("/") else PostgreSQL)(address)
    database.begin()
    for (entry,) in database.run("SELECT entry FROM truth").fetchall():
        for queue, kind, name, count in json.loads(entry):
            truth[queue, kind, name] += count
    database.run("DELETE FROM truth")
    database.commit()
    database.tidy(["truth"] + [queue.table for queue in system.queues(database)])
    database.close()
