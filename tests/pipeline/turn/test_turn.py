"""One turn against a log in memory: order, limits, failures, and exactly one end."""

from collections.abc import AsyncGenerator
from time import thread_time
from typing import Any, ClassVar

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.clock import SystemClock
from pipeline.engines.ports import AS_CONFIGURED, ChatRequest, Completion, EngineResult, OpusChunk, WordTimes
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis import group_committer
from pipeline.session_state.turn_state import TurnState, apply_to_turn
from pipeline.tts import sentence_synthesizer
from pipeline.tts.sentence_synthesizer import FirstAudioPriority
from pipeline.turn.generation import Engines
from pipeline.turn.turn import Turn, TurnPlan
from schemas.errors import EngineDead, EngineFailed, RhapsodeError, UnknownVoice
from schemas.events import TERMINAL, SessionStarted
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, new_session_id
from schemas.settings import SessionSettings
from tests.support.eventlog.faulty_logs import GatedLog
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio

SENTENCES = [f"This is sentence number {n} of them all." for n in "abcdefgh"]
TEXT = " ".join(SENTENCES)
TURN = TurnId(1)


class Writer:
    """A language model that writes `text` in pieces, then completes or fails."""

    def __init__(self, text: str = TEXT, error: RhapsodeError | None = None, finish: str = "stop") -> None:
        self._text, self._error, self._finish = text, error, finish
        self.open = 0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | Completion, None]:
        self.open += 1
        try:
            for at in range(0, len(self._text), 7):
                await anyio.lowlevel.checkpoint()
                yield self._text[at : at + 7]
            if self._error is not None:
                raise self._error
            yield Completion(self._finish, 3, 5)  # type: ignore[arg-type]
        finally:
            self.open -= 1

    async def aclose(self) -> None:
        """Nothing to close."""


class Voice:
    """A speaker whose sentences wait for `permits`, so that a test decides which one is ready first."""

    voices = ("joe",)
    providers: ClassVar = {"local": {"joe": ("en-US",)}}

    def __init__(self, *, failing: dict[str, list[RhapsodeError]] | None = None, chunk_ms: int = 20) -> None:
        self.permits: dict[str, anyio.Event] = {}
        self.begun: list[str] = []
        self.open = 0
        self._failing = failing or {}
        self._chunk_ms = chunk_ms

    def hold(self, sentence: str) -> anyio.Event:
        self.permits[sentence] = anyio.Event()
        return self.permits[sentence]

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        self.begun.append(text)
        self.open += 1
        try:
            if errors := self._failing.get(text):
                raise errors.pop(0)
            if text in self.permits:
                await self.permits[text].wait()
            yield OpusChunk(b"\x00\x01x", self._chunk_ms)
            yield OpusChunk(b"\x00\x01y", self._chunk_ms, last=True)
        finally:
            self.open -= 1

    async def aclose(self) -> None:
        """Nothing to close."""


class Stage:
    """Everything that a turn needs, and what it has recorded."""

    def __init__(
        self,
        writer: Writer,
        voice: Voice,
        *,
        ahead: int = 2,
        kind: str = "prompt",
        settings: SessionSettings | None = None,
        priority: FirstAudioPriority | None = None,
        whole_sentences: bool = False,
    ) -> None:
        self.priority = priority
        self.text = TEXT
        self._whole_sentences = whole_sentences
        self.settings = settings or SessionSettings()
        self.log = GatedLog()
        self.session = new_session_id()
        self.writer, self.voice = writer, voice
        self._ahead, self._kind = ahead, kind
        self.turn: Turn

    async def run(self, during: object = None) -> list[Recorded]:
        """Run the turn with `during` beside it; the events of the turn."""
        async with Recorder(self.log) as recorder:
            await recorder.post(self.session, SessionStarted(settings=SessionSettings()), mode="create")
            pen = recorder.open(self.session, producer="test", epoch=1)
            plan = TurnPlan(  # type: ignore[arg-type]
                TURN, self._kind, self.text, self.settings, whole_sentences=self._whole_sentences
            )
            models = Engines(self.writer, self.voice)
            self.turn = Turn(
                plan, pen, models, SystemClock(), sentences_ahead=self._ahead, priority=self.priority
            )
            async with anyio.create_task_group() as both:
                if during is not None:
                    both.start_soon(during)  # type: ignore[arg-type]
                await self.turn.run(epoch=1)
                both.cancel_scope.cancel()
        return [event for event in await self.log.read(self.session, Seq(0)) if event.turn == TURN]


def types(events: list[Recorded]) -> list[str]:
    return [event.type for event in events]


@pytest.mark.parametrize("speak", [True, False], ids=["spoken", "silent"])
@pytest.mark.parametrize("whole_sentences", [True, False])
async def test_an_answer_that_the_length_limit_cuts_ends_at_its_last_whole_sentence(
    speak: bool, whole_sentences: bool
) -> None:
    written = f"{SENTENCES[0]} {SENTENCES[1]} Then that moment left"
    stage = Stage(
        Writer(written, finish="length"),
        Voice(),
        settings=SessionSettings(speak=speak),
        whole_sentences=whole_sentences,
    )
    events = await stage.run()
    (completed,) = [event for event in events if event.type == "text.completed"]
    standing = written.removesuffix("Then that moment left") if whole_sentences else written
    assert completed.data["chars"] == len(standing)
    assert "".join(event.data["text"] for event in events if event.type == "text.delta") == written
    state = TurnState(TURN, "prompt", TEXT, stage.settings, 0)
    for event in events:
        apply_to_turn(state, event)
    assert state.answer == standing
    ends = [event.data["end"] for event in events if event.type == "sentence.ready"]
    assert ends[-1:] == ([len(standing)] if speak else [])


async def test_audio_keeps_the_order_of_the_sentences_whichever_voice_is_ready_first() -> None:
    stage = Stage(Writer(), Voice())
    first = stage.voice.hold(SENTENCES[0])

    async def release_late() -> None:
        await eventually(lambda: len(stage.voice.begun) == 3)
        first.set()

    events = await stage.run(release_late)
    order = [event.data["sentence"] for event in events if event.type == "sentence.completed"]
    assert order == sorted(order) == list(range(len(SENTENCES)))


async def test_events_wait_for_each_other_only_while_there_is_sound_to_hear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group_committer, "LINGER_S", 3_600.0)
    after_first_sound = {}
    for chunk_ms in (20, 600):
        stage = Stage(Writer(), Voice(chunk_ms=chunk_ms))
        await stage.run()
        kinds = [{new.event.type for new in batch.events} for group in stage.log.sent for batch in group]
        first = next(number for number, batch in enumerate(kinds) if "audio.chunk" in batch)
        after_first_sound[chunk_ms] = len(kinds) - first - 1
    assert after_first_sound[20] > 1, "20 ms are no time to wait in"
    assert after_first_sound[600] == 1, "all the rest leaves with the end of the turn"


@pytest.mark.parametrize("fails", [False, True], ids=["heard", "failed"])
async def test_the_first_sentence_has_the_engine_for_itself_until_its_first_sound_or_its_end(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    monkeypatch.setattr(sentence_synthesizer, "_HEAD_START_S", 3_600.0)
    voice = Voice(failing={SENTENCES[0]: [UnknownVoice("There is no voice.")]} if fails else None)
    stage = Stage(Writer(), voice)
    first, second = voice.hold(SENTENCES[0]), voice.hold(SENTENCES[1])
    begun: list[list[str]] = []

    async def look() -> None:
        for permit in (first, second):
            await anyio.wait_all_tasks_blocked()
            begun.append(list(voice.begun))
            permit.set()

    events = await stage.run(look)
    assert begun == [SENTENCES[:4] if fails else SENTENCES[:1], SENTENCES[:4]]
    assert types(events)[-1] == "turn.completed"


async def test_a_slow_first_sentence_keeps_the_others_waiting_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_synthesizer, "_HEAD_START_S", 0.0)

    class Slow(Voice):
        async def speak(self, text: str, **how: Any) -> AsyncGenerator[WordTimes | OpusChunk, None]:
            monkeypatch.setattr(sentence_synthesizer, "_HEAD_START_S", 3_600.0 if self.begun else 0.0)
            async for item in super().speak(text, **how):
                yield item

    stage = Stage(Writer(), Slow())
    first = stage.voice.hold(SENTENCES[0])

    async def look() -> None:
        await eventually(lambda: len(stage.voice.begun) == 3)
        first.set()

    assert types(await stage.run(look))[-1] == "turn.completed"


@pytest.mark.parametrize("ahead", [0, 1, 2, 5])
async def test_no_more_sentences_are_begun_ahead_than_allowed(ahead: int) -> None:
    stage = Stage(Writer(), Voice(), ahead=ahead)
    first = stage.voice.hold(SENTENCES[0])
    seen: list[int] = []

    async def look() -> None:
        await eventually(lambda: len(stage.voice.begun) >= 1 + ahead)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        seen.append(len(stage.voice.begun))
        first.set()

    await stage.run(look)
    assert seen == [1 + ahead]


async def test_a_text_of_nothing_but_marks_lets_others_have_their_turn() -> None:
    """Nothing of it is spoken, so that no voice is waited for."""
    stage = Stage(Writer(), Voice(), kind="text")
    stage.text = ". " * 50_000
    longest_s, since_s = 0.0, thread_time()

    async def other() -> None:
        nonlocal longest_s, since_s
        while True:
            longest_s, since_s = max(longest_s, thread_time() - since_s), thread_time()
            await anyio.lowlevel.checkpoint()

    await stage.run(other)
    [head] = await stage.log.heads([stage.session])
    assert head is not None
    assert types(await stage.log.read(stage.session, Seq(head.seq - 1))) == ["turn.completed"]
    assert longest_s < 0.3  # all of it takes a second


async def test_text_does_not_wait_for_a_slow_voice() -> None:
    stage = Stage(Writer(), Voice())
    first = stage.voice.hold(SENTENCES[0])

    async def release_when_written() -> None:
        await eventually(lambda: stage.writer.open == 0 and len(stage.voice.begun) == 3)
        first.set()

    events = await stage.run(release_when_written)
    assert types(events).index("text.completed") < types(events).index("audio.chunk")


async def test_a_sentence_that_fails_is_told_and_the_turn_goes_on() -> None:
    broken = EngineFailed("no breath")
    stage = Stage(Writer(), Voice(failing={SENTENCES[2]: [broken] * 3}))
    events = await stage.run()
    failed = [event.data for event in events if event.type == "sentence.failed"]
    assert failed == [{"sentence": 2, "code": "engine.failed", "message": "no breath"}]
    assert types(events).count("sentence.completed") == len(SENTENCES) - 1
    assert types(events)[-1] == "turn.completed"


async def test_a_voice_that_died_before_a_sound_is_asked_again() -> None:
    stage = Stage(Writer(), Voice(failing={SENTENCES[1]: [EngineDead("gone")]}))
    events = await stage.run()
    assert "sentence.failed" not in types(events)
    assert stage.voice.begun.count(SENTENCES[1]) == 2


async def test_when_the_model_fails_what_was_said_is_spoken_and_the_turn_fails_with_a_code() -> None:
    stage = Stage(Writer(error=EngineFailed("out of memory")), Voice())
    events = await stage.run()
    assert "".join(event.data["text"] for event in events if event.type == "text.delta") == TEXT
    assert types(events).count("sentence.completed") == len(SENTENCES)
    assert (events[-1].type, events[-1].data["code"], events[-1].data["stage"]) == (
        "turn.failed",
        "engine.failed",
        "text",
    )


async def test_stopping_closes_every_engine_stream() -> None:
    stage = Stage(Writer(TEXT * 50), Voice())
    stage.voice.hold(SENTENCES[0])

    async def stop() -> None:
        await eventually(lambda: bool(stage.voice.begun))
        stage.turn.stop("user")

    events = await stage.run(stop)
    assert types(events)[-1] == "turn.stopped"
    assert (stage.writer.open, stage.voice.open) == (0, 0)


async def test_a_turn_stopped_before_it_began_ends_at_once() -> None:
    stage = Stage(Writer(), Voice())

    async with Recorder(stage.log) as recorder:
        await recorder.post(stage.session, SessionStarted(settings=SessionSettings()), mode="create")
        pen = recorder.open(stage.session, producer="test", epoch=1)
        plan = TurnPlan(TURN, "text", TEXT, SessionSettings())
        turn = Turn(plan, pen, Engines(stage.writer, stage.voice), SystemClock(), sentences_ahead=2)
        turn.stop("user")
        await turn.run(epoch=1)
        events = await stage.log.read(stage.session, Seq(1))
    assert types(events)[-1] == "turn.stopped"
    assert not stage.voice.begun


@given(commands=st.lists(st.sampled_from(["stop", "skip", "pause", "resume", "wait"]), max_size=12))
@settings(max_examples=40, deadline=None)
def test_the_turn_ends_exactly_once_and_tiles_its_text_after_any_commands(commands: list[str]) -> None:
    stage = Stage(Writer(), Voice())

    async def command() -> None:
        for number, name in enumerate(commands):
            await anyio.lowlevel.checkpoint()
            match name:
                case "stop":
                    stage.turn.stop("user")
                case "skip":
                    stage.turn.skip(number % len(SENTENCES))
                case "pause":
                    stage.turn.pause()
                case "resume":
                    stage.turn.resume()
        stage.turn.resume()
        await anyio.sleep_forever()

    events = anyio.run(stage.run, command)
    ends = [event.type for event in events if event.type in TERMINAL]
    assert ends == [events[-1].type]
    assert ends == (
        ["turn.stopped"] if "stop" in commands and ends == ["turn.stopped"] else ["turn.completed"]
    )
    at = 0
    for event in events:
        if event.type == "sentence.ready":
            assert event.data["start"] == at
            at = event.data["end"]
    assert at <= len(TEXT)
