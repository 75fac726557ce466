"""The session log: ports, the Redis and in-memory logs, Recorder and Tailer."""
