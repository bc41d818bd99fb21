"""The description that the dashboards are generated from."""
