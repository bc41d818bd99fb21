"""What the conditions of an outbox are called and which colour they have, on every dashboard."""

from .model import GREEN, GREY, ORANGE, PURPLE, RED, YELLOW
from .queries import NO_TELEMETRY, NOT_READ, VERDICTS

SHOWN = {
    "unknown": ("unknown", GREY), "idle": ("idle", "dark-green"), "ok": ("ok", GREEN), "draining": ("draining", "blue"),
    "falling_behind": ("falling behind", YELLOW), "rewound": ("rewound", PURPLE), "stuck": ("stuck", ORANGE),
    "spinning": ("spinning", "dark-orange"), "stalled": ("stalled", RED),
}
CONDITIONS = {number: SHOWN[word] for number, word in enumerate(VERDICTS)} | {
    NOT_READ: ("not read", "dark-red"), NO_TELEMETRY: ("no telemetry", "dark-red"),
}
# What may be said of a single destination, and of an outbox of whose destinations nothing can be said.
TROUBLE = [number for number, word in enumerate(VERDICTS) if word not in ("unknown", "idle", "ok")] + [
    NOT_READ, NO_TELEMETRY]

# The events of a backlog and the ways they leave it.
STATE_COLORS = {"ready": ORANGE, "scheduled": PURPLE, "claimed": "blue", "parked": GREY, "unknown": RED}
DISPOSITION_COLORS = {
    "delivered": GREEN, "retried": YELLOW, "dead": RED, "released": "blue", "discarded": GREY, "unseen": PURPLE,
}

# Reasons of what went wrong: none of them is green.
STUCK_COLORS = {"lease_expired": ORANGE, "attempts_exhausted": RED, "unclaimable": PURPLE}
FAILURE_COLORS = {
    "unreachable": RED, "timeout": ORANGE, "lock_timeout": YELLOW, "authentication": PURPLE, "permission": "blue",
    "row_security": "#8ab8ff", "schema": "#c15c17", "corrupt": "dark-red", "absent": GREY, "_OTHER": "#fffdf7",
}
DROP_COLORS = {"full": RED, "too_old": ORANGE, "rejected": PURPLE, "too_large": YELLOW, "corrupt": "dark-red"}
