"""What the three dashboards have around their panels: variables, annotations, links."""

from .model import DATASOURCE, TAG, place
from .queries import of

OVERVIEW, DELIVERY, EXPORTER = "outbox-overview", "outbox-delivery", "outbox-exporter"


def variable(name, label, description, query):
    """A variable that a query fills. All matches everything, an attribute that is not there included."""
    return {
        "name": name, "label": label, "description": description, "type": "query", "datasource": DATASOURCE,
        "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"}, "definition": query,
        "multi": True, "includeAll": True, "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [], "hide": 0, "refresh": 2, "regex": "", "skipUrlSync": False, "sort": 1,
    }


def variables(destination):
    """The choices at the head of a dashboard, each narrowed by those before it."""
    source = {
        "name": "datasource", "label": "Data source",
        "description": "The Prometheus that the exporter's metrics are in.",
        "type": "datasource", "query": "prometheus", "current": {}, "options": [], "hide": 0, "includeAll": False,
        "multi": False, "refresh": 1, "regex": "", "skipUrlSync": False,
    }
    result = [
        source,
        variable(
            "environment", "Environment", "outbox.environment, where it is configured.",
            'label_values(outbox_up, outbox_environment)'),
        variable(
            "outbox", "Outbox", "The outboxes of that environment.",
            'label_values(outbox_up{outbox_environment=~"$environment"}, outbox_name)'),
    ]
    if destination:
        result.append(
            variable(
                "destination", "Destination", "Channels, topics or queues of those outboxes.",
                f'label_values({of("outbox_depth")}, outbox_destination)'))
    return result


def alert_annotation(name, severity, enabled, color):
    """Marks when alerts of the shipped rules were firing. Rules that Grafana evaluates leave no such series."""
    expr = of("ALERTS", 'alertname=~"Outbox.+"', 'alertstate="firing"', f'severity="{severity}"')
    return {
        "name": name, "datasource": DATASOURCE, "enable": enabled, "hide": False, "iconColor": color, "expr": expr,
        "titleFormat": "{{alertname}}", "textFormat": "{{outbox_name}} {{outbox_destination}}",
        "tagKeys": "severity", "useValueForTime": False,
    }


def dashboard(uid, title, description, panels, destination=False):
    """A whole dashboard."""
    builtin = {
        "name": "Annotations & Alerts", "builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True, "hide": True, "iconColor": "rgba(0, 211, 255, 1)", "type": "dashboard",
    }
    return {
        "uid": uid, "title": title, "description": description, "tags": [TAG], "schemaVersion": 39, "version": 1,
        "editable": False, "graphTooltip": 1, "refresh": "30s", "timezone": "browser", "weekStart": "",
        "time": {"from": "now-3h", "to": "now"}, "timepicker": {}, "fiscalYearStartMonth": 0, "liveNow": False,
        "annotations": {"list": [
            builtin,
            alert_annotation("Critical alerts", "critical", True, "red"),
            alert_annotation("Warnings", "warning", False, "orange"),
        ]},
        "links": [{
            "title": "Outbox dashboards", "type": "dashboards", "tags": [TAG], "asDropdown": False,
            "icon": "external link",
            "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "url": "",
        }],
        "templating": {"list": variables(destination)},
        "panels": place(panels),
    }


def drill_down(title, *labels):
    """A link to the delivery dashboard with the same time range, data source and environment, for the outbox or
    destination whose series was clicked."""
    chosen = "".join(f"&var-{name}=${{{value}:percentencode}}" for name, value in labels)
    url = "/d/" + DELIVERY + "?${__url_time_range}&${datasource:queryparam}&${environment:queryparam}" + chosen
    return {"title": title, "url": url, "targetBlank": False}


OUTBOX_LINK = drill_down("Deliveries of this outbox", ("outbox", "__field.labels.outbox_name"))
DESTINATION_LINK = drill_down(
    "Deliveries of this destination", ("outbox", "__field.labels.outbox_name"),
    ("destination", "__field.labels.outbox_destination"))
OUTBOX_ROW_LINK = drill_down("Deliveries of this outbox", ("outbox", "__data.fields.outbox_name"))
DESTINATION_ROW_LINK = drill_down(
    "Deliveries of this destination", ("outbox", "__data.fields.outbox_name"),
    ("destination", "__data.fields.outbox_destination"))
