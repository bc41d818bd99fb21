"""Workers that do to an outbox what applications do, and the truth about it.

    workload.py SYSTEM ADDRESS DIRECTORY SEED WORKERS OPERATIONS

SYSTEM is aihummer (a PostgreSQL conninfo), praisonai (an SQLite file) or openclaw (a directory); OPERATIONS are those
that are done, by name. Every worker is a process with a connection of its own. What an operation does to the outbox is
written down in the same transaction, so that the truth holds whenever a process is killed.

While the file `pause` is in DIRECTORY nobody does anything, and `truth.json` says what was done so far: the number of
each movement by destination, and the durations of deliveries. The file `stop` ends the workload.
"""

import collections, json, multiprocessing, os, random, signal, sqlite3, sys, time

DESTINATIONS = ["telegram", "email", "sms", "push"]
MOST_ATTEMPTS = 4


def exists(directory, name):
    return os.path.exists(os.path.join(directory, name))


class Table:
    """Operations that PostgreSQL and SQLite share; each is a transaction."""

    def note(self, kind, destination, count=1, duration=None):
        self.run(self.insert_truth, (kind, destination, count, duration))

    def enqueue(self, chance):
        for _ in range(chance.choice([1, 1, 1, 5, 40])):
            destination = chance.choice(DESTINATIONS)
            self.write(destination)
            self.note("enqueued", destination)

    def claim(self, chance):
        """Takes events and leaves them claimed: what becomes of them is somebody's next operation."""
        for event in self.pick(self.waiting, chance.randint(1, 10)):
            self.mark_claimed(event)

    def settle(self, chance):
        for event in self.pick(self.claimed, chance.randint(1, 10)):
            fate = chance.random()
            if fate < 0.6:
                self.note("delivered", event.destination, 1, self.mark_delivered(event))
            elif fate < 0.9 and event.attempts + 1 < MOST_ATTEMPTS:
                self.mark_failed(event)
                self.note("retried", event.destination)
            elif fate < 0.9:
                self.mark_dead(event)
                self.note("dead", event.destination)
            elif "release" in self.operations:
                self.mark_released(event)
                self.note("released", event.destination)

    def cancel(self, chance):
        for event in self.pick(self.waiting, 1):
            self.remove(event)
            self.note("discarded", event.destination)

    def requeue(self, chance):
        for event in self.pick(self.dead, chance.randint(1, 3)):
            self.mark_requeued(event)
            self.note("requeued", event.destination)


Event = collections.namedtuple("Event", "id destination attempts")


class AiHummer(Table):
    insert_truth = "INSERT INTO truth VALUES (%s, %s, %s, %s)"
    waiting = "status IN ('pending', 'failed')"
    claimed = "status = 'sending'"
    dead = "status = 'dead'"

    def __init__(self, address, operations):
        import psycopg

        self.connection = psycopg.connect(address)
        self.operations = operations

    def run(self, statement, values=()):
        return self.connection.execute(statement, values)

    def pick(self, rows, count):
        found = self.run(
            f"SELECT id, channel, attempts FROM outbox WHERE {rows} LIMIT %s FOR UPDATE SKIP LOCKED", (count,))
        return [Event(*row) for row in found.fetchall()]

    def write(self, destination):
        self.run("INSERT INTO outbox (channel, created_at) VALUES (%s, clock_timestamp())", (destination,))

    def mark_claimed(self, event):
        self.run("UPDATE outbox SET status = 'sending', locked_at = now() WHERE id = %s", (event.id,))

    def mark_delivered(self, event):
        row = self.run(
            "UPDATE outbox SET status = 'delivered', delivered_at = clock_timestamp(), updated_at = now() "
            "WHERE id = %s RETURNING extract(epoch FROM delivered_at - created_at)::float8", (event.id,)).fetchone()
        return row[0]

    def mark_failed(self, event):
        self.run(
            "UPDATE outbox SET status = 'failed', attempts = attempts + 1, next_attempt_at = now(), updated_at = now() "
            "WHERE id = %s", (event.id,))

    def mark_dead(self, event):
        self.run(
            "UPDATE outbox SET status = 'dead', attempts = attempts + 1, updated_at = clock_timestamp() WHERE id = %s",
            (event.id,))

    def mark_released(self, event):
        self.run("UPDATE outbox SET status = 'pending', locked_at = NULL WHERE id = %s", (event.id,))

    def remove(self, event):
        self.run("DELETE FROM outbox WHERE id = %s", (event.id,))

    def mark_requeued(self, event):
        self.run("UPDATE outbox SET status = 'pending', attempts = 0 WHERE id = %s", (event.id,))

    def prune(self, chance):
        self.run("DELETE FROM outbox WHERE status = 'delivered' AND delivered_at < now() - interval '10 minutes'")

    def savepoint(self, chance):
        """A part of the transaction is taken back, the rest is not."""
        self.run("SAVEPOINT inner_part")
        self.write(chance.choice(DESTINATIONS))
        self.run("ROLLBACK TO SAVEPOINT inner_part")
        self.enqueue(chance)

    def begin(self):
        pass

    def commit(self):
        self.connection.commit()

    def rollback(self):
        self.connection.rollback()

    def truth(self):
        return self.run("SELECT kind, destination, sum(count), array_agg(duration) FROM truth GROUP BY 1, 2").fetchall()


class PraisonAI(Table):
    insert_truth = "INSERT INTO truth VALUES (?, ?, ?, ?)"
    waiting = "status IN ('pending', 'failed')"
    claimed = "status = 'sending'"
    dead = "status = 'permanent_failure'"

    def __init__(self, address, operations):
        self.connection = sqlite3.connect(address, timeout=30, isolation_level=None)
        self.operations = operations

    def run(self, statement, values=()):
        return self.connection.execute(statement, values)

    def pick(self, rows, count):
        found = self.run(f"SELECT id, target, attempts FROM outbound_queue WHERE {rows} LIMIT ?", (count,)).fetchall()
        return [Event(id, target.split(":")[0], attempts) for id, target, attempts in found]

    def write(self, destination):
        self.run(
            "INSERT INTO outbound_queue (ts, idempotency_key, target, payload, metadata) VALUES (?, ?, ?, '{}', '{}')",
            (time.time(), os.urandom(12).hex(), destination + ":1"))

    def mark_claimed(self, event):
        self.run(
            "UPDATE outbound_queue SET status = 'sending', last_attempt = ? WHERE id = ?", (time.time(), event.id))

    def mark_delivered(self, event):
        return self.run(
            "UPDATE outbound_queue SET status = 'sent', sent_at = ? WHERE id = ? RETURNING sent_at - ts",
            (time.time(), event.id)).fetchone()[0]

    def mark_failed(self, event):
        self.run(
            "UPDATE outbound_queue SET status = 'failed', attempts = attempts + 1, last_attempt = ? WHERE id = ?",
            (time.time(), event.id))

    def mark_dead(self, event):
        self.run(
            "UPDATE outbound_queue SET status = 'permanent_failure', attempts = attempts + 1, last_attempt = ? "
            "WHERE id = ?", (time.time(), event.id))

    def mark_released(self, event):
        self.run("UPDATE outbound_queue SET status = 'pending' WHERE id = ?", (event.id,))

    def remove(self, event):
        self.run("DELETE FROM outbound_queue WHERE id = ?", (event.id,))

    def mark_requeued(self, event):
        self.run("UPDATE outbound_queue SET status = 'pending', attempts = 0 WHERE id = ?", (event.id,))

    def prune(self, chance):
        self.run("DELETE FROM outbound_queue WHERE status = 'sent' AND sent_at < ?", (time.time() - 600,))

    def begin(self):
        self.run("BEGIN IMMEDIATE")

    def commit(self):
        self.run("COMMIT")

    def rollback(self):
        self.run("ROLLBACK")

    def truth(self):
        found = self.run("SELECT kind, destination, count, duration FROM truth").fetchall()
        sums = collections.defaultdict(lambda: [0, []])
        for kind, destination, count, duration in found:
            sums[kind, destination][0] += count
            sums[kind, destination][1].append(duration)
        return [(kind, destination, count, durations) for (kind, destination), (count, durations) in sums.items()]


SYSTEMS = {"aihummer": AiHummer, "praisonai": PraisonAI}


def work(system, address, directory, seed, operations):
    chance = random.Random(seed)
    table = SYSTEMS[system](address, operations)
    names = [name for name in operations if hasattr(table, name)]
    weights = [{"enqueue": 3, "claim": 8, "settle": 10}.get(name, 1) for name in names]
    while not exists(directory, "stop"):
        if exists(directory, "pause"):
            open(os.path.join(directory, f"idle-{os.getpid()}"), "w").close()
            while exists(directory, "pause") and not exists(directory, "stop"):
                time.sleep(0.01)
            continue
        table.begin()
        getattr(table, chance.choices(names, weights)[0])(chance)
        fate = chance.random()
        if "late" in operations and fate < 0.01:
            time.sleep(chance.uniform(0.2, 1.5))
        if "rollback" in operations and fate > 0.95:
            table.rollback()
        elif "crash" in operations and fate > 0.945:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            table.commit()


def main():
    system, address, directory, seed, workers, operations = sys.argv[1:7]
    operations = operations.split(",")
    processes = {}
    number = 0
    while not exists(directory, "stop"):
        for process in [one for one in processes if not one.is_alive()]:
            del processes[process]
        while len(processes) < int(workers):
            number += 1
            arguments = (system, address, directory, f"{seed}-{number}", operations)
            process = multiprocessing.Process(target=work, args=arguments)
            process.start()
            processes[process] = True
        if exists(directory, "pause") and not exists(directory, "truth.json"):
            if all(exists(directory, f"idle-{process.pid}") for process in processes):
                table = SYSTEMS[system](address, operations)
                truth = [
                    dict(kind=kind, destination=destination, count=int(count), durations=[d for d in durations if d is not None])
                    for kind, destination, count, durations in table.truth()
                ]
                table.connection.close()
                with open(os.path.join(directory, "truth.tmp"), "w") as file:
                    json.dump(truth, file)
                os.rename(os.path.join(directory, "truth.tmp"), os.path.join(directory, "truth.json"))
                for name in os.listdir(directory):
                    if name.startswith("idle-"):
                        os.remove(os.path.join(directory, name))
                while exists(directory, "pause") and not exists(directory, "stop"):
                    time.sleep(0.01)
                os.remove(os.path.join(directory, "truth.json"))
        time.sleep(0.01)
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
