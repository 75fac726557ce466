"""Waiting for what another thread does, with a deadline instead of a guess."""

from rhapsode.testing.waiting import eventually

__all__ = ["eventually"]
