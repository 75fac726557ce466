"""The logic of Rhapsode: event log, turns, sentence buffer, engines. Imports neither Ray nor FastAPI."""
