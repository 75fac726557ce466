"""Finds where growing text may be cut into sentences."""
