"""Concurrency limit and engine backpressure."""
