"""Recorded utterances of real speakers."""

from tests.support.fixtures.clip_fixtures import clips

__all__ = ["clips"]
