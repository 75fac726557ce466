"""Requests of Anthropic's clients."""
