"""Callers who call: recorded speech in real time over the wire, and what is heard back."""
