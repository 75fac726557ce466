"""Errors in the words of other APIs, for their paths."""
