"""What Prometheus and Grafana are given: a dashboard, alert rules, and how to reach both."""
