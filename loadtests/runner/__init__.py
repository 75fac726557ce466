"""Runs virtual callers by the thousand on any Rhapsode: when they come, what they receive, what it costs."""
