"""Outboxes that are simulated event by event, so that every figure of a synthetic exporter follows from the others."""

import collections
import heapq
import math

STATES = ("ready", "scheduled", "claimed", "parked", "unknown")
DISPOSITIONS = ("delivered", "retried", "dead", "released", "discarded", "unseen")
BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400)
LEASE = 300
MEMORY = 9


class Event:
    """One event that waits."""

    __slots__ = ("due", "attempts", "late", "claimed")

    def __init__(self, due):
        self.due, self.attempts, self.late, self.claimed = due, 0, False, None


class Destination:
    """The events of one destination, the worker that takes them, and what has been counted."""

    def __init__(self, name, chance, rate=30.0, capacity=240.0, failing=0.01, attempts=5):
        self.name, self.chance = name, chance
        self.rate, self.capacity, self.failing, self.max_attempts = rate, capacity, failing, attempts
        self.alive, self.reaper, self.lost_claims = True, True, 0.0
        self.ready, self.scheduled, self.claimed, self.dead = collections.deque(), [], [], []
        self.enqueued = self.requeued = self.serial = 0
        self.deliveries = dict.fromkeys(DISPOSITIONS, 0)
        self.slo = {"on_time": 0, "late": 0}
        self.buckets, self.duration_sum = [0] * (len(BOUNDS) + 1), 0.0
        self.history = collections.deque(maxlen=40)

    def burst(self, count, now):
        """Many events at once."""
        self.enqueued += count
        self.ready.extend(Event(now) for _ in range(count))

    def requeue(self, now):
        """A person puts all dead letters back."""
        self.requeued += len(self.dead)
        for _ in self.dead:
            event = Event(now)
            event.late = True
            self.ready.append(event)
        self.dead = []

    def step(self, now, passed, promise):
        """One step between two samples."""
        arrived = poisson(self.rate * passed / 60, self.chance)
        self.enqueued += arrived
        for due in sorted(now - self.chance.random() * passed for _ in range(arrived)):
            self.ready.append(Event(due))
        while self.scheduled and self.scheduled[0][0] <= now:
            self.ready.append(heapq.heappop(self.scheduled)[2])
        tried = left = 0
        if self.alive:
            # What was in hand at the last sample is finished first; the rest of the step's work follows.
            in_hand = [event for event in self.claimed if event.claimed == "working"]
            self.claimed = [event for event in self.claimed if event.claimed != "working"]
            budget = int(self.capacity * passed / 60 + self.chance.random())
            while len(in_hand) < budget and self.ready:
                in_hand.append(self.ready.popleft())
            for event in in_hand:
                if self.chance.random() < self.lost_claims:
                    event.claimed = now
                    self.claimed.append(event)
                    continue
                tried += 1
                left += self.attempt(event, now, passed, promise)
            for _ in range(min(len(self.ready), self.chance.randrange(3))):
                event = self.ready.popleft()
                event.claimed = "working"
                self.claimed.append(event)
        else:
            for event in self.claimed:
                if event.claimed == "working":
                    event.claimed = now
        if self.reaper:
            for event in [event for event in self.claimed if event.claimed != "working"]:
                if now - event.claimed > LEASE:
                    self.claimed.remove(event)
                    self.deliveries["released"] += 1
                    self.ready.append(event)
        self.count_late(now, promise)
        self.history.append((len(self.ready), tried, left))

    def attempt(self, event, now, passed, promise):
        """One attempt; 1 where the event left by it."""
        event.claimed = None
        if self.chance.random() >= self.failing:
            waited = now - event.due
            duration = waited if waited > passed else max(0.05, waited * self.chance.random())
            self.deliveries["delivered"] += 1
            self.duration_sum += duration
            self.buckets[next((i for i, bound in enumerate(BOUNDS) if duration <= bound), len(BOUNDS))] += 1
            if not event.late:
                self.slo["on_time" if duration <= promise else "late"] += 1
            return 1
        event.attempts += 1
        if event.attempts >= self.max_attempts:
            self.deliveries["dead"] += 1
            self.dead.append(now)
            if not event.late:
                self.slo["late"] += 1
            return 1
        self.deliveries["retried"] += 1
        self.serial += 1
        heapq.heappush(self.scheduled, (now + 15 * 2 ** event.attempts, self.serial, event))
        return 0

    def waiting(self):
        """All that is not delivered and not dead."""
        return [*self.ready, *(entry[2] for entry in self.scheduled), *self.claimed]

    def count_late(self, now, promise):
        """Each event whose deadline has passed counts once, delivered or not."""
        for event in self.waiting():
            if not event.late and now - event.due > promise:
                event.late = True
                self.slo["late"] += 1

    def stuck(self, now):
        """Since when claims have been lost, longest first."""
        return sorted((now - event.claimed - LEASE for event in self.claimed
                       if event.claimed != "working" and now - event.claimed > LEASE), reverse=True)

    def verdict(self, now):
        """A rough form of what the exporter says."""
        return judged(self.history, bool(self.waiting()), self.stuck(now))


def judged(history, has_waiting, stuck):
    """The verdict on (ready, tried, left) of the last steps."""
    if len(history) < 5:
        return "unknown"
    recent = list(history)[-MEMORY:]
    ready = [entry[0] for entry in history]
    if has_waiting and not any(entry[2] for entry in recent):
        return "spinning" if any(entry[1] for entry in recent) else "stalled"
    if stuck and stuck[0] > 180:
        return "stuck"
    if len(ready) >= 20 and ready[-1] > 40 and ready[-1] > 1.5 * ready[-10] > 2 * ready[-20]:
        return "falling_behind"
    if max(ready) > 100 and ready[-1] < 0.9 * max(ready) and ready[-1] > 20:
        return "draining"
    return "ok" if has_waiting else "idle"


def poisson(mean, chance):
    """A number of events; the normal form where there are many."""
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
