"""Panels with values of one moment, as HTML."""

import html
import math

from .charts import empty
from .values import field, formatted, mapping, readable_on, rgb, threshold_color

TEXT = ' class="text"'


def stat(panel, session, width, height):
    """One number; the colour of its threshold fills the panel."""
    config = panel["fieldConfig"]["defaults"]
    result = session.run(panel["targets"][0], panel)
    value = result[0][1][-1][1] if result and math.isfinite(result[0][1][-1][1]) else None
    text = config.get("noValue", "No data")
    if value is not None:
        shown = mapping(value, config.get("mappings"))
        text = shown[0] if shown else formatted(value, config["unit"], config.get("decimals"))
    size = min(44, int(height * 0.42), int(width * 1.5 / max(4, len(text))))
    background = "transparent"
    if panel["options"]["colorMode"] == "background":
        background = threshold_color(value, config["thresholds"])
    style = f"background:{background};color:{readable_on(background)}"
    return f'<div class="stat" style="{style}"><span style="font-size:{size}px">{html.escape(text)}</span></div>'


def rows_of(panel, session):
    """The merged rows of all queries: column to value."""
    rows = {}
    several = len(panel["targets"]) > 1
    for query in panel["targets"]:
        column = f"Value #{query['refId']}" if several else "Value"
        for labels, values in session.run(query, panel):
            key = tuple(sorted((label, value) for label, value in labels.items() if label != "__name__"))
            rows.setdefault(key, dict(key))[column] = values[-1][1]
    return list(rows.values())


def table(panel, session, width, height):
    """Rows sorted as the panel says; what does not fit is cut off, where Grafana scrolls."""
    rows = rows_of(panel, session)
    if not rows:
        return empty(panel["fieldConfig"]["defaults"].get("noValue", "No data"))
    organize = panel["transformations"][-1]["options"]
    present = {column for row in rows for column in row}
    columns = [column for column in organize["indexByName"] if column in present]
    headings = {column: organize["renameByName"].get(column, column) for column in columns}
    sort = panel["options"]["sortBy"][0]["displayName"]
    key = next((column for column in columns if headings[column] == sort), columns[0])

    def value(row):
        return row[key] if isinstance(row.get(key), float) else -math.inf

    rows.sort(key=value, reverse=True)
    head = "".join(
        f'<th{"" if column.startswith("Value") else TEXT}>{html.escape(headings[column])}</th>' for column in columns)
    body = "".join(
        "<tr>" + "".join(cell(panel, headings[column], row.get(column)) for column in columns) + "</tr>"
        for row in rows)
    return f'<div class="table" style="height:{height}px"><table><tr>{head}</tr>{body}</table></div>'


def cell(panel, heading, value):
    """One cell with its unit, mapping and colour."""
    config = field(panel, heading)
    if isinstance(value, str):
        linked = ' class="link"' if config.get("links") else ""
        return f"<td{TEXT}><span{linked}>{html.escape(value)}</span></td>"
    if value is None or math.isnan(value):
        return f"<td>{html.escape(config.get('noValue', ''))}</td>"
    shown = mapping(value, config.get("mappings"))
    text, color = shown or (
        formatted(value, config.get("unit", "short"), config.get("decimals")),
        threshold_color(value, config["thresholds"]))
    filled = config["custom"].get("cellOptions", {}).get("type") == "color-background"
    style = f' style="background:{color};color:{readable_on(color)}"' if filled and color != "transparent" else ""
    return f"<td{style}>{html.escape(text)}</td>"


def alert_list(panel, session, width, height):
    """The alerts that the backend's own rules have pending or firing."""
    found = session.backend.instant('ALERTS{alertname=~"Outbox.+"}', session.end)
    if not found:
        return empty("No alerts matching filters")
    entries = []
    for labels, _ in sorted(found, key=lambda entry: (entry[0]["alertstate"], entry[0]["alertname"])):
        about = " ".join(labels[key] for key in ("outbox_name", "outbox_destination") if key in labels)
        color = rgb("red" if labels["alertstate"] == "firing" else "orange")
        entries.append(
            f'<p><b style="color:{color}">{labels["alertstate"]}</b> {html.escape(labels["alertname"])} '
            f'<i>{html.escape(about)} · {html.escape(labels.get("severity", ""))}</i></p>')
    return f'<div class="alerts">{"".join(entries)}</div>'
