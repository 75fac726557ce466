"""Traces of turns: what is recorded, under which names, and where it goes."""
