"""One sentence and a voice that fails: how often it is tried, and for how long."""

from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.admission.engine_backpressure import EngineBackpressure, RetryWhenBusyTextToSpeech
from pipeline.audio.opus import frame, unframe
from pipeline.engines.ports import AS_CONFIGURED, EngineResult, OpusChunk, TimedWord, WordTimes
from pipeline.tts.normalisation.spoken_text import plainly
from pipeline.tts.sentence_synthesizer import SentenceSynthesis
from schemas.errors import EngineBusy, EngineDead, RhapsodeError
from schemas.settings import SessionSettings
from schemas.settings.limit_settings import AdmissionSettings
from tests.support.clocks import Hours

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
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
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
) -> tuple[SentenceSynthesis, Troubled]:
    clock = Hours()
    voice = Troubled(clock, troubles)
    line = SentenceSynthesis(0, 0, plainly("The keeper lit the lamp.", 0))
    line.begin()
    speaker = RetryWhenBusyTextToSpeech(voice, EngineBackpressure(LIMITS, clock))
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


PACKETS = 30
"""Of a rendering; the second one of a sentence is slower by a half."""


class Dying(Troubled):
    """Says a sentence of two words in packets that are marked by the rendering, and dies after so many."""

    def __init__(self, clock: Hours, lives: Sequence[int], *, words: bool) -> None:
        super().__init__(clock, [])
        self._lives = list(lives)
        self._knows_words = words
        self.waited_s: list[float] = []

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        self.asked_at.append(self._clock.s)
        self.waited_s.append(delivery.waited_s)
        rendering = len(self.asked_at)
        packets = PACKETS if rendering == 1 else PACKETS * 3 // 2
        if self._knows_words:
            middle, end = packets * 10, packets * 20
            yield WordTimes((TimedWord(0, 3, 0, middle), TimedWord(4, 10, middle, end)))
        life = self._lives.pop(0) if self._lives else packets
        for number in range(min(life, packets)):
            yield OpusChunk(frame([bytes([rendering, number])]), 20, last=number == packets - 1)
            self._clock.s += LIMITS.patience_s
        if life <= packets:
            raise EngineDead("gone")


async def rendered(
    lives: Sequence[int], *, words: bool = True, settings: SessionSettings | None = None
) -> tuple[SentenceSynthesis, list[WordTimes], list[OpusChunk]]:
    return await said_by(Dying(clock := Hours(), lives, words=words), clock, settings)


async def said_by(
    voice: Dying, clock: Hours, settings: SessionSettings | None = None
) -> tuple[SentenceSynthesis, list[WordTimes], list[OpusChunk]]:
    line = SentenceSynthesis(0, 0, plainly("The keeper", 0))
    line.begin()
    items: list[WordTimes | OpusChunk] = []

    async def take() -> None:
        items.extend([item async for item in line.items])

    async with anyio.create_task_group() as both:
        both.start_soon(take)
        await line.synthesize(voice, settings or SessionSettings(), clock)
    line.close()
    told = [item for item in items if isinstance(item, WordTimes)]
    return line, told, [item for item in items if isinstance(item, OpusChunk)]


@given(st.integers(0, PACKETS), st.booleans())
async def test_the_rest_of_a_sentence_is_said_by_the_next_voice_from_the_word_where_the_first_died(
    life: int, words: bool
) -> None:
    line, told, chunks = await rendered([life], words=words)
    assert line.error is None
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    by_first, by_second = ([c for c in map(packet_of, chunks) if c[0] == rendering] for rendering in (1, 2))
    assert [number for _, number in by_first] == list(range(life))
    if life < PACKETS:
        left_out = life * 3 // 2 if words else life
        assert [number for _, number in by_second] == list(range(by_second[0][1], PACKETS * 3 // 2))
        assert abs(by_second[0][1] - left_out) <= 1, "one packet is as exact as it gets"
    assert len(told) == (0 if not words else 1 if life else 2), "no words after a sound"


def packet_of(chunk: OpusChunk) -> bytes:
    [packet] = unframe(chunk.packets)
    return packet


async def test_a_voice_that_was_heard_for_long_before_it_died_has_used_up_no_patience() -> None:
    clock = Hours()
    voice = Dying(clock, [4], words=True)
    line, _, _ = await said_by(voice, clock)
    assert line.error is None
    assert voice.waited_s == [0.0, 0.0]


async def test_a_voice_that_dies_after_the_last_sound_has_said_all() -> None:
    line, _, chunks = await rendered([PACKETS])
    assert line.error is None
    assert len(chunks) == PACKETS


async def test_a_sentence_that_every_voice_dies_of_fails_with_what_was_said_of_it() -> None:
    line, _, chunks = await rendered([4, 8, 12])
    assert isinstance(line.error, EngineDead)
    assert [c[0] for c in map(packet_of, chunks)] == [1] * 4 + [2] * 2 + [3] * 4


async def test_a_provider_elsewhere_that_dies_in_a_sentence_is_not_asked_for_the_rest() -> None:
    line, _, chunks = await rendered([4], settings=SessionSettings(tts_provider="cloud"))
    assert isinstance(line.error, EngineDead)
    assert len(chunks) == 4
