"""Recorded utterances of real speakers, with the speech probability of each frame."""

from tests.support.fixtures.clip_fixtures import clips, heard

__all__ = ["clips", "heard"]
