"""Files for Prometheus and Grafana: a dashboard, alert rules, and how to reach both."""
