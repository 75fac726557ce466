"""A clock that stands still while work is done, and then goes on by as much as the work took."""

from collections.abc import AsyncGenerator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.ports import Transcript, Utterance
from pipeline.stt.evaluation.audio_clock import AudioClock, TimedSpeechToText
from pipeline.stt.utterance_transcriber import write_down
from schemas.errors import EngineBusy

pytestmark = pytest.mark.anyio


class SlowTranscriber:
    """Works for some turns of the loop, and says that it was more than that."""

    providers = ()

    def __init__(self, decode_ms: float, *, busy: int = 0) -> None:
        self._decode_ms = decode_ms
        self._busy = busy

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        if self._busy:
            self._busy -= 1
            raise EngineBusy("not now")
        await anyio.sleep(0.002)
        yield Transcript("said", "en", "a transcriber", decode_ms=self._decode_ms, cpu_ms=3.0)

    async def aclose(self) -> None:
        """Nothing is open."""


async def test_a_text_is_there_after_as_much_sound_as_its_making_took() -> None:
    clock = AudioClock(10.0)
    engine = TimedSpeechToText(SlowTranscriber(400.0), clock)
    made: list[float] = []

    async def ask() -> None:
        await write_down(engine, Utterance(b""))
        made.append(clock.monotonic())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await clock.advance(10.2)
        assert made == []
        await clock.advance(11.0)
    assert made == [pytest.approx(10.4)]
    assert clock.monotonic() == 11.0
    assert (engine.requests, engine.decode_ms, engine.cpu_ms) == (1, 400.0, 3.0)


async def test_the_consequences_of_a_text_happen_at_its_time_and_not_later() -> None:
    clock = AudioClock(0.0)
    engine = TimedSpeechToText(SlowTranscriber(100.0), clock)
    times: list[float] = []

    async def ask_again_and_again() -> None:
        for _ in range(4):
            await write_down(engine, Utterance(b""))
            times.append(clock.monotonic())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask_again_and_again)
        await clock.advance(5.0)
    assert times == [pytest.approx(each) for each in (0.1, 0.2, 0.3, 0.4)]


async def test_without_sound_time_goes_from_one_event_to_the_next() -> None:
    clock = AudioClock(0.0)
    woken: list[float] = []

    async def wait(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(clock.monotonic())

    async with anyio.create_task_group() as tasks:
        for seconds in (3.0, 1.0, 2.0):
            tasks.start_soon(wait, seconds)
        await clock.until(lambda: len(woken) == 2)
        assert clock.monotonic() == 2.0
        await clock.until(lambda: False)
    assert woken == [1.0, 2.0, 3.0]


async def test_an_engine_that_is_busy_with_callers_is_asked_again() -> None:
    clock = AudioClock(0.0)
    engine = TimedSpeechToText(SlowTranscriber(50.0, busy=1), clock)
    texts: list[str] = []

    async def ask() -> None:
        texts.append((await write_down(engine, Utterance(b""))).text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await clock.advance(1.0)
    assert texts == ["said"]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8), st.lists(st.floats(0, 4), max_size=6))
def test_everybody_wakes_at_the_time_they_wished_in_order(sleeps: list[float], steps: list[float]) -> None:
    async def run() -> list[tuple[float, float]]:
        clock, woken = AudioClock(0.0), list[tuple[float, float]]()

        async def wait(seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append((seconds, clock.monotonic()))

        async with anyio.create_task_group() as tasks:
            for seconds in sleeps:
                tasks.start_soon(wait, seconds)
            at_s = 0.0
            for step in steps:
                at_s += step
                await clock.advance(at_s)
                assert all(seconds <= at_s for seconds, _ in woken)
            await clock.until(lambda: len(woken) == len(sleeps))
        return woken

    woken = anyio.run(run)
    assert all(wished == at_s for wished, at_s in woken)
    assert [at_s for _, at_s in woken] == sorted(sleeps)
