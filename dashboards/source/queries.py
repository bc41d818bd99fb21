"""The PromQL that several panels share.

Two exporters may watch the same outbox, so that every figure of an outbox arrives twice, told apart by labels that
differ between backends. Every expression therefore takes the larger of both first (`once`), and adds up only then.
Nothing depends on job, instance or another label that a backend makes of resource attributes.
"""

OUTBOX = ["outbox_environment", "outbox_name"]
DESTINATION = OUTBOX + ["outbox_destination"]

# The events of a settled wait, which are no longer in the outbox.
LEFT = 'outbox_disposition=~"delivered|dead|discarded|unseen"'

# An outbox without an objective is late after this many seconds; the alert rules say the same.
DEFAULT_OBJECTIVE = 300

# How many outboxes or destinations a panel shows at most.
TOP = 12

# Worst last, so that the larger of two exporters' answers is the worse; one that knows nothing yet gives way.
VERDICTS = ["unknown", "idle", "ok", "draining", "falling_behind", "rewound", "stuck", "spinning", "stalled"]
NOT_READ, NO_TELEMETRY = 9, 10


def of(metric, *matchers, destination=False):
    """A selector that follows the dashboard's variables."""
    follows = ['outbox_environment=~"$environment"', 'outbox_name=~"$outbox"']
    if destination:
        follows.append('outbox_destination=~"$destination"')
    return metric + "{" + ", ".join(follows + list(matchers)) + "}"


def once(vector, *labels):
    """One value for each combination of the labels, however many exporters send it."""
    return f"max by ({', '.join(labels)}) ({vector})"


def total(vector, by, *over, read=False):
    """The sum by some labels of what is counted once for each combination of those and further ones; with `read` only of
    outboxes that are read at the moment."""
    counted = once(vector, *dict.fromkeys([*OUTBOX, *by, *over])) + (f" and {read_now()}" if read else "")
    return f"sum by ({', '.join(by)}) ({counted})" if by else f"sum({counted})"


def rate(metric, *matchers, destination=False):
    """Events a minute: outboxes are slow, and 0.03 a second says nothing to anybody."""
    return f"60 * rate({of(metric, *matchers, destination=destination)}[$__rate_interval])"


def age(labels, destination=False, stat="oldest"):
    """How long events have waited since they were first due."""
    return once(of("outbox_event_age_seconds", f'outbox_stat="{stat}"', destination=destination), *labels)


def objective(otherwise):
    """The promised age of each outbox; the default where none is configured."""
    return f'({once(of("outbox_objective_age_seconds"), *OUTBOX)} or {otherwise} * 0 + {DEFAULT_OBJECTIVE})'


def read_now():
    """What an outbox has to match to be among those that are read at the moment: of others the past hour says nothing."""
    return f'on ({", ".join(OUTBOX)}) ({once(of("outbox_up"), *OUTBOX)} == 1)'


def known():
    """The outboxes that were heard of in the last six hours."""
    return f'group by ({", ".join(OUTBOX)}) (present_over_time({of("outbox_up")}[6h]))'


def unread():
    """How many of them have no good sample right now: the store fails, or the exporter is silent."""
    return f'count({known()} unless {once(of("outbox_up"), *OUTBOX)} == 1) or count({known()}) * 0'


def condition(calm=False):
    """The verdict of each outbox as a number, the place in VERDICTS; 9 where it cannot be read, 10 where its exporter
    is silent. With `calm` idle is ok: a quiet outbox goes to and fro between them all day."""
    numbers = {word: number for number, word in enumerate(VERDICTS)}
    if calm:
        numbers["idle"] = numbers["ok"]
    verdicts = " or ".join(
        of("outbox_verdict", 'outbox_destination=""', f'outbox_verdict="{word}"') + f" * {number}"
        for word, number in numbers.items()
    )
    return once(f"{verdicts} or {failing()} or {silent()}", *OUTBOX)


def failing():
    """The outboxes whose store cannot be read, as that condition."""
    return f'({once(of("outbox_up"), *OUTBOX)} == 0) + {NOT_READ}'


def silent():
    """The outboxes whose exporter is silent, as that condition."""
    return f'({known()} unless {once(of("outbox_up"), *OUTBOX)}) * {NO_TELEMETRY}'


def unknown_outboxes():
    """Both of them."""
    return f"({failing()} or {silent()})"


def destination_trouble(destination=False, healthy=("unknown", "idle", "ok")):
    """The verdict of each destination that is neither ok nor idle, as a number. A dead channel leaves the outbox
    moving, whose own verdict then stays ok."""
    verdicts = " or ".join(
        of("outbox_verdict", 'outbox_destination!=""', f'outbox_verdict="{word}"', destination=destination)
        + f" * {number}"
        for number, word in enumerate(VERDICTS) if word not in healthy)
    return once(verdicts, *DESTINATION)


def worst_outboxes(count=TOP):
    """The outboxes that could not be read, and those with the longest waits, anywhere in the time range. The set is the
    same at every step, so that lines do not come and go."""
    waits = of("outbox_event_age_seconds", 'outbox_stat="oldest"')
    failures = f'(1 - min_over_time({of("outbox_up")}[$__range] @ end())) * 1e9'
    ranked = once(f"max_over_time({waits}[$__range] @ end()) or {failures}", *OUTBOX)
    return f"on ({', '.join(OUTBOX)}) topk({count}, {ranked})"


def worst_destinations(count=TOP, destination=True):
    """The destinations with the longest waits anywhere in the time range."""
    waits = of("outbox_event_age_seconds", 'outbox_stat="oldest"', destination=destination)
    ranked = once(f"max_over_time({waits}[$__range] @ end())", *DESTINATION)
    return f"on ({', '.join(DESTINATION)}) topk({count}, {ranked})"


def new_dead(labels, destination=False):
    """Events dead-lettered within the last hour, at least: those counted as they died, or the rise of the queue where
    that is larger or all there is. Nothing of an outbox that is not read now: the past hour says nothing of it."""
    counted = of("outbox_deliveries_total", 'outbox_disposition="dead"', destination=destination)
    depth = of("outbox_dlq_depth", destination=destination)
    found = once(f"increase({counted}[1h]) or {depth} - min_over_time({depth}[1h])", *DESTINATION)
    inner = f"round({found}) and {read_now()}"
    return f"sum by ({', '.join(labels)}) ({inner})" if labels else f"sum({inner})"


def late_share(window, labels=(), destination=False, now=False):
    """The share of events that missed their objective; nothing where no deadline passed. With `now` only of outboxes that
    are read at the moment: of the others the past hour says nothing."""
    late = of("outbox_slo_events_total", 'outbox_slo_result="late"', destination=destination)
    every = of("outbox_slo_events_total", destination=destination)
    read = f" and {read_now()}" if now else ""

    def counted(selector, *over):
        found = once(f"increase({selector}[{window}])", *dict.fromkeys([*OUTBOX, *labels, "outbox_destination", *over]))
        return f"sum by ({', '.join(labels)}) ({found}{read})" if labels else f"sum({found}{read})"

    return f"{counted(late)} / ({counted(every, 'outbox_slo_result')} > 0)"


def quantile(share, window, destination=True, now=False):
    """A quantile of the delivery time, of the outbox where it is longest: each has buckets of its own, since its objective is
    a bound. With `now` only of outboxes that are read at the moment. Prometheus says NaN where nothing was delivered, which
    Grafana would show."""
    buckets = of("outbox_delivery_duration_seconds_bucket", destination=destination)
    counted = total(f"increase({buckets}[{window}])", [*OUTBOX, "le"], *DESTINATION, read=now)
    return f"max(histogram_quantile({share}, {counted}) >= 0)"


# The bounds that the buckets of every outbox have.
SHARED_BOUNDS = [
    "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "120", "300", "600", "1800", "3600",
    "10800", "43200", "86400",
]


def shared_buckets():
    """A matcher for the buckets that can be added up over outboxes. Some backends write 5 as 5.0."""
    return f'le=~"({"|".join(SHARED_BOUNDS)})([.]0)?|[+]Inf"'
