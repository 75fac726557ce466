"""The event log on Redis and Valkey."""
