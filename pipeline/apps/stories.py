"""Stories: sessions whose turns are scenes, written one after the other or given, and their sound."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from pipeline.apps.narrations import NARRATED, Narrations, Scene, SceneId
from pipeline.apps.users import Users, lengths_for
from pipeline.audio.chapter_tags import Chapter
from pipeline.delivery.recordings import RecordingPart
from pipeline.eventlog.event_log import Head
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.conversation import Conversation, current_turns
from pipeline.session_state.turn_state import TurnState
from pipeline.sessions.session_commands import Sessions
from schemas.apps.story_messages import CreateScene, CreateStory, StreamScene
from schemas.errors import InputTooLong, SceneNotFound, SceneNotReady, SessionGone, SessionNotFound
from schemas.events import TERMINAL
from schemas.ids import Seq, SessionId, TurnId
from schemas.native.client_commands import CreateSession, RequestTurn, SettingsPatch
from schemas.settings.narration_preferences import Preferences

_BEGIN: Final = "Write the first scene of the story."
_GO_ON: Final = "Write the next scene of the story."
_TITLE: Final = 80
"""Characters of a chapter's title."""
_TASK: Final = (
    "You are a storyteller. You write one scene of a story at a time, in plain, flowing prose, and go on "
    "where the scene before ended."
)
_PREMISE: Final = "\nThe story is about: "


class Stories:
    """Operations that the stories face may ask for."""

    def __init__(self, sessions: Sessions, narrations: Narrations, users: Users, tailer: Tailer) -> None:
        self._sessions = sessions
        self._narrations = narrations
        self._users = users
        self._tailer = tailer

    async def create(self, params: CreateStory, principal: str) -> SessionId:
        """An empty story."""
        task = _TASK + (_PREMISE + params.premise if params.premise else "")
        command = CreateSession(title=params.title, settings=SettingsPatch(system_prompt=task))
        story, *_ = await self._sessions.create(command, kind="story", principal=principal)
        return story

    async def story(self, story: SessionId, seen: Head | None = None) -> tuple[Conversation, Head]:
        """As `Sessions.view`. Raises SessionNotFound, also for what is no story, or SessionGone."""
        try:
            conversation, head = await self._sessions.view(story, seen)
        except (SessionNotFound, SessionGone) as error:
            raise type(error)(str(error), field="story_id") from error
        if conversation.kind != "story":
            raise SessionNotFound(f"there is no story {story}", field="story_id")
        return conversation, head

    async def write(
        self, story: SessionId, params: CreateScene | StreamScene, seen: Head | None = None
    ) -> SceneId:
        """Asks for a scene: a `CreateScene` to be read, a `StreamScene` to be heard while it is written.

        The user's preferences count as they are now. `seen`: see `Views.get`.
        """
        conversation, seen = await self.story(story, seen)
        replaced = _replaced(story, conversation, params.replaces)
        preferences = (await self._users.state(conversation.principal)).preferences
        content, speak = None, False
        if isinstance(params, StreamScene):
            speak = params.enable_tts_stream and preferences.tts_enabled
        else:
            content = params.content
        settings = patch(preferences, conversation, speak=speak)
        narrate = preferences.tts_enabled and preferences.auto_play_last_scene and not speak
        usual = replaced.question if replaced else _GO_ON if conversation.turns else _BEGIN
        prompt = params.custom_prompt.strip() or usual or _GO_ON
        command = RequestTurn(
            prompt=None if content else prompt,
            text=content,
            settings=settings,
            key=params.key,
            replaces=None if replaced is None else replaced.turn,
        )
        try:
            return SceneId(story, await self._sessions.request(story, command, narrate=narrate, seen=seen))
        except InputTooLong as error:
            raise InputTooLong(str(error), field="content" if content else "custom_prompt") from error

    async def until_over(self, scene_id: SceneId) -> Scene:
        """The scene, once its turn has come to an end, whichever."""
        after = Seq(scene_id.turn)
        scene = await self._narrations.scene(scene_id)
        if scene.state.over:
            return scene
        async with self._tailer.follow(scene_id.story, after) as batches:
            async for batch in batches:
                if any(event.turn == scene_id.turn and event.type in TERMINAL for event in batch):
                    break
        return await self._narrations.scene(scene_id)


def _replaced(story: SessionId, conversation: Conversation, name: str | None) -> TurnState | None:
    """The scene whose place another one is to take. Raises SceneNotFound or SceneNotReady."""
    if name is None:
        return None
    try:
        scene_id = SceneId.parse(name)
    except SceneNotFound as error:
        raise SceneNotFound(str(error), field="replaces") from error
    state = conversation.turns.get(scene_id.turn) if scene_id.story == story else None
    if state is None:
        raise SceneNotFound(f"this story has no scene {name}", field="replaces")
    if not state.over:
        raise SceneNotReady("the scene is still being written; wait until it is complete", field="replaces")
    return state


def patch(preferences: Preferences, story: Conversation, *, speak: bool) -> SettingsPatch:
    """Changes of a story's settings that follow from these preferences."""
    changed: dict[str, Any] = {
        "speak": speak,
        "speech_speed": preferences.speech_speed,
        "sentences": lengths_for(preferences, story.settings.sentences),
        "tts_provider": preferences.tts_provider,
        "tts_timeout_s": preferences.tts_timeout,
        "tts_extra": dict(preferences.tts_extra_params),
    }
    if preferences.default_voice is not None:
        changed["voice"] = preferences.default_voice
    return SettingsPatch.model_validate(changed)


def premise_of(conversation: Conversation) -> str:
    """Subject of the story, as far as it was given."""
    return conversation.settings.system_prompt.removeprefix(_TASK).removeprefix(_PREMISE)


class SceneSound(NamedTuple):
    """Turn whose sound is heard for a scene, and the session that it is of."""

    session: SessionId
    turn: TurnState
    upto: Seq
    scene: TurnState
    number: int

    @property
    def title(self) -> str:
        """Number and question; the beginning of the scene where its text was given or the story decided."""
        text = self.scene.text
        if text in (_BEGIN, _GO_ON):
            text = "".join(part[: 4 * _TITLE] for part in self.scene.parts[: 4 * _TITLE])
        line = " ".join(text[: 4 * _TITLE].split())
        if len(line) > _TITLE:
            line = f"{line[: _TITLE - 1].rstrip()}…"
        return f"{self.number}: {line}" if line else str(self.number)


async def scene_sounds(sessions: Sessions, story: SessionId, conversation: Conversation) -> list[SceneSound]:
    """The scenes in their order, or the turns of a session that is no story.

    Each narration is heard for one scene: an imported story may name the same one for any number.
    """
    readings: dict[TurnId, tuple[SessionId, TurnState, Seq]] = {}
    heard = set[SessionId]()
    for scene in current_turns(conversation) if conversation.narrations else ():
        narration = conversation.narrations.get(scene.turn)
        if narration is None or narration.status != "ready" or narration.session in heard:
            continue
        heard.add(narration.session)
        if (reading := await _reading(sessions, conversation, narration.session)) is not None:
            readings[scene.turn] = reading
    sounds: list[SceneSound] = []
    for number, scene in enumerate(current_turns(conversation), 1):
        session, turn, upto = readings.get(scene.turn) or (story, scene, conversation.head)
        sounds.append(SceneSound(session, turn, upto, scene, number))
    return sounds


async def _reading(
    sessions: Sessions, story: Conversation, session: SessionId
) -> tuple[SessionId, TurnState, Seq] | None:
    """The narration, if it is of the same owner: an imported story may name any session."""
    with suppress(SessionNotFound, SessionGone):
        view, _ = await sessions.view(session)
        turn = view.turns.get(NARRATED)
        if view.kind == "narration" and view.principal == story.principal and turn is not None:
            return session, turn, view.head
    return None


def recording_parts(sounds: Sequence[SceneSound]) -> tuple[RecordingPart, ...]:
    """Turns that follow each other in one log are one part."""
    parts: list[RecordingPart] = []
    for sound in sounds:
        last = parts[-1] if parts else None
        if last is not None and last.session == sound.session and last.turns[-1].turn < sound.turn.turn:
            last.turns.append(sound.turn)
        else:
            parts.append(RecordingPart(sound.session, [sound.turn], sound.upto))
    return tuple(parts)


def chapters_in(sounds: Iterable[SceneSound]) -> Iterator[Chapter]:
    """A chapter for each scene that sounds, where they lie in the file of all."""
    at = 0
    for sound in sounds:
        if sound.turn.audio_ms:
            yield Chapter(at, at + sound.turn.audio_ms, sound.title)
        at += sound.turn.audio_ms
