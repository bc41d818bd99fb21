"""Is anything waiting too long, growing, dying or stuck; where; and can I trust this?"""

from .conditions import CONDITIONS, DISPOSITION_COLORS, STATE_COLORS
from .dashboard import OUTBOX_LINK, OUTBOX_ROW_LINK, OVERVIEW, dashboard
from .model import (
    BLUE, GREEN, GREY, ORANGE, PLAIN, RED, alert_list, color, mapped, stat, state_timeline, steps, table,
    target, timeseries,
)
from .queries import (
    DEFAULT_OBJECTIVE, LEFT, OUTBOX, age, condition, destination_trouble, new_dead, objective, of, once, rate, total,
    unread, worst_destinations, worst_outboxes,
)

NAME = "{{outbox_name}} {{outbox_environment}}"
DEPTH = ["outbox_destination", "outbox_state", "outbox_retry"]
FLOW = ["outbox_destination", "outbox_disposition"]


def strip():
    """What a person needs at three in the morning: am I blind, is anybody waiting, is anything lost."""
    ready = of("outbox_depth", 'outbox_state="ready"')
    waiting = age(OUTBOX)
    return [
        stat(
            1, "Outboxes not read",
            "Outboxes heard of in the last six hours that have no good sample now: the store refuses, or the exporter "
            "is silent. Read this first: of these, nothing else on this page is known.",
            unread(), thresholds=steps(PLAIN, (0, GREEN), (1, RED)), missing="no exporter"),
        stat(
            2, "Outboxes late",
            "Outboxes whose oldest event has waited longer than their objective, or than "
            f"{DEFAULT_OBJECTIVE // 60} minutes where none is configured. Should be 0.",
            f"count({waiting} > {objective(waiting)}) or count({waiting}) * 0",
            thresholds=steps(PLAIN, (0, GREEN), (1, RED))),
        stat(
            3, "Oldest waiting",
            "How long the event that waits longest has been due: what a recipient feels. It has no limit of its own; "
            "compare it with what you promise. Scheduled, parked and dead events do not count.",
            f"max({waiting})", unit="s", decimals=1),
        stat(
            4, "Backlog",
            "Events that are due and that nobody holds. A large number that shrinks is healthy: see the time to "
            "drain. Outboxes that are not read are missing in it.",
            total(ready, [], *DEPTH)),
        stat(
            5, "Retrying",
            "Undelivered events that failed before. They wait out a back-off most of the time, so they are not in the "
            "backlog: a destination that refuses everything shows here first.",
            total(of("outbox_depth", 'outbox_retry="true"'), [], *DEPTH)),
        stat(
            6, "Time to drain",
            "Until the slowest backlog is empty if it goes on shrinking as it does. Without a trend there is no "
            "number: nothing waits, or the backlog does not shrink. No data: no outbox is read.",
            f'max({once(of("outbox_drain_time_seconds"), *OUTBOX)}) or '
            f'count({once(of("outbox_up"), *OUTBOX)} == 1) * 0 - 1',
            unit="s", decimals=1, mappings=mapped({-1: ("no trend", PLAIN)})),
        stat(
            7, "Stuck",
            "Events that cannot move by themselves: an expired claim that nobody takes back, no attempts left, or "
            "nobody who may claim them. A few that come and go are a reaper at work; those that stay need a person.",
            total(of("outbox_stuck"), [], "outbox_destination", "outbox_stuck_reason"),
            thresholds=steps(PLAIN, (0, GREEN), (1, ORANGE))),
        stat(
            8, "New dead, 1 h",
            "Events given up on within the last hour: counted as they died, or the rise of the dead-letter queue where "
            "that is larger or all there is. Each one is a message that does not arrive.",
            new_dead([]), thresholds=steps(PLAIN, (0, GREEN), (1, RED))),
    ]


def outbox_table():
    """One row for each outbox."""
    troubled = destination_trouble(healthy=("unknown", "idle", "ok", "draining"))
    worth = [
        once(f"{condition()} or {destination_trouble()}", *OUTBOX),
        f'count by ({", ".join(OUTBOX)}) ({troubled})',
        age(OUTBOX),
        total(of("outbox_depth", 'outbox_state="ready"'), OUTBOX, *DEPTH),
        total(of("outbox_depth", 'outbox_retry="true"'), OUTBOX, *DEPTH),
        total("60 * rate(" + of("outbox_enqueued_total") + "[$__rate_interval])", OUTBOX, "outbox_destination"),
        total("60 * rate(" + of("outbox_deliveries_total", LEFT) + "[$__rate_interval])", OUTBOX, *FLOW),
        total(of("outbox_stuck"), OUTBOX, "outbox_destination", "outbox_stuck_reason"),
        new_dead(OUTBOX),
        total(of("outbox_dlq_depth"), OUTBOX, "outbox_destination"),
        f'time() - {once("last_over_time(" + of("outbox_sample_time_seconds") + "[6h])", *OUTBOX)}',
    ]
    refs = "ABCDEFGHIJK"
    targets = [target(expr, instant=True, ref=ref, format="table") for ref, expr in zip(refs, worth)]
    cell = {"type": "color-background", "mode": "basic"}
    count = {"unit": "short"}
    flow = {"unit": "cpm", "decimals": 1}
    columns = {
        "outbox_name": ("Outbox", {"links": [OUTBOX_ROW_LINK], "custom__minWidth": 160}),
        "outbox_environment": ("Environment", {"custom__width": 120}),
        "Value #A": ("Condition", {
            "mappings": mapped(CONDITIONS), "custom__cellOptions": cell, "custom__width": 130,
        }),
        "Value #B": ("Destinations in trouble", count | {
            "custom__cellOptions": cell, "thresholds": steps(PLAIN, (1, ORANGE)), "noValue": "0",
        }),
        "Value #C": ("Oldest waiting", {"unit": "s", "decimals": 1}),
        "Value #D": ("Backlog", count),
        "Value #E": ("Retrying", count),
        "Value #F": ("In", flow),
        "Value #G": ("Out", flow),
        "Value #H": ("Stuck", count | {"custom__cellOptions": cell, "thresholds": steps(PLAIN, (1, ORANGE))}),
        "Value #I": ("New dead, 1 h", count | {"custom__cellOptions": cell, "thresholds": steps(PLAIN, (1, RED))}),
        "Value #J": ("Dead letters", count),
        "Value #K": ("Last sample", {
            "unit": "s", "decimals": 1, "custom__cellOptions": cell, "thresholds": steps(PLAIN, (300, RED)),
        }),
    }
    return table(
        11, "Outboxes",
        "One row for each outbox, the worst first; its name leads to its deliveries. Condition is the worst of the "
        "outbox and its destinations. In and Out are events a minute, Last sample is how long ago the store was last "
        "read. An outbox that was removed stays for six hours.",
        targets, columns, (24, 8), "Condition", missing="no exporter")


def charts():
    """Getting better or worse, and why."""
    arrivals = total(rate("outbox_enqueued_total"), [], "outbox_destination")
    requeued = total(rate("outbox_requeued_total"), [], "outbox_destination")
    departures = total(rate("outbox_deliveries_total", LEFT), [], *FLOW)
    outcomes = total(rate("outbox_deliveries_total"), ["outbox_disposition"], "outbox_destination")
    states = total(of("outbox_depth"), ["outbox_state"], *DEPTH)
    promised = once(of("outbox_objective_age_seconds"), *OUTBOX)
    dashed = {"custom__lineStyle": {"dash": [8, 6], "fill": "dash"}, "custom__fillOpacity": 0}
    return [
        timeseries(
            12, "Arrivals and departures",
            "Events a minute that came in, and that left: delivered, dead-lettered, discarded or gone unseen. While "
            "blue stays above green the backlog grows. Outboxes that are not read are missing in both.",
            [
                target(f"{arrivals} + ({requeued} or {arrivals} * 0)", "arrivals"),
                target(departures, "departures", ref="B"),
            ], "cpm", overrides=[color("arrivals", BLUE), color("departures", GREEN)]),
        timeseries(
            13, "Undelivered events by state",
            "All that is in the outboxes. Only ready events (orange) are backlog; scheduled ones are not due, claimed "
            "ones are in a worker's hands, parked ones wait for a person.",
            [target(states, "{{outbox_state}}")], "short", stacked=True,
            overrides=[color(name, fixed) for name, fixed in STATE_COLORS.items()]),
        timeseries(
            14, "Longest wait by outbox",
            "How long the oldest due event of each outbox has waited, for the outboxes with the longest waits. A "
            "saw-tooth is a worker that comes by; a straight climb is one that does not. Dashed: what is promised.",
            [
                target(f"{age(OUTBOX)} and {worst_outboxes()}", NAME),
                target(f"{promised} and {worst_outboxes()}", "promised: " + NAME, ref="B"),
            ], "s",
            overrides=[color("/^promised: /", GREY, True, **dashed, custom__hideFrom={
                "legend": True, "tooltip": False, "viz": False})], links=[OUTBOX_LINK], decimals=1, ranked=True, fill=0),
        timeseries(
            15, "Outcomes of attempts",
            "Events a minute by how an attempt or a wait ended. Yellow is a retry: work that will be done again. Red "
            "is lost until somebody requeues it. Unseen: it left, and the store does not say how.",
            [target(outcomes, "{{outbox_disposition}}")], "cpm", stacked=True, bars=True,
            overrides=[color(name, fixed) for name, fixed in DISPOSITION_COLORS.items()]),
    ]


def build():
    """The dashboard to begin with."""
    timeline = state_timeline(
        9, "Condition of each outbox",
        "What the exporter makes of the trend, without thresholds. Stalled: events wait and nobody tries. Spinning: "
        "they are tried and do not leave. Stuck: lost claims are not taken back. Rewound: finished events came back. "
        "Falling behind: the backlog or the longest wait grows. With a destination behind its name: that one is in "
        "trouble, or draining, even where the outbox as a whole moves. At most twelve of each: those with the longest "
        "waits.",
        [
            target(f"{condition(calm=True)} and {worst_outboxes()}", NAME),
            target(f"{destination_trouble()} and {worst_destinations(destination=False)}",
                   "{{outbox_name}} → {{outbox_destination}} {{outbox_environment}}", ref="B"),
        ], CONDITIONS, (16, 8), "no exporter", [OUTBOX_LINK])
    alerts = alert_list(
        10, "Alerts", "Alerts of the shipped rules that are pending or firing, wherever they are evaluated.", (8, 8))
    return dashboard(
        OVERVIEW, "Outbox / Overview",
        "Is anything waiting too long, growing, dying or stuck; where; and can this page be trusted?",
        [*strip(), timeline, alerts, outbox_table(), *charts()])
