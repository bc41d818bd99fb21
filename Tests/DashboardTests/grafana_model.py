"""Reads dashboards into Grafana Labs' own typed model and writes them back: what is lost on the way, or has a type or
an enumerated value that the model does not know, is printed, and ends with 1.

from_json of the model never complains by itself, so both are looked for here.
"""

import enum
import json
import sys
import typing

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# Grafana has these, its model does not: read by the Prometheus data source, or by the editor of variables.
UNMODELLED = {"definition", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}


def lost(source, copy, path):
    """What is in the file and not in the copy."""
    if isinstance(source, dict) and isinstance(copy, dict):
        for key, value in source.items():
            if key in copy:
                yield from lost(value, copy[key], f"{path}.{key}")
            elif key not in UNMODELLED and value is not None:
                yield f"{path}.{key} is unknown to the model"
    elif isinstance(source, list) and isinstance(copy, list) and len(source) == len(copy):
        for index, (left, right) in enumerate(zip(source, copy)):
            yield from lost(left, right, f"{path}[{index}]")
    elif source != copy:
        yield f"{path} is {source!r}, and comes back as {copy!r}"


def mistyped(value, hint, path):
    """Where a value is not of the type that the model declares."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (typing.Any, object) or hint is None:
        yield from members(value, path)
    elif origin is typing.Union or type(hint).__name__ == "UnionType":
        if value is None and type(None) in arguments:
            return
        choices = [choice for choice in arguments if choice is not type(None)]
        exact = [choice for choice in choices if choice is type(value)]
        found = [list(mistyped(value, choice, path)) for choice in exact or choices]
        if all(found):
            yield from min(found, key=len)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        for index, item in enumerate(value):
            yield from mistyped(item, arguments[0], f"{path}[{index}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{path} is no object"
            return
        for key, item in value.items():
            yield from mistyped(item, arguments[1], f"{path}.{key}")
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{path} is {value!r}, not one of {arguments}"
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        known = [member.value for member in hint]
        if (value.value if isinstance(value, enum.Enum) else value) not in known:
            yield f"{path} is {value!r}, not one of {known}"
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"{path} is {value!r}, not a number"
    elif hint in (int, str, bool):
        if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
            yield f"{path} is {value!r}, not of type {hint.__name__}"
    elif isinstance(value, dict) and hasattr(hint, "from_json"):
        yield from members(hint.from_json(value), path)
    elif isinstance(hint, type) and not isinstance(value, hint):
        yield f"{path} is {value!r}, not of type {hint.__name__}"
    else:
        yield from members(value, path)


def members(value, path):
    """The same for every member of an object of the model."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from members(item, f"{path}[{index}]")
    if not hasattr(value, "to_json"):
        return
    hints = typing.get_type_hints(type(value))
    for name, member in vars(value).items():
        yield from mistyped(member, hints.get(name), f"{path}.{name}")


def main(paths):
    register_default_plugins()
    problems = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            source = json.load(file)
        model = Dashboard.from_json(source)
        copy = json.loads(json.dumps(model, cls=JSONEncoder))
        problems += [f"{source['uid']}{problem}" for problem in (*lost(source, copy, ""), *members(model, ""))]
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


main(sys.argv[1:])
