"""The dashboards of Grafana: one file is one of them."""
