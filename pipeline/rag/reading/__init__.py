"""Reads documents of each kind in a bounded process."""
