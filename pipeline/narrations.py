"""Scenes read out in the background: asked for once, made once, told once."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

from pipeline.conversation import Conversation
from pipeline.log.recorder import Recorder
from pipeline.turn_state import NarrationState, TurnState
from pipeline.users import Users, settings_for
from pipeline.views import SessionViews
from schemas.errors import SceneNotFound, SceneNotReady, SessionNotFound
from schemas.events import NarrationRequested, SessionEndRequested, SessionStarted, TurnRequested
from schemas.ids import Seq, SessionId, TurnId, derived_session_id, parse_session_id
from schemas.preferences import Preferences
from schemas.settings import SessionSettings

NARRATED: TurnId = TurnId(2)
"""The one turn of a narration: its request is the second fact."""
_DIGITS = 15


@dataclass(frozen=True, slots=True)
class SceneId:
    """A scene is a turn of a story: `<story>.<turn>`."""

    story: SessionId
    turn: TurnId

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SceneNotFound for what cannot be one."""
        story, _, turn = text.rpartition(".")
        session = parse_session_id(story)
        if session is None or not (turn.isascii() and turn.isdigit() and len(turn) <= _DIGITS):
            raise SceneNotFound(f"{text[:80]!r} is no scene", field="scene_id")
        return cls(session, TurnId(int(turn)))

    def __str__(self) -> str:
        return f"{self.story}.{self.turn}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene and the story it is in."""

    id: SceneId
    story: Conversation
    state: TurnState

    @property
    def narration(self) -> NarrationState | None:
        return self.story.narrations.get(self.id.turn)


class Narrations:
    """Asks for narrations. Which session one is follows from the scene and the attempt, so that asking twice,
    at whatever replica, or again after a crash in the middle, makes one."""

    def __init__(
        self, views: SessionViews, users: Users, recorder: Recorder, defaults: SessionSettings
    ) -> None:
        self._views = views
        self._users = users
        self._recorder = recorder
        self._defaults = defaults

    async def scene(self, scene_id: SceneId) -> Scene:
        """Raises SceneNotFound, SessionNotFound or SessionGone."""
        story, _ = await self._views.get(scene_id.story)
        state = story.turns.get(scene_id.turn)
        if state is None:
            raise SceneNotFound(f"there is no scene {scene_id}", field="scene_id")
        return Scene(scene_id, story, state)

    async def request(
        self, scene: Scene, *, by: Literal["auto", "user"], again: bool = False
    ) -> tuple[SessionId, bool]:
        """The scene's narration, begun if there is none, or if the latest failed; and whether it is new.

        `again` makes another one even where there is a good one. Raises SceneNotReady while the scene is
        being written.
        """
        present = scene.narration
        if present is not None and present.status != "failed" and not again:
            return present.session, False
        if not scene.state.over:
            raise SceneNotReady("the scene is still being written; wait until it is complete")
        if not scene.state.answer.strip():
            raise SceneNotReady("the scene has no text")
        attempt = present.attempt + 1 if present else 1
        session = derived_session_id(scene.state.ended_ms, "narration", str(scene.id), str(attempt))
        await self._create(session, scene)
        await self._recorder.post(
            scene.id.story,
            NarrationRequested(session=session, by=by),
            key=f"narration/{scene.id.turn}/{attempt}",
            turn=scene.id.turn,
        )
        return session, True

    async def read_out(
        self,
        text: str,
        *,
        principal: str,
        title: str,
        session: SessionId,
        preferences: Preferences | None = None,
    ) -> None:
        """A narration of any text, under an id that the caller has chosen; a second one is the first.

        `preferences` stand for the user's own.
        """
        settings = await self._settings(principal, preferences)
        await self._start(session, settings, text, principal=principal, title=title)

    async def _create(self, session: SessionId, scene: Scene) -> None:
        settings = await self._settings(scene.story.principal)
        await self._start(
            session,
            settings,
            scene.state.answer,
            principal=scene.story.principal,
            title=scene.story.title,
            parent=scene.id,
        )

    async def _settings(self, principal: str, wishes: Preferences | None = None) -> SessionSettings:
        """Whoever asks for a narration wants to hear it, whatever `tts_enabled` says."""
        wishes = wishes or (await self._users.state(principal)).preferences
        return settings_for(wishes, self._defaults, speak=True).model_copy(update={"speak": True})

    async def _start(
        self,
        session: SessionId,
        settings: SessionSettings,
        text: str,
        *,
        principal: str,
        title: str,
        parent: SceneId | None = None,
    ) -> None:
        """The session and its one turn enter the log together, if it is not there yet."""
        with suppress(SessionNotFound):
            await self._views.head(session)
            return
        started = SessionStarted(
            settings=settings,
            title=title,
            kind="narration",
            principal=principal,
            parent=parent and parent.story,
            parent_seq=parent and parent.turn,
        )
        wish = TurnRequested(kind="text", text=text, settings=settings)
        await self._recorder.post(session, started, wish, mode="create", key="narration")

    async def close(self, session: SessionId) -> None:
        """Nothing more will be said in it: it may be archived."""
        await self._recorder.post(session, SessionEndRequested(reason="done"), key="done")


def wants_auto_play(scene: Scene, *, tts_enabled: bool, auto_play: bool) -> bool:
    """A scene that was written in silence, completed, of a user who wants to hear it."""
    state = scene.state
    silent = not state.settings.speak and scene.narration is None
    return (
        tts_enabled
        and auto_play
        and silent
        and scene.story.kind == "story"
        and state.status == "completed"
        and bool(state.answer.strip())
    )


def outcome(narration: Conversation) -> TurnState | None:
    """The narration's one turn, once it is over."""
    state = narration.turns.get(NARRATED)
    return state if state is not None and state.over else None


def scene_of(narration: Conversation) -> SceneId | None:
    """The scene that is read out; None for a text of no story."""
    if narration.parent is None:
        return None
    return SceneId(narration.parent, TurnId(Seq(narration.parent_seq)))
