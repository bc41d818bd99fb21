#!/usr/bin/env python3
"""Writes the series of simulated exporters, to try dashboards and alert rules on: a stage is one situation that ends at
a time.

    synthetic.py --stage dead-worker --time 1763700000 --format openmetrics > series.txt
    promtool tsdb create-blocks-from openmetrics series.txt data
    synthetic.py --stage dead-worker --time 1763700000 --format victoriametrics --import http://127.0.0.1:8428

The same seed writes the same series. The names and labels are those that Prometheus makes of the exporter's OTLP, or
VictoriaMetrics with -opentelemetry.usePrometheusNaming.
"""

import argparse
import json
import pathlib
import random
import sys
import urllib.request

sys.dont_write_bytecode = True

from simulated_outbox import BOUNDS, DISPOSITIONS, STATES, Destination, judged  # noqa: E402

VERDICTS = ("unknown", "stalled", "spinning", "stuck", "rewound", "falling_behind", "draining", "ok", "idle")
SAMPLE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
INCIDENT = 40 * 60
# No exporter samples on the full minute.
PHASE = 7


class Outbox:
    """An outbox as an exporter sees it."""

    def __init__(self, name, destinations, layout="kaireon", system="postgresql", environment="production",
                 objective=(60, 0.99), accounting="history", replica=False):
        self.name, self.destinations, self.layout, self.system = name, destinations, layout, system
        self.environment, self.objective, self.accounting, self.replica = environment, objective, accounting, replica
        self.reachable = True
        self.failures = self.samples = 0
        self.durations, self.duration_sum, self.last_good = [0] * (len(SAMPLE_BOUNDS) + 1), 0.0, None
        self.peak_age = 0

    @property
    def promise(self):
        return self.objective[0] if self.objective else 300

    def step(self, now, passed, chance):
        for destination in self.destinations:
            destination.step(now, passed, self.promise)
        took = 5.0 if not self.reachable else 0.002 + 0.004 * chance.random()
        self.durations[next((i for i, bound in enumerate(SAMPLE_BOUNDS) if took <= bound), len(SAMPLE_BOUNDS))] += 1
        self.duration_sum += took
        self.failures += not self.reachable
        if self.reachable:
            self.last_good = now

    def verdict(self, now):
        if not self.reachable:
            return "unknown"
        history = [tuple(map(sum, zip(*steps))) for steps in zip(*(d.history for d in self.destinations))]
        waiting = any(destination.waiting() for destination in self.destinations)
        return judged(history, waiting, sorted((a for d in self.destinations for a in d.stuck(now)), reverse=True))

    def series(self, now, interval):
        """(name, labels, value) of everything that one sample sends."""
        base = {"outbox_name": self.name} | ({"outbox_environment": self.environment} if self.environment else {})
        yield "outbox_up", base | {"outbox_layout": self.layout, "db_system_name": self.system}, int(self.reachable)
        if self.objective:
            yield "outbox_objective_age_seconds", base, self.objective[0]
            yield "outbox_objective_target", base, self.objective[1]
        verdict = self.verdict(now)
        for word in VERDICTS:
            yield "outbox_verdict", base | {"outbox_verdict": word}, int(word == verdict)
        for kind in ("head", "counts"):
            yield "outbox_sample_interval_seconds", base | {"outbox_sample_kind": kind}, interval
        kind = base | {"outbox_sample_kind": "counts"}
        yield from histogram("outbox_sample_duration_seconds", kind, SAMPLE_BOUNDS, self.durations, self.duration_sum)
        yield "outbox_sample_skipped_total", base, 0
        if self.failures:
            yield "outbox_sample_failures_total", base | {"error_type": "unreachable"}, self.failures
        if not self.reachable:
            return
        for destination in self.destinations:
            yield from self.figures(destination, base | {"outbox_destination": destination.name}, now)
        stuck = [age for destination in self.destinations for age in destination.stuck(now)]
        dead = [now - since for destination in self.destinations for since in destination.dead]
        yield "outbox_stuck_age_seconds", base | {"outbox_stuck_reason": "lease_expired"}, max(stuck, default=0)
        yield "outbox_dlq_age_seconds", base, max(dead, default=0)
        yield "outbox_events_implausible", base, 0
        yield "outbox_sample_exact", base, 1
        if self.replica:
            yield "outbox_replica_lag_seconds", base, 0.4
        for word in ("head", "counts"):
            yield "outbox_sample_time_seconds", base | {"outbox_sample_kind": word}, now - PHASE
        if verdict == "draining":
            ready = [sum(entry) for entry in zip(*([h[0] for h in d.history] for d in self.destinations))]
            steps = len(ready) - ready.index(max(ready)) - 1
            gone = max(ready) - ready[-1]
            yield "outbox_drain_time_seconds", base, ready[-1] * steps * interval / gone

    def figures(self, destination, base, now):
        """What is sent of one destination."""
        held = {
            "ready": destination.ready, "scheduled": [entry[2] for entry in destination.scheduled],
            "claimed": destination.claimed, "parked": [], "unknown": [],
        }
        for state in STATES:
            for retry in (False, True):
                count = sum((event.attempts > 0) == retry for event in held[state])
                yield "outbox_depth", base | {"outbox_state": state, "outbox_retry": str(retry).lower()}, count
        for retry in (False, True):
            ages = sorted(now - event.due for event in destination.waiting() if (event.attempts > 0) == retry)
            for stat, share in (("oldest", 1), ("p99", 0.99), ("p50", 0.5)):
                value = ages[min(len(ages) - 1, int(len(ages) * share))] if ages else 0
                labels = {"outbox_stat": stat, "outbox_retry": str(retry).lower()}
                yield "outbox_event_age_seconds", base | labels, round(value, 3)
        stuck = {"outbox_stuck_reason": "lease_expired"}
        yield "outbox_stuck", base | stuck, len(destination.stuck(now))
        yield "outbox_dlq_depth", base, len(destination.dead)
        if self.accounting:
            method = base | {"outbox_accounting": self.accounting}
            yield "outbox_enqueued_total", method, destination.enqueued
            yield "outbox_requeued_total", method, destination.requeued
            for disposition in DISPOSITIONS:
                count = destination.deliveries[disposition]
                yield "outbox_deliveries_total", method | {"outbox_disposition": disposition}, count
            if self.objective:
                for result, count in destination.slo.items():
                    yield "outbox_slo_events_total", method | {"outbox_slo_result": result}, count
            yield from histogram(
                "outbox_delivery_duration_seconds", method, BOUNDS, destination.buckets, destination.duration_sum)
        verdict = destination.verdict(now)
        if verdict not in ("ok", "idle"):
            yield "outbox_verdict", base | {"outbox_verdict": verdict}, 1


def histogram(name, labels, bounds, buckets, total):
    """A classic histogram."""
    running = 0
    for bound, count in zip((*map(str, bounds), "+Inf"), buckets):
        running += count
        yield name + "_bucket", labels | {"le": bound}, running
    yield name + "_count", labels, running
    yield name + "_sum", labels, round(total, 3)


class Exporter:
    """A process with an id, and what it says of itself."""

    def __init__(self, number, environment):
        self.number, self.cycles, self.points = number, 0, 0
        self.base = {"outbox_environment": environment} if environment else {}

    def series(self, points):
        self.cycles += 1
        self.points += points
        endpoint = {"otel_component_name": "otlp_http_metric_exporter/0", "server_address": "collector",
                    "server_port": "4318"}
        kind = self.base | endpoint | {"otel_component_type": "otlp_http_metric_exporter"}
        yield "outbox_build", self.base | {"version": "0.1.0", "revision": "0123456789ab"}, 1
        yield "otel_sdk_exporter_metric_data_point_exported_total", kind, self.points
        yield "otel_sdk_exporter_metric_data_point_inflight", kind, points
        yield from histogram(
            "otel_sdk_exporter_operation_duration_seconds", kind | {"http_response_status_code": "200"}, (),
            [self.cycles], self.cycles * 0.005)
        for name in ("depth", "age_seconds"):
            yield f"outbox_spool_{name}", self.base | endpoint, 0
        for reason in ("full", "too_old", "rejected", "too_large", "corrupt"):
            yield "outbox_spool_dropped_total", self.base | endpoint | {"outbox_drop_reason": reason}, 0


def trio(chance):
    """Three outboxes as a small shop has them."""
    orders = Outbox("orders", [
        Destination("email", chance, 60, 400), Destination("sms", chance, 20, 200),
        Destination("webhook", chance, 30, 200, 0.04)], replica=True)
    bots = Outbox("bots", [Destination("telegram", chance, 12, 120), Destination("slack", chance, 6, 120)],
                  "praisonai", "sqlite", objective=(300, 0.95))
    billing = Outbox(
        "billing", [Destination("default", chance, 0.5, 60)], "relaycast", "sqlite", objective=(600, 0.999))
    return [orders, bots, billing]


def fleet(chance):
    """Fifty outboxes, of which one channel is down and one worker dead."""
    return [
        Outbox(f"shop-{number:02}", [
            Destination(name, chance, 2 + chance.random() * 8, 120) for name in ("email", "webhook")],
            objective=(60, 0.99)) for number in range(1, 51)]


def incident(stage, outboxes, now, start, first):
    """What happens from `start` on; `first` is true in the first step of it."""
    by_name = {outbox.name: outbox for outbox in outboxes}
    orders, bots = by_name.get("orders"), by_name.get("bots")
    if stage == "channel-down":
        orders.destinations[1].failing, orders.destinations[1].max_attempts = 1, 8
    elif stage == "dead-letters":
        orders.destinations[2].failing, orders.destinations[2].max_attempts = 0.7, 3
    elif stage == "dead-worker":
        for destination in bots.destinations:
            destination.alive = destination.reaper = False
    elif stage == "stuck-claims":
        for destination in orders.destinations:
            destination.reaper, destination.lost_claims = False, 0.004
    elif stage == "burst-and-drain" and first:
        orders.destinations[0].burst(16000, now)
    elif stage == "store-down":
        bots.reachable = False
    elif stage == "exporter-gone":
        bots.reachable = now >= start + INCIDENT / 8
    elif stage == "fleet":
        by_name["shop-17"].destinations[1].failing, by_name["shop-17"].destinations[1].max_attempts = 1, 9
        for destination in by_name["shop-42"].destinations:
            destination.alive = False
    elif stage == "recovered":
        broken = now < start + INCIDENT / 2
        for destination in bots.destinations:
            destination.alive = not broken


# What the shipped rules would say: name, severity, outbox, destination.
ALERTS = {
    "channel-down": [("OutboxOldestEventTooOld", "critical", "orders", "sms")],
    "dead-letters": [("OutboxDeadLettersArriving", "warning", "orders", "webhook")],
    "dead-worker": [("OutboxWorkerDead", "critical", "bots", name) for name in ("telegram", "slack")],
    "stuck-claims": [("OutboxEventsStuck", "warning", "orders", "email")],
    "burst-and-drain": [("OutboxOldestEventTooOld", "warning", "orders", "email")],
    "store-down": [("OutboxStoreUnreachable", "critical", "bots", None)],
    "exporter-gone": [("OutboxExporterGone", "critical", name, None) for name in ("orders", "bots", "billing")],
    "fleet": [("OutboxWorkerDead", "critical", "shop-42", "email")],
}
STAGES = ("healthy", "channel-down", "dead-letters", "dead-worker", "stuck-claims", "burst-and-drain", "store-down",
          "exporter-gone", "recovered", "fleet", "twins", "bare", "quiet")


def stage_series(stage, end, seed, interval, length, report=None):
    """(exporter, time, name, labels, value) of a stage; `report` gets what is true at its end."""
    chance = random.Random(seed)
    environment = None if stage in ("bare", "quiet") else "production"
    if stage == "fleet":
        outboxes = fleet(chance)
    elif stage == "bare":
        outboxes = [Outbox("praisonai", [Destination("default", chance, 10, 120)], "praisonai", "sqlite", None, None)]
    elif stage == "quiet":
        outboxes = [Outbox("orders", [Destination("email", chance, 0, 60)], environment=None)]
    else:
        outboxes = trio(chance)
    exporters = [Exporter(number, environment) for number in range(2 if stage == "twins" else 1)]
    start, begun = end - INCIDENT, False
    for now in range(end - length, end + 1, interval):
        if now >= start:
            incident(stage, outboxes, now, start, not begun)
            begun = True
        for outbox in outboxes:
            outbox.step(now, interval, chance)
        if stage == "exporter-gone" and now >= start + INCIDENT / 4:
            continue
        samples = [sample for outbox in outboxes for sample in outbox.series(now, interval)]
        for exporter in exporters:
            for sample in [*samples, *exporter.series(len(samples))]:
                yield exporter, now - PHASE, sample
    for name, severity, outbox, destination in ALERTS.get(stage, []):
        labels = {"alertname": name, "alertstate": "firing", "severity": severity, "outbox_name": outbox}
        labels |= {"outbox_environment": "production"} | ({"outbox_destination": destination} if destination else {})
        for now in range(start + 900, end + 1, 60):
            yield None, now, ("ALERTS", labels, 1)
    if report is not None:
        report[stage] = truth(outboxes, end)


def truth(outboxes, now):
    """What the simulation itself counts at the end of a stage, of the outboxes that can be read."""
    waiting = {
        outbox.name: [event for destination in outbox.destinations for event in destination.waiting()]
        for outbox in outboxes if outbox.reachable
    }
    read = [outbox for outbox in outboxes if outbox.reachable]
    return {
        "unread": len(outboxes) - len(read),
        "late": sum(
            any(now - event.due > outbox.promise for event in waiting[outbox.name]) for outbox in read),
        "oldest": max((now - event.due for events in waiting.values() for event in events), default=0),
        "backlog": sum(len(destination.ready) for outbox in read for destination in outbox.destinations),
        "retrying": sum(event.attempts > 0 for events in waiting.values() for event in events),
        "stuck": sum(len(destination.stuck(now)) for outbox in read for destination in outbox.destinations),
        "dead": {outbox.name: sum(len(d.dead) for d in outbox.destinations) for outbox in read},
    }


def of_backend(exporter, flavour):
    """The labels that a backend makes of the resource."""
    if exporter is None:
        return {}
    identity = f"00000000-0000-4000-8000-{exporter.number:012}"
    if flavour == "victoriametrics":
        return {"service_name": "outbox-exporter", "service_instance_id": identity, "service_version": "0.1.0",
                "scope_name": "outbox-exporter", "scope_version": "0.1.0"}
    return {"job": "outbox-exporter", "instance": identity}


def text(series, flavour):
    """Lines of the exposition format: seconds for OpenMetrics, milliseconds for VictoriaMetrics' import."""
    for exporter, now, (name, labels, value) in series:
        shown = ",".join(f'{key}="{value}"' for key, value in {**labels, **of_backend(exporter, flavour)}.items())
        yield f"{name}{{{shown}}} {value} {now * 1000 if flavour == 'victoriametrics' else now}\n"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--stage", action="append", required=True, metavar="STAGE[@TIME]",
                         help="one of " + ", ".join(STAGES) + "; may be repeated")
    options.add_argument("--time", type=int, help="when the stage ends, in Unix seconds")
    options.add_argument("--format", choices=("openmetrics", "victoriametrics"), default="openmetrics")
    options.add_argument("--import", dest="url", help="send it to a VictoriaMetrics instead of standard output")
    options.add_argument("--truth", help="also write what the simulation counts at the end into this file, as JSON")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--interval", type=int, default=30, help="seconds between samples")
    options.add_argument("--length", type=int, default=7200, help="seconds of the stage")
    arguments = options.parse_args()
    report = {}
    for stage in arguments.stage:
        name, _, end = stage.partition("@")
        if name not in STAGES:
            options.error(f"there is no stage {name}")
        lines = text(
            stage_series(name, int(end or arguments.time), arguments.seed, arguments.interval, arguments.length,
                report), arguments.format)
        if not arguments.url:
            sys.stdout.writelines(lines)
            continue
        request = urllib.request.Request(
            arguments.url.rstrip("/") + "/api/v1/import/prometheus", "".join(lines).encode(), method="POST")
        urllib.request.urlopen(request).close()
    if not arguments.url and arguments.format == "openmetrics":
        print("# EOF")
    if arguments.truth:
        pathlib.Path(arguments.truth).write_text(json.dumps(report), encoding="utf-8")


main()
