"""Scenes read out in the background: asked for once, made once, told once."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

from pipeline.admission.allowance import Allowance
from pipeline.apps.users import Users, settings_for
from pipeline.core.texts import internal_key
from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.codec import bytes_of
from pipeline.observability.tracer import CALLER
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.session_views import SessionViews
from pipeline.session_state.turn_state import NarrationState, TurnState
from schemas.errors import (
    InputError,
    SceneNotFound,
    SceneNotReady,
    SessionAlreadyEnded,
    SessionGone,
    SessionNotFound,
)
from schemas.events import (
    NarrationRequested,
    SessionEndRequested,
    SessionStarted,
    TurnRequested,
    TurnStopRequested,
)
from schemas.ids import Seq, SessionId, TurnId, derived_session_id, is_digits, parse_session_id
from schemas.settings import SessionSettings
from schemas.settings.narration_preferences import Preferences
from schemas.speech_style import KeptReading, TextPart, VoiceMark

NARRATED: TurnId = TurnId(2)
"""The one turn of a narration: its request is the second event."""


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
        if session is None or not is_digits(turn):
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
    at whatever replica, or again after a crash in the middle, makes one.

    First the story says that it is asked for, then it is begun: a narration never ends before its story knows
    of it, and one that was only asked for is begun by an effect of that event.
    """

    def __init__(
        self,
        views: SessionViews,
        users: Users,
        recorder: Recorder,
        defaults: SessionSettings,
        allowance: Allowance | None = None,
    ) -> None:
        """`allowance` is asked before a user's wish is taken; what follows from settings needs no leave."""
        self._views = views
        self._users = users
        self._recorder = recorder
        self._defaults = defaults
        self._allowance = allowance

    async def scene(self, scene_id: SceneId) -> Scene:
        """Raises SceneNotFound, SessionNotFound or SessionGone."""
        story, _ = await self._views.get(scene_id.story)
        state = story.turns.get(scene_id.turn)
        if state is None:
            raise SceneNotFound(f"there is no scene {scene_id}", field="scene_id")
        return Scene(scene_id, story, state)

    async def request(
        self,
        scene: Scene,
        *,
        by: Literal["auto", "user"],
        again: bool = False,
        voices: tuple[VoiceMark, ...] = (),
        parts: tuple[TextPart, ...] = (),
    ) -> tuple[SessionId, bool]:
        """The scene's narration, begun if there is none, or if the latest failed or was deleted; and whether
        it is new.

        `again` makes another one even where there is a good one, and stops one that is being made. `voices`:
        parts that other voices speak. `parts`: the only ones that are spoken again. Raises SceneNotReady
        while the scene is being written, or InputError for a part behind its end.
        """
        present = scene.narration
        if present is not None and present.status != "failed" and not again:
            with suppress(SessionGone):
                await self.ensure(scene, present.session)
                return present.session, False
        if not scene.state.over:
            raise SceneNotReady("the scene is still being written; wait until it is complete")
        if not scene.state.answer.strip():
            raise SceneNotReady("the scene has no text")
        for number, part in enumerate(parts):
            if part.start >= len(scene.state.answer):
                found = f"the scene has {len(scene.state.answer)} characters"
                raise InputError(found, field=f"parts.{number}.start")
        attempt = present.attempt + 1 if present else 1
        session = derived_session_id(scene.state.ended_ms, "narration", str(scene.id), str(attempt))
        params = NarrationRequested(session=session, by=by, voices=voices, again=parts)
        if by == "user" and self._allowance is not None:
            answer, ready = scene.state.answer, None if present is None else present.latest_ready
            reading = _reading(scene, ready, parts)
            spoken = parts if await self._has_sound(reading) else ()
            chars = sum(len(answer[part.start : part.end]) for part in spoken) or len(answer)
            size = bytes_of(params, *await self._events(scene, voices, reading))
            await self._allowance.turn(scene.story.principal, chars, size=size)
        if present is not None and present.status == "requested":
            await self._stop(present.session)
        key = internal_key("narration", scene.id.turn, attempt)
        asked = await self._recorder.post(scene.id.story, params, key=key, turn=scene.id.turn)
        await self.ensure(await self.scene(scene.id), session)
        return session, asked.verdict is Verdict.OK

    async def ensure(self, scene: Scene, session: SessionId) -> None:
        """That the narration which the story speaks of is there: whoever asked for it may have died between
        the two. Raises SessionGone if it was deleted."""
        if await self._is_there(session):
            return
        asked = scene.narration if scene.narration and scene.narration.session == session else None
        keeps = _reading(scene, asked.heard, asked.again) if asked else None
        await self._start(session, *await self._events(scene, asked.voices if asked else (), keeps))

    async def _events(
        self, scene: Scene, voices: tuple[VoiceMark, ...], keeps: KeptReading | None
    ) -> tuple[SessionStarted, TurnRequested]:
        """The first ones of a scene's narration."""
        settings = await self._settings(scene.story.principal)
        request = TurnRequested(
            kind="text",
            text=scene.state.answer,
            voices=voices,
            keeps=keeps if keeps and keeps.again else None,
            settings=settings.model_copy(update={"language": scene.state.settings.language}),
            traceparent=CALLER.get(),
        )
        return _started(request, scene.story.principal, scene.story.title, scene.id), request

    async def _has_sound(self, reading: KeptReading) -> bool:
        with suppress(SessionNotFound, SessionGone):
            view, _ = await self._views.get(SessionId(reading.session))
            turn = view.turns.get(TurnId(reading.turn))
            return turn is not None and turn.audio_ms > 0
        return False

    async def _stop(self, session: SessionId) -> None:
        with suppress(SessionNotFound, SessionGone, SessionAlreadyEnded):
            await self._recorder.post(session, TurnStopRequested(), key=internal_key("stop"), turn=NARRATED)

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
        if await self._is_there(session):
            return
        settings = await self._settings(principal, preferences)
        request = TurnRequested(kind="text", text=text, settings=settings, traceparent=CALLER.get())
        started = _started(request, principal, title)
        if self._allowance is not None:
            await self._allowance.turn(principal, len(text), size=bytes_of(started, request))
        await self._start(session, started, request)

    async def _settings(self, principal: str, preferences: Preferences | None = None) -> SessionSettings:
        """A narration is always spoken, whatever `tts_enabled` says."""
        preferences = preferences or (await self._users.state(principal)).preferences
        return settings_for(preferences, self._defaults, speak=True).model_copy(update={"speak": True})

    async def _start(self, session: SessionId, started: SessionStarted, request: TurnRequested) -> None:
        """The session and its one turn enter the log together."""
        await self._recorder.post(session, started, request, mode="create", key=internal_key("narration"))

    async def _is_there(self, session: SessionId) -> bool:
        """Raises SessionGone."""
        try:
            await self._views.head(session)
        except SessionNotFound:
            return False
        return True

    async def close(self, session: SessionId) -> None:
        """Nothing more will be said in it: it may be archived."""
        await self._recorder.post(session, SessionEndRequested(reason="done"), key=internal_key("done"))


def _started(
    request: TurnRequested, principal: str, title: str, parent: SceneId | None = None
) -> SessionStarted:
    return SessionStarted(
        settings=request.settings,
        title=title,
        kind="narration",
        principal=principal,
        parent=parent and parent.story,
        parent_seq=parent and parent.turn,
    )


def _reading(scene: Scene, narration: SessionId | None, again: tuple[TextPart, ...] = ()) -> KeptReading:
    """The reading before: a narration, or the sound that the scene had while it was written."""
    session, turn = (scene.id.story, scene.id.turn) if narration is None else (narration, NARRATED)
    return KeptReading(session=session, turn=turn, again=again)


def may_auto_play(scene: Scene) -> bool:
    """A scene that was written in silence and completed, and was not narrated before."""
    state = scene.state
    return (
        not state.settings.speak
        and scene.narration is None
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
