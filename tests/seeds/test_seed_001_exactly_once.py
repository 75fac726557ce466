"""Auto-play happens once: delivered twice, killed in the middle, at two gateways, asked for by hand too."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import anyio
import pytest
from pydantic import SecretStr

from pipeline.apps.auto_play import AutoPlay, NarrationBegun, NarrationNotifications
from pipeline.apps.narrations import Narrations, SceneId
from pipeline.apps.users import Users, user_session
from pipeline.background.worker_ports import Effect, Pointer
from pipeline.eventlog.event_log import Outcome
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.session_state.session_views import Ownership, SessionViews
from schemas.events import Event, SessionStarted, TextDelta, TurnCompleted, TurnRequested, TurnStarted
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from schemas.settings import LogSettings, SessionSettings
from schemas.speech_style import VoiceMark
from tests.pipeline.sessions.test_session_owner import until_over
from tests.pipeline.sessions.test_takeover import owners_of
from tests.seeds.people import Message, Person, messages, nothing_left_to_do, of
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.anyio
QUIET = SessionSettings(speak=False)


class Killed(Exception):
    """The worker is no more."""


class MortalRecorder:
    """Writes like a Recorder, until its worker is killed: before or after its n-th event is in the log."""

    def __init__(self, recorder: Recorder, lives: float, *, after: bool) -> None:
        self._recorder = recorder
        self.lives = lives
        self._after = after

    async def post(self, session: SessionId, *events: Event, **how: Any) -> Outcome:
        self.lives -= 1
        if self.lives < 0 and not self._after:
            raise Killed
        outcome = await self._recorder.post(session, *events, **how)
        if self.lives < 0:
            raise Killed
        return outcome


@dataclass
class World:
    """A log with a scene of a user who wants to hear it, and owners that speak."""

    log: MemoryEventLog
    recorder: Recorder
    story: SessionId
    turn: TurnId

    def effects(self, recorder: Any) -> list[Effect]:
        """A worker's, which knows nothing yet."""
        views, users = SessionViews(self.log), Users(self.log, recorder)
        narrations = Narrations(views, users, recorder, SessionSettings())
        kinds = Ownership(self.log)
        return [
            AutoPlay(kinds, narrations, users),
            NarrationBegun(narrations),
            NarrationNotifications(kinds, views, narrations, users, recorder),
        ]

    async def work(self, session: SessionId, *, lives: float = 1e9, after: bool = False) -> bool:
        """One worker applies all effects to all events of a session; False: it was killed."""
        mortal = MortalRecorder(self.recorder, lives, after=after)
        effects = self.effects(mortal)
        done = 0
        with suppress(Killed):
            while done < len(events := await self.log.read(session, Seq(0), limit=5_000)):
                for event in events[done:]:
                    for effect in effects:
                        if event.type in effect.types:
                            await effect.apply(pointer(session, event), event)
                done = len(events)
            return True
        return False

    async def narration(self) -> SessionId:
        """The one that the story speaks of."""
        [requested] = await self.events(self.story, "narration.requested")
        return SessionId(requested.data["session"])

    async def events(self, session: SessionId, kind: str) -> list[Recorded]:
        return [event for event in await self.log.read(session, Seq(0), limit=5_000) if event.type == kind]


def pointer(session: SessionId, event: Recorded) -> Pointer:
    return Pointer(0, f"{event.seq}-0", session, event.seq, event.type)


@asynccontextmanager
async def world() -> AsyncGenerator[World, None]:
    log, story = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder:
        users = Users(log, recorder)
        await users.change("anna", lambda present: present.model_copy(update={"auto_play_last_scene": True}))
        await recorder.post(
            story, SessionStarted(settings=QUIET, kind="story", principal="anna"), mode="create"
        )
        wish = TurnRequested(kind="prompt", text="Begin", settings=QUIET)
        turn = TurnId((await recorder.post(story, wish)).first)
        owner = recorder.open(story, producer="owner", epoch=1)
        await owner.commit(TurnStarted(epoch=1), turn=turn)
        await owner.commit(TextDelta(at=0, text="The fox came. The keeper smiled at it."), turn=turn)
        await owner.commit(TurnCompleted(sentences=0, audio_ms=0), turn=turn)
        async with owners_of(log, recorder, "gateway"):
            yield World(log, recorder, story, turn)


async def heard_once(world: World) -> None:
    narration = await world.narration()
    asked = await world.events(world.story, "narration.requested")
    ready = await world.events(world.story, "narration.ready")
    [told] = await world.events(user_session("anna"), "notification.raised")
    assert [event.data["by"] for event in asked] == ["auto"]
    assert [event.data["session"] for event in ready] == [narration]
    assert asked[0].seq < ready[0].seq
    assert (told.data["kind"], told.data["session"], told.data["auto_play"]) == ("tts_ready", narration, True)
    for kind in ("session.started", "turn.requested", "turn.completed", "session.end_requested"):
        assert len(await world.events(narration, kind)) == 1


@pytest.mark.parametrize("after", [False, True])
async def test_a_worker_killed_between_any_two_steps_is_followed_by_one_that_finishes(after: bool) -> None:
    alive, lives = False, 0
    while not alive:
        async with world() as here:
            alive = await here.work(here.story, lives=lives, after=after)
            assert await here.work(here.story)
            narration = await here.narration()
            await until_over(here.log, narration, "turn.completed")
            alive = await here.work(narration, lives=lives, after=after) and alive
            assert await here.work(narration)
            await heard_once(here)
        lives += 1
    assert lives > 3


async def test_effects_delivered_twice_and_at_the_same_time_happen_once() -> None:
    async with world() as here:
        async with anyio.create_task_group() as workers:
            for _ in range(4):
                workers.start_soon(here.work, here.story)
        narration = await here.narration()
        await until_over(here.log, narration, "turn.completed")
        async with anyio.create_task_group() as workers:
            for _ in range(4):
                workers.start_soon(here.work, narration)
                workers.start_soon(here.work, here.story)
        await heard_once(here)


async def test_a_narration_asked_for_by_a_dead_process_is_begun_by_the_next_look() -> None:
    async with world() as here:
        assert not await here.work(here.story, lives=0, after=True)
        narration = await here.narration()
        assert await here.log.heads([narration]) == [None]
        views, users = SessionViews(here.log), Users(here.log, here.recorder)
        narrations = Narrations(views, users, here.recorder, SessionSettings())
        scene = await narrations.scene(SceneId(here.story, here.turn))
        assert await narrations.request(scene, by="user") == (narration, False)
        await until_over(here.log, narration, "turn.completed")


async def test_the_voices_that_were_chosen_outlive_who_asked_for_them() -> None:
    async with world() as here:
        mark = VoiceMark(start=0, end=14, value="joe")
        views, mortal = SessionViews(here.log), cast(Recorder, MortalRecorder(here.recorder, 0, after=True))
        narrations = Narrations(views, Users(here.log, mortal), mortal, SessionSettings())
        scene = await narrations.scene(SceneId(here.story, here.turn))
        with pytest.raises(Killed):
            await narrations.request(scene, by="user", voices=(mark,))
        narration = await here.narration()
        assert await here.log.heads([narration]) == [None]
        assert await here.work(here.story)
        [begun] = await here.events(narration, "turn.requested")
        assert begun.data["voices"] == [mark.model_dump()]
        await until_over(here.log, narration, "turn.completed")


# ---------------------------------------------------------------- on the whole gateway


@pytest.fixture
def other(app: RunningApp) -> Iterator[RunningApp]:
    """A second gateway with workers of its own, on the same log."""
    address = SecretStr(f"unix://{embedded_server.socket_path(app.settings.home)}")
    settings = app.settings.model_copy(update={"log": LogSettings(url=address)})
    with running_app(settings, workers=True) as running:
        yield running


async def at_the_same_time(scene: str, *people: Person) -> list[Message]:
    """They all ask for the scene to be read out."""
    answers: list[Message] = []

    async def ask(somebody: Person) -> None:
        answers.append(await somebody.generate(scene))

    async with anyio.create_task_group() as together:
        for somebody in people:
            together.start_soon(ask, somebody)
    return answers


async def test_at_two_gateways_and_asked_for_by_hand_at_the_same_time_each_scene_is_narrated_once(
    person: Person, other: RunningApp, log: TieredLog
) -> None:
    await person.prefer(auto_play_last_scene=True)
    story, scenes = await person.story(), []
    async with Person.of(other, person.name, person.key) as elsewhere:
        for number in range(6):
            here, there = (person, elsewhere) if number % 2 else (elsewhere, person)
            scene = await here.scene(story, content=f"This is scene number {number} of the story.")
            answers = await at_the_same_time(scene["id"], here, there)
            assert len({answer["session_id"] for answer in answers}) == 1
            assert sum(answer["created"] for answer in answers) <= 1
            assert of(await messages(there, f"/ws/tts/{scene['id']}"), "complete")
            scenes.append(scene["id"])
        await nothing_left_to_do(log)
        async with elsewhere.notifications() as news:
            told = [await news.next() for _ in scenes]
            await news.quiet()
    assert Counter(each["scene_id"] for each in told) == Counter(scenes)
    for kind in ("narration.requested", "narration.ready"):
        assert len(await person.events_of(story, kind)) == len(scenes)
