"""Does the exporter read every store, and does what it reads get out?"""

from .conditions import DROP_COLORS, FAILURE_COLORS
from .dashboard import EXPORTER, dashboard
from .model import (
    BLUE, GREEN, ORANGE, PLAIN, RED, YELLOW, color, row, stat, state_timeline, steps, table, target,
    timeseries,
)
from .queries import OUTBOX, of, once, rate, unread, worst_outboxes

NAME = "{{outbox_name}} {{outbox_environment}}"
ENDPOINT = "{{server_address}}:{{server_port}}"
WHERE = 'outbox_environment=~"$environment"'


def own(metric, *matchers):
    """A selector of the exporters' own metrics, which are about no outbox. Two exporters are two of them: these are
    added up."""
    return metric + "{" + ", ".join([WHERE, *matchers]) + "}"


def strip():
    """Can the other two dashboards be trusted?"""
    return [
        stat(
            1, "Exporters", "Exporters that are sending now. Two on the same outbox are fine: no figure is doubled.",
            f'count({own("outbox_build")})', missing="none", thresholds=steps(RED, (1, GREEN))),
        stat(
            2, "Outboxes read", "Outboxes with a good sample right now.",
            f'count({once(of("outbox_up"), *OUTBOX)} == 1) or count({once(of("outbox_up"), *OUTBOX)}) * 0',
            missing="none"),
        stat(
            3, "Outboxes not read",
            "Outboxes heard of in the last six hours that have no good sample now: the store refuses, or the exporter "
            "is silent.",
            unread(), thresholds=steps(PLAIN, (0, GREEN), (1, RED)), missing="no exporter"),
        stat(
            4, "Failed samples, 1 h",
            "Samples of the last hour that failed, of all exporters. A single one is a restart of the database; the panel "
            "below has the reasons.",
            f'round(sum(increase({of("outbox_sample_failures_total")}[1h]))) and count({of("outbox_up")}) '
            f'or count({of("outbox_up")}) * 0',
            thresholds=steps(PLAIN, (0, GREEN), (1, YELLOW))),
        stat(
            5, "Estimates",
            "Outboxes of which a figure is an estimate and not an exact count, because counting would cost the store "
            "too much.",
            f'count({once(of("outbox_sample_exact"), *OUTBOX)} == 0) or count({of("outbox_sample_exact")}) * 0'),
        stat(
            6, "Telemetry waiting",
            "Age of the oldest batch that no endpoint has taken yet. What waits arrives late, with its original times; "
            "0 s: nothing waits.",
            f'max({own("outbox_spool_age_seconds")})', unit="s", decimals=1,
            thresholds=steps(PLAIN, (0, GREEN), (60, YELLOW), (600, RED))),
        stat(
            7, "Points lost, 24 h",
            "Data points of the last day that will never arrive: the spool was full, or the endpoint refused them.",
            f'round(sum(increase({own("outbox_spool_dropped_total")}[24h]))) and count({own("outbox_build")}) '
            f'or count({own("outbox_build")}) * 0',
            thresholds=steps(PLAIN, (0, GREEN), (1, RED))),
        stat(
            8, "Implausible times",
            "Events whose times cannot be true: negative, around 1970, or in the future without being scheduled. They "
            "are in no age. Somebody's clock or somebody's writer is wrong.",
            f'sum({once(of("outbox_events_implausible"), *OUTBOX)})', thresholds=steps(PLAIN, (1, YELLOW))),
    ]


def reading():
    """From the store into the exporter."""
    share = f'avg by ({", ".join(OUTBOX)}) ({of("outbox_up")})'
    reads = {0: ("not read", RED), (0.001, 0.999): ("by some exporters", ORANGE), 1: ("read", GREEN)}
    stale = f'time() - {once("last_over_time(" + of("outbox_sample_time_seconds") + "[6h])", *OUTBOX)}'
    rhythm = once(of("outbox_sample_interval_seconds"), *OUTBOX)
    failures = f'sum by (error_type) ({rate("outbox_sample_failures_total")})'
    counted = f'sum by (le) (rate({of("outbox_sample_duration_seconds_bucket")}[$__rate_interval]))'
    return [
        state_timeline(
            9, "Stores",
            "Whether each outbox was read. A gap: no telemetry at all. At most twelve outboxes: those that failed, "
            "then those with the longest waits.",
            [target(f"{share} and {worst_outboxes()}", NAME)], reads, (16, 8), "no exporter"),
        timeseries(
            10, "Failed samples by reason",
            "Failed samples a minute. unreachable, timeout and lock_timeout pass; authentication, permission, "
            "row_security and schema stay until somebody changes something.",
            [target(failures, "{{error_type}}")], "cpm", (8, 8), stacked=True, bars=True, calcs=("max",),
            noValue="no failed sample was reported",
            overrides=[color(name, fixed) for name, fixed in FAILURE_COLORS.items()]),
        timeseries(
            11, "Age of the last good sample",
            "How old the figures of the other dashboards are. A saw-tooth as high as the rhythm is right; a climb is a "
            "store that does not answer.",
            [target(f"{stale} and {worst_outboxes()}", NAME)], "s", (8, 8), decimals=1, fill=0),
        timeseries(
            12, "Rhythm of samples",
            "Time between two samples as it is at the moment. It rises by itself when samples cost the store too much.",
            [target(f"{rhythm} and {worst_outboxes()}", NAME)], "s", (8, 8), decimals=1, fill=0),
        timeseries(
            13, "Duration of samples",
            "What a sample takes, failed ones included. Near the statement timeout (5 s unless configured) it will "
            "soon fail.",
            [
                target(f"histogram_quantile({share}, {counted}) >= 0", name, ref=ref)
                for ref, share, name in (("A", 0.99, "p99"), ("B", 0.5, "p50"))
            ], "s", (8, 8), overrides=[color("p99", ORANGE), color("p50", BLUE)]),
        timeseries(
            14, "Skipped cycles",
            "Cycles a minute that left an outbox out because the one before was still running. Now and then is "
            "harmless; all the time means that the interval is too short for the store.",
            [target(
                f'{once(rate("outbox_sample_skipped_total"), *OUTBOX)} and {worst_outboxes()}', NAME)],
            "cpm", (12, 7), fill=0),
        timeseries(
            15, "Replica lag",
            "How far a sampled replica is behind its primary: the figures are that old. Empty where no store is a "
            "replica.",
            [target(f'{once(of("outbox_replica_lag_seconds"), *OUTBOX)} and {worst_outboxes()}', NAME)],
            "s", (12, 7), decimals=1, noValue="no store is a replica"),
    ]


def sending():
    """From the exporter to the endpoint."""
    labels = "server_address, server_port"
    exported = own("otel_sdk_exporter_metric_data_point_exported_total")
    results = (
        f'sum by (error_type) (label_replace(60 * rate({exported}[$__rate_interval]), "error_type", "exported", '
        '"error_type", ""))')
    # The conventions advise one bucket without bounds for it, so there is a mean and no quantile.
    spent, ended = (
        f'sum by ({labels}) (rate({own("otel_sdk_exporter_operation_duration_seconds_" + part)}[$__rate_interval]))'
        for part in ("sum", "count"))
    waiting = f'sum by ({labels}) ({own("outbox_spool_depth")})'
    dropped = f'sum by (outbox_drop_reason) (60 * rate({own("outbox_spool_dropped_total")}[$__rate_interval]))'
    return [
        row(100, "Sending"),
        timeseries(
            16, "Data points by result",
            "Data points a minute whose export ended, and the ways it failed. In an outage of the endpoint nothing "
            "arrives here either: it is filled in afterwards.",
            [target(results, "{{error_type}}")], "cpm", (8, 8), stacked=True,
            overrides=[color("exported", GREEN)]),
        timeseries(
            17, "Duration of exports",
            "What an export takes on average, all attempts and waits included, by endpoint. Seconds are retries.",
            [target(f"{spent} / ({ended} > 0)", ENDPOINT)], "s", (8, 8)),
        timeseries(
            18, "Data points in flight",
            "Data points handed over whose export has not ended yet. A plateau is normal, a climb is an endpoint that "
            "does not answer.",
            [target(f'sum by ({labels}) ({own("otel_sdk_exporter_metric_data_point_inflight")})', ENDPOINT)], "short",
            (8, 8)),
        timeseries(
            19, "Batches waiting",
            "Encoded batches in the spool, by endpoint. In an outage it climbs by one a cycle and empties afterwards.",
            [target(waiting, ENDPOINT)], "short", (8, 8)),
        timeseries(
            20, "Data points lost by reason",
            "Data points a minute that will never arrive. full: raise spool.max_bytes; too_old: the outage outlasted "
            "spool.max_age; rejected: the endpoint refuses them, see its log.",
            [target(dropped, "{{outbox_drop_reason}}")], "cpm", (8, 8), stacked=True, bars=True,
            calcs=(), overrides=[color(name, fixed) for name, fixed in DROP_COLORS.items()]),
        table(
            21, "Versions", "How many exporters run which build.",
            [target(f'count by (version, revision) ({own("outbox_build")})', instant=True, format="table")],
            {
                "version": ("Version", {}), "revision": ("Revision", {}),
                "Value": ("Exporters", {"unit": "short"}),
            }, (8, 8), "Exporters", missing="none"),
    ]


def build():
    """The dashboard about the watcher."""
    return dashboard(
        EXPORTER, "Outbox / Exporter",
        "Does the exporter read every store, and does what it reads get out?",
        [*strip(), *reading(), *sending()])
