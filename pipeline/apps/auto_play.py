"""Effects that follow from events: auto-play, and notifications of narrations. Run by the workers."""

from collections.abc import Sequence
from contextlib import suppress

from pipeline.apps.narrations import NARRATED, Narrations, Scene, SceneId, may_auto_play, outcome, scene_of
from pipeline.apps.users import Users
from pipeline.background.worker_ports import Change, Pointer, cause_key
from pipeline.eventlog.recorder import Recorder
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.session_views import Ownership, SessionViews
from pipeline.session_state.turn_state import TurnState
from schemas.errors import SessionAlreadyEnded, SessionFull, SessionGone, SessionNotFound
from schemas.events import NarrationFailed, NarrationReady, NotificationRaised
from schemas.events.recorded import Recorded
from schemas.ids import SessionId


class AutoPlay:
    """A scene is complete and its user wants to hear it: have it narrated."""

    name = "auto_play"
    types = frozenset({"turn.completed"})

    def __init__(self, owners: Ownership, narrations: Narrations, users: Users) -> None:
        self._owners = owners
        self._narrations = narrations
        self._users = users

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change] | None:
        if await self._owners.kind(pointer.session) != "story":
            return None
        scene = await self._narrations.scene(SceneId(pointer.session, event.turn))
        if may_auto_play(scene) and await self._is_wanted(scene):
            await self._narrations.request(scene, by="auto")
        return None

    async def _is_wanted(self, scene: Scene) -> bool:
        """As the user's settings were when the scene was asked for; as they are, where the event has none."""
        if scene.state.narrate is not None:
            return scene.state.narrate
        preferences = (await self._users.state(scene.story.principal)).preferences
        return preferences.tts_enabled and preferences.auto_play_last_scene


class NarrationBegun:
    """A narration is asked for: it is there, also if whoever asked died before making it."""

    name = "narration_begun"
    types = frozenset({"narration.requested"})

    def __init__(self, narrations: Narrations) -> None:
        self._narrations = narrations

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change] | None:
        scene = await self._narrations.scene(SceneId(pointer.session, event.turn))
        state = scene.narration
        if state is not None and state.session == event.data["session"] and state.status == "requested":
            with suppress(SessionGone):
                await self._narrations.ensure(scene, state.session)
        return None


class NarrationNotifications:
    """A narration is over: its story knows, its user is told, and its session is closed."""

    name = "narration_news"
    types = frozenset({"turn.completed", "turn.failed", "turn.stopped"})

    def __init__(
        self, owners: Ownership, views: SessionViews, narrations: Narrations, users: Users, recorder: Recorder
    ) -> None:
        self._owners = owners
        self._views = views
        self._narrations = narrations
        self._users = users
        self._recorder = recorder

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change] | None:
        if event.turn != NARRATED or await self._owners.kind(pointer.session) != "narration":
            return None
        narration, _ = await self._views.get(pointer.session)
        turn, scene = outcome(narration), scene_of(narration)
        if turn is not None and scene is not None:
            with suppress(SessionGone, SessionNotFound):  # deleted meanwhile: there is nobody to tell
                await self._notify(pointer, narration, turn, scene)
        with suppress(SessionGone, SessionAlreadyEnded):
            await self._narrations.close(pointer.session)
        return None

    async def _notify(
        self, pointer: Pointer, narration: Conversation, turn: TurnState, scene: SceneId
    ) -> None:
        story, _ = await self._views.get(scene.story)
        asked = story.narrations.get(scene.turn)
        by_itself = asked is not None and asked.session == pointer.session and asked.by == "auto"
        news = verdict(pointer.session, turn)
        with suppress(
            SessionAlreadyEnded, SessionFull
        ):  # it takes nothing more, but its user can still be told
            await self._recorder.post(
                scene.story, news, key=cause_key(self.name, pointer, "story"), turn=scene.turn
            )
        if turn.status == "stopped":
            return  # the user who stopped it knows
        user = await self._users.open(narration.principal)
        failed = isinstance(news, NarrationFailed)
        raised = NotificationRaised(
            kind="tts_failed" if failed else "tts_ready",
            story=scene.story,
            scene=str(scene),
            session=pointer.session,
            chunk_count=0 if isinstance(news, NarrationFailed) else news.chunks,
            auto_play=by_itself and not failed,
            code=news.code if isinstance(news, NarrationFailed) else None,
            message=news.message if isinstance(news, NarrationFailed) else None,
        )
        await self._recorder.post(user, raised, key=cause_key(self.name, pointer, "user"))


def verdict(session: SessionId, turn: TurnState) -> NarrationReady | NarrationFailed:
    """Whether there is something to hear, by the turn's own events."""
    wanted = [sentence for sentence in turn.sentences if sentence.spoken]
    heard = [sentence for sentence in wanted if sentence.audible]
    if turn.status == "completed" and (heard or not wanted):
        return NarrationReady(
            session=session, chunks=len(heard), missing=len(wanted) - len(heard), audio_ms=turn.audio_ms
        )
    if turn.status == "stopped":
        return NarrationFailed(session=session, code="narration.stopped", message="it was stopped")
    if turn.error is not None:
        return NarrationFailed(session=session, code=turn.error["code"], message=turn.error["message"])
    code, message = next(
        (sentence.error for sentence in wanted if sentence.error), ("narration.silent", "nothing was spoken")
    )
    return NarrationFailed(session=session, code=code, message=message)
