"""Panels, variables and dashboards as Grafana's classic JSON, in the one form that all three dashboards share."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
TAG = "outbox-exporter"

# Colours mean the same on every panel.
GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"
BLUE, PURPLE, GREY, PLAIN = "blue", "purple", "#8e8e8e", "transparent"

# $__rate_interval is four times this: two samples in it at a rhythm of two minutes, which an exporter comes to by
# itself where samples are dear.
MIN_STEP = "1m"


def target(expr, legend="", instant=False, ref="A", **more):
    """One query of a panel."""
    kind = {"instant": True, "range": False} if instant else {"instant": False, "range": True}
    result = {"datasource": DATASOURCE, "editorMode": "code", "expr": expr, "legendFormat": legend or "__auto"}
    return result | kind | {"refId": ref} | more


def steps(base, *limits):
    """Thresholds: the base colour, then (from which value on, colour)."""
    every = [{"color": base, "value": None}] + [{"color": color, "value": value} for value, color in limits]
    return {"mode": "absolute", "steps": every}


def mapped(texts):
    """Value mappings: value or (from, to) to (text, colour)."""
    result, values = [], {}
    for index, (key, (text, color)) in enumerate(texts.items()):
        shown = {"color": color, "index": index, "text": text}
        if isinstance(key, tuple):
            result.append({"type": "range", "options": {"from": key[0], "to": key[1], "result": shown}})
        else:
            values[str(key)] = shown
    return ([{"type": "value", "options": values}] if values else []) + result


def override(name, regex=False, **properties):
    """What differs for the field of that name; a double underscore stands for the dot of a property."""
    matcher = {"id": "byRegexp" if regex else "byName", "options": name}
    return {
        "matcher": matcher,
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()],
    }


def color(name, fixed, regex=False, **more):
    """A series that always has one colour."""
    return override(name, regex, color={"mode": "fixed", "fixedColor": fixed}, **more)


def panel(identity, kind, title, description, size, targets, options, defaults, overrides=(), **more):
    """A panel of `size` columns and rows; `place` puts it on the grid."""
    result = {
        "id": identity, "type": kind, "title": title, "description": description, "datasource": DATASOURCE,
        "gridPos": {"h": size[1], "w": size[0], "x": 0, "y": 0},
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "interval": MIN_STEP, "options": options, "targets": targets,
    }
    return result | more


def stat(identity, title, description, expr, unit="short", thresholds=None, width=3, missing="no data", **defaults):
    """One number, as it is at the end of the time range: the last value of a series that has ended is no value."""
    colored = thresholds is not None and len(thresholds["steps"]) > 1
    options = {
        "colorMode": "background" if colored else "none", "graphMode": "none", "justifyMode": "center",
        "orientation": "auto", "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False, "textMode": "value", "wideLayout": True,
    }
    fields = {
        "color": {"mode": "thresholds"}, "noValue": missing, "thresholds": thresholds or steps(PLAIN), "unit": unit,
    }
    return panel(
        identity, "stat", title, description, (width, 4), [target(expr, instant=True)], options, fields | defaults)


def timeseries(
    identity, title, description, targets, unit, size=(12, 8), stacked=False, bars=False, overrides=(),
    limits=None, calcs=("lastNotNull", "max"), ranked=False, fill=8, **defaults,
):
    """Series over time. Stacked only where the series are parts of a whole; `ranked` has the largest first in the legend,
    which shows but a few of many. Areas of many series that lie upon each other look like a stack: those have no `fill`."""
    custom = {
        "axisBorderShow": False, "axisColorMode": "text", "axisLabel": "", "axisPlacement": "auto",
        "barAlignment": 0, "drawStyle": "bars" if bars else "line",
        "fillOpacity": 70 if bars else (55 if stacked else fill), "gradientMode": "none",
        "hideFrom": {"legend": False, "tooltip": False, "viz": False}, "lineInterpolation": "linear",
        "lineWidth": 0 if bars or stacked else 1, "pointSize": 4, "scaleDistribution": {"type": "linear"},
        "showPoints": "auto", "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
        "thresholdsStyle": {"mode": "dashed" if limits else "off"},
    }
    options = {
        "legend": {
            "calcs": list(calcs), "displayMode": "table" if ranked else "list",
            "placement": "bottom", "showLegend": True,
        } | ({"sortBy": "Max", "sortDesc": True} if ranked else {}),
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    fields = {
        "color": {"mode": "palette-classic"}, "custom": custom, "min": 0, "noValue": "no data",
        "thresholds": limits or steps(PLAIN), "unit": unit,
    }
    return panel(identity, "timeseries", title, description, size, targets, options, fields | defaults, overrides)


def state_timeline(identity, title, description, targets, texts, size, missing, links=()):
    """What condition each row was in, and when."""
    options = {
        "alignValue": "left", "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True, "rowHeight": 0.85, "showValue": "auto", "tooltip": {"mode": "single", "sort": "none"},
    }
    fields = {
        "color": {"mode": "thresholds"},
        "custom": {
            "fillOpacity": 75, "hideFrom": {"legend": False, "tooltip": False, "viz": False}, "lineWidth": 0,
        },
        "links": list(links), "mappings": mapped(texts), "noValue": missing, "thresholds": steps(GREY),
    }
    return panel(identity, "state-timeline", title, description, size, targets, options, fields)


def heatmap(identity, title, description, expr, size=(12, 8)):
    """How a distribution moves: one column a step, one row a bucket."""
    options = {
        "calculate": False, "cellGap": 1,
        "color": {"exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": False, "scale": "exponential",
                  "scheme": "Oranges", "steps": 32},
        "filterValues": {"le": 1e-9}, "legend": {"show": True}, "rowsFrame": {"layout": "le", "value": "Events"},
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": "s"},
    }
    fields = {"custom": {"scaleDistribution": {"type": "linear"}}, "unit": "s"}
    return panel(
        identity, "heatmap", title, description, size, [target(expr, "{{le}}", format="heatmap")], options, fields)


def table(identity, title, description, targets, columns, size, sort, missing="no data"):
    """One row for each outbox or destination, worst first. `columns`: field to (heading, properties). `missing` stands
    where there is no row at all."""
    options = {
        "cellHeight": "sm", "footer": {"countRows": False, "reducer": ["sum"], "show": False},
        "showHeader": True, "sortBy": [{"desc": True, "displayName": sort}],
    }
    fields = {
        "color": {"mode": "thresholds"},
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False},
        "noValue": missing, "thresholds": steps(PLAIN), "unit": "short",
    }
    overrides = [
        override(heading, **{"noValue": "–"} | properties) for heading, properties in columns.values() if properties
    ]
    transformations = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {"Time": True}, "includeByName": {},
            "indexByName": {name: index for index, name in enumerate(columns)},
            "renameByName": {name: heading for name, (heading, _) in columns.items()},
        }},
    ]
    return panel(
        identity, "table", title, description, size, targets, options, fields, overrides,
        transformations=transformations)


def alert_list(identity, title, description, size):
    """The alerts of this product that are firing or pending."""
    options = {
        "alertInstanceLabelFilter": "", "alertName": "Outbox", "dashboardAlerts": False, "groupBy": [],
        "groupMode": "default", "maxItems": 20, "sortOrder": 3,
        "stateFilter": {"error": True, "firing": True, "noData": False, "normal": False, "pending": True},
        "viewMode": "list",
    }
    result = panel(identity, "alertlist", title, description, size, [], options, {})
    for unused in ("datasource", "interval", "targets", "fieldConfig"):
        del result[unused]
    return result


def row(identity, title, panels=()):
    """A heading; with panels of its own it is closed until somebody opens it."""
    return {
        "id": identity, "type": "row", "title": title, "collapsed": bool(panels),
        "gridPos": {"h": 1, "w": 24, "x": 0, "y": 0}, "panels": list(panels),
    }


def place(panels):
    """Fills the grid from left to right, line by line; a line is as high as its highest panel."""
    x = y = height = 0
    for item in panels:
        position = item["gridPos"]
        if x + position["w"] > 24 or item["type"] == "row":
            x, y, height = 0, y + height, 0
        position["x"], position["y"] = x, y
        x, height = x + position["w"], max(height, position["h"])
        if item["type"] == "row" and item["panels"]:
            inner = item["panels"]
            place(inner)
            for below in inner:
                below["gridPos"]["y"] += y + 1
    return panels
