"""Numbers as text and colour, as Grafana's units, mappings and thresholds have them."""

import math
import re

COLORS = {
    "green": "#73bf69", "dark-green": "#37872d", "yellow": "#fade2a", "orange": "#ff9830", "dark-orange": "#fa6400",
    "red": "#f2495c", "dark-red": "#c4162a", "blue": "#5794f2", "purple": "#b877d9", "transparent": "transparent",
}
PALETTE = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d",
           "#fade2a", "#447ebc", "#c15c17")
DURATIONS = ((604800, "weeks"), (86400, "days"), (3600, "hours"), (60, "mins"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
LARGE = ("", " K", " Mil", " Bil")


def rgb(name):
    """The colour that a name stands for."""
    return COLORS.get(name, name)


def decimals_for(value):
    """How many decimals Grafana shows where none are configured: about three figures."""
    if value == int(value) or abs(value) >= 100:
        return 0
    return max(0, 2 - max(0, math.floor(math.log10(abs(value)))))


def number(value, decimals):
    return f"{value:.{decimals_for(value) if decimals is None else decimals}f}"


def formatted(value, unit, decimals=None):
    """A value with its unit."""
    if value is None or math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit == "s":
        if value == 0:
            return "0 s"
        size, name = next((entry for entry in DURATIONS if abs(value) >= entry[0]), DURATIONS[-1])
        shown = number(value / size, decimals)
        return f"{shown} {name}"
    if unit == "percentunit":
        return number(value * 100, decimals) + "%"
    scale = min(len(LARGE) - 1, int(math.log10(abs(value)) // 3)) if abs(value) >= 1000 else 0
    return number(value / 1000 ** scale, decimals) + LARGE[scale] + (" c/m" if unit == "cpm" else "")


def threshold_color(value, thresholds):
    """The colour of the last step at or below the value."""
    color = thresholds["steps"][0]["color"]
    for step in thresholds["steps"][1:]:
        if value is not None and value >= step["value"]:
            color = step["color"]
    return rgb(color)


def mapping(value, mappings):
    """The text and colour that a value is mapped to, or none."""
    for entry in mappings or []:
        options = entry["options"]
        if entry["type"] == "value":
            key = str(int(value)) if value == int(value) else str(value)
            if key in options:
                return options[key]["text"], rgb(options[key]["color"])
        elif options["from"] <= value <= options["to"]:
            return options["result"]["text"], rgb(options["result"]["color"])
    return None


def legend(labels, form):
    """The name of a series."""
    if form == "__auto":
        shown = [f'{key}="{value}"' for key, value in sorted(labels.items()) if key != "__name__"]
        return "{" + ", ".join(shown) + "}" if shown else "Value"
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), form).strip()


def field(panel, name):
    """The field configuration of a series or column: defaults, then the overrides that match its name."""
    config = panel["fieldConfig"]
    result = {**config["defaults"], "custom": dict(config["defaults"].get("custom", {}))}
    for entry in config["overrides"]:
        wanted = entry["matcher"]["options"]
        matches = wanted == name
        if entry["matcher"]["id"] == "byRegexp":
            matches = re.search(wanted.strip("/"), name) is not None
        if matches:
            for item in entry["properties"]:
                if item["id"].startswith("custom."):
                    result["custom"][item["id"][7:]] = item["value"]
                else:
                    result[item["id"]] = item["value"]
    return result


def readable_on(color):
    """Black or white, whichever can be read on a colour; Grafana chooses likewise."""
    if not color.startswith("#"):
        return "#fff"
    red, green, blue = (int(color[index:index + 2], 16) for index in (1, 3, 5))
    return "#111" if 0.3 * red + 0.59 * green + 0.11 * blue > 150 else "#fff"
