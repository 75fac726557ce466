"""Starts, watches and stops Rhapsode on one machine, or deploys it onto a Ray cluster."""
