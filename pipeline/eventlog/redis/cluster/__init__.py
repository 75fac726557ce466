"""The event log on Redis Cluster."""
