"""Recorded people, and what the model says about them: worked out once."""

import pytest

from loadtests.client.recorded_speech import Clip, cards, command, librivox
from tests.hearing.recordings import AFTER_MS, BEFORE_MS, probabilities, silence


@pytest.fixture(scope="session")
def clips() -> list[Clip]:
    """Eleven utterances of three people."""
    try:
        return [*librivox(), *cards(), command()]
    except FileNotFoundError:
        pytest.skip("needs the recordings of Debian's pocketsphinx-testdata")


@pytest.fixture(scope="session")
def heard(clips: list[Clip]) -> dict[str, list[float]]:
    """Of each clip, half a second of silence before it and three after it: how probably it is speech."""
    return {clip.name: probabilities(silence(BEFORE_MS) + clip.pcm + silence(AFTER_MS)) for clip in clips}
