#!/usr/bin/env python3
"""Writes the dashboards from their description in `source`; with --check only says which are out of date."""

import json
import pathlib
import sys

sys.dont_write_bytecode = True

from source import delivery, exporter, overview  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit("usage: dashboards/generate.py [--check]")
    outdated = []
    for description in (overview, delivery, exporter):
        built = description.build()
        path = HERE / f"{built['uid']}.json"
        text = json.dumps(built, indent=2, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            outdated.append(path.name)
            if not arguments:
                path.write_text(text, encoding="utf-8")
    for name in outdated:
        print(f"{name} is out of date: run dashboards/generate.py" if arguments else f"wrote {name}")
    sys.exit(1 if arguments and outdated else 0)


main(sys.argv[1:])
