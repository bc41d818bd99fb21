#!/usr/bin/env python3
"""Runs every query of the dashboards against a Prometheus or VictoriaMetrics.

    dashboards/check.py --url http://127.0.0.1:9090 [--time 1763700000] [--range 3h] [--json] [dashboard.json …]

Every panel, variable and annotation is asked twice: with All chosen, and with every value chosen by name. Prints one
line (with --json one object) for each query: what it returned, or why it failed. Ends with 1 where one fails; a query
without data is no failure, since much of what could go wrong has not gone wrong. --empty lists only those. --divide N
divides every duration by N, as alerts/generate does, to look at a rehearsal.
"""

import argparse
import json
import math
import pathlib
import sys
import time

sys.dont_write_bytecode = True

from live import Backend, QueryFailed, Session, every_panel, seconds  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def results(backend, dashboard, end, length, choices, divide):
    """One entry for each query of a dashboard."""
    everything = Session(backend, dashboard, end, length, choices=choices, divide=divide)
    named = {name: values for name, values in everything.options.items() if values}
    for name, values in everything.options.items():
        yield {"dashboard": dashboard["uid"], "variable": name, "values": sorted(values)}
    for mode, chosen in (("all", choices), ("each", {**named, **(choices or {})})):
        session = Session(backend, dashboard, end, length, choices=chosen, divide=divide)
        annotations = [
            {"id": 0, "title": annotation["name"], "targets": [{"refId": "annotation", "expr": annotation["expr"]}]}
            for annotation in dashboard["annotations"]["list"] if annotation.get("expr")
        ]
        for panel in [*every_panel(dashboard), *annotations]:
            for query in panel.get("targets", []):
                entry = {
                    "dashboard": dashboard["uid"], "panel": panel["id"], "title": panel["title"],
                    "query": query["refId"], "mode": mode,
                }
                try:
                    yield entry | summary(session.run(query, panel))
                except QueryFailed as failure:
                    yield entry | {"error": str(failure), "expression": session.expression(query["expr"], panel)}


def summary(series):
    """What came back; `last` has the value of each series at the end of the range."""
    points = [value for _, values in series for _, value in values]
    shown = {
        ",".join(f"{label}={value}" for label, value in sorted(labels.items()) if label != "__name__"): values[-1][1]
        for labels, values in series
    }
    return {
        "series": len(series), "points": len(points), "finite": sum(map(math.isfinite, points)),
        "last": {name: value if math.isfinite(value) else str(value) for name, value in shown.items()},
    }


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", required=True, help="the backend, without /api/v1")
    options.add_argument("--time", type=float, help="the end of the time range, in Unix seconds; now by default")
    options.add_argument("--range", default="3h", help="its length")
    options.add_argument("--choose", action="append", default=[], metavar="VARIABLE=VALUE", help="may be repeated")
    options.add_argument("--divide", type=float, default=1, metavar="N", help="divide every duration by N")
    options.add_argument("--json", action="store_true", help="one object a line")
    options.add_argument("--empty", action="store_true", help="only queries without data, and failures")
    options.add_argument("dashboards", nargs="*", type=pathlib.Path, default=sorted(HERE.glob("outbox-*.json")))
    arguments = options.parse_args()
    choices = {}
    for choice in arguments.choose:
        name, _, value = choice.partition("=")
        choices.setdefault(name, []).append(value)
    failed = False
    for path in arguments.dashboards:
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        try:
            entries = list(results(
                Backend(arguments.url), dashboard, arguments.time or time.time(), seconds(arguments.range),
                choices or None, arguments.divide))
        except QueryFailed as failure:
            sys.exit(f"{path.name}: {failure}")
        for entry in entries:
            failed = failed or "error" in entry
            if arguments.empty and "error" not in entry and entry.get("finite", len(entry.get("values", []))):
                continue
            print(json.dumps(entry) if arguments.json else line(entry))
    sys.exit(1 if failed else 0)


def line(entry):
    """An entry for people."""
    if "variable" in entry:
        return f"{entry['dashboard']}  ${entry['variable']}: {', '.join(entry['values']) or 'nothing'}"
    where = f"{entry['dashboard']}  {entry['panel']:>3} {entry['title']} {entry['query']} ({entry['mode']})"
    if "error" in entry:
        return f"{where}: FAILED {entry['error']}\n    {entry['expression']}"
    if not entry["finite"]:
        return f"{where}: no data"
    return f"{where}: {entry['series']} series, {entry['points']} points"


main()
