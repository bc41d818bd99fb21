"""Panels with a time axis, as SVG."""

import html
import math
import time

from .values import PALETTE, field, formatted, legend, mapping, readable_on, rgb

GRID, TEXT, WEAK = "#2c3235", "#ccccdc", "#9fa7b3"
FONT = 'font-family="Inter, DejaVu Sans, sans-serif" font-size="12"'


class Frame:
    """The area of a plot and its time axis."""

    def __init__(self, width, height, left, session):
        self.left, self.right, self.top, self.bottom = left, width - 12, 8, height - 24
        self.start, self.end = session.end - session.length, session.end
        self.width, self.height = width, height

    def x(self, moment):
        return self.left + (moment - self.start) / (self.end - self.start) * (self.right - self.left)

    def axis(self):
        """Vertical lines at round times."""
        room = max(2, (self.right - self.left) // 90)
        every = next(step for step in (15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 10 ** 9)
                     if (self.end - self.start) / step <= room)
        for moment in range(math.ceil(self.start / every) * every, int(self.end) + 1, every):
            x = self.x(moment)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{self.top}" y2="{self.bottom}" stroke="{GRID}"/>'
            if self.left + 10 < x < self.right - 10:
                label = time.strftime("%H:%M" if every >= 60 else "%H:%M:%S", time.gmtime(moment))
                yield (f'<text x="{x:.1f}" y="{self.height - 7}" fill="{WEAK}" text-anchor="middle" {FONT}>'
                       f"{label}</text>")

    def svg(self, parts):
        return (f'<svg width="{self.width}" height="{self.height}" xmlns="http://www.w3.org/2000/svg">'
                + "".join(parts) + "</svg>")


def round_steps(top, room):
    """Values of a scale from 0, a few, one of 1, 2, 2.5 or 5 times a power of ten apart."""
    least = top / max(2, room // 34)
    power = 10 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least)
    return [step * index for index in range(int(top / step) + 2)]


def series_of(panel, session):
    """(name, labels, values, field) of every series of a panel, in the order of its queries."""
    result = []
    for query in panel["targets"]:
        for labels, values in session.run(query, panel):
            name = legend(labels, query["legendFormat"])
            result.append((name, labels, [(t, v) for t, v in values if math.isfinite(v)], field(panel, name)))
    return result


def pieces(values, step):
    """Values without the gaps between them."""
    part = []
    for moment, value in values:
        if part and moment - part[-1][0] > 1.5 * step:
            yield part
            part = []
        part.append((moment, value))
    if part:
        yield part


def stacked_values(shown):
    """The lower and upper edge of every series, one upon the other."""
    below, result = {}, []
    for _, _, values, _ in shown:
        edges = []
        for moment, value in values:
            low = below.get(moment, 0)
            edges.append((moment, low, low + value))
            below[moment] = low + value
        result.append(edges)
    return result


def timeseries(panel, session, width, height):
    """Lines, areas or bars, and the legend below."""
    shown = [entry for entry in series_of(panel, session) if entry[2]]
    defaults = panel["fieldConfig"]["defaults"]
    if not shown:
        return empty(defaults.get("noValue", "No data"))
    named = [entry for entry in shown if not entry[3]["custom"]["hideFrom"]["legend"]]
    beside = 30 + 85 * len(panel["options"]["legend"]["calcs"])
    lines = min(3, 1 + sum(len(entry[0]) * 7 + beside for entry in named) // width)
    legend_height = 22 * lines + 4
    custom = defaults["custom"]
    stacked = custom["stacking"]["mode"] == "normal"
    edges = stacked_values(shown) if stacked else [[(t, 0, v) for t, v in entry[2]] for entry in shown]
    top = max((high for part in edges for _, _, high in part), default=0) or 1
    if custom["thresholdsStyle"]["mode"] != "off":
        top = max(top, 1)
    top = defaults.get("max", top)
    frame_height = height - legend_height
    ticks = round_steps(top, frame_height - 32)
    if defaults.get("unit") == "short" and ticks[1] < 1 and all(v == int(v) for e in shown for _, v in e[2]):
        ticks = [0, 1]
    labels = [formatted(tick, defaults["unit"], None if defaults["unit"] == "short" else defaults.get("decimals"))
              for tick in ticks]
    frame = Frame(width, frame_height, 14 + 7 * max(map(len, labels)), session)
    ceiling = top * 1.05 if "max" not in defaults else defaults["max"]
    if ticks == [0, 1]:
        ceiling = 1.05

    def y(value):
        return frame.bottom - min(value, ceiling) / ceiling * (frame.bottom - frame.top)

    parts = list(frame.axis())
    for tick, label in zip(ticks, labels):
        if tick <= ceiling:
            parts.append(f'<line x1="{frame.left}" x2="{frame.right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" '
                         f'stroke="{GRID}"/><text x="{frame.left - 6}" y="{y(tick) + 4:.1f}" fill="{WEAK}" '
                         f'text-anchor="end" {FONT}>{html.escape(label)}</text>')
    step = session.step(panel)
    for index, ((name, _, _, config), part) in enumerate(zip(shown, edges)):
        parts += drawn(part, config, series_color(config, index), frame, y, step)
    for limit in defaults["thresholds"]["steps"][1:]:
        if custom["thresholdsStyle"]["mode"] != "off" and limit["value"] <= ceiling:
            parts.append(f'<line x1="{frame.left}" x2="{frame.right}" y1="{y(limit["value"]):.1f}" '
                         f'y2="{y(limit["value"]):.1f}" stroke="{rgb(limit["color"])}" stroke-dasharray="8 6"/>')
    return frame.svg(parts) + legend_below(shown, panel, legend_height)


def series_color(config, index):
    color = config.get("color", {})
    return rgb(color["fixedColor"]) if color.get("mode") == "fixed" else PALETTE[index % len(PALETTE)]


def drawn(part, config, color, frame, y, step):
    """One series."""
    custom = config["custom"]
    if custom["drawStyle"] == "bars":
        bar = max(1, frame.x(step) - frame.x(0) - 0.4)
        for moment, low, high in part:
            if high > low:
                yield (f'<rect x="{frame.x(moment) - bar / 2:.1f}" width="{bar:.1f}" y="{y(high):.1f}" '
                       f'height="{max(0, y(low) - y(high)):.1f}" fill="{color}" fill-opacity="0.8"/>')
        return
    dash = ' stroke-dasharray="8 6"' if custom.get("lineStyle", {}).get("fill") == "dash" else ""
    lower = {moment: low for moment, low, _ in part}
    for run in pieces([(moment, high) for moment, _, high in part], step):
        line = " ".join(f"{frame.x(t):.1f},{y(v):.1f}" for t, v in run)
        back = " ".join(f"{frame.x(t):.1f},{y(lower[t]):.1f}" for t, _ in reversed(run))
        opacity = custom["fillOpacity"] / 100
        if opacity:
            yield f'<polygon points="{line} {back}" fill="{color}" fill-opacity="{opacity}"/>'
        if len(run) == 1:
            yield f'<circle cx="{frame.x(run[0][0]):.1f}" cy="{y(run[0][1]):.1f}" r="2" fill="{color}"/>'
        if custom["lineWidth"]:
            yield f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.3"{dash}/>'


def legend_below(shown, panel, height):
    """The names of the series with the values that the panel asks for."""
    entries = []
    calculations = panel["options"]["legend"]["calcs"]
    for index, (name, _, values, config) in enumerate(shown):
        if config["custom"]["hideFrom"]["legend"]:
            continue
        numbers = {"lastNotNull": ("Last", values[-1][1]), "max": ("Max", max(value for _, value in values))}
        shown_values = [
            (numbers[key][0], formatted(numbers[key][1], config["unit"], config.get("decimals")))
            for key in calculations
        ]
        text = "".join(f" <i>{heading}: {html.escape(value)}</i>" for heading, value in shown_values)
        shown_name = html.escape(config.get("displayName", name))
        color = series_color(config, index)
        entries.append((-numbers["max"][1], f'<span><b style="background:{color}"></b>{shown_name}{text}</span>'))
    if panel["options"]["legend"].get("sortDesc"):
        entries.sort(key=lambda entry: entry[0])
    return f'<div class="legend" style="height:{height}px">{"".join(text for _, text in entries)}</div>'


def state_timeline(panel, session, width, height):
    """A bar for each row, in the colours of its conditions."""
    shown = [entry for entry in series_of(panel, session) if entry[2]]
    defaults = panel["fieldConfig"]["defaults"]
    if not shown:
        return empty(defaults.get("noValue", "No data"))
    left = min(width // 3, 16 + 7 * max(len(entry[0]) for entry in shown))
    frame = Frame(width, height - 26, left, session)
    parts = list(frame.axis())
    room = (frame.bottom - frame.top) / len(shown)
    step = session.step(panel)
    for index, (name, _, values, _) in enumerate(shown):
        top, high = frame.top + index * room + room * 0.075, room * 0.85
        parts.append(f'<text x="{left - 8}" y="{top + high / 2 + 4:.1f}" fill="{TEXT}" text-anchor="end" {FONT}>'
                     f"{html.escape(name)}</text>")
        for begun, ended, value in runs(values, step):
            text, color = mapping(value, defaults["mappings"]) or (formatted(value, "short"), "#8e8e8e")
            x = frame.x(max(begun, frame.start))
            wide = frame.x(min(ended, frame.end)) - x
            parts.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="{max(wide, 1):.1f}" height="{high:.1f}" '
                         f'fill="{color}" fill-opacity="0.75"/>')
            if wide > 8 * len(text) and high > 12:
                parts.append(f'<text x="{x + 6:.1f}" y="{top + high / 2 + 4:.1f}" fill="{readable_on(color)}" {FONT}>'
                             f"{text}</text>")
    used = {mapping(value, defaults["mappings"]) for _, _, values, _ in shown for _, value in values} - {None}
    names = "".join(f'<span><b style="background:{color}"></b>{text}</span>' for text, color in sorted(used))
    return frame.svg(parts) + f'<div class="legend" style="height:26px">{names}</div>'


def runs(values, step):
    """Stretches of one value: from, to, value."""
    begun = None
    for index, (moment, value) in enumerate(values):
        following = values[index + 1] if index + 1 < len(values) else None
        begun = moment if begun is None else begun
        if following is None or following[1] != value or following[0] - moment > 1.5 * step:
            yield begun, moment + step, value
            begun = None


def heatmap(panel, session, width, height):
    """Events by bucket and step."""
    query = panel["targets"][0]
    buckets = sorted(((float(labels["le"]), dict(values)) for labels, values in session.run(query, panel)),
                     key=lambda entry: entry[0])
    if not buckets:
        return empty("No data")
    finite = [bound for bound, _ in buckets if math.isfinite(bound)]
    frame = Frame(width, height, 66, session)
    room = (frame.bottom - frame.top) / len(buckets)
    counts, below = [], {}
    for row, (_, values) in enumerate(buckets):
        counts += [(row, moment, value - below.get(moment, 0)) for moment, value in values.items()]
        below = values
    most = max((count for _, _, count in counts), default=0) or 1
    step = session.step(panel)
    parts = list(frame.axis())
    wide = frame.x(step) - frame.x(0)
    for row, moment, count in counts:
        if count > 1e-9:
            share = min(1, count / most) ** 0.5
            color = tuple(round(low + (high - low) * share) for low, high in ((70, 255), (30, 190), (10, 130)))
            parts.append(f'<rect x="{frame.x(moment) - wide / 2:.1f}" width="{max(1, wide - 0.5):.1f}" '
                         f'y="{frame.bottom - (row + 1) * room:.1f}" height="{room - 1:.1f}" '
                         f'fill="rgb{color}"/>')
    for row, bound in enumerate(finite):
        if row % max(1, len(finite) * 16 // (frame.bottom - frame.top) + 1) == 0:
            y = frame.bottom - (row + 1) * room
            parts.append(f'<text x="{frame.left - 6}" y="{y + 4:.1f}" fill="{WEAK}" text-anchor="end" {FONT}>'
                         f"{formatted(bound, 's')}</text>")
    return frame.svg(parts)


def empty(text):
    """A panel without data."""
    return f'<div class="empty">{html.escape(text)}</div>'
