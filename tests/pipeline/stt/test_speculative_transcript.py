"""A text made ahead, in the hope that the silence is the end: here or elsewhere."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskGroup

from pipeline.engines.ports import TextEndDetector, Transcribers, Transcript, TurnDetector, Utterance
from pipeline.stt.audio_ring_buffer import AudioRingBuffer
from pipeline.stt.evaluation.audio_clock import AudioClock
from pipeline.stt.inputs.input_opening import for_source
from pipeline.stt.utterance_transcriber import UtteranceTranscriber
from schemas.errors import EngineBusy, EngineDead, EngineFailed, RhapsodeError, UnknownProvider
from schemas.settings.listening_settings import EndpointingSettings, ListeningSettings
from tests.pipeline.stt.test_audio_ring_buffer import numbered
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio

ELSEWHERE = ListeningSettings(provider="cloud")


class GuidedTranscriber:
    """Says one word after the other, each when it is allowed to; the first requests may fail."""

    def __init__(self, *words: str, allowed: int = 100, failures: tuple[RhapsodeError, ...] = ()) -> None:
        self._words = words
        self._failures = list(failures)
        self.asked: list[Utterance] = []
        self.given_up = 0
        self._allowed = anyio.Semaphore(allowed)

    def allow(self, words: int) -> None:
        for _ in range(words):
            self._allowed.release()

    @property
    def providers(self) -> tuple[str, ...]:
        return ("cloud",)

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        self.asked.append(utterance)
        await anyio.lowlevel.checkpoint()
        if self._failures:
            raise self._failures.pop(0)
        try:
            for number, word in enumerate(self._words):
                await self._allowed.acquire()
                yield f" {word}" if number else word
        except BaseException:
            self.given_up += 1
            raise
        yield Transcript(" ".join(self._words), utterance.language or "en", "test")

    async def aclose(self) -> None:
        """Nothing to give back."""


class Reader:
    """Reads along."""

    def __init__(self) -> None:
        self.read: list[tuple[str, int, int]] = []

    async def __call__(self, text: str, stable: int, at_ms: int) -> None:
        self.read.append((text, stable, at_ms))


class Hints(list[str | None]):
    def __call__(self, wait: str | None) -> None:
        self.append(wait)


@asynccontextmanager
async def writing(
    engine: GuidedTranscriber,
    settings: ListeningSettings = ELSEWHERE,
    detector: TurnDetector | None = None,
    *,
    language: str = "en",
    reader: TextEndDetector | None = None,
) -> AsyncIterator[tuple[UtteranceTranscriber, TaskGroup]]:
    """A transcript under way: speech until 1,000 ms, then 200 ms of silence."""
    tape = AudioRingBuffer(max_ms=5_000)
    tape.push(numbered(1_200))
    async with anyio.create_task_group() as tasks:
        ways = Transcribers(engine, GuidedTranscriber("quality"), detector, reader)
        yield UtteranceTranscriber(ways, settings, language, tape, AudioClock(0.0), tasks, 100), tasks


async def test_the_end_finds_the_text_that_a_server_elsewhere_made_ahead() -> None:
    engine, hints = GuidedTranscriber("What", "now?"), Hints()
    async with writing(engine) as (scribe, _):
        scribe.pause(1_000, 1_200, hints)
        await eventually(lambda: bool(hints))
        scribe.end(1_000, 1_600)
        written = await scribe.final(1_000, reader := Reader())
    assert (written.transcript.text, written.mode) == ("What now?", "realtime")
    assert [(each.provider, each.pcm) for each in engine.asked] == [("cloud", numbered(1_200)[32 * 100 :])]
    assert (hints, reader.read) == (["complete"], [])


class CertainDetector:
    """Answers one probability, or fails, when it is allowed to."""

    def __init__(self, ended: float | Exception) -> None:
        self._ended = ended
        self.allowed = anyio.Event()
        self.asked: list[bytes] = []

    async def end_of_turn(self, pcm: bytes) -> float:
        self.asked.append(pcm)
        await self.allowed.wait()
        if isinstance(self._ended, Exception):
            raise self._ended
        return self._ended

    async def aclose(self) -> None:
        """Nothing to give back."""


async def test_sound_that_is_unfinished_lengthens_the_wait_whatever_the_way_of_writing() -> None:
    detector, hints = CertainDetector(0.1), Hints()
    async with writing(GuidedTranscriber("All"), ListeningSettings(mode="quality"), detector) as (scribe, _):
        scribe.pause(1_000, 1_200, hints)
        detector.allowed.set()
        await eventually(lambda: bool(hints))
    assert hints == ["doubtful"]
    assert detector.asked == [numbered(1_200)[32 * 100 :]]


async def test_an_answer_about_a_silence_that_is_over_says_nothing() -> None:
    detector, hints = CertainDetector(0.1), Hints()
    async with writing(GuidedTranscriber("All", allowed=0), ELSEWHERE, detector) as (scribe, _):
        scribe.pause(500, 700, hints)
        await anyio.wait_all_tasks_blocked()
        scribe.go_on()
        detector.allowed.set()
    assert hints == []


class CertainReader:
    """Answers one probability, or fails, at once."""

    def __init__(self, text_end: float | Exception) -> None:
        self._text_end = text_end
        self.asked: list[str] = []

    async def end_of_text(self, text: str) -> float:
        self.asked.append(text)
        if isinstance(self._text_end, Exception):
            raise self._text_end
        return self._text_end

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    ("text_end", "language", "hints"),
    [
        (0.001, "en", ["complete", "doubtful"]),
        (0.9, "en", ["complete"]),
        (EngineFailed("broken"), "en", ["complete"]),
        (0.001, "nl", []),
    ],
)
async def test_a_model_reads_the_text_after_the_rules_where_it_knows_the_language(
    text_end: float | Exception, language: str, hints: list[str]
) -> None:
    reader, told = CertainReader(text_end), Hints()
    async with writing(GuidedTranscriber("All", "words."), language=language, reader=reader) as (scribe, _):
        scribe.pause(1_000, 1_200, told)
        await anyio.wait_all_tasks_blocked()
        await scribe.final(1_000, Reader())
    assert reader.asked == (["All words."] if language == "en" else [])
    assert told == hints


async def test_without_the_hint_the_detector_is_not_asked() -> None:
    detector, hints = CertainDetector(0.1), Hints()
    settings = ListeningSettings(endpointing=EndpointingSettings(hint=False))
    detector.allowed.set()
    async with writing(GuidedTranscriber("All", "words."), settings, detector) as (scribe, _):
        scribe.pause(1_000, 1_200, hints)
        await eventually(lambda: bool(hints))
    assert (detector.asked, hints) == ([], ["complete"])


@pytest.mark.parametrize("failure", [EngineBusy("full"), EngineFailed("no model"), ValueError("a library's")])
async def test_a_detector_that_is_busy_or_fails_leaves_the_decision_to_the_text(failure: Exception) -> None:
    detector, hints = CertainDetector(failure), Hints()
    detector.allowed.set()
    async with writing(GuidedTranscriber("What", "now?"), ELSEWHERE, detector) as (scribe, _):
        scribe.pause(1_000, 1_200, hints)
        await eventually(lambda: bool(hints))
    assert hints == ["complete"]


async def test_an_end_that_comes_before_the_text_reads_the_rest_of_it() -> None:
    engine, reader = GuidedTranscriber("Tell", "me", "more.", allowed=1), Reader()
    async with writing(engine) as (scribe, tasks):
        scribe.pause(1_000, 1_200, Hints())
        await eventually(lambda: bool(engine.asked))
        await anyio.wait_all_tasks_blocked()
        assert reader.read == []
        tasks.start_soon(scribe.final, 1_000, reader)
        await anyio.wait_all_tasks_blocked()
        assert reader.read == [("Tell", 4, 1_000)]
        engine.allow(2)
    assert reader.read == [("Tell", 4, 1_000), ("Tell me", 7, 1_000), ("Tell me more.", 13, 1_000)]
    assert len(engine.asked) == 1


async def test_a_speaker_who_goes_on_speaking_throws_it_away() -> None:
    engine, hints, reader = GuidedTranscriber("Well", "then.", allowed=1), Hints(), Reader()
    async with writing(engine) as (scribe, tasks):
        scribe.pause(500, 700, hints)
        await anyio.wait_all_tasks_blocked()
        scribe.go_on()
        await eventually(lambda: engine.given_up == 1)
        scribe.end(1_000, 1_200)
        tasks.start_soon(scribe.final, 1_000, reader)
        await anyio.wait_all_tasks_blocked()
        engine.allow(2)
    assert [text for text, _, _ in reader.read] == ["Well", "Well then."]
    assert [len(each.pcm) // 32 for each in engine.asked] == [600, 1_100]
    assert hints == []


@pytest.mark.parametrize("failure", [EngineDead("gone"), UnknownProvider("gone")])
async def test_a_text_that_could_not_be_made_ahead_is_made_at_the_end(failure: RhapsodeError) -> None:
    engine, hints = GuidedTranscriber("All", "words.", failures=(failure,)), Hints()
    async with writing(engine) as (scribe, _):
        scribe.pause(1_000, 1_200, hints)
        await anyio.wait_all_tasks_blocked()
        scribe.end(1_000, 1_200)
        written = await scribe.final(1_000, Reader())
    assert (written.transcript.text, written.mode) == ("All words.", "realtime")
    assert (len(engine.asked), hints) == (2, [])


async def test_the_quality_way_waits_for_the_end() -> None:
    engine = GuidedTranscriber("All", "words.")
    async with writing(engine, ListeningSettings(mode="quality")) as (scribe, _):
        scribe.pause(1_000, 1_200, Hints())
        scribe.end(1_000, 1_200)
        assert (await scribe.final(1_000, Reader())).transcript.text == "quality"
    assert engine.asked == []


async def test_no_provider_is_asked_for_partial_texts() -> None:
    engine, reader = GuidedTranscriber("All", "words."), Reader()
    async with writing(engine) as (scribe, _):
        scribe.grow(1_200, reader)
        await anyio.wait_all_tasks_blocked()
    assert (engine.asked, reader.read) == ([], [])


def test_a_server_elsewhere_is_asked_ahead_after_a_silence_of_its_own() -> None:
    endpointing = EndpointingSettings(speculate_ms=100, speculate_elsewhere_ms=300)
    ours = ListeningSettings(endpointing=endpointing)
    assert ours.ends == endpointing
    theirs = ours.model_copy(update={"provider": "cloud"})
    assert (theirs.ends.speculate_ms, theirs.ends.silence_ms) == (300, endpointing.silence_ms)


@pytest.mark.parametrize("provider", [None, "cloud"])
def test_of_a_file_nothing_is_written_ahead(provider: str | None) -> None:
    assert for_source(ListeningSettings(provider=provider), "file").ends.speculate_ms is None
