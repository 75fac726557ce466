"""Contract of TurnDetector. Test classes derive from this one, with a fixture `detector`."""

import anyio
import numpy as np
import pytest

from loadtests.client.recorded_speech import command
from pipeline.engines.ports import TurnDetector
from rhapsode.testing.clips import needs_clips
from schemas.errors import EngineBusy, EngineDead

SECOND = 32_000


@pytest.mark.anyio
class TurnDetectorContract:
    async def test_any_sound_has_a_probability(self, detector: TurnDetector) -> None:
        noise = np.random.default_rng(3).normal(0.0, 2_000.0, 9 * SECOND // 2).astype("<i2").tobytes()
        for pcm in (b"", b"\0\0", bytes(SECOND), noise):
            assert 0.0 <= await detector.end_of_turn(pcm) <= 1.0

    async def test_only_the_last_eight_seconds_count(self, detector: TurnDetector) -> None:
        sound = np.random.default_rng(4).normal(0.0, 500.0, 12 * SECOND // 2).astype("<i2").tobytes()
        assert await detector.end_of_turn(sound) == await detector.end_of_turn(sound[-8 * SECOND :])

    @needs_clips
    async def test_a_finished_command_is_likelier_over_than_its_beginning(
        self, detector: TurnDetector
    ) -> None:
        clip, silence = command(), bytes(SECOND // 10)
        _, end_ms = clip.bounds_ms
        whole = clip.pcm[: int(end_ms) * 32] + silence
        assert await detector.end_of_turn(whole) > 0.5

    async def test_a_client_that_would_wait_for_too_many_others_is_refused(
        self, detector: TurnDetector
    ) -> None:
        outcomes: list[bool] = []

        async def ask() -> None:
            try:
                await detector.end_of_turn(bytes(SECOND))
            except EngineBusy:
                outcomes.append(False)
            else:
                outcomes.append(True)

        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(ask)
        assert True in outcomes
        assert False in outcomes

    async def test_a_closed_one_answers_nobody(self, detector: TurnDetector) -> None:
        await detector.aclose()
        with pytest.raises(EngineDead):
            await detector.end_of_turn(bytes(SECOND))
