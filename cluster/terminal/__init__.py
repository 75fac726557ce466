"""Base of every command: errors with advice, progress, the run state, requests to the server."""
