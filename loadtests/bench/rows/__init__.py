"""The rows of `make bench`, of `make bench-faces` and of `make bench-tracing`, one kind a module."""
