"""Schemas: events, commands, settings and errors. Pure data; imports pydantic and nothing of ours."""
