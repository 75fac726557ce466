"""Rewrites shown text as it is spoken."""
