"""The dashboard, drawn once from what a real Prometheus has read of a running system."""
