"""The session aggregate: pure folds of events to conversation, turns and inputs."""
