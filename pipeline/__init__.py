"""What happens: the log, the turn, the sentence buffer, the engines. Knows neither Ray nor FastAPI."""
