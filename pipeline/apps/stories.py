"""Stories: sessions whose turns are scenes, written one after the other or given."""

from typing import Any, Final

from pipeline.apps.narrations import Narrations, Scene, SceneId
from pipeline.apps.users import Users, lengths_for
from pipeline.eventlog.event_log import Head
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.conversation import Conversation
from pipeline.sessions.session_commands import Sessions
from schemas.apps.story_messages import CreateScene, CreateStory, StreamScene
from schemas.errors import InputTooLong, SessionGone, SessionNotFound
from schemas.events import TERMINAL
from schemas.ids import Seq, SessionId
from schemas.native.client_commands import CreateSession, RequestTurn, SettingsPatch
from schemas.settings.narration_preferences import Preferences

_BEGIN: Final = "Write the first scene of the story."
_GO_ON: Final = "Write the next scene of the story."
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
        preferences = (await self._users.state(conversation.principal)).preferences
        content, speak = None, False
        if isinstance(params, StreamScene):
            speak = params.enable_tts_stream and preferences.tts_enabled
        else:
            content = params.content
        settings = patch(preferences, conversation, speak=speak)
        narrate = preferences.tts_enabled and preferences.auto_play_last_scene and not speak
        prompt = params.custom_prompt.strip() or (_GO_ON if conversation.turns else _BEGIN)
        command = RequestTurn(
            prompt=None if content else prompt, text=content, settings=settings, key=params.key
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
