"""Fallback between engines, circuit breakers and retries."""
