"""A whole dashboard as one HTML page."""

import html
import time

from . import charts, tables

CELL, GAP, MARGIN, HEAD = 30, 8, 16, 92
KINDS = {
    "alertlist": tables.alert_list, "heatmap": charts.heatmap, "stat": tables.stat,
    "state-timeline": charts.state_timeline, "table": tables.table, "timeseries": charts.timeseries,
}
STYLE = """
* { box-sizing: border-box; margin: 0 }
body { background: #111217; color: #ccccdc; font: 14px Inter, "DejaVu Sans", sans-serif; position: relative }
header { padding: 12px 16px; height: 92px } header h1 { font-size: 18px; font-weight: 500 }
header p { color: #9fa7b3; font-size: 12px; margin-top: 4px } header div { margin-top: 8px; font-size: 13px }
header div span { background: #181b1f; border: 1px solid #2c3235; border-radius: 2px; margin-right: 8px;
  padding: 3px 8px }
header div i { color: #6e9fff; font-style: normal }
section { background: #181b1f; border: 1px solid #2c3235; border-radius: 2px; overflow: hidden; position: absolute }
section h2 { font-size: 14px; font-weight: 500; height: 30px; line-height: 30px; overflow: hidden; padding: 0 8px;
  position: relative; text-overflow: ellipsis; white-space: nowrap; z-index: 1 }
svg { display: block }
.row { background: none; border: 0; font-weight: 500; line-height: 30px; padding-left: 4px }
.stat { align-items: center; bottom: 0; display: flex; justify-content: center; left: 0; padding-top: 22px;
  position: absolute; right: 0; top: 0; font-weight: 500; white-space: nowrap }
.stat h2 { left: 0; position: absolute; top: 0 }
.empty { align-items: center; color: #9fa7b3; display: flex; height: 80%; justify-content: center }
.legend { font-size: 12px; line-height: 22px; overflow: hidden; padding: 0 8px } .legend span { margin-right: 14px;
  white-space: nowrap; display: inline-block } .legend b { display: inline-block; height: 4px; margin: 0 6px 3px 0;
  width: 14px } .legend i { color: #9fa7b3; font-style: normal; margin-left: 5px }
.table { overflow: hidden; padding: 0 4px } table { border-collapse: collapse; font-size: 13px; width: 100% }
th { color: #6e9fff; font-weight: 500; text-align: right } td { border: 1px solid #24292e; text-align: right }
th, td { height: 30px; padding: 0 8px; white-space: nowrap } .text { text-align: left }
.link { color: #6e9fff } .alerts p { border-bottom: 1px solid #24292e; font-size: 13px; padding: 7px 10px }
.alerts i { color: #9fa7b3; font-style: normal }
"""


def page(dashboard, session, width, opened=False):
    """The HTML, and how high it is. With `opened` the closed rows are open."""
    column = (width - 2 * MARGIN + GAP) / 24
    sections, bottom, shift = [], 0, 0
    for panel in dashboard["panels"]:
        below = panel.get("panels", []) if opened else []
        for item in [panel, *below]:
            grid = item["gridPos"]
            box = (MARGIN + grid["x"] * column, HEAD + (grid["y"] + shift) * (CELL + GAP),
                   grid["w"] * column - GAP, grid["h"] * (CELL + GAP) - GAP)
            sections.append(section(item, session, *map(round, box)))
            bottom = max(bottom, round(box[1] + box[3]))
    body = header(dashboard, session) + "".join(sections)
    height = bottom + MARGIN
    return (f'<!doctype html><meta charset="utf-8"><title>{html.escape(dashboard["title"])}</title>'
            f"<style>{STYLE}</style><body style=\"width:{width}px;height:{height}px\">{body}</body>\n"), height


def header(dashboard, session):
    """Title, choices and time range, and what this page is."""
    chosen = "".join(
        f"<span>{html.escape(variable['label'])} <i>{html.escape(shown_value(variable, session))}</i></span>"
        for variable in dashboard["templating"]["list"] if variable["type"] == "query")
    span = f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(session.end - session.length))} to " \
        f"{time.strftime('%H:%M UTC', time.gmtime(session.end))}"
    pace = "" if session.divide == 1 else f" Every duration of the dashboard is divided by {session.divide:g}."
    return (f"<header><h1>{html.escape(dashboard['title'])}</h1><p>Drawn from {dashboard['uid']}.json and live data by "
            f"dashboards/render.py, not by Grafana.{pace}</p><div>{chosen}<span>{span}</span></div></header>")


def shown_value(variable, session):
    value = session.values[variable["name"]]
    return "All" if value == variable["allValue"] else value


def section(panel, session, left, top, width, height):
    """One panel at its place."""
    place = f'style="left:{left}px;top:{top}px;width:{width}px;height:{height}px"'
    title = html.escape(panel["title"])
    if panel["type"] == "row":
        return f'<section class="row" {place}>{"›" if panel["collapsed"] else "⌄"} {title}</section>'
    drawn = KINDS[panel["type"]](panel, session, width - 2, height - 34)
    if panel["type"] == "stat":
        return f"<section {place}>{drawn.replace('<span', f'<h2>{title}</h2><span', 1)}</section>"
    return f"<section {place}><h2>{title}</h2>{drawn}</section>"
