"""What OpenClaw does to its directory of files: a temporary file that is renamed, a marker of what was delivered, a rename
into failed/. Some files are written in place, some are linked, and some dead ones are put back by copying.

A worker owns the files that it made. It writes down what it is about to do; where it is killed, the next one looks
whether it was done. So the truth holds whenever a process is killed.

How long a delivery took is known between two bounds: the reader is told of it after it was done and before the next pause
has ended. Of a file that was there in the last pause it has read since when the event waits, of any other it may have.
"""

import collections, json, os, signal, time

from tables import BOUNDS, DESTINATIONS, bound

WEIGHTS = {"enqueue": 30, "place": 4, "link": 1, "deliver": 20, "fail": 16, "die": 5, "discard": 2, "prune": 1,
           "requeue": 2, "copy": 1}


class Directory:
    def __init__(self, system, queue, operations, slot, directory):
        self.queue, self.operations, self.slot = queue, operations, slot
        self.state_file = f"{directory}/owned-{slot}"
        self.names = [name for name in operations if name in WEIGHTS]
        self.live, self.dead, self.count, self.serial = {}, {}, collections.Counter(), 0
        self.keys, self.crash_at = {}, None
        # Since the last pause: what was touched, what came, and what was delivered.
        self.touched, self.new, self.delivered = set(), set(), []
        self.recover()
        self.log = open(self.state_file + ".log", "a", buffering=1)

    def path(self, name):
        return f"{self.queue}/{name}.json"

    def grave(self, name):
        return f"{self.queue}/failed/{name}.json"

    # What was done before

    def recover(self):
        if os.path.exists(self.state_file):
            with open(self.state_file) as file:
                state = json.load(file)
            self.live, self.dead, self.serial = state["live"], state["dead"], state["serial"]
            self.count = collections.Counter({tuple(key): value for key, value in state["count"]})
            self.touched, self.new = set(state["touched"]), set(state["new"])
            self.delivered = state["delivered"]
        if not os.path.exists(self.state_file + ".log"):
            return
        with open(self.state_file + ".log") as file:
            intents = [json.loads(line) for line in file if line.endswith("\n")]
        for index, intent in enumerate(intents):
            self.touched.add(intent[1])
            if index < len(intents) - 1 or self.was_done(*intent):
                self.note(*intent)
            elif intent[0] in ("enqueue", "place", "link"):
                self.serial += 1
        self.keep()

    def was_done(self, what, name, channel, retries, made, took):
        if what in ("enqueue", "place", "link"):
            return os.path.exists(self.path(name))
        if what == "deliver":
            if os.path.exists(f"{self.queue}/{name}.delivered"):
                os.unlink(f"{self.queue}/{name}.delivered")
            return not os.path.exists(self.path(name))
        if what == "fail":
            with open(self.path(name)) as file:
                return json.load(file)["retryCount"] == retries
        if what in ("die", "discard"):
            return not os.path.exists(self.path(name))
        if what == "copy" and os.path.exists(self.path(name)) and os.path.exists(self.grave(name)):
            os.unlink(self.grave(name))
        return not os.path.exists(self.grave(name))

    def keep(self):
        """So that nobody has to go through all of the log again."""
        with open(self.state_file + ".tmp", "w") as file:
            json.dump(
                dict(live=self.live, dead=self.dead, serial=self.serial, count=list(self.count.items()),
                     touched=list(self.touched), new=list(self.new), delivered=self.delivered), file)
        # Between the two a kill is not possible: nobody is killed while it keeps or recovers.
        os.rename(self.state_file + ".tmp", self.state_file)
        open(self.state_file + ".log", "w").close()

    def note(self, what, name, channel, retries, made, took):
        if what in ("enqueue", "place", "link"):
            self.serial += 1
            self.live[name] = [channel, 0, made]
            self.new.add(name)
            self.count[channel, "enqueued"] += 1
        elif what == "deliver":
            del self.live[name]
            self.count[channel, "delivered"] += 1
            self.delivered.append([channel, "perhaps" if name in self.new else "took", took, made])
        elif what == "fail":
            self.live[name][1] = retries
            self.count[channel, "retried"] += 1
        elif what == "die":
            self.dead[name] = self.live.pop(name)
            self.count[channel, "dead"] += 1
        elif what == "discard":
            del self.live[name]
            self.count[channel, "discarded"] += 1
        elif what == "prune":
            del self.dead[name]
        else:
            self.live[name] = [channel, retries, made]
            self.new.add(name)
            del self.dead[name]
            self.count[channel, "requeued"] += 1

    # What is done

    def crash_point(self):
        if self.crash_at is not None:
            self.crash_at -= 1
            if self.crash_at < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def event(self, name, channel, retries, made, chance):
        return json.dumps({
            "id": name, "enqueuedAt": made, "retryCount": retries, "channel": channel,
            "to": "somebody", "payloads": [{"text": "x" * chance.randrange(600)}]})

    def write(self, name, text):
        temporary = f"{self.path(name)}.{os.getpid()}.tmp"
        with open(temporary, "w") as file:
            file.write(text)
        self.crash_point()
        os.rename(temporary, self.path(name))

    def pick(self, files, chance):
        known = self.keys.get(id(files))
        if not known or chance.random() < 0.02:
            known = self.keys[id(files)] = list(files)
        for _ in range(5):
            name = chance.choice(known) if known else None
            if name in files and not ("paced" in self.operations and name in self.touched):
                return name
        return None

    def step(self, chance, epoch):
        what = chance.choices(self.names, [WEIGHTS[name] for name in self.names])[0]
        is_new = what in ("enqueue", "place", "link")
        if is_new:
            name, channel, retries = f"{self.slot}-{self.serial}", chance.choice(DESTINATIONS), 0
            # Every other one has waited for so long that it hardly matters when the reader is told of its delivery.
            age = chance.choice([0, chance.choice(BOUNDS[11:]) * 1.01])
            made = int((time.time() - age) * 1000) - 5
        else:
            name = self.pick(self.dead if what in ("prune", "requeue", "copy") else self.live, chance)
            if name is None:
                return
            channel, retries, made = self.live.get(name) or self.dead[name]
            retries = retries + 1 if what == "fail" else 0 if what == "copy" else retries
        if "crash" in self.operations and chance.random() < 0.002:
            self.crash_at = chance.randrange(4)
        path, grave = self.path(name), self.grave(name)
        took = time.time() - made / 1000 if what == "deliver" else None
        self.log.write(json.dumps([what, name, channel, retries, made, took]) + "\n")
        self.crash_point()
        if what in ("enqueue", "fail"):
            self.write(name, self.event(name, channel, retries, made, chance))
        elif what == "place":
            with open(path, "w") as file:
                file.write(self.event(name, channel, 0, made, chance))
        elif what == "link":
            with open(f"{self.queue}/{name}.tmp", "w") as file:
                file.write(self.event(name, channel, 0, made, chance))
            os.link(f"{self.queue}/{name}.tmp", path)
            os.unlink(f"{self.queue}/{name}.tmp")
        elif what == "deliver":
            os.rename(path, f"{self.queue}/{name}.delivered")
            self.crash_point()
            os.unlink(f"{self.queue}/{name}.delivered")
        elif what == "die":
            os.rename(path, grave)
        elif what == "discard":
            os.unlink(path)
        elif what == "prune":
            os.unlink(grave)
        elif what == "requeue":
            os.rename(grave, path)
        else:
            self.write(name, self.event(name, channel, 0, made, chance))
            self.crash_point()
            os.unlink(grave)
        self.crash_point()
        self.note(what, name, channel, retries, made, took)
        self.touched.add(name)

    def rest(self):
        self.touched, self.new = set(), set()
        self.keep()

    def resume(self):
        for channel, kind, took, made in self.delivered:
            self.count[channel, f"{kind} {bound(took)} to {bound(time.time() - made / 1000)}"] += 1
        self.delivered = []
        self.keep()


def take_truth(directory, truth):
    """Adds up what every worker kept when it paused."""
    truth.clear()
    for name in os.listdir(directory):
        if name.startswith("owned-") and "." not in name:
            with open(f"{directory}/{name}") as file:
                for (channel, kind), count in json.load(file)["count"]:
                    truth["", kind, channel] += count
