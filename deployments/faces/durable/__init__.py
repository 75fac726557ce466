"""Durable Streams: streams of bytes that clients create, and sessions to be read as such."""
