"""Runs the queries of a dashboard against a Prometheus as Grafana would: variables and macros filled in."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request


class QueryFailed(Exception):
    """The backend refused a query, and says why."""


class Backend:
    """The HTTP interface of Prometheus, which VictoriaMetrics and Mimir have too."""

    def __init__(self, url):
        self.url = url.rstrip("/")

    def get(self, path, **parameters):
        """The data of an answer."""
        # VictoriaMetrics would otherwise answer with what it remembered before the last samples came in.
        query = urllib.parse.urlencode({**parameters, "nocache": "1"}, doseq=True)
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=60) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                text = json.loads(text)["error"]
            except (ValueError, KeyError):
                pass
            raise QueryFailed(text.strip()) from None
        except urllib.error.URLError as error:
            raise QueryFailed(f"{self.url} does not answer: {error.reason}") from None
        if body["status"] != "success":
            raise QueryFailed(body.get("error", "no reason given"))
        return body["data"]

    def instant(self, expression, time):
        """Series with one value."""
        result = self.get("/api/v1/query", query=expression, time=time)["result"]
        return [(series["metric"], [(float(t), float(v)) for t, v in [series["value"]]]) for series in result]

    def range(self, expression, start, end, step):
        """Series with values over time."""
        data = self.get("/api/v1/query_range", query=expression, start=start, end=end, step=step)
        return [(series["metric"], [(float(t), float(v)) for t, v in series["values"]]) for series in data["result"]]

    def label_values(self, selector, label, start, end):
        """What a label holds in the series that match."""
        return self.get(
            f"/api/v1/label/{label}/values", **{"match[]": selector}, start=start, end=end) or []


def every_panel(dashboard):
    """All panels, those of closed rows included."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def seconds(text):
    """A Grafana duration such as 30s."""
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[text[-1]]


def duration(length):
    """Seconds as PromQL writes them."""
    return f"{length:g}s" if length == int(length) else f"{round(length * 1000)}ms"


class Session:
    """A dashboard that is open on a backend, at a time range, with choices made; with `divide` one of a rehearsal, in
    which all durations are that much shorter."""

    def __init__(self, backend, dashboard, end, length=10800, points=1000, choices=None, divide=1):
        self.backend, self.dashboard, self.divide = backend, dashboard, divide
        self.end, self.length, self.points = (int(end) if divide == 1 else end), length / divide, points
        self.options = {}
        self.values = {}
        for variable in dashboard["templating"]["list"]:
            if variable["type"] != "query":
                continue
            name = variable["name"]
            self.options[name] = self._options(variable["query"]["query"])
            chosen = (choices or {}).get(name)
            # Grafana escapes a choice for the regular expression that it goes into; All stands as it is.
            self.values[name] = variable["allValue"] if chosen is None else self._either(chosen)

    @staticmethod
    def _either(chosen):
        escaped = [re.sub(r"([.*+?()\[\]{}|^$\\])", r"\\\\\1", value) for value in chosen]
        return escaped[0] if len(escaped) == 1 else "(" + "|".join(escaped) + ")"

    def _options(self, query):
        call = re.fullmatch(r"label_values\((.*), *(\w+)\)", query)
        return self.backend.label_values(
            self._with_variables(call[1]), call[2], self.end - self.length, self.end)

    def _with_variables(self, text):
        return re.sub(r"\$(\w+)", lambda found: self.values.get(found[1], found[0]), text)

    def step(self, panel):
        """The resolution that Grafana asks for."""
        least = seconds(panel.get("interval", "15s")) / self.divide
        return least if self.length <= least * self.points else -(-self.length // self.points)

    def expression(self, text, panel):
        """An expression as it is sent."""
        step, scrape = self.step(panel), seconds(panel.get("interval", "15s")) / self.divide
        if self.divide != 1:
            text = re.sub(
                r"(\[|offset )(\d+[smhdw])\b", lambda found: found[1] + duration(seconds(found[2]) / self.divide), text)
            # An objective where none is configured.
            text = re.sub(r"(?<=\* 0 \+ )\d+", lambda found: f"{int(found[0]) / self.divide:g}", text)
        macros = {
            "$__rate_interval": duration(max(step + scrape, 4 * scrape)), "$__interval": duration(step),
            "$__range": duration(self.length),
        }
        for macro, value in macros.items():
            text = text.replace(macro, value)
        return self._with_variables(text)

    def run(self, target, panel):
        """The series of one query of a panel."""
        expression = self.expression(target["expr"], panel)
        if target.get("instant"):
            return self.backend.instant(expression, self.end)
        step = self.step(panel)
        # Grafana asks for full steps; in a rehearsal the end is the moment of a sample.
        last = self.end // step * step if self.divide == 1 else self.end
        return self.backend.range(expression, last - self.length // step * step, last, step)
