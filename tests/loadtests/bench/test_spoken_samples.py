"""The packaged voice makes the same sound in each run of a bench."""

import asyncio

from loadtests.bench.voice.spoken_samples import seeded_voice, spoken
from schemas.settings import AppSettings


def _said(seed: int) -> bytes:
    async def sound() -> bytes:
        voice = seeded_voice(AppSettings(), seed)
        samples, _ = await spoken(voice, "I need eggs, milk.")
        await voice.aclose()
        return samples.tobytes()

    return asyncio.run(sound())


def test_a_seed_gives_the_same_sound_in_each_run_and_another_seed_another_one() -> None:
    assert _said(1) == _said(1) != _said(2)
