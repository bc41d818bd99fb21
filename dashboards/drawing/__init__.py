"""Draws dashboards as HTML, near enough to Grafana to be judged by eye; it is not Grafana."""
