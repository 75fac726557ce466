"""Requests of OpenAI's clients, and the support for each field."""
