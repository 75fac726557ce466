"""The append-only log of session events: port, recorder, subscriptions."""
