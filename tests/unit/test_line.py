"""One sentence and a voice that fails: how often it is tried, and for how long."""

from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.base import AS_CONFIGURED, Delivery, OpusChunk, WordTimes
from pipeline.line import Line
from pipeline.pressure import PatientSpeaker, Pressure
from pipeline.spoken import plainly
from schemas.errors import EngineBusy, EngineDead, RhapsodeError
from schemas.limits import AdmissionSettings
from schemas.settings import SessionSettings
from tests.clocks import Hours

pytestmark = pytest.mark.anyio
LIMITS = AdmissionSettings(patience_s=20)
PAUSES_S = 0.6
"""Between the tries of a sentence."""


class Troubled:
    """A voice that works on each request for a while and fails as the script says; in the end it speaks."""

    voices = ("joe",)
    providers: ClassVar = {"local": voices}

    def __init__(self, clock: Hours, troubles: Sequence[tuple[float, RhapsodeError]]) -> None:
        self._clock = clock
        self._troubles = list(troubles)
        self.asked_at: list[float] = []

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: Delivery = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        self.asked_at.append(self._clock.s)
        if self._troubles:
            work_s, trouble = self._troubles.pop(0)
            self._clock.s += work_s
            raise trouble
        yield OpusChunk(b"sound", 20, last=True)

    async def aclose(self) -> None:
        """Nothing to close."""


async def spoken(
    troubles: Sequence[tuple[float, RhapsodeError]], settings: SessionSettings | None = None
) -> tuple[Line, Troubled]:
    clock = Hours()
    voice = Troubled(clock, troubles)
    line = Line(0, 0, plainly("The keeper lit the lamp.", 0))
    line.begin()
    speaker = PatientSpeaker(voice, Pressure(LIMITS, clock))
    await line.synthesize(speaker, settings or SessionSettings(), clock)
    line.close()
    return line, voice


def busy(times: int) -> list[tuple[float, RhapsodeError]]:
    return [(0.0, EngineBusy("All places are taken."))] * times


async def test_a_voice_that_stays_busy_is_asked_for_as_long_as_patience_lasts_and_no_longer() -> None:
    line, voice = await spoken(busy(1_000))
    assert isinstance(line.error, EngineBusy)
    assert LIMITS.patience_s / 2 < voice.asked_at[-1] <= LIMITS.patience_s


WORK_S = st.floats(0, 8)
TROUBLES = st.lists(st.tuples(WORK_S, st.sampled_from([EngineBusy("busy"), EngineDead("gone")])), max_size=60)


@given(TROUBLES)
async def test_deaths_in_between_make_nobody_more_patient(
    troubles: list[tuple[float, RhapsodeError]],
) -> None:
    _, voice = await spoken(troubles)
    for (_, trouble), asked_again_at in zip(troubles, voice.asked_at[1:], strict=False):
        assert isinstance(trouble, EngineDead) or asked_again_at <= LIMITS.patience_s + 1e-6


async def test_a_voice_that_dies_is_asked_again_also_when_patience_is_out() -> None:
    line, voice = await spoken([(LIMITS.patience_s, EngineDead("gone"))])
    assert line.error is None
    assert len(voice.asked_at) == 2


async def test_a_busy_provider_elsewhere_is_asked_again_soon() -> None:
    line, voice = await spoken(busy(2), SessionSettings(tts_provider="cloud"))
    assert line.error is None
    assert voice.asked_at[-1] == pytest.approx(PAUSES_S)
