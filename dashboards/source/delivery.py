"""One outbox, or one destination of it: waiting, delivery time, losses."""

from .conditions import CONDITIONS, DISPOSITION_COLORS, STUCK_COLORS, TROUBLE
from .dashboard import DELIVERY, DESTINATION_LINK, DESTINATION_ROW_LINK, dashboard
from .model import (
    BLUE, GREEN, GREY, ORANGE, PLAIN, PURPLE, RED, YELLOW, color, heatmap, mapped, row, stat, state_timeline,
    steps, table, target, timeseries,
)
from .queries import (
    DESTINATION, LEFT, OUTBOX, age, destination_trouble, late_share, new_dead, of, once, quantile, rate,
    shared_buckets, total, unknown_outboxes, worst_destinations, worst_outboxes,
)

HERE = "{{outbox_name}} {{outbox_destination}} {{outbox_environment}}"
NAME = "{{outbox_name}} {{outbox_environment}}"
ENDED = 'outbox_disposition=~"delivered|retried|dead|released"'
FAILED = 'outbox_disposition=~"retried|dead|released"'


def counted(metric, *matchers):
    """A selector that follows the destination too."""
    return of(metric, *matchers, destination=True)


def attempts(matchers, window, labels=(), now=False):
    """How many attempts ended so. The statistics of a database show deaths, but no delivery to set them against."""
    ended = counted("outbox_deliveries_total", matchers, 'outbox_accounting!="statistics"')
    return total(
        f"increase({ended}[{window}])", list(labels), "outbox_destination", "outbox_disposition", read=now)


def flow(metric, labels, *over, matchers=()):
    """Events a minute, of the chosen destinations."""
    return total(rate(metric, *matchers, destination=True), list(labels), "outbox_destination", *over)


def strip():
    """The promise, and what breaks it."""
    return [
        stat(
            1, "Oldest waiting",
            "How long the event that waits longest has been due. Compare it with the objective below.",
            f"max({age(DESTINATION, True)})", unit="s", decimals=1),
        stat(
            2, "Late, last hour",
            "The share of events that missed their objective in the last hour: delivered late, dead, or still waiting "
            "when the deadline passed. No data: no objective is configured, no deadline passed, or it is not read now.",
            late_share("1h", destination=True, now=True), unit="percentunit", missing="no data"),
        stat(
            3, "Budget burn, 1 h",
            "How fast the objective's allowance of late events is used up: 1 uses exactly what is allowed, 14.4 uses a "
            "month's allowance in two days. The worst outbox counts. No data: as beside.",
            f'max({late_share("1h", OUTBOX, True, True)} / (1 - {once(of("outbox_objective_target"), *OUTBOX)} > 0))',
            decimals=1, missing="no data", thresholds=steps(PLAIN, (0, GREEN), (1, YELLOW), (14.4, RED))),
        stat(
            4, "Delivery time, p99",
            "99 of 100 events delivered in the last hour took at most about this long since they were first due, in the "
            "slowest outbox: an estimate between the bounds of a histogram, which may exceed the longest wait. Events "
            "that are not delivered are not in it: a dead worker looks fast here. Look at Oldest waiting beside it. No "
            "data: nothing was delivered, or it is not read now.",
            quantile(0.99, "1h", now=True), unit="s", decimals=1),
        stat(
            5, "Failed attempts, 1 h",
            "The share of attempts in the last hour that did not deliver: retried, dead or released. A few retries are "
            "normal. No data: there was no attempt, or it is not read now.",
            f'{attempts(FAILED, "1h", now=True)} / ({attempts(ENDED, "1h", now=True)} > 0)', unit="percentunit"),
        stat(
            6, "New dead, 1 h",
            "Events given up on within the last hour. Each one is a message that does not arrive.",
            new_dead([], True), thresholds=steps(PLAIN, (0, GREEN), (1, RED))),
        stat(
            7, "Oldest dead letter",
            "Since when the oldest dead letter has been waiting for somebody, of the whole outbox. 0 s: there is none.",
            f'max({once(of("outbox_dlq_age_seconds"), *OUTBOX)})', unit="s", decimals=1),
        stat(
            8, "Longest stuck",
            "Since when the event that is stuck longest cannot move by itself, of the whole outbox. 0 s: none is. A "
            "reaper that runs every few minutes keeps it below that.",
            f'max({once(of("outbox_stuck_age_seconds"), *OUTBOX)})', unit="s", decimals=1),
    ]


def destinations():
    """Which destination it is."""
    depth = ["outbox_state", "outbox_retry"]
    failed, ended = (attempts(matcher, "15m", DESTINATION, now=True) for matcher in (FAILED, ENDED))
    worth = [
        destination_trouble(True),
        age(DESTINATION, True),
        total(counted("outbox_depth", 'outbox_state="ready"'), DESTINATION, *depth),
        total(counted("outbox_depth", 'outbox_retry="true"'), DESTINATION, *depth),
        flow("outbox_enqueued_total", DESTINATION),
        flow("outbox_deliveries_total", DESTINATION, "outbox_disposition", matchers=[LEFT]),
        f"{failed} / ({ended} > 0)",
        total(counted("outbox_stuck"), DESTINATION, "outbox_stuck_reason"),
        new_dead(DESTINATION, True),
        total(counted("outbox_dlq_depth"), DESTINATION),
    ]
    targets = [target(expr, instant=True, ref=ref, format="table") for ref, expr in zip("ABCDEFGHIJ", worth)]
    cell = {"type": "color-background", "mode": "basic"}
    count, rated = {"unit": "short"}, {"unit": "cpm", "decimals": 1}
    columns = {
        "outbox_name": ("Outbox", {"custom__minWidth": 120}),
        "outbox_environment": ("Environment", {"custom__width": 110}),
        "outbox_destination": ("Destination", {"links": [DESTINATION_ROW_LINK], "custom__minWidth": 120}),
        "Value #A": ("Condition", {
            "mappings": mapped(CONDITIONS), "custom__cellOptions": cell, "custom__width": 120, "noValue": "ok",
        }),
        "Value #B": ("Oldest waiting", {"unit": "s", "decimals": 1}),
        "Value #C": ("Backlog", count),
        "Value #D": ("Tried before", count),
        "Value #E": ("In", rated),
        "Value #F": ("Out", rated),
        "Value #G": ("Failed, 15 min", {
            "unit": "percentunit", "decimals": 0, "custom__cellOptions": cell,
            "thresholds": steps(PLAIN, (0.1, YELLOW), (0.5, RED)),
        }),
        "Value #H": ("Stuck", count | {"custom__cellOptions": cell, "thresholds": steps(PLAIN, (1, ORANGE))}),
        "Value #I": ("New dead, 1 h", count | {"custom__cellOptions": cell, "thresholds": steps(PLAIN, (1, RED))}),
        "Value #J": ("Dead letters", count),
    }
    return [
        table(
            9, "Destinations",
            "One row for each destination, the longest wait first; its name narrows this page to it. A destination "
            "without a condition is ok or idle. In and Out are events a minute; tried before are events that failed at "
            "least once and still wait.",
            targets, columns, (24, 8), "Oldest waiting", missing="no outbox is read"),
        state_timeline(
            10, "Destinations in trouble, or draining",
            "Destinations whose own trend is neither ok nor idle, and when. Empty is good. A dead channel shows here "
            "although the outbox as a whole still moves. An outbox with no destination behind its name is not read, and "
            "nothing is known of any of them.",
            [
                target(f"{destination_trouble(True)} and {worst_destinations()}", HERE),
                target(f"{unknown_outboxes()} and {worst_outboxes()}", NAME, ref="B"),
            ],
            {number: shown for number, shown in CONDITIONS.items() if number in TROUBLE}, (24, 6),
            "none is in trouble", [DESTINATION_LINK]),
    ]


def waiting():
    """How long those wait that are not delivered yet."""
    lines = {"oldest": RED, "p99": ORANGE, "p50": BLUE}
    # The worst quantile of several destinations, since those of all together cannot be had from the parts.
    ages = [
        target(f"max({age(DESTINATION, True, stat)})", stat, ref=ref) for ref, stat in zip("ABC", lines)
    ]
    dashed = {"custom__lineStyle": {"dash": [8, 6], "fill": "dash"}, "custom__fillOpacity": 0}
    promised = f'min({once(of("outbox_objective_age_seconds"), *OUTBOX)})'
    depth = total(counted("outbox_depth"), ["outbox_retry"], "outbox_destination", "outbox_state")
    return [
        row(100, "Waiting"),
        timeseries(
            11, "Age of waiting events",
            "How long undelivered events have been due: the oldest, and the largest of the destinations' p99 and p50. "
            "One poison event lifts only the oldest; a dead worker lifts all three. Dashed: the strictest objective "
            "chosen.",
            [*ages, target(promised, "promised", ref="D")], "s",
            overrides=[color(name, fixed) for name, fixed in lines.items()] + [color("promised", GREY, **dashed)],
            decimals=1),
        timeseries(
            12, "Longest wait by destination",
            "How long the oldest due event of each destination has waited, for those with the longest waits.",
            [target(f"{age(DESTINATION, True)} and {worst_destinations()}", HERE)], "s", links=[DESTINATION_LINK],
            decimals=1, ranked=True, fill=0),
        timeseries(
            13, "Undelivered events: first attempts and retries",
            "What was never tried, against what failed before and waits again. Growing retries under a flat rest are a "
            "destination that refuses.",
            [target(depth, "{{outbox_retry}}")], "short", stacked=True, overrides=[
                color("true", YELLOW, displayName="tried before"), color("false", BLUE, displayName="never tried")]),
        timeseries(
            14, "Arrivals and departures",
            "Events a minute that came in, came back from the dead-letter queue, and left. While blue stays above "
            "green the backlog grows.",
            [
                target(flow("outbox_enqueued_total", []), "enqueued"),
                target(flow("outbox_requeued_total", []), "requeued", ref="B"),
                target(flow("outbox_deliveries_total", [], "outbox_disposition", matchers=[LEFT]), "left", ref="C"),
            ], "cpm",
            overrides=[color("enqueued", BLUE), color("requeued", PURPLE), color("left", GREEN)]),
    ]


def promise():
    """The objective, counted by events and not by what happened to be delivered."""
    burn = [
        target(f'max({late_share(window, OUTBOX, True)} / (1 - {once(of("outbox_objective_target"), *OUTBOX)} > 0))',
               window, ref=ref)
        for ref, window in zip("ABC", ("5m", "1h", "6h"))
    ]
    return [
        row(101, "Objective and delivery time"),
        timeseries(
            15, "Error budget burn",
            "How many times faster than allowed the share of late events grows, over three windows; the worst outbox. "
            "1 is what the objective allows. Where 5m and 1h are both above 14.4 (dashed, red) the alert pages; 6 "
            "(yellow) over hours is a ticket.",
            burn, "short", noValue="no objective", limits=steps(PLAIN, (6, YELLOW), (14.4, RED)), decimals=1, fill=0,
            # Green, yellow and red would say how bad it is, which the height does.
            overrides=[color("5m", BLUE), color("1h", PURPLE), color("6h", GREY)]),
        timeseries(
            16, "On time and late",
            "Events a minute by whether they met the objective. An event counts as late the moment its deadline "
            "passes, so that this shows a standstill too.",
            [target(flow("outbox_slo_events_total", ["outbox_slo_result"]), "{{outbox_slo_result}}")], "cpm",
            stacked=True, bars=True, noValue="no objective",
            overrides=[color("on_time", GREEN, displayName="on time"), color("late", RED)]),
        timeseries(
            17, "Delivery time",
            "Time from first due to delivered, of what was delivered, in the slowest outbox. Survivors only: in a "
            "standstill it shows nothing, and its first value afterwards is high.",
            [
                target(quantile(share, "$__rate_interval"), name, ref=ref)
                for ref, share, name in (("A", 0.99, "p99"), ("B", 0.95, "p95"), ("C", 0.5, "p50"))
            ], "s", overrides=[color("p99", RED), color("p95", ORANGE), color("p50", BLUE)], decimals=1),
        heatmap(
            18, "Distribution of delivery time",
            "How many events a minute took how long, darker for few and brighter for many. Two bands are two kinds of "
            "delivery: first attempts below, retries above.",
            total(
                rate("outbox_delivery_duration_seconds_bucket", shared_buckets(), destination=True), ["le"],
                *DESTINATION)),
    ]


def losses():
    """What fails, what is dead, what is stuck."""
    share = f'{attempts(FAILED, "10m", DESTINATION)} / ({attempts(ENDED, "10m", DESTINATION)} > 0)'
    return [
        row(102, "Failures and losses"),
        timeseries(
            19, "Failed share of attempts by destination",
            "Attempts of the last ten minutes that were retried, died or were released, as a share of all. One "
            "destination at 100 % is down; all of them at once is the network or the worker.",
            [target(f"{share} and {worst_destinations()}", HERE)], "percentunit", max=1, decimals=0, fill=0,
            links=[DESTINATION_LINK]),
        timeseries(
            20, "Outcomes of attempts",
            "Events a minute by how an attempt or a wait ended. Yellow will be tried again, red is dead, blue was "
            "taken back from a worker, grey was cancelled, purple left without a word.",
            [target(flow("outbox_deliveries_total", ["outbox_disposition"]), "{{outbox_disposition}}")], "cpm",
            stacked=True, bars=True,
            overrides=[color(name, fixed) for name, fixed in DISPOSITION_COLORS.items()]),
        timeseries(
            21, "Dead letters by destination",
            "Depth of the dead-letter queues of the destinations with the longest waits. A step up is new losses; a "
            "fall is a requeue or a purge.",
            [target(
                f'{total(counted("outbox_dlq_depth"), DESTINATION)} and '
                f'on ({", ".join(DESTINATION)}) topk(12, {once(largest_dead(), *DESTINATION)})', HERE)],
            "short", links=[DESTINATION_LINK], fill=0),
        timeseries(
            22, "Stuck events by reason",
            "Events that cannot move by themselves. lease_expired: the worker died and nobody takes its claims back. "
            "attempts_exhausted: given up, yet not dead. unclaimable: due, but nobody may claim it.",
            [target(total(counted("outbox_stuck"), ["outbox_stuck_reason"], "outbox_destination"),
                    "{{outbox_stuck_reason}}")], "short", stacked=True,
            overrides=[color(name, fixed) for name, fixed in STUCK_COLORS.items()]),
    ]


def largest_dead():
    """By how many dead letters the destinations are chosen."""
    return f'max_over_time({counted("outbox_dlq_depth")}[$__range] @ end())'


def capacity():
    """Looked at by day, not at night."""
    arrivals = total(f'60 * rate({counted("outbox_enqueued_total")}[$__rate_interval])', [], "outbox_destination")
    before = total(
        f'60 * rate({counted("outbox_enqueued_total")}[$__rate_interval] offset 1w)', [], "outbox_destination")
    drain = once(of("outbox_drain_time_seconds"), *OUTBOX)
    dashed = {"custom__lineStyle": {"dash": [8, 6], "fill": "dash"}, "custom__fillOpacity": 0}
    settled = attempts('outbox_disposition=~"delivered|dead"', "15m")
    return [row(103, "Capacity", [
        timeseries(
            23, "Time to drain",
            "Until the backlog is empty if it goes on shrinking as it does. A gap: no trend, which is what you want of "
            "an empty outbox and not of a full one.",
            [target(f"{drain} and {worst_outboxes()}", "{{outbox_name}} {{outbox_environment}}")], "s", (8, 8),
            decimals=1, noValue="no trend"),
        timeseries(
            24, "Arrivals, now and a week ago",
            "Events a minute. Far below the dashed line: something upstream may have stopped writing.",
            [target(arrivals, "now"), target(before, "a week ago", ref="B")], "cpm", (8, 8),
            overrides=[color("now", BLUE), color("a week ago", GREY, **dashed)]),
        timeseries(
            25, "Attempts for each settled event",
            "Attempts of the last fifteen minutes for each event that was delivered or died. 1 is ideal; 5 means that "
            "four of five attempts are wasted.",
            [target(f'{attempts(ENDED, "15m")} / ({settled} > 0)', "attempts")], "short", (8, 8), decimals=1),
    ])]


def build():
    """The dashboard that the overview leads to."""
    return dashboard(
        DELIVERY, "Outbox / Delivery",
        "One outbox, or some, by destination: who waits, is the promise kept, what fails, what is lost?",
        [*strip(), *destinations(), *waiting(), *promise(), *losses(), *capacity()], destination=True)
