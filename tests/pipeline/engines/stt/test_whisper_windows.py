"""Parts around Whisper, without it: windows, words, threads and processor time."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.ports import Utterance, WrittenWord
from pipeline.engines.speech_environment import quality_engine, whisperx_python
from pipeline.engines.stt.pcm_samples import RATE
from pipeline.engines.stt.threaded_speech_to_text import CpuShares, DecodedPiece, ThreadedSpeechToText
from pipeline.engines.stt.whisper_windows import (
    cut,
    is_invented,
    is_silent,
    lead_in,
    most_tokens,
    onset_ms,
    repeats_itself,
    stammers,
    window_s,
)
from pipeline.engines.stt.whisper_words import word_times
from rhapsode.testing.speech_to_text_contract import written
from schemas.errors import EngineBusy, EngineDead, EngineFailed
from schemas.settings.listening_settings import QualitySpeechToTextSettings
from tests.support.eventually import eventually

# ---------------------------------------------------------------- windows


@given(st.floats(0, 30), st.sampled_from([8, 12]))
def test_a_window_holds_its_sound_and_is_never_longer_than_whispers(length_s: float, least: int) -> None:
    size = window_s(length_s, least)
    assert least <= size <= 30
    assert size % 2 == 0
    assert size >= min(30, length_s + 1)
    assert size <= max(least, length_s + 3)


@given(st.floats(0, 3_600))
def test_no_sound_has_more_words_than_can_be_said(length_s: float) -> None:
    assert 16 <= most_tokens(length_s) <= 224


@given(st.lists(st.booleans(), max_size=300), st.floats(1, 9))
def test_parts_of_sound_are_short_enough_and_lose_nothing(loud: list[bool], longest_s: float) -> None:
    sound = np.repeat(np.array(loud, dtype=np.float32), RATE // 10)
    parts = cut(sound, longest_s)
    assert parts[0][0] == 0
    assert parts[-1][1] == len(sound)
    assert all(one[1] == next_[0] for one, next_ in pairwise(parts))
    assert all(end - start <= longest_s * RATE for start, end in parts)


def test_sound_is_cut_where_nobody_speaks() -> None:
    sound = np.ones(40 * RATE, np.float32)
    sound[20 * RATE : 21 * RATE] = 0
    ((_, place), _) = cut(sound, 29)
    assert 20 * RATE <= place <= 21 * RATE


def test_loops_and_stammering_are_noticed() -> None:
    assert repeats_itself("go forward meters " * 30)
    assert not repeats_itself("He might even have been made amiable himself.")
    assert stammers("seven seven seven Seven of clubs")
    assert stammers("Go forward 10 meters. Go forward, 10 meters")
    assert not stammers("no no no")
    assert not stammers("very good, very good")


@pytest.mark.parametrize(
    ("text", "no_speech", "likelihood", "invented"),
    [
        ("", 0.0, 0.0, True),
        (" ...", 0.0, -0.1, True),
        (" Thank you.", 0.7, -0.5, True),
        (" Thank you.", 0.1, -0.5, False),
        (" He was not.", 0.7, -1.2, True),
        (" He was not.", 0.1, -0.6, False),
        (" Das war gut.", 0.5, -0.9, False),
        (" 好", 0.1, -0.5, False),
    ],
)
def test_a_text_more_likely_made_up_than_said_is_dropped(
    text: str, no_speech: float, likelihood: float, invented: bool
) -> None:
    assert is_invented(text, no_speech, likelihood) is invented


def test_sound_is_silent_only_if_all_of_it_is() -> None:
    sound = np.zeros(RATE, np.float32)
    assert is_silent(sound)
    assert is_silent(sound[:10])
    sound[5_000:5_400] = 0.01
    assert not is_silent(sound)


# ---------------------------------------------------------------- words

PARTS = st.lists(
    st.tuples(
        st.sampled_from([" fox", "es", ".", " é", " a-b", "", "!"]), st.floats(-1, 9), st.floats(-1, 9)
    ),
    max_size=20,
)


@given(PARTS, st.integers(0, 8_000))
def test_words_cover_the_text_in_order_whatever_was_aligned(
    parts: list[tuple[str, float, float]], sound_ms: int
) -> None:
    text = "".join(word for word, _, _ in parts)
    words = word_times(text, [{"word": w, "start": s, "end": e} for w, s, e in parts], sound_ms)
    assert [text[word.start : word.end] for word in words] == text.split()
    times = [0, *(time for word in words for time in (word.start_ms, word.end_ms)), sound_ms]
    assert times == sorted(times)


def test_a_word_that_attention_stretches_over_silence_begins_later() -> None:
    aligned = [
        {"word": " Go", "start": 0.0, "end": 5.0},
        {"word": " for", "start": 5.0, "end": 5.3},
        {"word": "ward", "start": 5.3, "end": 5.4},
        {"word": ".", "start": 5.4, "end": 5.4},
    ]
    go, forward = word_times(" Go forward.", aligned, 6_000)
    assert (go.start, go.end, go.end_ms) == (1, 3, 5_000)
    assert go.start_ms > 3_000
    assert forward == WrittenWord(4, 12, 5_000, 5_400)
    go, forward = word_times(" Go forward.", aligned, 6_000, onset_ms=4_700)
    assert (go.start_ms, go.end_ms, forward.start_ms) == (4_700, 5_000, 5_000)


def test_the_onset_is_where_it_becomes_loud() -> None:
    sound = np.full(RATE, 0.01, np.float32)
    sound[RATE // 2 :] = 0.5
    assert onset_ms(sound) == 500
    assert onset_ms(sound[:10]) == onset_ms(sound[:0]) == 0
    assert lead_in(sound) == 0
    late = np.concatenate([np.zeros(RATE, np.float32), sound])
    assert lead_in(late) == 12 * RATE // 10


# ---------------------------------------------------------------- threads


@dataclass
class Steps:
    """A decoder whose windows last until they are let go."""

    texts: tuple[str, ...] = (" one", " two")
    let_go: threading.Event = field(default_factory=threading.Event)
    begun: int = 0
    error: Exception | None = None

    def engine(self, utterance: Utterance) -> str:
        return "steps"

    def pieces(self, utterance: Utterance) -> Iterator[DecodedPiece]:
        for text in self.texts:
            self.begun += 1
            assert self.let_go.wait(30)
            if self.error:
                raise self.error
            yield DecodedPiece(text, "en", (WrittenWord(1, len(text), 100, 200),))


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
async def engine(steps: Steps) -> AsyncGenerator[ThreadedSpeechToText, None]:
    engine = ThreadedSpeechToText(steps, threads=1, places=1, queued=1)
    yield engine
    steps.let_go.set()
    await engine.aclose()


LONG = Utterance(bytes(31 * 2 * RATE))


@pytest.mark.anyio
async def test_windows_are_joined_and_told_one_by_one(engine: ThreadedSpeechToText, steps: Steps) -> None:
    steps.let_go.set()
    deltas, transcript = await written(engine, LONG)
    assert deltas == ["one", " two"]
    assert transcript.words == (WrittenWord(0, 3, 100, 200), WrittenWord(4, 7, 200, 200))


@pytest.mark.anyio
async def test_the_text_of_one_window_comes_at_once(engine: ThreadedSpeechToText, steps: Steps) -> None:
    steps.let_go.set()
    assert (await written(engine, Utterance(bytes(2 * RATE))))[0] == []


@pytest.mark.anyio
async def test_closing_lets_the_window_at_work_finish_and_no_other_begin(
    engine: ThreadedSpeechToText, steps: Steps
) -> None:
    listening = asyncio.ensure_future(written(engine, LONG))
    await eventually(lambda: steps.begun == 1)
    listening.cancel()
    await eventually(lambda: engine.open_streams == 0)
    steps.let_go.set()
    assert (await written(engine, LONG))[1].text == "one two"
    assert steps.begun == 3


@pytest.mark.anyio
async def test_a_caller_that_waits_and_leaves_gives_the_place_to_the_next(
    engine: ThreadedSpeechToText, steps: Steps
) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(written(engine, LONG))
        waiting = tasks.create_task(written(engine, LONG))
        await eventually(lambda: engine.open_streams == 2)
        with pytest.raises(EngineBusy):
            await written(engine, LONG)
        waiting.cancel()
        await eventually(lambda: engine.open_streams == 1)
        next_one = tasks.create_task(written(engine, LONG))
        steps.let_go.set()
    assert first.result()[1].text == next_one.result()[1].text == "one two"
    assert engine.open_streams == 0


@pytest.mark.anyio
async def test_an_error_of_a_library_is_a_failure_of_the_engine(
    engine: ThreadedSpeechToText, steps: Steps
) -> None:
    steps.error = RuntimeError("out of memory")
    steps.let_go.set()
    with pytest.raises(EngineFailed, match="out of memory"):
        await written(engine, LONG)
    assert engine.open_streams == 0


@pytest.mark.anyio
async def test_speech_to_text_that_was_shut_down_says_so(steps: Steps) -> None:
    engine = ThreadedSpeechToText(steps, threads=1, places=1, queued=1)
    steps.let_go.set()
    async with aclosing(engine.transcribe(LONG)) as stream:
        await anext(stream)
        await engine.aclose()
        with pytest.raises(EngineDead):
            await anext(stream)


# ---------------------------------------------------------------- processor time


def test_time_is_divided_among_what_is_worked_on_and_adds_up() -> None:
    shares = CpuShares()
    with shares.measured() as whole:
        with shares.measured() as part:
            _burn()
        _burn()
    assert 0 < part.cpu_ms < whole.cpu_ms
    with shares.measured() as other:
        pass
    assert other.cpu_ms < part.cpu_ms


def _burn() -> None:
    np.sort(np.random.default_rng(1).normal(size=300_000))


# ---------------------------------------------------------------- which engine


def test_auto_is_whisperx_where_its_environment_exists_and_whisper_elsewhere(tmp_path: Path) -> None:
    python = tmp_path / "python"
    settings = QualitySpeechToTextSettings(python=python)
    assert (quality_engine(settings), whisperx_python(settings)) == ("whisper", None)
    python.touch()
    assert (quality_engine(settings), whisperx_python(settings)) == ("whisperx", python)


@pytest.mark.parametrize("engine", ["whisper", "scripted"])
def test_another_engine_gets_no_other_interpreter(tmp_path: Path, engine: str) -> None:
    settings = QualitySpeechToTextSettings(engine=engine, python=tmp_path)
    assert (quality_engine(settings), whisperx_python(settings)) == (engine, None)


def test_a_wrong_path_of_whisperx_is_not_passed_over(tmp_path: Path) -> None:
    settings = QualitySpeechToTextSettings(engine="whisperx", python=tmp_path / "nowhere")
    assert whisperx_python(settings) == tmp_path / "nowhere"
