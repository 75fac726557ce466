"""Passage stores on SQLite and PostgreSQL."""
