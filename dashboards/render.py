#!/usr/bin/env python3
"""Draws a dashboard from its JSON and the data of a Prometheus or VictoriaMetrics, as HTML or PNG. It is not Grafana.

    dashboards/render.py --url http://127.0.0.1:9090 dashboards/outbox-overview.json overview.html
    dashboards/render.py --url http://127.0.0.1:9090 --width 1366 dashboards/outbox-delivery.json delivery.png

For PNG the program chromium has to be on PATH.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from drawing.page import page  # noqa: E402
from live import Backend, QueryFailed, Session, seconds  # noqa: E402


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", required=True, help="the backend, without /api/v1")
    options.add_argument("--time", type=float, help="the end of the time range, in Unix seconds; now by default")
    options.add_argument("--range", default="3h", help="its length")
    options.add_argument("--width", type=int, default=1920, help="of the page in pixels")
    options.add_argument("--choose", action="append", default=[], metavar="VARIABLE=VALUE", help="may be repeated")
    options.add_argument("--divide", type=float, default=1, metavar="N", help="divide every duration by N, as check.py does")
    options.add_argument("--open", action="store_true", help="open the closed rows")
    options.add_argument("dashboard", type=pathlib.Path)
    options.add_argument("output", type=pathlib.Path, help="a name that ends in .html or .png")
    arguments = options.parse_args()
    choices = {}
    for choice in arguments.choose:
        name, _, value = choice.partition("=")
        choices.setdefault(name, []).append(value)
    dashboard = json.loads(arguments.dashboard.read_text(encoding="utf-8"))
    try:
        session = Session(
            Backend(arguments.url), dashboard, arguments.time or time.time(), seconds(arguments.range),
            choices=choices, divide=arguments.divide)
        text, height = page(dashboard, session, arguments.width, arguments.open)
    except QueryFailed as failure:
        sys.exit(f"{arguments.dashboard.name}: {failure}")
    if arguments.output.suffix == ".png":
        photograph(text, arguments.output, arguments.width, height)
    else:
        arguments.output.write_text(text, encoding="utf-8")


def photograph(text, output, width, height):
    """The page as a picture."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        sys.exit("there is no chromium on PATH; ask for a name that ends in .html instead")
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory, "page.html")
        source.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--user-data-dir={directory}/profile", f"--window-size={width},{height}",
             f"--screenshot={output.resolve()}", source.as_uri()],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)
        if done.returncode or not output.exists():
            sys.exit(f"{browser} made no picture: {done.stderr.decode(errors='replace').strip()}")


main()
