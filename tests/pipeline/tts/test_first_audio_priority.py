"""A turn that is audible makes no more in advance while another one has no audio yet."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from math import inf

import anyio
import pytest

from pipeline.admission.engine_backpressure import EngineBackpressure
from pipeline.core.clock import SystemClock
from pipeline.engines.ports import AS_CONFIGURED, EngineResult, OpusChunk, WordTimes
from pipeline.eventlog.recorder import Recorder
from pipeline.tts import sentence_synthesizer
from pipeline.tts.sentence_synthesizer import ENOUGH_S, FirstAudioPriority
from schemas.events import Kind, SessionStarted, TurnRequested
from schemas.ids import new_session_id
from schemas.settings import SessionSettings
from schemas.settings.limit_settings import AdmissionSettings
from schemas.settings.listening_settings import ListeningSettings
from tests.pipeline.sessions import test_session_owner
from tests.pipeline.sessions.test_session_owner import QUIET, gateway, until_over
from tests.pipeline.turn.test_turn import SENTENCES, Stage, Voice, Writer, types
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio

PLENTY_S = ENOUGH_S + 3_600
BEGUN = 3
"""Of those sentences: four seconds of sound, and the one with which they are more."""
SPEAKING = SessionSettings()


@pytest.fixture(autouse=True)
def for_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test decides when somebody has waited enough."""
    monkeypatch.setattr(sentence_synthesizer, "_MOST_S", inf)


async def settled() -> None:
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


class Somebody:
    """Waits in the courtesy of others; `through` when they went on."""

    def __init__(self, towards: FirstAudioPriority, spare_s: float = PLENTY_S) -> None:
        self.spare_s = spare_s
        self.through = False
        self._towards = towards

    async def go(self) -> None:
        await self._towards.yield_to_waiting(lambda: self.spare_s)
        self.through = True


class Long(Voice):
    """A voice whose sentences last an hour."""

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        self.begun.append(text)
        yield OpusChunk(b"\x00\x01x", 3_600_000, last=True)


class Halting(Voice):
    """A voice that stops in the middle of every sentence."""

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        self.begun.append(text)
        yield OpusChunk(b"\x00\x01x", 20)
        await anyio.sleep_forever()


class Watched(FirstAudioPriority):
    """Says how many first sounds are awaited, and how often somebody was asked to give way."""

    def __init__(self) -> None:
        super().__init__()
        self.came = self.asked = 0

    @contextmanager
    def awaited(self) -> Iterator[Callable[[], None]]:
        self.came += 1
        with super().awaited() as heard:
            yield heard

    async def yield_to_waiting(self, spare_s: Callable[[], float]) -> None:
        self.asked += 1
        await super().yield_to_waiting(spare_s)

    @property
    def somebody_waits(self) -> bool:
        return self._awaited > 0


async def test_where_nobody_waits_for_a_first_sound_nobody_gives_way() -> None:
    await FirstAudioPriority().yield_to_waiting(lambda: PLENTY_S)


async def test_a_turn_that_has_hardly_more_to_hear_goes_on_whoever_waits() -> None:
    others = FirstAudioPriority()
    with others.awaited():
        await others.yield_to_waiting(lambda: ENOUGH_S)


async def test_no_turn_gives_way_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_synthesizer, "_MOST_S", 0.001)
    others = FirstAudioPriority()
    with others.awaited(), anyio.fail_after(8):
        await others.yield_to_waiting(lambda: PLENTY_S)


async def test_others_go_on_when_the_last_one_is_heard() -> None:
    others = FirstAudioPriority()
    somebody = Somebody(others)
    async with anyio.create_task_group() as tasks:
        with others.awaited() as first_heard, others.awaited() as second_heard:
            tasks.start_soon(somebody.go)
            await settled()
            first_heard()
            first_heard()
            await settled()
            assert not somebody.through
            second_heard()
            await settled()
            assert somebody.through


async def test_a_turn_that_ends_unheard_keeps_nobody_waiting() -> None:
    others = FirstAudioPriority()
    somebody = Somebody(others)
    async with anyio.create_task_group() as tasks:
        with others.awaited():
            tasks.start_soon(somebody.go)
            await settled()
            assert not somebody.through
    assert somebody.through
    await others.yield_to_waiting(lambda: PLENTY_S)


async def test_a_turn_that_loses_what_they_had_before_them_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_synthesizer, "_LOOK_S", 0.001)
    others = FirstAudioPriority()
    somebody = Somebody(others)
    async with anyio.create_task_group() as tasks:
        with others.awaited():
            tasks.start_soon(somebody.go)
            await settled()
            somebody.spare_s = 0.0
            await eventually(lambda: somebody.through)


async def test_a_turn_with_enough_to_be_heard_begins_no_sentence_until_others_are_heard() -> None:
    others = FirstAudioPriority()
    stage = Stage(Writer(), Voice(), ahead=6, priority=others)
    first = stage.voice.hold(SENTENCES[0])

    async def wait_and_be_heard() -> None:
        with others.awaited():
            await eventually(lambda: len(stage.voice.begun) == BEGUN)
            await settled()
            assert len(stage.voice.begun) == BEGUN
        await eventually(lambda: len(stage.voice.begun) == 1 + 6)
        first.set()

    events = await stage.run(wait_and_be_heard)
    assert types(events).count("sentence.completed") == len(SENTENCES)


async def test_a_turn_whose_sound_is_short_goes_on_whoever_waits() -> None:
    others = FirstAudioPriority()
    stage = Stage(Writer(), Voice(), ahead=6, priority=others)
    with others.awaited(), anyio.fail_after(8):
        events = await stage.run()
    assert types(events).count("sentence.completed") == len(SENTENCES)


async def test_sound_that_was_recorded_and_not_heard_counts_until_its_listener_skips(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sentence_synthesizer, "_LOOK_S", 0.001)
    others = FirstAudioPriority()
    stage = Stage(Writer(), Long(), ahead=6, priority=others)

    async def skip() -> None:
        with others.awaited():
            await eventually(lambda: bool(stage.voice.begun))
            await settled()
            assert len(stage.voice.begun) == 1, "it is heard for an hour"
            stage.turn.skip(0)
            await eventually(lambda: len(stage.voice.begun) > 1)

    events = await stage.run(skip)
    assert types(events)[-1] == "turn.completed"


async def test_of_a_sentence_that_is_being_heard_only_what_is_recorded_counts() -> None:
    others = FirstAudioPriority()
    stage = Stage(Writer(), Halting(), ahead=6, priority=others)

    async def stop_at_last() -> None:
        with others.awaited():
            await eventually(lambda: len(stage.voice.begun) > BEGUN)
            stage.turn.stop("user")

    await stage.run(stop_at_last)


async def test_a_sentence_that_gave_way_is_not_begun_in_a_pause() -> None:
    others = FirstAudioPriority()
    stage = Stage(Writer(), Voice(), ahead=6, priority=others)
    first = stage.voice.hold(SENTENCES[0])

    async def pause_while_it_gives_way() -> None:
        with others.awaited():
            await eventually(lambda: len(stage.voice.begun) == BEGUN)
            stage.turn.pause()
        await settled()
        assert len(stage.voice.begun) == BEGUN
        stage.turn.resume()
        first.set()

    events = await stage.run(pause_while_it_gives_way)
    assert types(events)[-1] == "turn.completed"
    assert types(events).count("sentence.completed") == len(SENTENCES)


async def test_a_turn_is_stopped_while_it_gives_way() -> None:
    others = FirstAudioPriority()
    stage = Stage(Writer(), Voice(), ahead=6, priority=others)
    stage.voice.hold(SENTENCES[0])

    async def stop() -> None:
        with others.awaited():
            await eventually(lambda: len(stage.voice.begun) == BEGUN)
            await settled()
            stage.turn.stop("user")
            await eventually(lambda: stage.voice.open == 0)

    with anyio.fail_after(8):
        events = await stage.run(stop)
    assert types(events)[-1] == "turn.stopped"


async def test_a_turn_that_hears_nothing_before_all_of_it_is_there_does_not_give_way() -> None:
    others = FirstAudioPriority()
    settings = SessionSettings(listening=ListeningSettings(mode="legacy"))
    stage = Stage(Writer(), Voice(), ahead=6, priority=others, settings=settings)
    with others.awaited(), anyio.fail_after(8):
        events = await stage.run()
    assert types(events)[-1] == "turn.completed"


async def test_a_turn_is_awaited_until_its_first_sound_is_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    log, session, voice = MemoryEventLog(), new_session_id(), Voice()
    monkeypatch.setattr(test_session_owner, "Voice", lambda: voice)
    backpressure = EngineBackpressure(AdmissionSettings(), SystemClock())
    backpressure.priority = watched = Watched()
    first, second = voice.hold(SENTENCES[0]), voice.hold(SENTENCES[1])
    wish = TurnRequested(kind="text", text=" ".join(SENTENCES[:2]), settings=SPEAKING)
    async with Recorder(log) as recorder, gateway(log, recorder, backpressure=backpressure) as owners:
        await recorder.post(session, SessionStarted(settings=SPEAKING), mode="create")
        owners.wake(session, (await recorder.post(session, wish)).last)
        await eventually(lambda: voice.open == 2)
        assert watched.somebody_waits
        first.set()
        await eventually(lambda: not watched.somebody_waits)
        assert voice.open == 1, "it goes on"
        second.set()
        await until_over(log, session, "turn.completed")


@pytest.mark.parametrize(
    ("kind", "settings", "gives_way"),
    [
        ("session", SPEAKING, True),
        ("completion", SPEAKING, False),
        ("session", SessionSettings(tts_provider="elsewhere"), False),
        ("session", QUIET, False),
    ],
)
async def test_the_turns_that_give_way(kind: Kind, settings: SessionSettings, gives_way: bool) -> None:
    log, session = MemoryEventLog(), new_session_id()
    backpressure = EngineBackpressure(AdmissionSettings(), SystemClock())
    backpressure.priority = watched = Watched()
    wish = TurnRequested(kind="text", text=SENTENCES[0], settings=settings)
    async with Recorder(log) as recorder, gateway(log, recorder, backpressure=backpressure) as owners:
        await recorder.post(session, SessionStarted(settings=settings, kind=kind), mode="create")
        owners.wake(session, (await recorder.post(session, wish)).last)
        await until_over(log, session, "turn.completed")
    assert watched.came == 1
    assert (watched.asked > 0) == gives_way
